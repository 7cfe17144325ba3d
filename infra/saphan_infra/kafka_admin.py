"""Which topics are there and how far they reach: the administrator's questions to Kafka, asked with kafka-python."""

import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    KafkaError,
    NotCoordinatorError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)

from saphan_infra.availability import BrokerUnavailable
from saphan_infra.clock import monotonic_seconds, wait_seconds
from saphan_infra.owned_process import wait_until
from saphan_schemas.topics import Topic

_ANSWER_SECONDS_MAX = 15
_TRY_SECONDS_MAX = 3
_WAIT_SECONDS_FIRST = 0.25
_WAIT_SECONDS_MAX = 10.0
_ADVICE = "Is it running (`saphan doctor`, `saphan up`), is SAPHAN_KAFKA_BOOTSTRAP right, may this machine reach it?"

Security = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TopicDifference:
    """What the broker has that is not as the table of topics says; ``found`` None: the topic is missing."""

    topic: str
    setting: str
    expected: str
    found: str | None


@contextmanager
def broker_errors(bootstrap: str) -> Iterator[None]:
    """Turn what kafka-python raises into BrokerUnavailable with advice."""
    try:
        yield
    except (KafkaError, OSError) as error:
        away = isinstance(error, OSError) or getattr(error, "retriable", False)
        what = "did not answer" if away else "refused the request"
        message = f"Kafka at {bootstrap} {what} ({type(error).__name__}). {_ADVICE}"
        raise BrokerUnavailable(message) from error


def require_listener(bootstrap: str) -> None:
    """Return when something listens on one of the addresses; quicker than a client, which tries until its time is over.

    Raises BrokerUnavailable.
    """
    found = "no address"
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_TRY_SECONDS_MAX).close()
        except (OSError, ValueError) as error:
            found = type(error).__name__
        else:
            return
    message = f"Kafka at {bootstrap} did not answer ({found}). {_ADVICE}"
    raise BrokerUnavailable(message)


@contextmanager
def administrator(
    bootstrap: str, security: Security | None = None, answer_seconds_max: float = _ANSWER_SECONDS_MAX
) -> Iterator[KafkaAdminClient]:
    """A connected administrator, closed at the end of the block. Raises BrokerUnavailable."""
    milliseconds = int(answer_seconds_max * 1000)
    require_listener(bootstrap)
    with broker_errors(bootstrap):
        client = KafkaAdminClient(
            bootstrap_servers=bootstrap.split(","),
            client_id="saphan-admin",
            request_timeout_ms=milliseconds,
            bootstrap_timeout_ms=milliseconds,
            **(security or {}),
        )
        try:
            yield client
        finally:
            client.close()


def wait_for_broker(
    bootstrap: str,
    timeout_seconds: float | None = None,
    on_wait: Callable[[str], None] | None = None,
    security: Security | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Return when the broker answers, or ``stop`` is set; try again with growing pauses and say so each time.

    ``timeout_seconds`` None: for ever. ``on_wait`` gets each message (default: stderr). Raises BrokerUnavailable.
    """
    tell = on_wait or _to_stderr
    stop = stop or threading.Event()
    deadline = None if timeout_seconds is None else monotonic_seconds() + timeout_seconds
    pause_seconds = _WAIT_SECONDS_FIRST
    while not stop.is_set():
        try:
            with administrator(bootstrap, security, _TRY_SECONDS_MAX) as client:
                client.describe_cluster()
        except BrokerUnavailable as error:
            if deadline is not None and monotonic_seconds() + pause_seconds > deadline:
                raise
            tell(f"{error} Trying again in {pause_seconds:g} s.")
            stop.wait(pause_seconds)
            pause_seconds = min(pause_seconds * 2, _WAIT_SECONDS_MAX)
        else:
            return


def ensure_topics(
    bootstrap: str, topics: Iterable[Topic], replication: int = 1, security: Security | None = None
) -> list[str]:
    """Create what is missing; existing topics are left as they are. The names of those created, which can be used then.

    Raises BrokerUnavailable.
    """
    with administrator(bootstrap, security) as client:
        existing = set(client.list_topics())
        missing = [topic for topic in topics if topic.name not in existing]
        created = [topic.name for topic in missing if _create(client, topic, replication)]
        _wait_for_leaders(client, bootstrap, created)
        return created


def _create(client: KafkaAdminClient, topic: Topic, replication: int) -> bool:
    wanted = {"num_partitions": topic.partitions, "replication_factor": replication, "configs": topic.settings()}
    try:
        client.create_topics({topic.name: wanted}, timeout_ms=_ANSWER_SECONDS_MAX * 1000)
    except TopicAlreadyExistsError:
        return False  # another process was quicker
    return True


def _wait_for_leaders(client: KafkaAdminClient, bootstrap: str, names: Sequence[str]) -> None:
    def led() -> bool:
        rows = client.describe_topics(list(names))
        return all(row["partitions"] and not row.get("error_code") for row in rows) and all(
            part.get("leader_id", part.get("leader", -1)) >= 0 for row in rows for part in row["partitions"]
        )

    if names and not wait_until(led, _ANSWER_SECONDS_MAX):
        raise _too_late(bootstrap, f"did not give every partition of {', '.join(names)} a leader")


def _wait_until_gone(client: KafkaAdminClient, bootstrap: str, names: Sequence[str]) -> None:
    if not wait_until(lambda: not set(names) & set(client.list_topics()), _ANSWER_SECONDS_MAX):
        raise _too_late(bootstrap, f"still has topics that are to be deleted ({', '.join(names)})")


def _too_late(bootstrap: str, what: str) -> BrokerUnavailable:
    return BrokerUnavailable(f"Kafka at {bootstrap} {what} after {_ANSWER_SECONDS_MAX} s. Its log says why; try again.")


def delete_topics(bootstrap: str, names: Iterable[str], security: Security | None = None) -> None:
    """Delete topics with all their messages; missing ones are fine. Returns when the broker lists them no more.

    Raises BrokerUnavailable.
    """
    with administrator(bootstrap, security) as client:
        doomed = sorted(set(names) & set(client.list_topics()))
        for name in doomed:
            try:
                client.delete_topics([name], timeout_ms=_ANSWER_SECONDS_MAX * 1000)
            except UnknownTopicOrPartitionError:
                continue
        _wait_until_gone(client, bootstrap, doomed)


def topic_differences(
    bootstrap: str, topics: Iterable[Topic], security: Security | None = None
) -> list[TopicDifference]:
    """Where the broker's topics are not as the table says: missing, other partition count, other configuration."""
    found: list[TopicDifference] = []
    with administrator(bootstrap, security) as client:
        wanted = {topic.name: topic for topic in topics}
        present = sorted(set(client.list_topics()) & set(wanted))
        found += [TopicDifference(name, "topic", "present", None) for name in wanted if name not in present]
        if not present:
            return found
        counts = {row["name"]: len(row["partitions"]) for row in client.describe_topics(present)}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in present]
        configs = client.describe_configs(resources, config_filter="all")["topic"]
        for name in present:
            topic = wanted[name]
            actual = {"partitions": str(counts[name])}
            actual |= {key: str(row["value"]) for key, row in configs[name].items()}
            expected = {"partitions": str(topic.partitions), **topic.settings()}
            found += [
                TopicDifference(name, key, value, actual.get(key, "not set"))
                for key, value in expected.items()
                if actual.get(key) != value
            ]
    return found


