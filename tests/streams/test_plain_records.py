"""That messages which are handed on as they were parsed, a batch at a time, are the same as aiokafka's copies of them."""

import asyncio
from itertools import islice
from typing import Any

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from saphan_streams.plain_records import PlainFetch, PlainRecords

PLACE = TopicPartition("a", 0)
COMMON = ("offset", "timestamp", "timestamp_type", "key", "value")

messages = st.tuples(
    st.integers(0, 2**41),
    st.none() | st.binary(max_size=20),
    st.none() | st.binary(max_size=40),
    st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=5)), max_size=2),
)


def batch_of(rows: list[Any], first_offset: int = 0, producer_id: int = -1, kind: int = 0) -> bytes:
    """A batch as it lies in the log; ``kind`` are the bits that make it one of a transaction, or its end."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, producer_id, -1, -1, 1 << 20)
    for offset, (timestamp, key, value, headers) in enumerate(rows):
        assert builder.append(offset, timestamp, key, value, headers) is not None
    batch = builder.build()
    batch[:8] = first_offset.to_bytes(8, "big")
    batch[22] |= kind
    batch[17:21] = calc_crc32c(bytes(batch[21:])).to_bytes(4, "big")
    return bytes(batch)


TRANSACTIONAL, CONTROL = 0x10, 0x20
COMMITTED: Any = (0, b"\0\0\0\1", b"", [])
ABORTED: Any = (0, b"\0\0\0\0", b"", [])


def records_of(kind: type[PartitionRecords], log: bytes, position: int, aborted: Any = None) -> PartitionRecords:
    return kind(PLACE, MemoryRecords(log), aborted, position, None, None, True, READ_COMMITTED)


def fetch_of(kind: type[FetchResult], records: PartitionRecords, position: int) -> tuple[FetchResult, Assignment]:
    """A fetch that waits for a consumer which reads from there."""

    async def assigned() -> Assignment:
        return Assignment([PLACE])

    assignment = asyncio.run(assigned())
    assignment.state_value(PLACE).reset_to(position)
    return kind(PLACE, assignment=assignment, partition_records=records, backoff=0), assignment


def taken(fetch: FetchResult, assignment: Assignment, asked: list[int | None]) -> list[Any]:
    """What a consumer gets that asks for so many messages at a time, and what it then knows, while there are more."""
    found = []
    for most in asked:
        records = [record.offset for record in fetch.getall(most)]
        found.append((records, assignment.state_value(PLACE).position, fetch.has_more()))
        if not fetch.has_more():
            break
    return found


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


@given(st.data())
def test_whatever_is_asked_for_at_a_time_it_is_what_aiokafka_gives(data: st.DataObject) -> None:
    log, offset, aborted = b"", 0, []
    for producer_id in range(data.draw(st.integers(1, 5))):
        rows: list[Any] = [(0, b"k", b"v", [])] * data.draw(st.integers(1, 5))
        ends = data.draw(st.sampled_from([None, COMMITTED, ABORTED]))
        log += batch_of(rows, offset, producer_id, TRANSACTIONAL if ends else 0)
        if ends is ABORTED:
            aborted.append((producer_id, offset))
        offset += len(rows)
        if ends:
            log += batch_of([ends], offset, producer_id, TRANSACTIONAL | CONTROL)
            offset += 1
        offset += data.draw(st.integers(0, 2))  # What compacting left out.
    position = data.draw(st.integers(0, offset))
    asked = data.draw(st.lists(st.none() | st.integers(1, 6), max_size=12))
    stock = fetch_of(FetchResult, records_of(PartitionRecords, log, position, aborted), position)
    plain = fetch_of(PlainFetch, records_of(PlainRecords, log, position, aborted), position)
    assert taken(*plain, asked) == taken(*stock, asked)


def test_messages_in_kafkas_older_format_are_read_as_well() -> None:
    builder = LegacyRecordBatchBuilder(1, 1, 1 << 20)
    for offset in range(5):
        builder.append(offset, timestamp=0, key=b"k", value=b"v")
    batch = builder.build()
    batch[:8] = (4).to_bytes(8, "big")  # The broker writes the last offset there.
    fetch, assignment = fetch_of(PlainFetch, records_of(PlainRecords, bytes(batch), 1), 1)
    assert taken(fetch, assignment, [2, None]) == [([1, 2], 3, True), ([3, 4], 5, False)]


def test_what_was_fetched_before_a_seek_is_not_handed_over() -> None:
    fetch, assignment = fetch_of(PlainFetch, records_of(PlainRecords, batch_of([(0, b"k", b"v", [])] * 5), 0), 0)
    assert taken(fetch, assignment, [2]) == [([0, 1], 2, True)]
    assignment.state_value(PLACE).seek(0)
    assert taken(fetch, assignment, [2]) == [([], 0, False)]


def test_a_batch_that_was_damaged_on_its_way_is_refused() -> None:
    batch = batch_of([(0, b"k", b"value", [])])
    fetch, _ = fetch_of(PlainFetch, records_of(PlainRecords, batch.replace(b"value", b"other"), 0), 0)
    with pytest.raises(CorruptRecordException):
        fetch.getall()
