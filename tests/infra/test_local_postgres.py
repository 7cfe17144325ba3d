"""The PostgreSQL that the platform brings: it starts, also for root, and keeps its data over stop and kill."""

import os
import signal
import tempfile
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from saphan_infra.availability import DatabaseServerUnavailable
from saphan_infra.data_dir import local_bootstrap, local_database_url
from saphan_infra.local_postgres import LocalPostgres
from saphan_infra.private_dirs import make_private

pytestmark = pytest.mark.postgres


def _rows(url: str, statement: LiteralString) -> list[tuple[Any, ...]]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_data_stays_over_stop_and_kill(postgres_server: LocalPostgres) -> None:
    url = postgres_server.create_database("kept")
    _rows(url, "CREATE TABLE kept (n int)")
    _rows(url, "INSERT INTO kept VALUES (1)")
    postgres_server.stop()
    assert postgres_server.process is None
    postgres_server.start()
    process = postgres_server.process
    assert process is not None
    process.send(signal.SIGKILL)
    postgres_server.start()
    assert postgres_server.url("kept") == url
    assert _rows(url, "SELECT n FROM kept") == [(1,)]
    assert postgres_server.create_database("kept") == url
    postgres_server.drop_database("kept")


def test_a_second_start_adopts_the_one_that_runs(postgres_server: LocalPostgres) -> None:
    before = postgres_server.process
    postgres_server.start()
    assert postgres_server.process == before


def test_strangers_without_the_password_are_refused(postgres_server: LocalPostgres) -> None:
    host = postgres_server.url().rpartition("@")[2]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"postgresql://saphan:guess@{host}")


def test_text_is_utf8_and_sorts_the_same_everywhere(postgres_url: str) -> None:
    (row,) = _rows(
        postgres_url,
        "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = current_database()",
    )
    assert row == ("UTF8", "C")


def test_the_data_directory_tells_its_address(postgres_server: LocalPostgres) -> None:
    directory = postgres_server.log_path.parent
    assert local_database_url(directory) == postgres_server.url()


def test_a_server_that_does_not_answer_is_a_service_that_is_away(postgres_server: LocalPostgres) -> None:
    postgres_server.stop()
    try:
        for ask in (postgres_server.create_database, postgres_server.drop_database):
            with pytest.raises(DatabaseServerUnavailable, match=r"postgres\.log") as refusal:
                ask("none")
            assert (postgres_server.log_path.parent / "password").read_text() not in str(refusal.value)
    finally:
        postgres_server.start()


@pytest.mark.parametrize("damaged", ["", "[]", "7", "{}", '{"port": '])
def test_a_damaged_state_file_gives_no_address(tmp_path: Path, damaged: str) -> None:
    for name in ("postgres.json", "broker.json", "password"):
        (tmp_path / name).write_text(damaged)
    assert (local_database_url(tmp_path), local_bootstrap(tmp_path)) == (None, None)
    assert LocalPostgres(tmp_path, tmp_path).process is None


def test_before_the_first_start_there_is_no_address(tmp_path: Path) -> None:
    assert local_database_url(tmp_path) is None
    with pytest.raises(DatabaseServerUnavailable, match="saphan up --postgres"):
        LocalPostgres(tmp_path, tmp_path).url()


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run PostgreSQL as somebody else")


@as_root
def test_it_starts_below_a_data_directory_that_saphan_made_for_its_owner_alone(java_cache: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="saphan-postgres-") as directory:
        Path(directory).chmod(0o711)
        data_dir = Path(directory) / "data"
        make_private(data_dir)
        server = LocalPostgres(data_dir / "postgres", java_cache, durable=False)
        try:
            assert _rows(server.start(), "SELECT 1") == [(1,)]
        finally:
            server.stop()
        assert data_dir.stat().st_mode & 0o067 == 0, "its user passes through; nobody lists it, no other user enters"


@as_root
def test_root_is_told_when_nobody_cannot_reach_the_directory(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    with pytest.raises(DatabaseServerUnavailable, match="SAPHAN_DATA_DIR"):
        LocalPostgres(hidden / "server", tmp_path).start()


@as_root
def test_downloads_that_only_root_can_reach_are_unpacked_beside_the_data(java_cache: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    (cache / "java").symlink_to(java_cache / "java")
    with tempfile.TemporaryDirectory(prefix="saphan-postgres-") as directory:
        Path(directory).chmod(0o711)
        server = LocalPostgres(Path(directory) / "server", cache, durable=False)
        try:
            assert _rows(server.start(), "SELECT 1") == [(1,)]
        finally:
            server.stop()
        assert list((Path(directory) / "server").glob("postgres-binaries-*"))
        assert [path.name for path in cache.iterdir()] == ["java", "java.lock"]
