"""From where a consumer reads a topic: the ledger's positions, whatever the broker thinks was committed."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from kafka import TopicPartition

from saphan_consumers.chunks import Chunk, LogMessage, Start
from saphan_consumers.ledger import Place
from saphan_infra import kafka_admin, kafka_client
from saphan_infra.availability import BrokerUnavailable
from saphan_infra.clock import monotonic_seconds
from saphan_infra.logs import get_logger
from saphan_infra.waiting_metrics import Wait

_POLL_MS = 250
_PROBE_SECONDS = 5.0
_PROBE_MS = 5_000
_LAST_HINT_MS = 1000
_WAIT_SECONDS_FIRST = 0.5
_WAIT_SECONDS_MAX = 5.0
_PARTITIONS_SECONDS = 60.0

log = get_logger(__name__)


class LogReplaced(RuntimeError):
    """The topic is not the one that the ledger knows: it was deleted and made anew, or lost its end."""


class TopicMissing(ConnectionError):
    """The topic is not there (yet)."""


@dataclass(frozen=True, slots=True)
class Source:
    """Which topics of which broker, under which group name (for monitoring only)."""

    bootstrap: Callable[[], str]
    group_id: str
    topics: Sequence[str]
    security: Mapping[str, Any] = field(default_factory=dict)
    chunk_records_max: int = 4000

    @contextmanager
    def opened(self, start: Start) -> Iterator["LogReader"]:
        """A reader that stands where the ledger says. Raises BrokerUnavailable, TopicMissing, LogReplaced."""
        bootstrap = self.bootstrap()
        topic_ids = _topic_ids(bootstrap, self.topics, self.security)
        for topic, known in start.topic_ids.items():
            if topic_ids.get(topic, known) != known:
                message = f"topic {topic} was deleted and made anew since the ledger was written"
                raise LogReplaced(message)
        client = kafka_client.consumer(
            bootstrap, self.group_id, security=self.security, max_poll_records=self.chunk_records_max
        )
        try:
            reader = LogReader(client, bootstrap, self.topics, topic_ids)
            reader.stand(start.positions)
            yield reader
        finally:
            with suppress(Exception):  # closing says goodbye to a broker that may be gone
                client.close(autocommit=False, timeout_ms=1000)


class LogReader:
    """All partitions of some topics, owned by this process alone: its ledger's lock keeps others away."""

    def __init__(self, client: Any, bootstrap: str, topics: Sequence[str], topic_ids: dict[str, str]) -> None:
        self.topic_ids = topic_ids
        self._client = client
        self._bootstrap = bootstrap
        self._topics = topics
        self._next: dict[Place, int] = {}

    def stand(self, known: Mapping[Place, int]) -> None:
        """Go to the ledger's offsets; a partition never read begins at its oldest message."""
        with kafka_client.broker_errors(self._bootstrap):
            places = self._places()
            begins = self._client.beginning_offsets(places, timeout_ms=_PROBE_MS)
            ends = self._client.end_offsets(places, timeout_ms=_PROBE_MS)
            self._client.assign(places)
            for place in places:
                self._next[Place(*place)] = position = _position(Place(*place), known, begins[place], ends[place])
                self._client.seek(place, position)

    def _places(self) -> list[TopicPartition]:
        found = [TopicPartition(name, number) for name in self._topics for number in self._numbers(name)]
        missing = sorted(set(self._topics) - {place.topic for place in found})
        if missing:
            message = f"Kafka has no topic {', '.join(missing)} yet. `saphan up` makes all topics."
            raise TopicMissing(message)
        return found

    def _numbers(self, topic: str) -> list[int]:
        return sorted(self._client.partitions_for_topic(topic) or ())

    def has_new_partitions(self) -> bool:
        """Whether the topics have grown: then open anew."""
        with kafka_client.broker_errors(self._bootstrap):
            return len(self._places()) > len(self._next)

    def poll(self) -> Chunk:
        """The next messages, or none after a quarter of a second. Raises BrokerUnavailable."""
        with kafka_client.broker_errors(self._bootstrap):
            found = self._client.poll(timeout_ms=_POLL_MS)
        messages: list[LogMessage] = []
        positions: dict[Place, int] = {}
        for part, rows in found.items():
            place = Place(part.topic, part.partition)
            messages.extend(LogMessage(place, row.offset, row.key, row.value, row.timestamp) for row in rows)
            positions[place] = rows[-1].offset + 1
        self._next.update(positions)
        return Chunk(messages, positions)

    def lag(self) -> dict[Place, int]:
        """Messages still to read, per partition. Raises BrokerUnavailable when Kafka does not answer any more."""
        with kafka_client.broker_errors(self._bootstrap):
            ends = self._client.end_offsets([TopicPartition(*place) for place in self._next], timeout_ms=_PROBE_MS)
        return {place: max(0, ends[TopicPartition(*place)] - position) for place, position in self._next.items()}

    def hint(self) -> None:
        """Tell the broker how far we are, for those who watch the group. Nothing depends on it."""
        with suppress(Exception):
            self._client.commit_async()

    def last_hint(self) -> None:
        """The same before leaving, waiting a moment for the answer."""
        with suppress(Exception):
            self._client.commit(timeout_ms=_LAST_HINT_MS)


