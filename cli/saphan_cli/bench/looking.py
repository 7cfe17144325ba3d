"""How far a platform is, looked at from outside at so modest a rate that the looking costs next to nothing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from kafka import TopicPartition

from saphan_cli.bench.stand import ProcessFailed, Stand
from saphan_cli.bench.usage import Usage, busy_seconds, own_usage, usage
from saphan_infra.clock import monotonic_seconds, wait_seconds
from saphan_infra.kafka_client import consumer
from saphan_infra.settings import Settings
from saphan_projections.database import Database, DatabaseUnavailable
from saphan_projections.offsets import positions
from saphan_schemas.topics import ENROLMENT_ALERTS, FEEDS, TOPICS, WORKER_INTEGRATED, WORKER_RECORDS

#: Each look takes a little of what is measured: seldom until the end is near, which is to be found exactly.
_LOOK_SECONDS = 0.2
_FAR_LOOK_SECONDS = 1.0
_FAR_MESSAGES = 50_000
_STALLED_SECONDS = 90
_OUTPUTS = (WORKER_RECORDS, WORKER_INTEGRATED, ENROLMENT_ALERTS)

Offsets = Mapping[tuple[str, int], int]


class Look(NamedTuple):
    """One look. ``usages`` is by stage; ``machine_busy_seconds`` counts everybody's work."""

    at: float
    linked: Offsets
    integrated: Offsets
    ends: Offsets
    usages: Mapping[str, Usage]
    own: Usage
    machine_busy_seconds: float

    @property
    def events(self) -> int:
        """Messages of the feeds that link has committed."""
        return sum(offset for (topic, _), offset in self.linked.items() if topic in TOPICS)

    def lag(self) -> int:
        """Messages that link or integrate has still to process."""
        behind = 0
        for (topic, partition), end in self.ends.items():
            if topic not in {WORKER_INTEGRATED, ENROLMENT_ALERTS}:
                done = self.integrated if topic == WORKER_RECORDS else self.linked
                behind += max(0, end - done.get((topic, partition), 0))
        return behind

    def unchanged_since(self, other: "Look") -> bool:
        """Whether nothing has moved between the two."""
        return (self.linked, self.integrated, self.ends) == (other.linked, other.integrated, other.ends)


class Eye:
    """Looks at one stand's databases (read-only) and at the ends of its topics, over connections that stay open."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        settings: Settings = stand.settings
        self._link, self._state = Database(settings.link_url), Database(settings.state_url)
        self._consumer: Any = consumer(settings.bootstrap, None)
        self._partitions = [
            TopicPartition(name, number) for name in (*FEEDS, *_OUTPUTS) for number in range(TOPICS[name].partitions)
        ]

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close(autocommit=False)
        self._link.close()
        self._state.close()

    def look(self) -> Look:
        """One look. Raises DatabaseUnavailable, and kafka-python's errors when the broker is away."""
        with self._link.reading() as transaction:
            linked = positions(transaction, "link")
        with self._state.reading() as transaction:
            integrated = positions(transaction, "integrate")
        ends = {(row.topic, row.partition): int(end) for row, end in self._ends().items()}
        stages = {name: usage(pids) for name, pids in self._stand.stages().items()}
        return Look(monotonic_seconds(), linked, integrated, ends, stages, own_usage(), busy_seconds())

    def everything_is_sent(self) -> bool:
        """Whether both outboxes are empty: every message of a committed chunk was acknowledged."""
        for database, app in ((self._link, "link"), (self._state, "integrate")):
            with database.reading() as transaction:
                if transaction.rows("SELECT 1 FROM outbox WHERE app = ? LIMIT 1", (app,)):
                    return False
        return True

    def until_done(self, first: Look, progress: Callable[[Look], None]) -> Look:
        """The look at which the last position or end moved: all is processed, committed and acknowledged.

        Raises ProcessFailed when a process ends or nothing moves any more though there is work left.
        """
        moved = first
        while True:
            wait_seconds(_FAR_LOOK_SECONDS if moved.lag() > _FAR_MESSAGES else _LOOK_SECONDS)
            self._stand.check()
            try:
                now = self.look()
            except DatabaseUnavailable:
                continue
            if not now.unchanged_since(moved):
                moved = now
                progress(now)
            elif not now.lag() and self.everything_is_sent():
                return moved
            elif now.at - moved.at > _STALLED_SECONDS:
                message = f"Nothing has moved for {_STALLED_SECONDS} s with {now.lag():,} messages still to process."
                raise ProcessFailed(message)

    def _ends(self) -> Mapping[Any, int]:
        found: Mapping[Any, int] = self._consumer.end_offsets(self._partitions)
        return found


@contextmanager
def looking_at(stand: Stand) -> Iterator[Eye]:
    """An eye that is closed at the end of the block. The stand's databases must have their tables."""
    eye = Eye(stand)
    try:
        yield eye
    finally:
        eye.close()
