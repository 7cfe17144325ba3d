"""The database of a simulated world: the real statements on SQLite in memory, any of which, and any commit, may fail.

The faults come at the driver, below SQLAlchemy, so that they take the way of a real one.
"""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from simulated_shell.faults import Faults
from simulated_shell.loop import OWNER, Process, SimulatedLoop
from sqlalchemy import event

from saphan_projections.database import Database, create_tables

_POSITIONS = "SELECT app, topic, partition, next_offset, owner_epoch, owner, updated_at FROM source_offset"
_LEASE = "*"


class Standing(NamedTuple):
    """One row of source_offset."""

    next_offset: int
    epoch: int
    owner: str
    updated_at: int


class SimulatedStore:
    """One database; ``violations`` holds what no commit may do. Use :meth:`begin` for each world."""

    def __init__(self) -> None:
        self.database = Database("sqlite://")
        self._connection = sqlite3.connect(":memory:", factory=_Connection)
        self._connection.store = self
        event.listen(self.database.engine, "do_connect", self._connect)
        self._loop: SimulatedLoop | None = None
        create_tables(self.database)
        names = [name for (name,) in self.look("SELECT name FROM sqlite_master WHERE type = 'table'")]
        self._empty = [f'DELETE FROM "{name}"' for name in names]  # noqa: S608 - names of tables

    def _connect(self, *_: object) -> sqlite3.Connection:
        # One connection for everybody and for ever: the database goes with it, and only one thread is there.
        return self._connection

    def begin(self, loop: SimulatedLoop, faults: Faults) -> None:
        """An empty database for a new world."""
        self._connection.really_rollback()
        self._loop = None
        for statement in self._empty:
            self.look(statement)
        self._loop = loop
        self._faults = faults
        self.away_until = 0.0
        self.statements = 0
        self.on_statement: Callable[[Process], None] = lambda _: None
        #: After so many more statements the present message breaks the code; None: it does not.
        self.breaks_after: int | None = None
        self._writes = False
        self.standings: dict[tuple[str, str, int], Standing] = {}
        self.violations: list[str] = []

    def end(self) -> None:
        """From here on nothing fails: the world is over and is looked at."""
        self._loop = None

    def look(self, sql: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows as they are committed, without any fault."""
        return sqlite3.Cursor(self._connection).execute(sql, tuple(parameters)).fetchall()

    # -- what the driver tells -------------------------------------------------------------------------------------

    def before_statement(self, sql: str) -> None:
        """Raises what goes wrong before this statement."""
        if self._loop is None:
            return
        process, faults = OWNER.get(), self._faults
        if sql.startswith("BEGIN"):
            self._writes = sql == "BEGIN IMMEDIATE"
            self._let_others_first(process)
        self.statements += 1
        self._loop.tell(f"{process.name}: {sql[:60]}")
        self._may_die(process)
        if self._loop.time() < self.away_until or faults.happens("statement_fails"):
            self._drop("the server does not answer")
        if faults.happens("connection_drops"):
            self._drop("the server closed the connection")
        self._break(at_commit=False)

    def before_commit(self) -> None:
        """Raises what goes wrong before a commit."""
        if self._loop is None:
            return
        self._loop.tell(f"{OWNER.get().name}: commit")
        self._may_die(OWNER.get())
        # What is broken by no statement is broken by the commit of what was written.
        self._break(at_commit=self._writes)
        if self._loop.time() < self.away_until or self._faults.happens("commit_fails"):
            self._drop("the server closed the connection before the commit")

    def after_commit(self) -> None:
        """Raises what goes wrong after a commit, and looks at what it did."""
        if self._loop is None:
            return
        process = OWNER.get()
        self._check(process)
        self.on_statement(process)
        if process.doomed or self._dies("crash_after_commit"):
            raise process.die()
        if self._faults.happens("commit_answer_lost"):
            raise sqlite3.OperationalError("the server closed the connection after the commit")

    def _let_others_first(self, process: Process) -> None:
        """Others may write between what a process has read and what it writes."""
        assert self._loop is not None
        others = self._loop.waiting_jobs(process)
        if not self._writes or not others or not self._faults.happens("overtaken"):
            return
        kept, self.breaks_after = self.breaks_after, None
        for other in others:
            # What one does may end another one's job.
            if other in self._loop.waiting_jobs(process):
                self._loop.do_now(other)
        self.breaks_after, self._writes = kept, True

    def _may_die(self, process: Process) -> None:
        self.on_statement(process)
        if process.doomed or self._dies("crash_at_statement"):
            self._connection.really_rollback()
            raise process.die()

    def _dies(self, how: str) -> bool:
        # Who overtakes shares the connection, which a crash takes away, with the one that is overtaken.
        is_overtaken = self._loop is not None and self._loop.is_overtaken
        return not is_overtaken and self._faults.happens(how)

    def _drop(self, why: str) -> None:
        self._connection.really_rollback()
        raise sqlite3.OperationalError(why)

    def _break(self, *, at_commit: bool) -> None:
        if self.breaks_after is None:
            return
        self.breaks_after -= 1
        if at_commit or self.breaks_after < 0:
            self.breaks_after = None
            raise ZeroDivisionError

    # -- what no commit may do -------------------------------------------------------------------------------------

    def _check(self, process: Process) -> None:
        now = {row[:3]: Standing(*row[3:]) for row in self.look(_POSITIONS)}
        for place, row in now.items():
            before = self.standings.get(place)
            if before == row:
                continue
            if row.owner != process.name:
                self.violations.append(f"{process.name} wrote to {place}, which belongs to {row.owner}")
            if before is not None and (row.epoch < before.epoch or row.next_offset < before.next_offset):
                self.violations.append(f"{process.name} put {place} back from {before} to {row}")
            if place[1] == _LEASE and before is not None and before.owner != row.owner:
                self._check_lease(process, before, row)
        if process.name.startswith("link"):
            lease = now.get(("link", _LEASE, 0))
            if lease is None or lease.owner != process.name:
                self.violations.append(f"{process.name} wrote without the lease: {lease}")
        self.standings = now

    def _check_lease(self, process: Process, before: Standing, row: Standing) -> None:
        if row.updated_at - before.updated_at < 15_000:
            self.violations.append(f"{process.name} took a lease that {before.owner} still held")


class _Connection(sqlite3.Connection):
    store: SimulatedStore

    def cursor(self, *_: Any, **__: Any) -> Any:
        return super().cursor(_Cursor)

    def commit(self) -> None:
        if not self.in_transaction:
            return
        self.store.before_commit()
        super().commit()
        self.store.after_commit()

    def really_rollback(self) -> None:
        super().rollback()

    def close(self) -> None:
        """Stay open: the database lives as long as its one connection."""


class _Cursor(sqlite3.Cursor):
    def execute(self, sql: str, *parameters: Any) -> "_Cursor":
        self._before(sql)
        super().execute(sql, *parameters)
        return self

    def executemany(self, sql: str, *parameters: Any) -> "_Cursor":
        self._before(sql)
        super().executemany(sql, *parameters)
        return self

    def _before(self, sql: str) -> None:
        if not sql.startswith("PRAGMA"):
            connection = self.connection
            assert isinstance(connection, _Connection)
            connection.store.before_statement(sql)
