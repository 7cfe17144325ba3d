"""That migrated tables are those of the models, on both databases, however many processes start at once."""

import multiprocessing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlmodel import SQLModel

from saphan_infra.availability import DatabaseTooNewError, DatabaseTooOldError
from saphan_projections.database import Database, Transaction, create_tables
from saphan_projections.identity import Signature, pack_signature
from saphan_projections.migrate import _config, _scripts, migrate, pending
from saphan_projections.offsets import OutgoingMessage, delete_outbox, put_outbox
from saphan_projections.packing import packed_array
from saphan_projections.tables import LinkWorkerRow, SourceOffsetRow

PROCESSES = 4
PERSON = "0019300000018"
#: Those that a migration made, not SQLite for itself.
INDEXES = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
CHANGES = ["0001", "0002", "0003", "0004"]


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
    assert pending(url) == CHANGES
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


def upgrade_to(revision: str, transaction: Transaction) -> None:
    """Make the tables of an earlier version."""
    config = _config()
    config.attributes["connection"] = transaction.connection
    command.upgrade(config, revision)


def assert_old_identifiers_are_refused(url: str) -> None:
    database = Database(url)
    with database.transaction() as transaction:
        upgrade_to("0003", transaction)
        transaction.upsert(LinkWorkerRow, [(1, packed(f"nid:{PERSON}")), (2, packed("ins:SSO-1", "pp:MMR:ins:0"))])
    assert pending(url) == ["0004"]
    with database.transaction() as transaction:
        transaction.upsert(LinkWorkerRow, [(3, packed(f"ins:{PERSON}"))])
    for look in (migrate, pending):
        with pytest.raises(DatabaseTooOldError, match=r"(?s)revision 0003.*Start over from the log"):
            look(url)
    with database.transaction() as transaction:
        transaction.delete(LinkWorkerRow, [(3,)])
    migrate(url)
    assert pending(url) == []
    database.close()


def packed(*identifiers: str) -> bytes:
    """The signatures of a worker, one for each identifier."""
    return packed_array([pack_signature(Signature(7, (identifier,))) for identifier in identifiers])


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


@pytest.mark.parametrize("made_by", ["migrate", "models"])
def test_sqlite_gives_the_number_of_an_outbox_row_only_once(tmp_path: Path, made_by: str) -> None:
    """A process that remembered the number of a row that was gone took the new row for one that it had sent."""
    url = f"sqlite:///{tmp_path / 'state.db'}"
    if made_by == "migrate":
        migrate(url)
    database = Database(url)
    if made_by == "models":
        create_tables(database)
    numbers = []
    for _ in range(3):
        with database.transaction() as transaction:
            number = put_outbox(transaction, "link", "a", 0, [OutgoingMessage("b", 0, b"k", b"v")])
            assert number is not None
            delete_outbox(transaction, [number])
        numbers.append(number)
    database.close()
    assert len(set(numbers)) == 3


def test_rows_of_the_outbox_move_into_the_table_that_gives_numbers_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    database = Database(url)
    with database.transaction() as transaction:
        upgrade_to("0001", transaction)
        transaction.execute("INSERT INTO outbox VALUES (7, 'link', 'a', 0, x'00')")
    assert pending(url) == CHANGES[1:]
    migrate(url)
    with database.reading() as transaction:
        assert transaction.rows("SELECT * FROM outbox") == [(7, "link", "a", 0, b"\0")]
    database.close()


def test_rows_move_into_the_tables_whose_number_is_the_row_s_own(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    database = Database(url)
    with database.transaction() as transaction:
        upgrade_to("0002", transaction)
        transaction.execute_many("INSERT INTO link_worker VALUES (?, ?)", [(2**40, b"\x90"), (3, b"\x91")])
        indexes = transaction.rows(INDEXES)
    migrate(url)
    with database.reading() as transaction:
        assert transaction.rows("SELECT * FROM link_worker ORDER BY 1") == [(3, b"\x91"), (2**40, b"\x90")]
        assert transaction.rows(INDEXES) == indexes
    database.close()


def test_sqlite_finds_a_record_or_a_worker_by_its_number_without_an_index(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    migrate(url)
    database = Database(url)
    with database.reading() as transaction:
        for table, number in (("record", "record_no"), ("link_worker", "worker_no"), ("worker", "worker_no")):
            ((*_, plan),) = transaction.rows(f"EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE {number} = 1")  # noqa: S608
            assert "USING INTEGER PRIMARY KEY" in plan
    database.close()


def test_upgrading_a_sqlite_database_keeps_its_rows(tmp_path: Path) -> None:
    assert_an_upgrade_keeps_rows(f"sqlite:///{tmp_path / 'state.db'}")


@pytest.mark.postgres
def test_upgrading_a_postgresql_database_keeps_its_rows(postgres_url: str) -> None:
    assert_an_upgrade_keeps_rows(postgres_url)


def test_a_sqlite_database_that_was_joined_by_other_identifiers_is_refused(tmp_path: Path) -> None:
    """It was used without a word, and an insurance that was not published again joined no employment."""
    assert_old_identifiers_are_refused(f"sqlite:///{tmp_path / 'link.db'}")


@pytest.mark.postgres
def test_a_postgresql_database_that_was_joined_by_other_identifiers_is_refused(postgres_url: str) -> None:
    assert_old_identifiers_are_refused(postgres_url)


def test_processes_that_start_at_once_make_the_sqlite_tables_once(tmp_path: Path) -> None:
    assert_many_may_start_at_once(f"sqlite:///{tmp_path / 'state.db'}")


@pytest.mark.postgres
def test_processes_that_start_at_once_make_the_postgresql_tables_once(postgres_url: str) -> None:
    assert_many_may_start_at_once(postgres_url)


@pytest.mark.postgres
def test_shadow_tables_stand_in_a_schema_of_their_own(postgres_url: str) -> None:
    migrate(postgres_url)
    assert pending(postgres_url, schema="shadow") == CHANGES
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
