"""How a dead letter goes back to where it came from, and how that is noted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from saphan_cli.dead_letters import RETRIED_AT, RETRY_OF, DeadLetter

if TYPE_CHECKING:
    from saphan_infra.settings import Settings

_TYPE = "th.saphan.retry"


def publish_again(settings: "Settings", letters: Sequence[tuple[DeadLetter, bytes | None, bytes | None]]) -> None:
    """Publish (letter, key, value) each to the letter's topic, then note each as retried.

    A crash in between leaves a retry unmarked, which does no harm: the same record again changes nothing.
    Raises BrokerUnavailable.
    """
    if not letters:
        return
    from saphan_infra.clock import now_ms
    from saphan_infra.kafka_client import broker_errors, producer
    from saphan_infra.kafka_security import kafka_python_security

    bootstrap = settings.bootstrap
    sender = producer(bootstrap, security=kafka_python_security(settings))
    try:
        with broker_errors(bootstrap):
            sent = [_send(sender, letter, key, value, now_ms()) for letter, key, value in letters]
            for outcome in sent:
                outcome.get(timeout=60)
            marked = [_mark(sender, letter, now_ms()) for letter, _, _ in letters]
            for outcome in marked:
                outcome.get(timeout=60)
    finally:
        sender.close(timeout=10)


def _send(sender: Any, letter: DeadLetter, key: bytes | None, value: bytes | None, now: int) -> Any:
    from saphan_infra.producer import partition_of
    from saphan_schemas.topics import TOPICS
    from saphan_schemas.values import format_time_ms

    topic = TOPICS[letter.topic]
    # link chose the partition of its own messages; everybody else's follows from the key.
    partition = partition_of(key, topic.partitions) if topic.role == "feed" else letter.partition
    headers = [
        ("ce_id", f"{letter.letter_id}/retry/{now}".encode()),
        ("ce_source", b"/saphan/dlq"),
        ("ce_type", _TYPE.encode()),
        ("ce_specversion", b"1.0"),
        ("ce_time", format_time_ms(now).encode()),
        (RETRY_OF, letter.letter_id.encode()),
    ]
    return sender.send(letter.topic, key=key, value=value, headers=headers, partition=partition)


def _mark(sender: Any, letter: DeadLetter, now: int) -> Any:
    """Say in the dead letters themselves that this one was retried: the same letter, without its content."""
    from saphan_schemas.codec import Codec
    from saphan_schemas.topics import DEAD_LETTERS

    value = Codec().encode(
        DEAD_LETTERS,
        {
            "stage": letter.stage,
            "reason": letter.reason,
            "detail": letter.detail,
            "topic": letter.topic,
            "partition": letter.partition,
            "offset": letter.offset,
            "refused_at": letter.refused_at,
            "key": None,
            "value": None,
        },
    )
    headers = [(RETRIED_AT, str(now).encode())]
    return sender.send(DEAD_LETTERS, key=letter.letter_id.encode(), value=value, headers=headers)
