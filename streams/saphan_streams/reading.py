"""Which messages of a chunk are records, which are heartbeats and which are refused, and why."""

from collections.abc import Callable
from hashlib import blake2b
from operator import attrgetter
from typing import Any, NamedTuple, cast

from saphan_projections.identity import signature_hash, signature_of
from saphan_projections.integrating import WorkerRecord
from saphan_projections.link_records import FeedRecord
from saphan_projections.link_store import FeedRead, PendingHeartbeat
from saphan_projections.offsets import OutgoingMessage
from saphan_schemas.codec import Codec, Record, UndecodableMessage
from saphan_schemas.rules import problems
from saphan_schemas.topics import BROKER_MESSAGE_BYTES_MAX, DEAD_LETTERS, HEARTBEATS, WORKER_FEEDS
from saphan_streams.transport import Chunk
from saphan_streams.worker_batches import BatchPart, messages_of, part_of

_HEADER_BYTES = 5
#: The broker measures what is sent to it compressed, so that a message may come that fits into no letter.
_LETTER_BYTES_MAX = BROKER_MESSAGE_BYTES_MAX - 65_536
_WORKER_FEEDS = frozenset(WORKER_FEEDS)
_FEED_AND_PAYLOAD = attrgetter("feed", "payload")


class Refusal(NamedTuple):
    """A message that goes to the dead letters. ``detail`` carries no personal data."""

    record: Any
    reason: str
    detail: str


class FeedChunk(NamedTuple):
    """A decoded chunk of one feed partition, or of the heartbeats."""

    events: list[FeedRecord]
    heartbeats: list[PendingHeartbeat]
    refusals: list[Refusal]


def read_feed_chunk(codec: Codec, chunk: Chunk, message_bytes_max: int) -> FeedChunk:
    """Decode and check every message of a feed's chunk; none is lost, whatever is in it."""
    read = FeedChunk([], [], [])
    topic, partition = chunk.topic, chunk.partition
    is_heartbeat, is_worker_feed = topic == HEARTBEATS, topic in _WORKER_FEEDS
    decoded = codec.decode_many(
        topic, [None if _too_large(record, message_bytes_max) else record.value for record in chunk.records]
    )
    for record, value in zip(chunk.records, decoded, strict=True):
        if _too_large(record, message_bytes_max):
            size = record.serialized_value_size
            read.refusals.append(Refusal(record, "too_large", f"{size} bytes, at most {message_bytes_max} are read"))
        elif isinstance(value, UndecodableMessage):
            read.refusals.append(Refusal(record, value.reason, value.detail))
        elif is_heartbeat:
            _read_heartbeat(read, record, value)
        elif record.key is None:
            read.refusals.append(Refusal(record, "no_key", "expected the record_id as the message key, found none"))
        elif record.key != value["record_id"].encode():
            read.refusals.append(Refusal(record, "wrong_key", "the message key is not the record's record_id"))
        elif (wrong := _error(topic, value)) is not None:
            read.refusals.append(Refusal(record, *wrong))
        else:
            payload, deleted = record.value, value["deleted"]
            signature = signature_of(topic, value) if is_worker_feed else None
            content_hash = blake2b(payload[_HEADER_BYTES:], digest_size=8).digest()
            read.events.append(
                FeedRecord(
                    topic,
                    value["record_id"],
                    value["version"],
                    value["changed_at"],
                    int.from_bytes(content_hash, "big", signed=True),
                    deleted,
                    partition,
                    record.offset,
                    record.timestamp,
                    signature,
                    0 if deleted or signature is None else signature_hash(signature),
                    payload,
                )
            )
    return read


def feed_read(chunk: Chunk, read: FeedChunk) -> FeedRead:
    """What a chunk adds to the freshness of its feed partition."""
    changed_at_max = max((event.changed_at for event in read.events), default=0)
    received_at_max = max(record.timestamp for record in chunk.records)
    return FeedRead(*chunk.place, len(chunk.records), len(read.refusals), changed_at_max, received_at_max)


def _too_large(record: Any, message_bytes_max: int) -> bool:
    return bool(record.serialized_value_size > message_bytes_max)


def _error(topic: str, value: dict[str, Any]) -> tuple[str, str] | None:
    for problem in problems(topic, value):
        if problem.severity == "error":
            return f"invalid_{problem.code}", f"field {problem.field}: expected {problem.expected}"
    return None


def _read_heartbeat(read: FeedChunk, record: Any, value: dict[str, Any]) -> None:
    if record.key is None or record.key != value["feed"].encode():
        read.refusals.append(Refusal(record, "wrong_key", "the key of a heartbeat is the feed that it speaks of"))
        return
    wrong = _error(HEARTBEATS, value)
    if wrong is not None:
        read.refusals.append(Refusal(record, *wrong))
        return
    read.heartbeats.append(
        PendingHeartbeat(
            value["feed"], value["complete_until"], record.partition, record.offset, record.timestamp, record.value
        )
    )


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
