"""How far the platform is behind: positions in the databases against the bounds of the log."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from saphan_cli import output

if TYPE_CHECKING:
    from saphan_infra.settings import Settings

#: (topic, partition) → first offset that is kept and offset that the next message will get.
Bounds = Mapping[tuple[str, int], tuple[int, int]]


def log_bounds(settings: "Settings", topics: Iterable[str]) -> Bounds:
    """The bounds of every partition of these topics, asked with one connection; missing topics are left out.

    Raises BrokerUnavailable.
    """
    from kafka import TopicPartition

    from saphan_infra.kafka_client import broker_errors, consumer
    from saphan_infra.kafka_security import kafka_python_security

    bootstrap = settings.bootstrap
    reader = consumer(bootstrap, None, security=kafka_python_security(settings))
    try:
        with broker_errors(bootstrap):
            present = set(reader.topics()) & set(topics)
            partitions = [
                TopicPartition(topic, number)
                for topic in sorted(present)
                for number in reader.partitions_for_topic(topic)
            ]
            starts, ends = reader.beginning_offsets(partitions), reader.end_offsets(partitions)
    finally:
        reader.close(autocommit=False)
    return {(row.topic, row.partition): (starts[row], ends[row]) for row in partitions}


def bounds_or_note(settings: "Settings", topics: Iterable[str]) -> Bounds | None:
    """As :func:`log_bounds`; None with a note on stderr when Kafka does not answer."""
    from saphan_infra.availability import BrokerUnavailable

    try:
        return log_bounds(settings, topics)
    except BrokerUnavailable as away:
        output.note(str(away))
        return None


def lag_by_topic(bounds: Bounds, positions: Mapping[tuple[str, int], int]) -> dict[str, int]:
    """Topic → messages that an application at these positions has not processed."""
    found: dict[str, int] = {}
    for (topic, partition), (start, end) in bounds.items():
        behind = end - max(positions.get((topic, partition), 0), start)
        found[topic] = found.get(topic, 0) + max(0, behind)
    return found
