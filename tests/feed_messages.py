"""Messages of the feeds in every state in which they may come, for tests of what reads them."""

from typing import Any

from good_records import good
from hypothesis import strategies as st
from log_record import LogRecord
from varied_records import varied

from saphan_schemas.codec import Codec
from saphan_schemas.topics import HEARTBEATS
from saphan_streams.feed_chunks import FeedChunk
from saphan_streams.transport import Chunk

CODEC = Codec()
#: The largest message that is read in these tests.
BYTES_MAX = 2_000
Message = tuple[bytes | None, bytes | None]


def message_of(topic: str, record: dict[str, Any]) -> Message:
    key: str = record["feed"] if topic == HEARTBEATS else record["record_id"]
    return key.encode(), CODEC.encode(topic, record)


def messages_of(topic: str) -> st.SearchStrategy[Message]:
    key, value = message_of(topic, good(topic))
    assert value is not None
    records = (
        st.just((key, value))
        if topic == HEARTBEATS
        else varied(topic).filter(fits).map(lambda record: message_of(topic, record))
    )
    broken = st.sampled_from([
        (None, value), (b"other", value), (key, None), (key, value[:-1]), (key, b""), (key, b"nonsense"), (None, None),
        (key, b"\x00\x7f\xff\xff\xf0" + value[5:]), (key, value + bytes(BYTES_MAX)), (b"\xff", value),
    ])  # fmt: skip
    return records | records | records | broken


def fits(record: dict[str, Any]) -> bool:
    """Whether a record can be written: its days have 32 bits."""
    days = [value for name, value in record.items() if type(value) is int and name not in {"version", "changed_at"}]
    return all(-(2**31) <= day < 2**31 for day in days)


def brought(read: FeedChunk | None) -> tuple[list[Any], ...]:
    """What a chunk brings, each message's values together, whatever the columns are made of."""
    assert read is not None
    return list(zip(*read.events, strict=True)), read.heartbeats, read.refusals


def chunk_of(topic: str, messages: list[Message]) -> Chunk:
    return Chunk(topic, 3, [
        LogRecord(topic, 3, 100 + at, 70 + at, key, value)
        for at, (key, value) in enumerate(messages)
    ])  # fmt: skip
