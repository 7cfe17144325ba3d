"""Where a rebuild keeps its shadow tables: beside the live ones, in the kind of database that those are in."""

from pathlib import Path

import pytest

from saphan_infra.local_postgres import LocalPostgres
from saphan_infra.settings import Settings
from saphan_projections.database import Database
from saphan_streams.rebuild import shadow_databases


def _schemas(url: str) -> set[str]:
    database = Database(url)
    try:
        with database.reading() as transaction:
            rows = transaction.rows("SELECT nspname FROM pg_namespace")
    finally:
        database.close()
    return {row[0] for row in rows}


def test_with_sqlite_the_shadow_is_files_in_the_data_directory(tmp_path: Path) -> None:
    with shadow_databases(Settings(data_dir=tmp_path), keep=False):
        assert sorted(path.name for path in (tmp_path / "shadow").glob("*.db")) == ["link.db", "state.db"]
    assert not (tmp_path / "shadow").exists()


@pytest.mark.postgres
def test_with_a_postgresql_that_is_set_the_shadow_is_a_schema(tmp_path: Path, postgres_url: str) -> None:
    with shadow_databases(Settings(data_dir=tmp_path, database_url=postgres_url), keep=False) as shadow:
        assert shadow.link is shadow.state
        assert "saphan_shadow" in _schemas(postgres_url)
    assert "saphan_shadow" not in _schemas(postgres_url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.postgres
def test_with_the_local_postgresql_the_shadow_is_a_schema_too(tmp_path: Path, postgres_server: LocalPostgres) -> None:
    # As `saphan up --postgres` leaves it.
    (tmp_path / "postgres").symlink_to(postgres_server.log_path.parent)
    with shadow_databases(Settings(data_dir=tmp_path), keep=False):
        assert "saphan_shadow" in _schemas(postgres_server.url())
        assert not (tmp_path / "shadow").exists()
    assert "saphan_shadow" not in _schemas(postgres_server.url())