def partition_counts(bootstrap: str, names: Iterable[str], security: Security | None = None) -> dict[str, int]:
    """How many partitions each of these topics has; a missing topic is left out."""
    with administrator(bootstrap, security) as client:
        present = sorted(set(client.list_topics()) & set(names))
        return {row["name"]: len(row["partitions"]) for row in client.describe_topics(present)} if present else {}


def end_offsets(bootstrap: str, topic: str, security: Security | None = None) -> dict[int, int]:
    """Partition → offset that the next message will get; empty for a topic that is missing."""
    return _offsets(bootstrap, topic, OffsetSpec.LATEST, security)


def begin_offsets(bootstrap: str, topic: str, security: Security | None = None) -> dict[int, int]:
    """Partition → offset of the oldest message that is kept; empty for a topic that is missing."""
    return _offsets(bootstrap, topic, OffsetSpec.EARLIEST, security)


def _offsets(bootstrap: str, topic: str, spec: OffsetSpec, security: Security | None) -> dict[int, int]:
    with administrator(bootstrap, security) as client:
        return _partition_offsets(client, topic, spec)


def _partition_offsets(client: KafkaAdminClient, topic: str, spec: OffsetSpec) -> dict[int, int]:
    if topic not in client.list_topics():
        return {}
    (row,) = client.describe_topics([topic])
    wanted = {TopicPartition(topic, index): spec for index in range(len(row["partitions"]))}
    found = client.list_partition_offsets(wanted)
    return {partition.partition: result.offset for partition, result in found.items()}


def group_offsets(bootstrap: str, group_id: str, security: Security | None = None) -> dict[tuple[str, int], int]:
    """(topic, partition) → offset that a consumer group has committed; empty for an unknown group."""
    with administrator(bootstrap, security) as client:
        return _group_offsets(client, group_id)


def _group_offsets(client: KafkaAdminClient, group_id: str) -> dict[tuple[str, int], int]:
    deadline = monotonic_seconds() + _ANSWER_SECONDS_MAX
    while True:
        try:
            found = client.list_group_offsets({group_id: None}).get(group_id, {})
            break
        except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError):
            # A new broker makes its topic of offsets at the first question, a restarted one reads it first.
            if monotonic_seconds() > deadline:
                raise
            wait_seconds(0.1)
    return {(part.topic, part.partition): row.offset for part, row in found.items() if row.offset >= 0}


def group_lag(
    bootstrap: str, group_id: str, topics: Iterable[str], security: Security | None = None
) -> dict[tuple[str, int], int]:
    """(topic, partition) → messages that a group has not committed yet; all of them where it committed nothing."""
    lag = {}
    with administrator(bootstrap, security) as client:
        committed = _group_offsets(client, group_id)
        for topic in topics:
            begins = _partition_offsets(client, topic, OffsetSpec.EARLIEST)
            for partition, end in _partition_offsets(client, topic, OffsetSpec.LATEST).items():
                lag[topic, partition] = end - committed.get((topic, partition), begins[partition])
    return lag


def _to_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")
