"""That what a fetch brings becomes groups of chunks without a gap, a repeat or a change of order in a partition."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from faust.types import TP, Message
from log_record import LogRecord, record_at

from saphan_streams.catching_up import headers_of
from saphan_streams.transport import Ahead, Chunk, ChunkConsumer, Fetch

PLACE = TP("a-topic", 0)


class Topics:
    """As much of Faust's conductor as an acknowledgement asks for."""

    def acks_enabled_for(self, topic: str) -> bool:  # noqa: ARG002
        return True


class App:
    """As much of a Faust application as the consumer asks for."""

    consumer_generation_id = 1
    topics = Topics()
    chunk_records_max = chunk_bytes_max = 1_000
    waits_for_senders = False
    ahead: Ahead | None = None


class Consumer(ChunkConsumer):
    """The consumer without a broker: only how it hands chunks over and what it reports."""

    def __init__(self) -> None:
        self.app = App()
        self.flow_active = True
        self._read_offset: dict[TP, int | None] = defaultdict(lambda: None)
        self._acked: dict[TP, list[int]] = defaultdict(list)
        self._acked_index: dict[TP, set[int]] = defaultdict(set)
        self._committed_offset: dict[TP, int | None] = defaultdict(lambda: None)
        self._unacked_messages: set[Message] = set()
        self._agent_is_free = asyncio.Event()
        self.delivered: list[Chunk] = []
        self.messages: list[Message] = []

    async def callback(self, message: Message) -> None:
        self.messages.append(message)
        assert isinstance(message.value, tuple)
        self.delivered += message.value

    def deliver(self, rows: Sequence[Any], generation: int = 1) -> bool:
        return self.deliver_group([(PLACE, rows)], generation)

    def deliver_group(self, group: Sequence[tuple[TP, Sequence[Any]]], generation: int = 1) -> bool:
        return asyncio.run(self._deliver(group, generation))

    @property
    def offsets(self) -> list[int]:
        return [record.offset for chunk in self.delivered for record in chunk.records]


def rows(*offsets: int) -> list[LogRecord]:
    return [record_at(offset) for offset in offsets]


class Busy(Consumer):
    """Fetches as they are handed in, and an agent that is done with an event when the test says so."""

    should_stop = False
    consumer_stopped_errors = ()

    def __init__(self, *fetches: dict[TP, list[LogRecord]]) -> None:
        super().__init__()
        self.app.chunk_records_max, self.app.chunk_bytes_max = 5, 1_000
        self.fetches = list(fetches)

    async def sleep(self, n: Any) -> None:
        await asyncio.sleep(n)

    async def _wait_next_records(self, seconds: float) -> tuple[dict[TP, list[LogRecord]], None]:
        await asyncio.sleep(seconds / 100)
        return (self.fetches.pop(0) if self.fetches else {}), None

    async def callback(self, message: Message) -> None:
        self._unacked_messages.add(message)
        await super().callback(message)

    def done(self) -> None:
        message = self.messages[-1]
        message.acked = True
        self.finished(cast(Fetch, message.value))

    def events(self) -> list[list[int]]:
        fetches = [cast(Fetch, message.value) for message in self.messages]
        return [[row.offset for chunk in fetch for row in chunk.records] for fetch in fetches]


async def draining(consumer: Busy, *steps: Callable[[], object]) -> None:
    """Let it fetch, with these steps in between."""
    task = asyncio.create_task(consumer._drain(consumer))
    for step in steps:
        await asyncio.sleep(0.2)
        step()
    await asyncio.sleep(0.2)
    consumer.should_stop = True
    await task


def test_what_comes_while_the_agent_is_busy_is_one_event_up_to_the_limits() -> None:
    consumer = Busy({PLACE: rows(0)}, {PLACE: rows(1, 2)}, {PLACE: rows(3)}, {PLACE: rows(4, 5, 6)}, {PLACE: rows(7)})
    asyncio.run(draining(consumer, lambda: None))
    assert consumer.events() == [[0]]
    assert consumer.fetches == [{PLACE: rows(7)}], "what is full is not made fuller"
    consumer = Busy({PLACE: rows(0)}, {PLACE: rows(1, 2)}, {PLACE: rows(3)}, {PLACE: rows(4, 5, 6)}, {PLACE: rows(7)})
    asyncio.run(draining(consumer, consumer.done, consumer.done))
    assert consumer.events() == [[0], [1, 2, 3, 4, 5], [6, 7]]


def behind(offset: int, messages: int) -> LogRecord:
    return record_at(offset, headers=headers_of(messages))


def test_what_a_sender_that_is_behind_sends_waits_for_more() -> None:
    consumer = Busy({PLACE: [behind(0, 80_000)]}, {PLACE: [behind(1, 60_000)]}, {PLACE: [behind(2, 50_000)]})
    consumer.app.waits_for_senders = True
    asyncio.run(draining(consumer, lambda: None, lambda: None))
    assert consumer.events() == [[0, 1, 2]]


