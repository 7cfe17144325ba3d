"""Which messages of a chunk of worker.records.v2 are records, and what becomes of messages that are refused."""

from collections.abc import Callable
from typing import Any, NamedTuple

from saphan_projections.integrating import WorkerRecord
from saphan_projections.kept import HANDED_ON, kept_of, unpack_kept
from saphan_projections.link_records import LinkMessage
from saphan_projections.naming import named
from saphan_projections.offsets import OutgoingMessage
from saphan_projections.worker import Attributes
from saphan_schemas.codec import Codec, UndecodableMessage, schema_id_of
from saphan_schemas.topics import BROKER_MESSAGE_BYTES_MAX, DEAD_LETTERS
from saphan_streams.transport import Chunk
from saphan_streams.worker_batches import BatchPart, messages_of, part_of

#: The broker measures what is sent to it compressed, so that a message may come that fits into no letter.
_LETTER_BYTES_MAX = BROKER_MESSAGE_BYTES_MAX - 65_536
_worker_record = named(WorkerRecord)


class Refusal(NamedTuple):
    """A message that goes to the dead letters. ``detail`` carries no personal data."""

    record: Any
    reason: str
    detail: str


def read_worker_chunk(codec: Codec, chunk: Chunk) -> tuple[list[WorkerRecord], list[Refusal]]:
    """Decode a chunk of worker.records.v2, and what is inside handed on of the agencies' records."""
    events: list[WorkerRecord] = []
    refusals: list[Refusal] = []
    for record in chunk.records:
        try:
            messages = messages_of(codec, record.value)
        except UndecodableMessage as refused:
            refusals.append(Refusal(record, refused.reason, refused.detail))
            continue
        if HANDED_ON.keys() >= {message.feed for message in messages}:
            try:
                inner = [unpack_kept(message.payload) for message in messages]
            except ValueError:
                pass  # which one it is shows below
            else:
                events += map(_worker_record, zip(messages, inner, strict=True))
                continue
        for index, message in enumerate(messages):
            try:
                events.append(WorkerRecord(message, _kept(codec, message)))
            except UndecodableMessage as refused:
                part = part_of(codec, record, index, message)
                refusals.append(Refusal(part, "corrupt_payload", f"{message.feed}: {refused.reason}"))
    return events, refusals


def _kept(codec: Codec, message: LinkMessage) -> Attributes | None:
    """What is handed on of a record. Raises UndecodableMessage."""
    payload = message.payload
    if schema_id_of(payload) is not None:
        # An older link handed on the whole record.
        return kept_of(message.feed, codec.decode(message.feed, payload))
    try:
        kept = unpack_kept(payload)
    except ValueError as error:
        raise UndecodableMessage("corrupt", "the payload is not packed") from error
    if kept is not None and message.feed not in HANDED_ON:
        raise UndecodableMessage("corrupt", "nothing is handed on of such a feed")
    return kept


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
