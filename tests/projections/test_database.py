"""That rows reach SQLite and PostgreSQL alike, and what counts as a database that is away."""

import os
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import QueuePool, create_engine
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from saphan_projections import database as database_module
from saphan_projections.database import Database, DatabaseUnavailable, Transaction, create_tables
from saphan_projections.outages import may_blame_a_message, may_pass
from saphan_projections.tables import ContributionMonthRow, LinkIdentifierRow, LinkWorkerRow

#: PostgreSQL takes few rows one by one and many by COPY and merge.
SIZES = (1, 19, 20, 21, 3_000)
#: Long enough for any machine; nothing waits for it but a failure.
GIVE_UP_SECONDS = 60


def contribution(record_no: int, sequence: int, present: bool = True) -> tuple[object, ...]:
    return (1, record_no, sequence, present, f"C-{record_no}", 1, -(2**63), "2026-01", "a", None, 5, None, 20_000)


def contributions(database: Database) -> dict[int, tuple[int, bool]]:
    with database.reading() as transaction:
        rows = transaction.rows("SELECT record_no, sequence, present FROM contribution_month")
    return {number: (sequence, bool(present)) for number, sequence, present in rows}


@pytest.mark.parametrize("size", SIZES)
def test_rows_are_inserted_and_replaced_whole(database: Database, size: int) -> None:
    for text in (b"one", b"\x00\\N\tother\n"):
        with database.transaction() as transaction:
            transaction.upsert(LinkWorkerRow, [(number, text + str(number).encode()) for number in range(size)])
        with database.reading() as transaction:
            rows = transaction.rows("SELECT worker_no, signatures FROM link_worker ORDER BY worker_no")
        assert [(number, bytes(value)) for number, value in rows] == [
            (number, text + str(number).encode()) for number in range(size)
        ]


@pytest.mark.parametrize("size", SIZES)
def test_rows_that_are_there_are_updated_as_they_would_be_replaced(database: Database, size: int) -> None:
    before = [contribution(number, 5) for number in range(size)]
    after = [contribution(number, 6, present=False) for number in range(size)]
    found = []
    for call in (Transaction.update, Transaction.upsert):
        with database.transaction() as transaction:
            transaction.upsert(ContributionMonthRow, before)
            call(transaction, ContributionMonthRow, after, unchanged=("present", "record_id"))
            found.append(transaction.rows("SELECT * FROM contribution_month ORDER BY record_no"))
    assert found[0] == found[1]
    assert contributions(database) == dict.fromkeys(range(size), (6, True))


@pytest.mark.parametrize("size", SIZES)
def test_new_rows_are_appended(database: Database, size: int) -> None:
    rows = [(number, b"\x00\\N\tother\n" + str(number).encode()) for number in range(2 * size)]
    for part in (rows[:size], [], rows[size:]):
        with database.transaction() as transaction:
            transaction.insert(LinkWorkerRow, [(value, number) for number, value in part], ("signatures", "worker_no"))
    with database.reading() as transaction:
        found = transaction.rows("SELECT worker_no, signatures FROM link_worker ORDER BY worker_no")
    assert [(number, bytes(value)) for number, value in found] == rows


@pytest.mark.parametrize("size", SIZES)
def test_a_row_gives_way_only_to_a_newer_one(database: Database, size: int) -> None:
    with database.transaction() as transaction:
        transaction.upsert(
            ContributionMonthRow, [contribution(number, 5) for number in range(size)], newer_by="sequence"
        )
    mixed = [contribution(number, 4 + number % 3, present=False) for number in range(size)]
    with database.transaction() as transaction:
        transaction.upsert(ContributionMonthRow, mixed, newer_by="sequence")
    assert contributions(database) == {number: (6, False) if number % 3 == 2 else (5, True) for number in range(size)}


@pytest.mark.parametrize("size", SIZES)
def test_rows_that_are_only_a_key_are_kept_once(database: Database, size: int) -> None:
    rows = [(number - 2**63, number) for number in range(size)]
    for _ in range(2):
        with database.transaction() as transaction:
            transaction.upsert(LinkIdentifierRow, rows)
    with database.transaction() as transaction:
        transaction.delete(LinkIdentifierRow, rows[::2])
        found = transaction.rows("SELECT identifier_hash, worker_no FROM link_identifier ORDER BY worker_no")
    assert found == rows[1::2]


def test_several_batches_of_one_table_fit_into_one_transaction(database: Database) -> None:
    with database.transaction() as transaction:
        for start in (0, 50, 25):
            transaction.upsert(LinkWorkerRow, [(number, b"%d" % start) for number in range(start, start + 50)])
        assert len(transaction.rows("SELECT worker_no FROM link_worker")) == 100


