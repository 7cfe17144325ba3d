"""That a ledger goes on after any failure of its disk, and that a file that is none is left alone."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from saphan_consumers.ledger import Ledger, LedgerUnusable


class FullDisk:
    """A connection whose next commit finds no room."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.is_full = True

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "COMMIT" and self.is_full:
            self.is_full = False
            raise sqlite3.OperationalError("database or disk is full")
        return self.db.execute(sql, *parameters)

    def close(self) -> None:
        self.db.close()


def test_a_commit_that_fails_lets_the_next_transaction_begin(tmp_path: Path) -> None:
    """The transaction stayed open, and delivery stood still until somebody started it anew."""
    with Ledger(tmp_path / "ledger.db", "", 1) as ledger:
        ledger.db = FullDisk(ledger.db)  # type: ignore[assignment]
        with pytest.raises(sqlite3.OperationalError), ledger.transaction():
            ledger.keep("said", "lost")
        assert ledger.note("said") is None
        with ledger.transaction():
            ledger.keep("said", "kept")
        assert ledger.note("said") == "kept"


def test_a_file_that_is_no_ledger_is_named_as_such_and_not_kept_locked(tmp_path: Path) -> None:
    """It raised SQLite's own error, and the next one was told that another process used the file."""
    path = tmp_path / "ledger.db"
    path.write_bytes(b"no database at all, but long enough to be looked at as one " * 20)
    for _ in range(2):
        with pytest.raises(LedgerUnusable, match="not a database"):
            Ledger(path, "", 1)
    path.unlink()
    with Ledger(path, "", 1) as ledger:
        assert ledger.quarantined() == 0


def test_any_number_of_keys_is_looked_up_by_the_index_and_no_key_finds_nothing(tmp_path: Path) -> None:
    sql = "SELECT name FROM meta WHERE name IN (:keys)"
    with Ledger(tmp_path / "ledger.db", "", 1) as ledger:
        for name in ("a", "b", "c"):
            ledger.keep(name, "")
        assert sorted(ledger.rows_in(sql, {"a", "c", *map(str, range(70_000))})) == [("a",), ("c",)]
        assert ledger.rows_in(sql, ()) == []
        (found, *_) = ledger.rows_in("EXPLAIN QUERY PLAN " + sql, ["a"])
        assert "SEARCH meta USING PRIMARY KEY" in found[3]
