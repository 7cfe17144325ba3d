"""How rows reach SQLite or PostgreSQL: one transaction a chunk, whole batches, the same calls for both."""

import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel

from saphan_projections.outages import DATABASE_ERRORS, first_line, may_pass, of_driver
from saphan_projections.statements import insertion, on_conflict, update_of

_SQLITE_CACHE_KIB = 262_144
#: Once the write-ahead log has so many pages (256 MiB) a commit itself copies them into the database. Usually
#: :meth:`Database.checkpointed_beside` has copied them before, and no commit waits for that.
_SQLITE_CHECKPOINT_PAGES = 65_536
_CHECKPOINT_SECONDS = 1.0
#: Below this many rows one statement each is cheaper for PostgreSQL than COPY and merge.
_COPY_ROWS_MIN = 20
_BUSY_TIMEOUT_SECONDS = 30
#: A server that went without a word is noticed within half a minute, in the middle of a transaction too; one that
#: thinks for long is not: the kernel of its machine answers the probes.
_KEEPALIVES = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

Row = tuple[Any, ...]


class DatabaseUnavailable(ConnectionError):
    """The database did not answer or refused for now (away, restarting, disk full, locked): try again later."""


def table_of(model: type[SQLModel]) -> Table:
    """The SQLAlchemy table behind a model."""
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


def open_engine(url: str, *, schema: str | None = None) -> Engine:
    """An engine with the settings that the platform relies on.

    SQLite: write-ahead log, every commit reaches the disk, writers take the lock at once.
    ``schema`` is a PostgreSQL schema that holds the tables instead of the first of the search path.
    """
    if make_url(url).get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": _BUSY_TIMEOUT_SECONDS})
        event.listen(engine, "connect", _on_sqlite_connect)
        event.listen(engine, "begin", _on_sqlite_begin)
        return engine
    options = f"-csearch_path={schema}" if schema else ""
    return create_engine(url, pool_pre_ping=True, connect_args={"options": options, **_KEEPALIVES})


def _on_sqlite_connect(connection: sqlite3.Connection, _record: Any) -> None:
    # Left to itself, the driver would commit before some statements.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"wal_autocheckpoint={_SQLITE_CHECKPOINT_PAGES}",
        f"cache_size=-{_SQLITE_CACHE_KIB}",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _on_sqlite_begin(connection: Connection) -> None:
    readonly = connection.get_execution_options().get("saphan_readonly", False)
    connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")