def test_many_keys_are_looked_up_at_once_and_no_keys_cost_nothing(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.upsert(LinkWorkerRow, [(number, b"") for number in range(100)])
        sql = "SELECT worker_no FROM link_worker WHERE worker_no < ? AND worker_no IN (:keys)"
        wanted = [*range(90, 70_000), 2**63 - 1, -(2**63)]
        assert {number for (number,) in transaction.rows_in(sql, wanted, (95,))} == {90, 91, 92, 93, 94}
        assert transaction.rows_in(sql, [], (95,)) == []


def test_nothing_of_a_transaction_that_fails_is_kept(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as transaction:
            transaction.upsert(LinkWorkerRow, [(number, b"") for number in range(30)])
            message = "in the middle"
            raise ValueError(message)

    with pytest.raises(ValueError, match="in the middle"):
        fail()
    with database.reading() as transaction:
        assert transaction.rows("SELECT worker_no FROM link_worker") == []


def test_a_reader_sees_one_moment_and_does_not_hold_up_a_writer(database: Database) -> None:
    with database.reading() as reading:
        assert reading.rows("SELECT count(*) FROM link_worker") == [(0,)]
        with database.transaction() as transaction:
            transaction.upsert(LinkWorkerRow, [(1, b"")])
        assert reading.rows("SELECT count(*) FROM link_worker") == [(0,)]
    with database.reading() as reading:
        assert reading.rows("SELECT count(*) FROM link_worker") == [(1,)]


def test_writers_that_meet_on_the_same_rows_wait_for_each_other(database: Database) -> None:
    """Both name the rows in another order; neither dies, and the highest sequence stays."""
    failures: list[BaseException] = []

    def write(first: int) -> None:
        try:
            for turn in range(10):
                rows = [contribution(number, 2 * turn + first) for number in range(40)]
                with database.transaction() as transaction:
                    transaction.upsert(ContributionMonthRow, rows[::-1] if first else rows, newer_by="sequence")
        except BaseException as failure:  # noqa: BLE001 - told to the main thread
            failures.append(failure)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert contributions(database) == dict.fromkeys(range(40), (19, True))


# -- away ------------------------------------------------------------------------------------------------------------


def test_a_question_that_no_waiting_will_answer_is_not_called_away(database: Database) -> None:
    for sql in ("SELECT nonsense FROM link_worker", "SELECT 1 FROM no_such_table", "SELEKT 1"):
        with pytest.raises(DBAPIError), database.transaction() as transaction:
            transaction.rows(sql)


def test_a_sqlite_file_that_is_locked_or_lies_nowhere_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saphan_projections.database._BUSY_TIMEOUT_SECONDS", 0.01)
    database = Database(f"sqlite:///{tmp_path / 'locked.db'}")
    create_tables(database)
    other = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable, match="locked"), database.transaction():
        pass
    other.execute("ROLLBACK")
    other.close()
    with database.transaction() as transaction:
        transaction.upsert(LinkWorkerRow, [(1, b"")])
    database.close()
    nowhere = Database(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    with pytest.raises(DatabaseUnavailable, match="unable to open"), nowhere.reading():
        pass
    nowhere.close()


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("state", "away"),
    [("57P01", True), ("53100", True), ("40001", True), ("08006", True), ("23505", False), ("22P02", False)],
)
def test_postgresql_is_away_where_waiting_may_help(postgres_url: str, state: str, away: bool) -> None:
    """Shutting down, disk full, two writers in each other's way, no connection; not: a row that it refuses."""
    database = Database(postgres_url)
    expected: type[Exception] = DatabaseUnavailable if away else DBAPIError
    with pytest.raises(expected) as refused, database.transaction() as transaction:
        transaction.execute(f"DO $$ BEGIN RAISE EXCEPTION 'AUNG AUNG' USING ERRCODE = '{state}'; END $$")
    assert isinstance(refused.value, DatabaseUnavailable) == away
    database.close()


@pytest.mark.postgres
@pytest.mark.parametrize("attempts", [False, True])
def test_postgresql_that_drops_the_connection_is_away_and_then_back(postgres_url: str, attempts: bool) -> None:
    database, other = Database(postgres_url), Database(postgres_url)
    create_tables(database)

    def dropped() -> None:
        with database.transaction() as transaction, transaction.attempt() if attempts else nullcontext():
            ((number,),) = transaction.rows("SELECT pg_backend_pid()")
            with other.transaction() as killer:
                killer.rows("SELECT pg_terminate_backend(?)", (number,))
            transaction.upsert(LinkWorkerRow, [(1, b"")])

    with pytest.raises(DatabaseUnavailable):
        dropped()
    with database.transaction() as transaction:
        transaction.upsert(LinkWorkerRow, [(2, b"")])
        assert transaction.rows("SELECT worker_no FROM link_worker") == [(2,)]
    database.close()
    other.close()


def test_the_log_is_copied_on_after_no_connection_was_free_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that copies it ended at that, and from then on some commits stood still for all of the log."""
    none_free, copied = threading.Event(), threading.Event()

    class OneConnection(QueuePool):
        def connect(self) -> Any:
            try:
                found = super().connect()
            except NoConnectionFree:
                none_free.set()
                raise
            if none_free.is_set():
                copied.set()
            return found

    url = f"sqlite:///{tmp_path / 'busy.db'}"
    monkeypatch.setattr("saphan_projections.database._CHECKPOINT_SECONDS", 0.01)
    database = Database(url)
    database.close()
    database.engine = create_engine(url, poolclass=OneConnection, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with database.checkpointed_beside():
        with database.engine.connect():
            assert none_free.wait(GIVE_UP_SECONDS)
        assert copied.wait(GIVE_UP_SECONDS)
    database.close()


def test_nobody_listening_is_away(tmp_path: Path) -> None:
    database = Database("postgresql+psycopg://saphan@127.0.0.1:9/nothing")
    with pytest.raises(DatabaseUnavailable), database.transaction():
        pass
    database.close()


def test_a_server_that_accepts_and_never_answers_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver has a class of its own for it, without a state of PostgreSQL: it was taken for a message's fault."""
    monkeypatch.setitem(database_module._KEEPALIVES, "connect_timeout", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = Database(f"postgresql+psycopg://saphan@127.0.0.1:{silent.getsockname()[1]}/nothing")
        for look in (database.transaction, database.reading):
            with pytest.raises(DatabaseUnavailable, match="timeout"), look():
                pass
        database.close()


@pytest.mark.parametrize(
    ("error", "away", "message"),
    [
        (psycopg.errors.ConnectionTimeout("connection timeout expired"), True, False),
        (psycopg.InterfaceError("the connection is lost"), True, False),
        (NoConnectionFree("QueuePool limit reached"), True, False),
        (PendingRollbackError("Can't reconnect until invalid transaction is rolled back."), True, False),
        (psycopg.errors.AdminShutdown(), True, False),
        (psycopg.errors.InsufficientPrivilege(), False, False),
        (psycopg.errors.UndefinedTable(), False, False),
        (psycopg.errors.UniqueViolation(), False, True),
        (psycopg.errors.ProgramLimitExceeded("index row size exceeds maximum"), False, True),
        (psycopg.DataError("text fields cannot contain NUL bytes"), False, True),
        (sqlite3.OperationalError("database is locked"), True, False),
        (sqlite3.OperationalError("no such table: record"), False, False),
        (sqlite3.DatabaseError("database disk image is malformed"), False, False),
        (sqlite3.IntegrityError("NOT NULL constraint failed"), False, True),
        (ZeroDivisionError(), False, True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_only_bad_data_is_blamed_on_a_message_and_only_an_outage_is_away(
    error: Exception, away: bool, message: bool
) -> None:
    wrapped = DBAPIError("SELECT 1", None, error)
    for one in (error, wrapped) if isinstance(error, psycopg.Error | sqlite3.Error) else (error,):
        assert (may_pass(one), may_blame_a_message(one)) == (away, message)


# -- a full disk -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount the small file system that this test fills")
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not let root mount a file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(place: Path) -> Callable[[], None]:
    """Leave no room; what is returned makes room again."""
    rubbish = place / "rubbish"
    try:
        with rubbish.open("wb", buffering=0) as file:
            while file.write(b"\0" * 4096):
                pass
    except OSError:
        pass
    return rubbish.unlink


def test_a_full_disk_is_away_and_nothing_is_lost_when_there_is_room_again(small_disk: Path) -> None:
    database = Database(f"sqlite:///{small_disk / 'state.db'}")
    create_tables(database)

    def write(number: int) -> None:
        with database.transaction() as transaction:
            transaction.upsert(LinkWorkerRow, [(number, bytes(200_000))])

    write(1)
    make_room = fill(small_disk)
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable, match=r"full|disk I/O"):
            write(2)
    make_room()
    write(2)
    with database.reading() as transaction:
        assert transaction.rows("SELECT worker_no FROM link_worker ORDER BY worker_no") == [(1,), (2,)]
    database.close()
