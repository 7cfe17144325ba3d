"""Which alert states were handed over, as rows of a delivery ledger."""

from collections.abc import Iterable
from pathlib import Path

from saphan_consumers.delivery import Decision, Told
from saphan_consumers.ledger import Ledger

LAYOUT_VERSION = 1
LAYOUT = """
CREATE TABLE told (alert_id TEXT PRIMARY KEY, version INTEGER NOT NULL, fingerprint TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE told_states (
  alert_id TEXT, fingerprint TEXT, times INTEGER NOT NULL, PRIMARY KEY (alert_id, fingerprint)
) WITHOUT ROWID;
CREATE TABLE waiting (
  seq INTEGER PRIMARY KEY, delivery_id TEXT NOT NULL UNIQUE, alert_id TEXT NOT NULL, body BLOB NOT NULL,
  attempts INTEGER NOT NULL, first_attempt_ms INTEGER, next_attempt_ms INTEGER, parked_ms INTEGER, last_cause TEXT
);
CREATE INDEX waiting_by_alert ON waiting (alert_id, seq);
CREATE INDEX waiting_due ON waiting (next_attempt_ms, seq) WHERE next_attempt_ms IS NOT NULL;
CREATE INDEX waiting_parked ON waiting (parked_ms) WHERE parked_ms IS NOT NULL;
"""


def ledger_path(data_dir: Path, sink: str) -> Path:
    """Where the ledger of one sink (``file`` or ``webhook``) lies."""
    return data_dir / f"delivery-{sink}.db"


def open_ledger(data_dir: Path, sink: str, *, exclusive: bool = True) -> Ledger:
    """The delivery ledger of one sink (``file`` or ``webhook``). Raises LedgerUnusable."""
    return Ledger(ledger_path(data_dir, sink), LAYOUT, LAYOUT_VERSION, exclusive=exclusive)


def told_about(ledger: Ledger, alert_ids: Iterable[str]) -> dict[str, Told]:
    """The newest state handed over, for those alerts that have one."""
    rows = ledger.rows_in("SELECT alert_id, version, fingerprint FROM told WHERE alert_id IN (:keys)", set(alert_ids))
    return {alert_id: Told(version, fingerprint) for alert_id, version, fingerprint in rows}


def times_told(ledger: Ledger, alert_id: str, fingerprint: str) -> int:
    """How often the alert was told this state."""
    row = ledger.db.execute(
        "SELECT times FROM told_states WHERE alert_id = ? AND fingerprint = ?", (alert_id, fingerprint)
    ).fetchone()
    return 0 if row is None else int(row[0])


def record(ledger: Ledger, decision: Decision) -> None:
    """Inside a transaction: what was decided is handed over now."""
    ledger.db.executemany(
        "INSERT INTO told VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
        "SET version = excluded.version, fingerprint = excluded.fingerprint",
        [(alert_id, *told) for alert_id, told in decision.told.items()],
    )
    ledger.db.executemany(
        "INSERT INTO told_states VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET times = excluded.times",
        [(*state, times) for state, times in decision.times.items()],
    )


def adopt(ledger: Ledger, known: Iterable[tuple[str, Told, int]]) -> None:
    """Inside a transaction: states (alert, state, occurrence) that a sink already holds, in the sink's order."""
    for alert_id, state, occurrence in known:
        ledger.db.execute(
            "INSERT INTO told VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version, "
            "fingerprint = excluded.fingerprint WHERE excluded.version > told.version",
            (alert_id, *state),
        )
        ledger.db.execute(
            "INSERT INTO told_states VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET times = max(times, excluded.times)",
            (alert_id, state.fingerprint, occurrence),
        )
