"""What the log really holds at the places that dead letters name as their origin."""

from collections.abc import Iterable

from kafka import TopicPartition

from saphan_infra.clock import monotonic_seconds
from saphan_infra.kafka_client import broker_errors, consumer

_POLL_MS = 500
_ANSWER_SECONDS_MAX = 10.0

Place = tuple[str, int, int]


def marks_at(bootstrap: str, places: Iterable[Place]) -> dict[Place, bytes]:
    """(topic, partition, offset) → key, or value without one, of the message there; places without one are left out.

    Raises BrokerUnavailable.
    """
    reader = consumer(bootstrap, None, max_poll_records=1)
    found: dict[Place, bytes] = {}
    try:
        for topic, partition, offset in places:
            chosen = TopicPartition(topic, partition)
            ends_at = monotonic_seconds() + _ANSWER_SECONDS_MAX
            with broker_errors(bootstrap):
                reader.assign([chosen])
                reader.seek(chosen, offset)
                while not (rows := reader.poll(timeout_ms=_POLL_MS).get(chosen)) and monotonic_seconds() < ends_at:
                    continue
            if rows and rows[0].offset == offset:
                found[topic, partition, offset] = rows[0].key or rows[0].value or b""
    finally:
        reader.close(autocommit=False)
    return found
