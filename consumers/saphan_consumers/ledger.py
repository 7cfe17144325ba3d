"""What a consumer has already done: its own small SQLite file, where effects and log positions move together."""

import fcntl
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

_LAYOUT = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (
  topic TEXT, partition INTEGER, next_offset INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE quarantine (
  topic TEXT, partition INTEGER, "offset" INTEGER, reason TEXT NOT NULL, detail TEXT NOT NULL, value BLOB,
  PRIMARY KEY (topic, partition, "offset")
) WITHOUT ROWID;
"""
_CACHE_KIB = 32_000
_BEGIN_ANEW = "move the file away to begin anew (everything is then delivered once more, with the same ids)"


class LedgerUnusable(RuntimeError):
    """The ledger file cannot be used as it is; the text says what to do."""


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Refused(NamedTuple):
    """A message that could not be read, kept whole with where it came from."""

    place: Place
    offset: int
    reason: str
    detail: str
    value: bytes | None


class Ledger:
    """One open ledger. ``layout`` adds the consumer's own tables; ``layout_version`` rises when they change.

    ``exclusive`` takes the file for one process: two owners would repeat each other's effects. Operators' commands
    open it without. Raises LedgerUnusable. One thread at a time may use it.
    """

    def __init__(self, path: Path, layout: str, layout_version: int, *, exclusive: bool = True) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undoing:
            # Whatever fails from here on, the next one who opens the file must not find it taken.
            self._lock = _take(path) if exclusive else None
            undoing.callback(self._let_go)
            try:
                self.db = sqlite3.connect(path, isolation_level=None, timeout=30.0, check_same_thread=False)
                undoing.callback(self.db.close)
                self.db.execute("PRAGMA journal_mode=WAL")
                self.db.execute("PRAGMA synchronous=FULL")
                self.db.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
                self._lay_out(layout, layout_version)
            except sqlite3.DatabaseError as error:
                message = f"{path} cannot be opened as a ledger ({error}): free or repair the disk, or {_BEGIN_ANEW}"
                raise LedgerUnusable(message) from error
            undoing.pop_all()

    def _lay_out(self, layout: str, wanted: int) -> None:
        with self.transaction():
            found = self.db.execute("PRAGMA user_version").fetchone()[0]
            if found == 0:
                for statement in (_LAYOUT + layout).split(";"):
                    self.db.execute(statement)
                self.db.execute(f"PRAGMA user_version={wanted:d}")
            elif found != wanted:
                message = (
                    f"{self.path} has layout {found}, this program knows {wanted}: run the version that wrote it, or "
                    f"{_BEGIN_ANEW}"
                )
                raise LedgerUnusable(message)

    def close(self) -> None:
        """Close the file and let another process have it."""
        self.db.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on the disk when the block ends."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            # A commit that fails may leave the transaction open, and no other one could begin.
            self.db.execute("COMMIT")
        except BaseException:
            # SQLite has already taken the transaction back when the disk is full.
            with suppress(sqlite3.Error):
                self.db.execute("ROLLBACK")
            raise

    def rows_in(self, sql: str, keys: Collection[int] | Collection[str]) -> list[tuple[Any, ...]]:
        """All rows of a query whose condition is ``… IN (:keys)``, however many keys there are."""
        one_list = orjson.dumps(list(keys)).decode()
        statement = sql.replace("IN (:keys)", "IN (SELECT value FROM json_each(?))")
        return self.db.execute(statement, (one_list,)).fetchall()

    def positions(self) -> dict[Place, int]:
        """The next offset to read, per partition met before."""
        rows = self.db.execute("SELECT topic, partition, next_offset FROM positions")
        return {Place(topic, partition): offset for topic, partition, offset in rows}

    def move(self, positions: Mapping[Place, int]) -> None:
        """Inside a transaction: read on from here."""
        self.db.executemany(
            "INSERT INTO positions VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset",
            [(*place, offset) for place, offset in positions.items()],
        )

    def quarantine(self, refused: Sequence[Refused]) -> None:
        """Inside a transaction: keep unreadable messages, each once."""
        self.db.executemany(
            "INSERT OR IGNORE INTO quarantine VALUES (?, ?, ?, ?, ?, ?)",
            [(*row.place, row.offset, row.reason, row.detail, row.value) for row in refused],
        )

    def quarantined(self) -> int:
        """How many messages could not be read so far."""
        return int(self.db.execute("SELECT count(*) FROM quarantine").fetchone()[0])

    def note(self, name: str) -> str | None:
        """A value kept by name, or None."""
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def keep(self, name: str, value: str | None) -> None:
        """Inside a transaction: keep a value by name; None forgets it."""
        if value is None:
            self.db.execute("DELETE FROM meta WHERE name = ?", (name,))
        else:
            self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def _take(path: Path) -> int:
    """Lock the ledger for this process; the system lets go when the process ends, however it ends."""
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        message = f"{path} is in use by another process; stop that one first, one consumer owns one ledger"
        raise LedgerUnusable(message) from None
    return lock