def test_what_waits_for_a_sender_is_handed_over_when_it_is_enough() -> None:
    consumer = Busy(*[{PLACE: [behind(offset, 80_000)]} for offset in range(7)])
    consumer.app.waits_for_senders = True
    asyncio.run(draining(consumer, lambda: None, lambda: None))
    assert consumer.events() == [[0, 1, 2, 3, 4]]


def test_no_agency_can_hold_up_its_feed_by_saying_that_it_is_behind() -> None:
    consumer = Busy({PLACE: [behind(0, 80_000)]}, {PLACE: [behind(1, 80_000)]})
    asyncio.run(draining(consumer, consumer.done))
    assert consumer.events() == [[0], [1]]


class Told:
    """Notes what it is to begin with."""

    def __init__(self) -> None:
        self.offsets: list[int] = []

    def send(self, fetched: Mapping[TP, Sequence[LogRecord]]) -> None:
        self.offsets += [row.offset for records in fetched.values() for row in records]


def test_somebody_can_begin_with_what_comes_while_the_agent_is_busy_and_with_nothing_else() -> None:
    consumer, told = Busy({PLACE: rows(0)}, {PLACE: rows(1, 2)}, {PLACE: rows(3)}), Told()
    consumer.app.ahead = told
    asyncio.run(draining(consumer, consumer.done, consumer.done, lambda: consumer.fetches.append({PLACE: rows(4)})))
    assert consumer.events() == [[0], [1, 2, 3], [4]]
    assert told.offsets == [1, 2, 3]


def test_what_waits_is_forgotten_with_its_assignment() -> None:
    """It comes again from the position that the next one seeks to; handed over as well, it would be there twice."""
    consumer = Busy({PLACE: rows(0)}, {PLACE: rows(1, 2)})

    def rebalance() -> None:
        consumer.app.consumer_generation_id = 2
        consumer._read_offset[PLACE] = 1
        consumer.fetches.append({PLACE: rows(1, 2, 3)})
        consumer.messages[-1].acked = True

    asyncio.run(draining(consumer, rebalance, consumer.done))
    assert consumer.events() == [[0], [1, 2, 3]]


def test_an_event_that_faust_dropped_does_not_hold_up_what_waits() -> None:
    consumer = Busy({PLACE: rows(0)}, {PLACE: rows(1)})
    asyncio.run(draining(consumer, consumer._unacked_messages.clear))
    assert consumer.events() == [[0], [1]]


def test_a_chunk_carries_its_place_and_where_to_read_on_also_after_a_gap() -> None:
    """Compaction and transactions leave offsets out."""
    consumer = Consumer()
    assert consumer.deliver(rows(3, 4, 9))
    (chunk,) = consumer.delivered
    assert (chunk.topic, chunk.partition, chunk.next_offset) == ("a-topic", 0, 10)
    assert consumer.messages[0].offset == 9
    assert consumer.deliver(rows(17))
    assert consumer.offsets == [3, 4, 9, 17]


def test_what_was_fetched_before_a_seek_is_trimmed_and_not_handed_over_twice() -> None:
    consumer = Consumer()
    consumer._read_offset[PLACE] = 5
    assert consumer.deliver(rows(3, 4, 5, 6))
    assert consumer.deliver(rows(4, 5))
    assert consumer.deliver(rows(6, 7, 8))
    assert consumer.offsets == [5, 6, 7, 8]


def test_a_seek_backwards_delivers_again() -> None:
    consumer = Consumer()
    consumer.deliver(rows(1, 2, 3))
    consumer._read_offset[PLACE] = 2
    consumer.deliver(rows(2, 3))
    assert consumer.offsets == [1, 2, 3, 2, 3]


def test_what_was_fetched_for_an_older_assignment_is_left_alone() -> None:
    consumer = Consumer()
    assert not consumer.deliver(rows(0, 1), generation=0)
    consumer.flow_active = False
    assert not consumer.deliver(rows(0, 1))
    assert consumer.delivered == []
    assert consumer._read_offset[PLACE] is None


def test_what_is_reported_to_the_broker_is_after_the_last_acknowledged_chunk_and_only_once() -> None:
    consumer = Consumer()
    assert consumer._new_offset(PLACE) is None
    consumer._acked[PLACE] += [9, 17]
    consumer._acked_index[PLACE] |= {9, 17}
    assert consumer._new_offset(PLACE) == 18
    assert consumer._new_offset(PLACE) is None
    assert consumer._acked_index[PLACE] == set()


def test_what_one_fetch_brought_of_several_partitions_is_one_event_and_is_acknowledged_together() -> None:
    other = TP("b-topic", 1)
    consumer = Consumer()
    consumer._read_offset[PLACE] = 5
    assert consumer.deliver_group([(PLACE, rows(3, 4)), (other, rows(7, 9))])
    assert consumer.deliver_group([(PLACE, rows(5, 6)), (other, rows(12))])
    trimmed, both = consumer.messages
    assert [chunk.place for chunk in consumer.delivered] == [other, PLACE, other]
    assert trimmed.offset == 9
    assert consumer.ack(both)
    assert isinstance(both.value, tuple)
    consumer.finished(both.value)
    assert (consumer._new_offset(PLACE), consumer._new_offset(other)) == (7, 13)
    assert consumer._new_offset(other) is None
