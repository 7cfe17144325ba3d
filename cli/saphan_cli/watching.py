"""What the topic of alerts says, read live: each state once, through outages of the broker."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from saphan_cli import output

if TYPE_CHECKING:
    from kafka import KafkaConsumer

    from saphan_infra.settings import Settings

_POLL_SECONDS = 0.5
_TRY_AGAIN_SECONDS = 2.0


def told_alerts(settings: "Settings", seconds: float | None, *, from_beginning: bool) -> Iterator[dict[str, Any]]:
    """Each told state in plain JSON form, with ``told_at``; ends after so many seconds (None: never).

    Raises BrokerUnavailable when Kafka does not answer at the start; later it is waited for.
    """
    from saphan_infra.availability import BrokerUnavailable
    from saphan_infra.clock import monotonic_seconds, wait_seconds

    ends_at = None if seconds is None else monotonic_seconds() + seconds
    newest: dict[str, int] = {}
    consumer = _positioned(settings, {}, from_beginning=from_beginning)
    positions: dict[int, int] = {}
    try:
        while ends_at is None or monotonic_seconds() < ends_at:
            try:
                if consumer is None:
                    consumer = _positioned(settings, positions, from_beginning=True)
                yield from _polled(settings, consumer, positions, newest)
            except BrokerUnavailable as away:
                output.note(f"{away} Waiting for it.")
                _close(consumer)
                consumer = None
                wait_seconds(_TRY_AGAIN_SECONDS)
    finally:
        _close(consumer)


def _positioned(settings: "Settings", positions: dict[int, int], *, from_beginning: bool) -> "KafkaConsumer":
    """A consumer of all partitions, at the given positions, else at the beginning or the end."""
    from kafka import TopicPartition

    from saphan_infra.kafka_client import broker_errors, consumer
    from saphan_infra.kafka_security import kafka_python_security
    from saphan_schemas.topics import ENROLMENT_ALERTS, TOPICS

    reader = consumer(settings.bootstrap, None, security=kafka_python_security(settings))
    partitions = [TopicPartition(ENROLMENT_ALERTS, number) for number in range(TOPICS[ENROLMENT_ALERTS].partitions)]
    with broker_errors(settings.bootstrap):
        reader.assign(partitions)
        starts = reader.beginning_offsets(partitions) if from_beginning else reader.end_offsets(partitions)
        for partition in partitions:
            reader.seek(partition, max(positions.get(partition.partition, 0), starts[partition]))
    return reader


def _polled(
    settings: "Settings", reader: "KafkaConsumer", positions: dict[int, int], newest: dict[str, int]
) -> Iterator[dict[str, Any]]:
    from saphan_infra.kafka_client import broker_errors
    from saphan_schemas.codec import Codec, UndecodableMessage
    from saphan_schemas.topics import ENROLMENT_ALERTS
    from saphan_schemas.values import from_wire

    codec = Codec()
    kinds = codec.catalogue.kinds(ENROLMENT_ALERTS)
    with broker_errors(settings.bootstrap):
        records = [row for rows in reader.poll(timeout_ms=int(_POLL_SECONDS * 1000)).values() for row in rows]
    for record in records:
        positions[record.partition] = record.offset + 1
        try:
            alert = codec.decode(ENROLMENT_ALERTS, record.value)
        except UndecodableMessage as refused:
            output.note(f"{record.topic}[{record.partition}] at {record.offset} is no alert: {refused}")
            continue
        # Messages leave at least once: a repeat has a version that was seen.
        if alert["version"] <= newest.get(alert["alert_id"], -1):
            continue
        newest[alert["alert_id"]] = alert["version"]
        yield {**from_wire(kinds, alert), "told_at": output.time_text(record.timestamp)}


def _close(reader: "KafkaConsumer | None") -> None:
    if reader is not None:
        reader.close(autocommit=False)
