"""Whether an error of the database is an outage that waiting may end, a message's fault, or neither."""

import sqlite3

import psycopg
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

#: PostgreSQL's classes of errors that no message brings about: connection, state of the transaction, conflict of
#: transactions, resources, locks, operator, system, and its own inner errors (a file that cannot be written is one).
_NO_FAULT_OF_A_MESSAGE = frozenset({"08", "25", "40", "53", "55", "57", "58", "XX"})
#: Those that a row brings about by what it holds: cardinality, data, constraints, limits (a text too long to index).
_FAULT_OF_A_MESSAGE = frozenset({"21", "22", "23", "54"})
#: SQLite says in words what is no outage.
_SQLITE_WILL_NOT_ANSWER = ("no such table", "no such column", "syntax error")

#: What the drivers raise for a value that they cannot hand over, ahead of any server.
_REFUSED_BY_THE_DRIVER = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.ProgrammingError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
#: What a database, its driver or the pool of connections raises.
DATABASE_ERRORS = (DBAPIError, NoFreeConnection, PendingRollbackError, sqlite3.Error, psycopg.Error)


def may_pass(error: BaseException | None) -> bool:
    """Whether waiting may help: away, hanging, restarting, locked, full, or two writers in each other's way."""
    # The second is what is asked of a connection that broke within its transaction.
    if isinstance(error, NoFreeConnection | PendingRollbackError):
        return True
    said = of_driver(error)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    state = getattr(said, "sqlstate", None)
    if state is not None:
        return state[:2] in _NO_FAULT_OF_A_MESSAGE
    if isinstance(said, sqlite3.OperationalError):
        return not any(words in str(said) for words in _SQLITE_WILL_NOT_ANSWER)
    # The driver's own, which no server said: a connection that could not be made (a timeout has a class of its own) or
    # that is gone.
    return isinstance(said, psycopg.OperationalError | psycopg.InterfaceError)


def may_blame_a_message(error: BaseException) -> bool:
    """Whether a message may have brought this about: anything that is no error of a database, and bad data.

    A table that is missing or a right that was taken away would send every good message to the dead letters.
    """
    if not isinstance(error, DATABASE_ERRORS):
        return True
    said = of_driver(error)
    state = getattr(said, "sqlstate", None)
    if state is not None:
        return state[:2] in _FAULT_OF_A_MESSAGE
    return isinstance(said, _REFUSED_BY_THE_DRIVER)


def of_driver(error: BaseException | None) -> BaseException | None:
    """The driver's own error where SQLAlchemy wrapped it."""
    return error.orig if isinstance(error, DBAPIError) else error


def first_line(error: BaseException | None) -> str:
    """What may be told of it: the rest of the message may quote parameters, which are people's data."""
    return str(error).strip().splitlines()[0] if str(error).strip() else "no detail"
