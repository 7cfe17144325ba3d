"""Which messages of a chunk of worker.records.v2 are records, and what becomes of messages that are refused."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple, cast

from saphan_projections.integrating import WorkerRecord
from saphan_projections.offsets import OutgoingMessage
from saphan_schemas.codec import Codec, Record, UndecodableMessage
from saphan_schemas.topics import BROKER_MESSAGE_BYTES_MAX, DEAD_LETTERS
from saphan_streams.transport import Chunk
from saphan_streams.worker_batches import BatchPart, messages_of, part_of

#: The broker measures what is sent to it compressed, so that a message may come that fits into no letter.
_LETTER_BYTES_MAX = BROKER_MESSAGE_BYTES_MAX - 65_536
_FEED_AND_PAYLOAD = attrgetter("feed", "payload")


class Refusal(NamedTuple):
    """A message that goes to the dead letters. ``detail`` carries no personal data."""

    record: Any
    reason: str
    detail: str


def read_worker_chunk(codec: Codec, payloads: Codec, chunk: Chunk) -> tuple[list[WorkerRecord], list[Refusal]]:
    """Decode a chunk of worker.records.v2, and with ``payloads`` the agencies' records inside."""
    events: list[WorkerRecord] = []
    refusals: list[Refusal] = []
    for record in chunk.records:
        try:
            messages = messages_of(codec, record.value)
        except UndecodableMessage as refused:
            refusals.append(Refusal(record, refused.reason, refused.detail))
            continue
        inner = payloads.decode_each(map(_FEED_AND_PAYLOAD, messages))
        if UndecodableMessage not in map(type, inner):
            events += map(WorkerRecord, messages, cast(list[Record | None], inner))
            continue
        for index, (message, value) in enumerate(zip(messages, inner, strict=True)):
            if isinstance(value, UndecodableMessage):
                part = part_of(codec, record, index, message)
                refusals.append(Refusal(part, "corrupt_payload", f"{message.feed}: {value.reason}"))
            else:
                events.append(WorkerRecord(message, value))
    return events, refusals


def dead_letters(codec: Codec, stage: str, chunk: Chunk, refusals: list[Refusal]) -> list[OutgoingMessage]:
    """The refused messages, whole where the broker takes them, with reason and origin."""
    encode: Callable[[str, dict[str, Any]], bytes] = codec.encode
    letters = []
    for record, reason, detail in refusals:
        message_key, message_value = record.key, record.value
        if len(message_key or b"") + len(message_value or b"") > _LETTER_BYTES_MAX:
            detail = f"{detail}; too large to be kept here, the message is only at its origin"  # noqa: PLW2901
            message_key, message_value = (message_key or b"")[:1024] or None, None
        value = encode(
            DEAD_LETTERS,
            {
                "stage": stage,
                "reason": reason,
                "detail": detail,
                "topic": chunk.topic,
                "partition": chunk.partition,
                "offset": record.offset,
                "refused_at": record.timestamp,
                "key": message_key,
                "value": message_value,
            },
        )
        place = [chunk.topic, chunk.partition, record.offset]
        if isinstance(record, BatchPart) and record.part is not None:
            place.append(record.part)
        key = "-".join(map(str, place)).encode()
        letters.append(OutgoingMessage(DEAD_LETTERS, None, key, value))
    return letters
