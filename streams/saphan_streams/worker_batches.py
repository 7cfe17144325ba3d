"""How link's messages travel to integrate: many in one Kafka message, in columns, since a value costs less than a record."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Any, NamedTuple

from saphan_projections.link_records import LinkMessage
from saphan_projections.naming import named
from saphan_schemas.codec import Codec, UndecodableMessage
from saphan_schemas.topics import WORKER_RECORDS

#: A batch ends with the first message that reaches one of these: enough to be worth its way, and soon read again.
_MESSAGES_MAX = 1_000
_PAYLOAD_BYTES_MAX = 262_144
_link_message = named(LinkMessage)
_PAYLOAD = attrgetter("payload")


class BatchPart(NamedTuple):
    """One message of a batch as a Kafka message of its own, with the place of the batch in the log.

    ``part`` is its index in the batch; None when the bytes are no batch, and then this is the whole message.
    """

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    part: int | None


def batches(codec: Codec, messages: Sequence[LinkMessage]) -> list[bytes]:
    """Messages of one partition of worker.records.v2, in order, in the wire format."""
    return [_encoded(codec, batch) for batch in _cut(messages)]


def messages_of(codec: Codec, value: bytes | None) -> list[LinkMessage]:
    """What a batch holds, in order. Raises UndecodableMessage."""
    columns = codec.decode(WORKER_RECORDS, value)
    try:
        return list(map(_link_message, zip(*columns.values(), strict=True)))
    except ValueError as error:
        detail = "the columns of the batch do not have equally many values"
        raise UndecodableMessage("corrupt", detail) from error


def part_of(codec: Codec, record: Any, index: int, message: LinkMessage) -> BatchPart:
    """One message of the batch in a Kafka message, alone."""
    return BatchPart(record.offset, record.timestamp, record.key, _encoded(codec, [message]), index)


def parts_of(codec: Codec, record: Any) -> list[BatchPart]:
    """Every message of a Kafka message, each alone; bytes that are no batch stay as they are."""
    try:
        messages = messages_of(codec, record.value)
    except UndecodableMessage:
        return [BatchPart(record.offset, record.timestamp, record.key, record.value, None)]
    return [part_of(codec, record, index, message) for index, message in enumerate(messages)]


def _cut(messages: Sequence[LinkMessage]) -> Iterator[Sequence[LinkMessage]]:
    # Payload bytes of all messages up to each one.
    sizes = list(accumulate(map(len, map(_PAYLOAD, messages))))
    start = payload_bytes = 0
    while start < len(messages):
        full = bisect_left(sizes, payload_bytes + _PAYLOAD_BYTES_MAX, start)
        end = min(start + _MESSAGES_MAX, full + 1)
        yield messages[start:end]
        start, payload_bytes = end, sizes[min(end, len(sizes)) - 1]


def _encoded(codec: Codec, messages: Sequence[LinkMessage]) -> bytes:
    return codec.encode(WORKER_RECORDS, dict(zip(LinkMessage._fields, zip(*messages, strict=True), strict=True)))
