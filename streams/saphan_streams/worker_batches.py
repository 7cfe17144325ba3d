"""How link's messages travel to integrate: many in one Kafka message, in columns, since a value costs less than a record."""

import struct
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Any, NamedTuple

from saphan_projections.link_records import LinkMessage
from saphan_projections.naming import named
from saphan_schemas.codec import Codec, UndecodableMessage
from saphan_schemas.topics import WORKER_RECORDS
from saphan_streams.avro_arrays import blobs, booleans, longs, recurring_texts, texts
from saphan_streams.avro_bytes import require_same_bytes

#: A batch ends with the first message that reaches one of these: enough to be worth its way, and soon read again.
_MESSAGES_MAX = 1_000
_PAYLOAD_BYTES_MAX = 262_144
#: Fewer messages are written sooner by the codec, one value after the other.
_BY_COLUMNS_MIN = 150
_link_message = named(LinkMessage)
_PAYLOAD = attrgetter("payload")
#: Numbers of one byte to all ten, texts and payloads with lengths of one byte and of two.
_SAMPLES = (
    LinkMessage("record", 1, -1, 2**20, "a", "b", 1, 2**41, False, 2**63 - 1, 0, 300, 2**56, b"p"),  # noqa: FBT003
    LinkMessage("moved", 2, 2**31, -(2**31), "ก", "b" * 65, 70, 0, True, -(2**63), 1, 5, 2**40, b"p" * 65),  # noqa: FBT003
)
#: How the columns are written that are no numbers.
_OTHERS: Mapping[str, Callable[[Any], bytes]] = {
    "kind": recurring_texts,
    "feed": recurring_texts,
    "record_id": texts,
    "deleted": booleans,
    "payload": blobs,
}
_NUMBERS = tuple([name for name in LinkMessage._fields if name not in _OTHERS])


class BatchPart(NamedTuple):
    """One message of a batch as a Kafka message of its own, with the place of the batch in the log.

    ``part`` is its index in the batch; None when the bytes are no batch, and then this is the whole message.
    """

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    part: int | None


class BatchEncoder:
    """Encodes worker.records.v2. Raises RuntimeError when the schema is no longer the one that is written here."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._header = codec.header(WORKER_RECORDS)
        require_same_bytes(codec, WORKER_RECORDS, _columns(_SAMPLES), self._by_columns(_SAMPLES))

    def batches(self, messages: Sequence[LinkMessage]) -> list[bytes]:
        """Messages of one partition, in order, in the wire format; the same bytes as the codec gives."""
        return [self._encoded(batch) for batch in _cut(messages)]

    def _encoded(self, messages: Sequence[LinkMessage]) -> bytes:
        if len(messages) >= _BY_COLUMNS_MIN:
            try:
                return self._by_columns(messages)
            except (TypeError, ValueError, struct.error):
                pass  # the codec says what is wrong with a value
        return _by_the_codec(self._codec, messages)

    def _by_columns(self, messages: Sequence[LinkMessage]) -> bytes:
        columns = _columns(messages)
        written = dict(zip(_NUMBERS, longs([columns[name] for name in _NUMBERS]), strict=True))
        for name, write in _OTHERS.items():
            written[name] = write(columns[name])
        return b"".join([self._header, *[written[name] for name in LinkMessage._fields]])


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
    return BatchPart(record.offset, record.timestamp, record.key, _by_the_codec(codec, [message]), index)


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


def _by_the_codec(codec: Codec, messages: Sequence[LinkMessage]) -> bytes:
    return codec.encode(WORKER_RECORDS, _columns(messages))


def _columns(messages: Sequence[LinkMessage]) -> dict[str, tuple[Any, ...]]:
    return dict(zip(LinkMessage._fields, zip(*messages, strict=True), strict=True))
