"""Faults of the database that `saphan chaos` found: a server that is broken was taken for a message that is."""

from collections.abc import Iterator

import psycopg
import pytest

from saphan_projections.database import Database, DatabaseUnavailable


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database("sqlite://")
    yield made
    made.close()


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.InternalError_("could not extend file: File too large"),
        psycopg.errors.InFailedSqlTransaction("current transaction is aborted"),
        psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction"),
        psycopg.errors.DiskFull("could not extend file: No space left on device"),
        psycopg.errors.IoError("could not read file"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_server_that_cannot_write_its_files_is_waited_for_and_no_message_is_blamed(
    database: Database, error: psycopg.Error
) -> None:
    """PostgreSQL tells a file that hit a quota as an inner error of its own; a good record went to the dead letters."""
    with pytest.raises(DatabaseUnavailable), database.transaction():
        raise error


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.NumericValueOutOfRange("integer out of range"),
        psycopg.errors.UntranslatableCharacter("a zero byte"),
        psycopg.errors.NotNullViolation("null value"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_message_brings_about_is_not_waited_for(database: Database, error: psycopg.Error) -> None:
    with pytest.raises(type(error)), database.transaction():
        raise error