class Transaction:
    """Reads and writes of one transaction; column order is the model's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sqlite = connection.dialect.name == "sqlite"

    @property
    def connection(self) -> Connection:
        """The SQLAlchemy connection that the transaction runs on, for what this class has no call for."""
        return self._connection

    def rows(self, sql: str, parameters: Row = ()) -> list[Row]:
        """All rows of a query written with ``?`` placeholders."""
        result = self._connection.exec_driver_sql(self._placed(sql), parameters)
        # The driver's own tuples: SQLAlchemy would make an object of each row, only to be made a tuple again.
        rows: list[Row] = list(result.cursor.fetchall())
        result.close()
        return rows

    def rows_in(self, sql: str, keys: Collection[Any], parameters: Row = ()) -> list[Row]:
        """All rows of a query whose last condition is ``… IN (:keys)``."""
        if not keys:
            return []
        if self._sqlite:
            bound = orjson.dumps(list(keys)).decode()
            statement = sql.replace("IN (:keys)", "IN (SELECT value FROM json_each(?))")
            return self.rows(statement, (*parameters, bound))
        return self.rows(sql.replace("IN (:keys)", "= ANY(?)"), (*parameters, list(keys)))

    def execute(self, sql: str, parameters: Row = ()) -> int:
        """Run one statement; the number of rows that it touched."""
        return self._connection.exec_driver_sql(self._placed(sql), parameters).rowcount

    def execute_many(self, sql: str, parameters: Sequence[Row]) -> int:
        """Run one statement for each row of parameters; the number of rows that they touched together."""
        if not parameters:
            return 0
        return self._connection.exec_driver_sql(self._placed(sql), list(parameters)).rowcount

    def upsert(
        self,
        model: type[SQLModel],
        rows: Sequence[Row],
        *,
        newer_by: str | None = None,
        unchanged: Collection[str] = (),
    ) -> None:
        """Insert or replace whole rows. With ``newer_by`` a row gives way only to a higher value of that column.

        ``rows`` must not hold one key twice. Columns in ``unchanged`` keep their value in rows that are there already.
        Name a column here if its value cannot have changed: its index is then not rewritten.
        """
        if not rows:
            return
        table = table_of(model)
        if self._sqlite or len(rows) < _COPY_ROWS_MIN:
            marks = ", ".join("?" for _ in table.columns)
            self.execute_many(f"{insertion(table)} VALUES ({marks}) {on_conflict(table, newer_by, unchanged)}", rows)
        else:
            self._merge(table, rows, on_conflict(table, newer_by, unchanged))

    def update(self, model: type[SQLModel], rows: Sequence[Row], *, unchanged: Collection[str] = ()) -> None:
        """Replace whole rows that are known to be there, except for the columns in ``unchanged``.

        ``rows`` must not hold one key twice.
        """
        if self._sqlite:
            # SQLite need not look for a conflict first.
            self.execute_many(update_of(table_of(model), unchanged), rows)
        else:
            self.upsert(model, rows, unchanged=unchanged)

    def insert(self, model: type[SQLModel], rows: Sequence[Row], columns: Sequence[str]) -> None:
        """Append rows of these columns."""
        if not rows:
            return
        table, names = table_of(model).name, ", ".join(f'"{name}"' for name in columns)
        if self._sqlite or len(rows) < _COPY_ROWS_MIN:
            marks = ", ".join("?" for _ in columns)
            self.execute_many(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608
        else:
            self._copy(table, names, rows)

    def delete(self, model: type[SQLModel], keys: Sequence[Row]) -> None:
        """Delete by primary key."""
        if keys:
            table = table_of(model)
            condition = " AND ".join(f'"{column.name}" = ?' for column in table.primary_key)
            self.execute_many(f"DELETE FROM {table.name} WHERE {condition}", keys)  # noqa: S608

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """When the block raises, what it wrote is taken back and the transaction goes on.

        Raises what the block raises, and DatabaseUnavailable where waiting may help: then the transaction is lost.
        """
        with _translated(self._connection.dialect.name):
            self.execute("SAVEPOINT attempt")
            try:
                yield
            except BaseException:
                self.execute("ROLLBACK TO SAVEPOINT attempt")
                raise
            finally:
                self.execute("RELEASE SAVEPOINT attempt")

    def _merge(self, table: Table, rows: Sequence[Row], on_conflict: str) -> None:
        staging = f"staging_{table.name}"
        self._connection.exec_driver_sql(
            f"CREATE TEMP TABLE IF NOT EXISTS {staging} (LIKE {table.name}) ON COMMIT DELETE ROWS"
        )
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        self._copy(staging, names, rows)
        # One order for everybody: two owners who meet on a row wait for each other instead of dying.
        keys = ", ".join(f'"{column.name}"' for column in table.primary_key)
        self._connection.exec_driver_sql(
            f"{insertion(table)} SELECT {names} FROM {staging} ORDER BY {keys} {on_conflict}"  # noqa: S608
        )
        self._connection.exec_driver_sql(f"TRUNCATE {staging}")

    def _copy(self, table: str, names: str, rows: Sequence[Row]) -> None:
        cursor = self._connection.connection.cursor()
        with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def _placed(self, sql: str) -> str:
        return sql if self._sqlite else sql.replace("?", "%s")


class Database:
    """One database of the platform."""

    def __init__(self, url: str, *, schema: str | None = None) -> None:
        self.engine = open_engine(url, schema=schema)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction that commits at the end of the block. Raises DatabaseUnavailable where waiting may help."""
        with _translated(self.engine.dialect.name), self.engine.begin() as connection:
            yield Transaction(connection)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One consistent view of the committed rows; no writer waits for it."""
        options = {"saphan_readonly": True} if self.engine.dialect.name == "sqlite" else {
            "isolation_level": "REPEATABLE READ", "postgresql_readonly": True,
        }  # fmt: skip
        with (
            _translated(self.engine.dialect.name),
            self.engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            yield Transaction(connection)

    @contextmanager
    def checkpointed_beside(self) -> Iterator[None]:
        """Within the block a thread copies SQLite's log into the database, a little every second, beside the commits.

        Otherwise a commit has to do it now and then: it takes as long as the disk needs to write it all, and the alerts
        behind it wait. PostgreSQL does this by itself.
        """
        if self.engine.dialect.name != "sqlite":
            yield
            return
        stop = threading.Event()
        thread = threading.Thread(target=self._checkpoint_until, args=(stop,), name="saphan-checkpoint", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _checkpoint_until(self, stop: threading.Event) -> None:
        while not stop.wait(_CHECKPOINT_SECONDS):
            # A full or slow disk, or connections that are all in use, are told where it hurts: by the next commit.
            with suppress(SQLAlchemyError, sqlite3.Error), closing(self.engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")


@contextmanager
def _translated(dialect: str) -> Iterator[None]:
    try:
        yield
    except DATABASE_ERRORS as error:
        # A driver's own error, not SQLAlchemy's, comes from the reading of rows.
        if may_pass(error):
            said = of_driver(error)
            message = f"{dialect}: {type(said).__name__}: {first_line(said)}"
            raise DatabaseUnavailable(message) from error
        raise


def create_tables(database: Database) -> None:
    """Create every table as the models say, for tests and shadow databases; real ones are migrated."""
    metadata: MetaData = SQLModel.metadata
    metadata.create_all(database.engine)
