"""That a message which is handed on as it was parsed says the same as aiokafka's copy of it."""

from itertools import islice
from typing import Any

from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from saphan_streams.plain_records import PlainRecords

COMMON = ("offset", "timestamp", "timestamp_type", "key", "value")

messages = st.tuples(
    st.integers(0, 2**41),
    st.none() | st.binary(max_size=20),
    st.none() | st.binary(max_size=40),
    st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=2),
)


def batch_of(rows: list[Any]) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for offset, (timestamp, key, value, headers) in enumerate(rows):
        assert builder.append(offset, timestamp, key, value, headers) is not None
    return bytes(builder.build())


def records_of(kind: type[PartitionRecords], batch: bytes, position: int) -> PartitionRecords:
    return kind(TopicPartition("a", 0), MemoryRecords(batch), None, position, None, None, True, 1)


@given(st.lists(messages, min_size=1, max_size=20), st.data())
def test_a_plain_record_says_what_aiokafkas_copy_says(rows: list[Any], data: st.DataObject) -> None:
    batch, position = batch_of(rows), data.draw(st.integers(0, len(rows)))
    stock, plain = records_of(PartitionRecords, batch, position), records_of(PlainRecords, batch, position)
    copies, as_they_came = list(stock), list(plain)
    assert len(as_they_came) == len(copies) == len(rows) - position
    for copy, record in zip(copies, as_they_came, strict=True):
        assert [getattr(record, name) for name in COMMON] == [getattr(copy, name) for name in COMMON]
        assert tuple(record.headers) == copy.headers
    assert plain.next_fetch_offset == stock.next_fetch_offset


def test_a_fetch_that_is_taken_in_pieces_goes_on_where_it_stopped() -> None:
    plain = records_of(PlainRecords, batch_of([(0, b"k", b"v", [])] * 5), 0)
    first = [record.offset for record in islice(plain, 2)]
    assert plain.next_fetch_offset == 2
    assert first + [record.offset for record in plain] == [0, 1, 2, 3, 4]
