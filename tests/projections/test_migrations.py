"""That migrated tables are those of the models, on both databases, however many processes start at once."""

import multiprocessing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlmodel import SQLModel

from saphan_projections.database import Database
from saphan_projections.migrate import DatabaseTooNewError, _scripts, migrate, pending
from saphan_projections.tables import SourceOffsetRow

PROCESSES = 4


def differences(url: str, schema: str | None = None) -> list[object]:
    database = Database(url, schema=schema)
    try:
        with database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            return list(compare_metadata(context, SQLModel.metadata))
    finally:
        database.close()


def without_rowid(url: str) -> dict[str, bool]:
    database = Database(url)
    try:
        with database.reading() as transaction:
            rows = transaction.rows("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    finally:
        database.close()
    return {name: "WITHOUT ROWID" in sql for name, sql in rows if name != "alembic_version"}


def assert_equal_to_the_models(url: str) -> None:
    assert pending(url) == ["0001"]
    migrate(url)
    assert pending(url) == []
    assert differences(url) == []


def assert_an_upgrade_keeps_rows(url: str) -> None:
    migrate(url)
    row = ("link", "a", 0, 12, 3, "owner", 99)
    database = Database(url)
    with database.transaction() as transaction:
        transaction.upsert(SourceOffsetRow, [row])
    migrate(url)
    with database.reading() as transaction:
        assert transaction.rows("SELECT * FROM source_offset") == [row]
    database.close()


def assert_many_may_start_at_once(url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=migrate, args=(url,)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert differences(url) == []


def test_migrated_sqlite_tables_equal_the_models(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new folder' / 'state.db'}"
    assert_equal_to_the_models(url)
    made = Database(f"sqlite:///{tmp_path / 'models.db'}")
    SQLModel.metadata.create_all(made.engine)
    made.close()
    assert without_rowid(url) == without_rowid(f"sqlite:///{tmp_path / 'models.db'}")


@pytest.mark.postgres
def test_migrated_postgresql_tables_equal_the_models(postgres_url: str) -> None:
    assert_equal_to_the_models(postgres_url)


def test_upgrading_a_sqlite_database_keeps_its_rows(tmp_path: Path) -> None:
    assert_an_upgrade_keeps_rows(f"sqlite:///{tmp_path / 'state.db'}")


@pytest.mark.postgres
def test_upgrading_a_postgresql_database_keeps_its_rows(postgres_url: str) -> None:
    assert_an_upgrade_keeps_rows(postgres_url)


def test_processes_that_start_at_once_make_the_sqlite_tables_once(tmp_path: Path) -> None:
    assert_many_may_start_at_once(f"sqlite:///{tmp_path / 'state.db'}")


@pytest.mark.postgres
def test_processes_that_start_at_once_make_the_postgresql_tables_once(postgres_url: str) -> None:
    assert_many_may_start_at_once(postgres_url)


@pytest.mark.postgres
def test_shadow_tables_stand_in_a_schema_of_their_own(postgres_url: str) -> None:
    migrate(postgres_url)
    assert pending(postgres_url, schema="shadow") == ["0001"]
    migrate(postgres_url, schema="shadow")
    assert pending(postgres_url, schema="shadow") == []
    shadow = Database(postgres_url, schema="shadow")
    with shadow.transaction() as transaction:
        transaction.upsert(SourceOffsetRow, [("link", "a", 0, 12, 3, "owner", 99)])
    shadow.close()
    live = Database(postgres_url)
    with live.reading() as transaction:
        assert transaction.rows("SELECT * FROM source_offset") == []
        assert transaction.rows("SELECT next_offset FROM shadow.source_offset") == [(12,)]
    live.close()


def test_tables_of_a_later_version_are_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    migrate(url)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(DatabaseTooNewError, match=r"revision 9999.*later version"):
        migrate(url)
    with pytest.raises(DatabaseTooNewError):
        pending(url)


def test_there_is_one_line_of_changes() -> None:
    assert len(_scripts().get_heads()) == 1
