"""How far the platform is, looked at several times a second from outside while anything of it may be away."""

import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.errors import KafkaError

from saphan_cli.chaos.recovering import Look, Offsets, Recovery, Rows, followed
from saphan_consumers.told import ledger_path
from saphan_infra.clock import monotonic_seconds
from saphan_infra.kafka_client import consumer
from saphan_infra.settings import Settings
from saphan_projections.database import Database, DatabaseUnavailable, Transaction
from saphan_projections.offsets import positions
from saphan_schemas.topics import ENROLMENT_ALERTS, FEEDS, TOPICS, WORKER_RECORDS

_LOOK_SECONDS = 0.3
_ANSWER_MS = 2_000
_LOOKS_OF_A_FAULT = 200
_LEDGER_BUSY_SECONDS = 5.0


class Lease(NamedTuple):
    """Who the active link is and when it last said so, by its own clock (ms UTC)."""

    owner: str
    renewed_ms: int


class Observer:
    """Looks on a thread of its own; a look that is not possible because something is away is left out.

    Looks are kept, so that one can ask afterwards what moved meanwhile.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._databases: dict[str, Database] = {}
        self._consumer: Any = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="saphan-chaos-observer", daemon=True)
        self._lock = threading.Lock()
        self._recoveries: dict[int, Recovery] = {}
        self._is_back: dict[int, Callable[[], bool]] = {}
        self.looks: list[Look] = []
        self.lease = Lease("", 0)
        self.epochs = 0

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()
        for database in self._databases.values():
            database.close()
        self._forget_broker()

    def follow(self, number: int, recovery: Recovery, is_back: Callable[[], bool]) -> None:
        """From now on see when the fault of this number is recovered from; ``is_back`` asks for the hurt process."""
        with self._lock:
            self._recoveries[number] = recovery
            self._is_back[number] = is_back

    def recovery_seconds(self, number: int) -> float | None:
        """How long the recovery from a fault took; None while it is not over."""
        with self._lock:
            found = self._recoveries.get(number)
        return None if found is None or found.over is None else found.over - found.healed_at

    def stalled(self, since: float, position: Callable[[Look], tuple[Offsets, Offsets]]) -> tuple[float, int] | None:
        """How long some partition has not moved since then though more came: (seconds, messages that wait in those).

        ``position`` picks the position and its goal from a look. None: everything moved, or nothing came.
        """
        seen = [look for look in self.looks[-_LOOKS_OF_A_FAULT:] if look.at >= since]
        if len(seen) < 2:
            return None
        (first, first_goal), (last, last_goal) = position(seen[0]), position(seen[-1])
        waiting = [
            goal - last.get(place, 0)
            for place, goal in last_goal.items()
            if goal > first_goal.get(place, 0) and last.get(place, 0) == first.get(place, 0)
        ]
        return (seen[-1].at - seen[0].at, sum(waiting)) if waiting else None

    def wait_for_rest(self, seconds: float) -> bool:
        """Wait until two looks in a row find nothing left to do; whether that came."""
        ends_at = monotonic_seconds() + seconds
        began = monotonic_seconds()
        while monotonic_seconds() < ends_at:
            recent = [look for look in self.looks[-2:] if look.at > began]
            if len(recent) == 2 and all(look.is_at_rest() for look in recent):
                return True
            self._stop.wait(_LOOK_SECONDS)
        return False

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            at = monotonic_seconds()
            try:
                look = self._look(at)
            except (DatabaseUnavailable, KafkaError, OSError, sqlite3.Error):
                continue
            self.looks.append(look)
            with self._lock:
                for number, row in self._recoveries.items():
                    if row.over is None:
                        self._recoveries[number] = followed(row, look, is_back=self._is_back[number]())

    def _look(self, at: float) -> Look:
        with self._database(self._settings.link_url).reading() as transaction:
            linked, link_outbox = positions(transaction, "link"), _outbox(transaction, "link")
            self._note_lease(transaction)
        with self._database(self._settings.state_url).reading() as transaction:
            integrated, integrate_outbox = positions(transaction, "integrate"), _outbox(transaction, "integrate")
            ((epochs,),) = transaction.rows(
                "SELECT coalesce(sum(owner_epoch), 0) FROM source_offset WHERE app = 'integrate'"
            )
        self.epochs = int(epochs)
        filed, _ = self._ledger("file")
        posted, waiting = self._ledger("webhook")
        # Last, so that what was seen to have left an outbox lies before these ends.
        ends = self._ends()
        return Look(
            at,
            _of(ends, FEEDS),
            linked,
            link_outbox,
            _of(ends, [WORKER_RECORDS]),
            integrated,
            integrate_outbox,
            _of(ends, [ENROLMENT_ALERTS]),
            filed,
            posted,
            waiting,
        )

    def _note_lease(self, transaction: Transaction) -> None:
        rows = transaction.rows("SELECT owner, updated_at FROM source_offset WHERE app = 'link' AND topic = '*'")
        if rows:
            self.lease = Lease(str(rows[0][0]), int(rows[0][1]))

    def _database(self, url: str) -> Database:
        if url not in self._databases:
            self._databases[url] = Database(url)
        return self._databases[url]

    def _ledger(self, sink: str) -> tuple[Offsets, Rows]:
        path = ledger_path(self._settings.data_dir, sink)
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=_LEDGER_BUSY_SECONDS)) as ledger:
            rows = ledger.execute("SELECT topic, partition, next_offset FROM positions").fetchall()
            first, last = ledger.execute("SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM waiting").fetchone()
        return {(topic, partition): offset for topic, partition, offset in rows}, Rows(first, last)

    def _ends(self) -> Offsets:
        partitions = [
            TopicPartition(name, number)
            for name in (*FEEDS, WORKER_RECORDS, ENROLMENT_ALERTS)
            for number in range(TOPICS[name].partitions)
        ]
        try:
            if self._consumer is None:
                self._consumer = consumer(self._settings.bootstrap, None)
            ends = self._consumer.end_offsets(partitions, timeout_ms=_ANSWER_MS)
        except (KafkaError, OSError):
            self._forget_broker()
            raise
        return {(row.topic, row.partition): int(end) for row, end in ends.items()}

    def _forget_broker(self) -> None:
        client, self._consumer = self._consumer, None
        if client is not None:
            with suppress(Exception):  # closing says goodbye to a broker that may be gone
                client.close(autocommit=False, timeout_ms=500)


def _outbox(transaction: Transaction, app: str) -> Rows:
    ((first, last),) = transaction.rows(
        "SELECT coalesce(min(outbox_no), 0), coalesce(max(outbox_no), 0) FROM outbox WHERE app = ?", (app,)
    )
    return Rows(int(first), int(last))


def _of(ends: Offsets, topics: Iterable[str]) -> Offsets:
    wanted = set(topics)
    return {place: end for place, end in ends.items() if place[0] in wanted}
