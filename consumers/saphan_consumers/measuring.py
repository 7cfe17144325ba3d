"""How the committee's numbers are kept from the log: each chunk's changes and positions in one transaction."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from saphan_consumers import watching
from saphan_consumers.chunks import Chunk, LogMessage, Start
from saphan_consumers.committee import (
    AlertSeen,
    Changes,
    DeadLetterSeen,
    Kept,
    Numbers,
    Seen,
    Standing,
    WorkerSeen,
    changes_for,
)
from saphan_consumers.intake import keep_log, start_of, tell_refused
from saphan_consumers.ledger import Ledger, Refused
from saphan_consumers.reading import LogReplaced, Source, follow
from saphan_infra.logs import get_logger
from saphan_schemas.codec import Codec, UndecodableMessage
from saphan_schemas.topics import DEAD_LETTERS, ENROLMENT_ALERTS, WORKER_INTEGRATED

TOPICS = (WORKER_INTEGRATED, ENROLMENT_ALERTS, DEAD_LETTERS)
LAYOUT_VERSION = 1
LAYOUT = """
CREATE TABLE workers (worker_no INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, standing INTEGER NOT NULL);
CREATE TABLE alerts (alert_id TEXT PRIMARY KEY, version INTEGER NOT NULL, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE dead_letters (identity TEXT PRIMARY KEY, stage TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;
"""

log = get_logger(__name__)


class CommitteeNumbers:
    """The numbers and the ledger that they come from."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._codec = Codec()
        self.numbers = Numbers()

    def begin(self) -> Start:
        """Count what the ledger has. Raises sqlite3.Error."""
        self.numbers = _counted(self._ledger)
        watching.committee(self.numbers)
        return start_of(self._ledger)

    def take(self, chunk: Chunk, topic_ids: Mapping[str, str]) -> None:
        """Add a chunk. Raises sqlite3.Error: then none of it counts as done."""
        seen, refused = seen_in(self._codec, chunk.messages)
        changes = changes_for(seen, _kept(self._ledger, seen))
        with self._ledger.transaction():
            _store(self._ledger, changes)
            keep_log(self._ledger, refused, chunk.positions, topic_ids)
        self.numbers.apply(changes)
        watching.committee(self.numbers)
        watching.latencies(changes.latencies_seconds)
        watching.set_aside("metrics", len(refused))
        tell_refused("metrics", refused)

    def start_over(self) -> None:
        """Forget everything, as the log is another one: the numbers come from the log alone."""
        with self._ledger.transaction():
            for table in ("workers", "alerts", "dead_letters", "positions", "meta", "quarantine"):
                self._ledger.db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own table names


def open_ledger(data_dir: Path) -> Ledger:
    """The metrics consumer's ledger. Raises LedgerUnusable."""
    return Ledger(data_dir / "metrics.db", LAYOUT, LAYOUT_VERSION)


def measure(source: Source, data_dir: Path, stop: threading.Event) -> None:
    """Keep the numbers until ``stop``. Raises LedgerUnusable; an outage is waited for."""
    with open_ledger(data_dir) as ledger:
        committee = CommitteeNumbers(ledger)
        while not stop.is_set():
            try:
                follow(source, committee.begin, committee.take, stop, lambda lag: watching.lag("metrics", lag))
            except LogReplaced as replaced:
                log.warning("Kafka's log is another one than before; counting begins anew", cause=str(replaced))
                committee.start_over()


def seen_in(codec: Codec, messages: Sequence[LogMessage]) -> tuple[list[Seen], list[Refused]]:
    """Each message as what it says, or as one that cannot be read."""
    seen: list[Seen] = []
    refused: list[Refused] = []
    for message in messages:
        try:
            seen.append(_seen(codec, message))
        except UndecodableMessage as error:
            refused.append(Refused(message.place, message.offset, error.reason, error.detail, message.value))
    return seen, refused


def _seen(codec: Codec, message: LogMessage) -> Seen:
    topic = message.place.topic
    if topic == WORKER_INTEGRATED and message.value is None:
        return WorkerSeen(_worker_no(message.key), None)
    record = codec.decode(topic, message.value)
    if topic == WORKER_INTEGRATED:
        return WorkerSeen(record["worker_no"], record)
    if topic == ENROLMENT_ALERTS:
        return AlertSeen(record, message.timestamp_ms)
    return DeadLetterSeen(record)


def _worker_no(message_id: bytes | None) -> int:
    try:
        return int(message_id or b"")
    except ValueError:
        reason, detail = "bad_key", "expected the worker's number as the key of a deletion"
        raise UndecodableMessage(reason, detail) from None


def _counted(ledger: Ledger) -> Numbers:
    standings = ledger.db.execute("SELECT standing, count(*) FROM workers GROUP BY standing")
    alerts = ledger.db.execute("SELECT state, count(*) FROM alerts GROUP BY state")
    dead = ledger.db.execute("SELECT stage, reason, count(*) FROM dead_letters GROUP BY stage, reason")
    return Numbers(
        Counter({_standing(bits): count for bits, count in standings}),
        Counter(dict(alerts.fetchall())),
        Counter({(stage, reason): count for stage, reason, count in dead}),
    )


def _kept(ledger: Ledger, seen: Sequence[Seen]) -> Kept:
    workers = ledger.rows_in(
        "SELECT worker_no, sequence, standing FROM workers WHERE worker_no IN (:keys)",
        {row.worker_no for row in seen if isinstance(row, WorkerSeen)},
    )
    alerts = ledger.rows_in(
        "SELECT alert_id, version, state FROM alerts WHERE alert_id IN (:keys)",
        {row.record["alert_id"] for row in seen if isinstance(row, AlertSeen)},
    )
    letters = ledger.rows_in(
        "SELECT identity FROM dead_letters WHERE identity IN (:keys)",
        {row.identity for row in seen if isinstance(row, DeadLetterSeen)},
    )
    return Kept(
        {number: (sequence, _standing(bits)) for number, sequence, bits in workers},
        {alert_id: (version, state) for alert_id, version, state in alerts},
        frozenset(identity for (identity,) in letters),
    )


def _store(ledger: Ledger, changes: Changes) -> None:
    kept = [(no, row[0], _bits(row[1])) for no, row in changes.worker_rows.items() if row is not None]
    gone = [(no,) for no, row in changes.worker_rows.items() if row is None]
    ledger.db.executemany("INSERT OR REPLACE INTO workers VALUES (?, ?, ?)", kept)
    ledger.db.executemany("DELETE FROM workers WHERE worker_no = ?", gone)
    alerts = [(alert_id, *row) for alert_id, row in changes.alert_rows.items()]
    ledger.db.executemany("INSERT OR REPLACE INTO alerts VALUES (?, ?, ?)", alerts)
    letters = [(identity, *kind) for identity, kind in changes.dead_letter_rows.items()]
    ledger.db.executemany("INSERT OR IGNORE INTO dead_letters VALUES (?, ?, ?)", letters)


def _bits(standing: Standing) -> int:
    # A ledger written before eligibility was known has no fourth bit: not eligible until the worker's next message.
    return standing.known | standing.employed << 1 | standing.enrolled << 2 | standing.eligible << 3


def _standing(bits: int) -> Standing:
    return Standing(known=bool(bits & 1), employed=bool(bits & 2), eligible=bool(bits & 8), enrolled=bool(bits & 4))
