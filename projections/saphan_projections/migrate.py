"""Whether a database's tables are those of this version, and how they become so, however many processes start at once."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url

from saphan_infra.availability import DatabaseTooNewError, DatabaseTooOldError
from saphan_projections.database import Database, Transaction
from saphan_projections.link_store import has_old_identifiers

_SCRIPTS = Path(__file__).parent / "migrations"
#: Names the lock of PostgreSQL that lets one process at a time change the tables ("saphan" in ASCII).
_ADVISORY_LOCK = 0x73617068616E
#: The change from which on a person's number is one identifier wherever it stands.
_IDENTIFIERS = "0004"


def migrate(database_url: str, *, schema: str | None = None) -> None:
    """Bring the tables of a database up to this version in one transaction; what is there already stays.

    Safe when several processes start at once: the first one does the work, the others wait and find it done.
    ``schema`` is a PostgreSQL schema (made if it is absent) for tables beside the live ones.
    Raises DatabaseUnavailable, DatabaseTooNewError or DatabaseTooOldError.
    """
    _make_place(database_url)
    with _opened(database_url, schema) as database, database.transaction() as transaction:
        connection = transaction.connection
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            if schema is not None:
                connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        if _waiting(transaction, _scripts()):
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def pending(database_url: str, *, schema: str | None = None) -> list[str]:
    """The changes, oldest first, that :func:`migrate` would make; none when the tables are those of this version.

    Raises DatabaseUnavailable, DatabaseTooNewError or DatabaseTooOldError.
    """
    scripts = _scripts()
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).exists():
        return _all_changes(scripts)
    with _opened(database_url, schema) as database, database.reading() as transaction:
        return _waiting(transaction, scripts)


@contextmanager
def _opened(database_url: str, schema: str | None) -> Iterator[Database]:
    database = Database(database_url, schema=schema)
    try:
        yield database
    finally:
        database.close()


def _make_place(database_url: str) -> None:
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        path = Path(url.database)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # link's rows hold names and numbers. SQLite gives the files beside it the rights that this one has, and
            # says itself what is wrong when there is no room.
            with suppress(OSError):
                path.touch(mode=0o600)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _all_changes(scripts: ScriptDirectory) -> list[str]:
    return [script.revision for script in scripts.walk_revisions()][::-1]


def _waiting(transaction: Transaction, scripts: ScriptDirectory) -> list[str]:
    current = MigrationContext.configure(transaction.connection).get_current_revision()
    changes = _all_changes(scripts)
    if current is None:
        return changes
    if current not in changes:
        message = (
            f"The tables of this database are of revision {current}, this version of Saphan knows up to {changes[-1]}. "
            "They were made by a later version: install that one, or use another database."
        )
        raise DatabaseTooNewError(message)
    waiting = changes[changes.index(current) + 1 :]
    if _IDENTIFIERS in waiting and has_old_identifiers(transaction):
        message = (
            f"The tables of this database are of revision {current}: an earlier version of Saphan joined insured"
            " numbers in them in another way than this one, and employers would stay accused. Start over from the log:"
            " empty the database and delete the derived topics, as docs/operations.md says."
        )
        raise DatabaseTooOldError(message)
    return waiting