def _position(place: Place, known: Mapping[Place, int], begin: int, end: int) -> int:
    position = known.get(place)
    if position is None:
        return begin
    if position > end:
        message = f"{place.topic} partition {place.partition} ends at offset {end}, the ledger is at {position}"
        raise LogReplaced(message)
    if position < begin:
        log.error(
            "Messages expired before they were read",
            topic=place.topic,
            partition=place.partition,
            count=begin - position,
        )
    return max(position, begin)


def _topic_ids(bootstrap: str, topics: Sequence[str], security: Mapping[str, Any]) -> dict[str, str]:
    with kafka_admin.administrator(bootstrap, security) as client:
        present = sorted(set(client.list_topics()) & set(topics))
        rows = client.describe_topics(present) if present else []
    return {row["name"]: str(row["topic_id"]) for row in rows if row.get("topic_id")}


def follow(
    source: Source,
    begin: Callable[[], Start],
    take: Callable[[Chunk, Mapping[str, str]], None],
    stop: threading.Event,
    on_lag: Callable[[Mapping[Place, int]], None],
) -> None:
    """Read until ``stop``: ``begin`` brings effects and ledger together and says from where, ``take`` does the effects.

    A broker, topic or disk that is away is waited for with growing pauses, each told in the log; after any trouble
    everything begins again from the ledger, so nothing is lost or repeated. Raises LogReplaced and what is no outage.
    """
    app = source.group_id.removeprefix("saphan-")
    broker, disk = Wait(app, "broker"), Wait(app, "disk")
    pause_seconds = _WAIT_SECONDS_FIRST

    def went_on() -> None:
        # Not before: a full disk lets everything be opened, and refuses what is written then.
        nonlocal pause_seconds
        pause_seconds = _WAIT_SECONDS_FIRST
        disk.note(is_answered=True)

    try:
        while not stop.is_set():
            try:
                with source.opened(begin()) as reader:
                    broker.note(is_answered=True)
                    log.info("Reading from the ledger's positions", group=source.group_id, topics=list(source.topics))
                    _read(reader, take, stop, on_lag, went_on)
            except (BrokerUnavailable, TopicMissing) as outage:
                wait, what, text = broker, "Waiting for Kafka", str(outage)
            except (OSError, sqlite3.OperationalError) as outage:
                wait, what = disk, "Waiting for the disk"
                text = f"{outage}. Free some space or mend the disk; nothing is lost meanwhile."
            else:
                continue
            log.warning(what, group=source.group_id, cause=text, again_in_seconds=pause_seconds)
            wait.note(is_answered=False)
            stop.wait(pause_seconds)
            pause_seconds = min(_WAIT_SECONDS_MAX, pause_seconds * 2)
    finally:
        for wait in (broker, disk):
            wait.note(is_answered=True)


def _read(
    reader: LogReader,
    take: Callable[[Chunk, Mapping[str, str]], None],
    stop: threading.Event,
    on_lag: Callable[[Mapping[Place, int]], None],
    went_on: Callable[[], None],
) -> None:
    probe_at, moved = 0.0, False
    partitions_at = monotonic_seconds() + _PARTITIONS_SECONDS
    while not stop.is_set():
        chunk = reader.poll()
        if chunk.messages:
            take(chunk, reader.topic_ids)
            went_on()
        now = monotonic_seconds()
        if now >= probe_at or (moved and not chunk.messages):
            lag = reader.lag()
            on_lag(lag)
            if not any(lag.values()):
                went_on()
            reader.hint()
            probe_at = now + _PROBE_SECONDS
        moved = bool(chunk.messages)
        if now >= partitions_at:
            if reader.has_new_partitions():
                return
            partitions_at = now + _PARTITIONS_SECONDS
    reader.last_hint()
