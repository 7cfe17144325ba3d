"""That a ledger goes on after any failure of its disk."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from saphan_consumers.ledger import Ledger


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
