"""Which messages of a chunk of worker.records.v1 are records, and what becomes of messages that are refused."""

from collections.abc import Callable
from typing import Any, NamedTuple

from saphan_projections.integrating import WorkerRecord
from saphan_projections.link_records import LinkMessage
from saphan_projections.offsets import OutgoingMessage
from saphan_schemas.codec import Codec, UndecodableMessage
from saphan_schemas.topics import BROKER_MESSAGE_BYTES_MAX, DEAD_LETTERS, WORKER_RECORDS
from saphan_streams.transport import Chunk

#: The broker measures what is sent to it compressed, so that a message may come that fits into no letter.
_LETTER_BYTES_MAX = BROKER_MESSAGE_BYTES_MAX - 65_536


class Refusal(NamedTuple):
    """A message that goes to the dead letters. ``detail`` carries no personal data."""

    record: Any
    reason: str
    detail: str


def read_worker_chunk(codec: Codec, payloads: Codec, chunk: Chunk) -> tuple[list[WorkerRecord], list[Refusal]]:
    """Decode a chunk of worker.records.v1, and with ``payloads`` the agencies' records inside."""
    events: list[WorkerRecord] = []
    refusals: list[Refusal] = []
    decoded = codec.decode_many(WORKER_RECORDS, [record.value for record in chunk.records])
    for record, value in zip(chunk.records, decoded, strict=True):
        if isinstance(value, UndecodableMessage):
            refusals.append(Refusal(record, value.reason, value.detail))
            continue
        message = LinkMessage._make(value.values())
        try:
            inner = payloads.decode(message.feed, message.payload) if message.payload else None
        except (UndecodableMessage, KeyError) as refused:
            refusals.append(Refusal(record, "corrupt_payload", f"{message.feed}: {type(refused).__name__}"))
            continue
        events.append(WorkerRecord(message, inner))
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
        key = f"{chunk.topic}-{chunk.partition}-{record.offset}".encode()
        letters.append(OutgoingMessage(DEAD_LETTERS, None, key, value))
    return letters
