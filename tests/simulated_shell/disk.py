"""What may go wrong between delivery and its disk: the ledger's statements and the alerts file, one call at a time."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulated_shell.faults import Faults
from simulated_shell.loop import OWNER, Process, SimulatedLoop

from saphan_consumers.ledger import Ledger
from saphan_consumers.told import ledger_path, open_ledger


class SimulatedDisk:
    """Stands where ``saphan_consumers.file_sink`` expects the module ``os``; also opens ledgers that may fail.

    What was written before a crash stays, as it does when a process dies and the machine does not.
    """

    def __init__(self, loop: SimulatedLoop, faults: Faults, folder: Path) -> None:
        self._loop = loop
        self._faults = faults
        self.folder = folder
        self.on_statement: Callable[[Process], None] = lambda _: None
        self._descriptors: dict[Process, set[int]] = {}
        self._ledgers: dict[Process, Ledger] = {}
        self._looking: dict[str, sqlite3.Connection] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        """Open a file that is closed when its process dies."""
        descriptor = os.open(path, flags, mode)
        self._descriptors.setdefault(OWNER.get(), set()).add(descriptor)
        return descriptor

    def close(self, descriptor: int) -> None:
        """Close a file."""
        self._descriptors[OWNER.get()].discard(descriptor)
        os.close(descriptor)

    def write(self, descriptor: int, data: bytes) -> int:
        """Write all, or a part, or nothing; the process may die after any of it."""
        self.may_fail("disk_fails", OSError("no space left on device"))
        part = self._faults.draw.randrange(1, len(data) + 1) if self._faults.happens("disk_writes_part") else len(data)
        written = os.write(descriptor, data[:part])
        self.may_die("crash_at_disk")
        return written

    def fsync(self, _: int) -> None:
        """Nothing to wait for here; the process may die before it knows."""
        self.may_fail("disk_fails", OSError("the disk answers no more"))

    def open_ledger(self, sink: str) -> Ledger:
        """The real ledger; its statements may fail, and its process may die at any of them."""
        ledger = open_ledger(self.folder, sink)
        ledger.db.execute("PRAGMA synchronous=OFF")
        self._ledgers[OWNER.get()] = ledger
        ledger.db = _Statements(ledger.db, self)  # type: ignore[assignment]
        return ledger

    def clean_up(self, process: Process) -> None:
        """What the system does when a process has ended: locks, files and transactions are let go."""
        for descriptor in self._descriptors.pop(process, set()):
            os.close(descriptor)
        if process in self._ledgers:
            self._ledgers.pop(process).close()

    def look(self, sink: str, sql: str) -> list[tuple[Any, ...]]:
        """Committed rows of a sink's ledger, without any fault; none before it is there."""
        path = ledger_path(self.folder, sink)
        if sink not in self._looking:
            if not path.exists():
                return []
            self._looking[sink] = sqlite3.connect(path)
        return self._looking[sink].execute(sql).fetchall()

    def end(self) -> None:
        """Close everything that is open."""
        for process in [*self._descriptors, *self._ledgers]:
            self.clean_up(process)
        for connection in self._looking.values():
            connection.close()

    def may_fail(self, kind: str, error: Exception) -> None:
        """Raise this error now and then, or the end of the process."""
        self.may_die("crash_at_disk")
        if self._faults.happens(kind):
            raise error

    def may_die(self, kind: str) -> None:
        """Count an opportunity to die, and die now and then."""
        process = OWNER.get()
        self._loop.tell(f"{process.name}: disk")
        self.on_statement(process)
        if process.doomed or self._faults.happens(kind):
            raise process.die()


class _Statements:
    """A connection as the ledger uses it."""

    def __init__(self, db: sqlite3.Connection, disk: SimulatedDisk) -> None:
        self._db = db
        self._disk = disk

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        self._before(sql)
        done = self._db.execute(sql, parameters)
        if sql == "COMMIT":
            self._disk.may_die("crash_at_statement")
        return done

    def executemany(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        self._before(sql)
        return self._db.executemany(sql, parameters)

    def close(self) -> None:
        self._db.close()

    def _before(self, sql: str) -> None:
        if sql == "ROLLBACK":
            if OWNER.get().doomed:
                raise OWNER.get().die()
            return
        self._disk.may_die("crash_at_statement")
        if self._disk._faults.happens("ledger_fails"):
            raise sqlite3.OperationalError("database or disk is full")
