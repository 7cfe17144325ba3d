"""How much of the log one Faust event carries: all that waits and is not to be joined by more, instead of one message.

Stock Faust creates and cancels several asyncio tasks for each message. This transport hands an agent one event for
all that was fetched while it was busy with the last one (:mod:`saphan_streams.waiting`), resumes from the positions
that the application keeps in its own database, and reports to the broker only what was acknowledged, in order.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message
from mode import Service, ServiceT

from saphan_infra.broker_patience import pause_between_tries
from saphan_streams.plain_records import keep_records_plain
from saphan_streams.waiting import Waiting

#: The least that is asked of one partition at a time, so that a fetch is worth its way.
_PARTITION_BYTES_MIN = 65_536
#: How long a fetch waits for the first message, and how often more is fetched while the agent is busy.
_FETCH_SECONDS_MAX = 1.0
_LOOK_SECONDS = 0.05


class Chunk(NamedTuple):
    """Messages of one partition in order, as they come (:mod:`saphan_streams.plain_records`)."""

    topic: str
    partition: int
    records: Sequence[Any]

    @property
    def place(self) -> tuple[str, int]:
        """The topic and the partition."""
        return self.topic, self.partition

    @property
    def next_offset(self) -> int:
        """Where the partition is to be read on after this chunk."""
        return int(self.records[-1].offset) + 1


#: What one event carries: a chunk of each of some partitions. The messages of a partition are in one chunk.
Fetch = tuple[Chunk, ...]

#: Asks the log for the first and the end offset of each assigned partition.
Bounds = Callable[[], Awaitable[Mapping[TP, tuple[int, int]]]]


class Positions(Protocol):
    """Who knows where to resume: called once after each assignment, in the event loop."""

    async def resume(self, partitions: Collection[TP], bounds: Bounds) -> Mapping[TP, int]:
        """The next offset of each assigned partition; ``bounds`` is asked when nobody else can read on any more."""


class Ahead(Protocol):
    """Who can begin with messages that wait for the agent."""

    def send(self, fetched: Mapping[TP, Sequence[Any]]) -> None:
        """These have come and will be handed over later, unless a new assignment comes before; must not wait."""


class ChunkSchema(faust.Schema[Any, Any]):
    """Hands a message on as it came: the fetch is already what the agent wants."""

    def loads_key(self, app: Any, message: Message, **_: Any) -> Any:  # noqa: ARG002 - Faust's signature
        return message.key

    def loads_value(self, app: Any, message: Message, **_: Any) -> Any:  # noqa: ARG002 - as above
        return message.value


def partition_bytes_max(fetch_bytes_max: int, partitions: int) -> int:
    """Each partition's share of a fetch, so that a backlog is read feed beside feed: a worker's records come together."""
    return max(_PARTITION_BYTES_MIN, fetch_bytes_max // partitions)


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    def _create_consumer(self, loop: Any) -> Any:
        keep_records_plain()
        consumer = super()._create_consumer(loop)
        servers = ", ".join(str(url.authority) for url in self.transport.url)
        # The relay shows it only while something is to be sent, and a broker that is away brings nothing to send.
        wait = cast(Any, self.consumer.app).broker_wait
        pause_between_tries(consumer._client, servers, wait)  # noqa: SLF001
        # What an agency's transaction took back was never said; Faust has no setting for it.
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        return consumer


class ChunkConsumer(driver.Consumer):
    """Faust's aiokafka consumer with one event a fetch and positions of the application's own."""

    app: Any  # saphan_streams.app.ChunkApp, which imports this module

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._agent_is_free = asyncio.Event()

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        stopping = cast(Service, fetcher)
        try:
            await self._drain(stopping)
        except asyncio.CancelledError:
            # Faust takes a fetcher that is cancelled during a rebalance for one that crashed; it was told to stop.
            if not stopping.should_stop:
                raise

    async def _drain(self, fetcher: Service) -> None:
        app = self.app
        waiting = Waiting(app.chunk_records_max, app.chunk_bytes_max, for_senders=app.waits_for_senders)
        generation = app.consumer_generation_id
        while not (self.should_stop or fetcher.should_stop):
            await self.sleep(0)
            if waiting.has_room:
                try:
                    fetched, _ = await self._wait_next_records(0.0 if waiting.count else _FETCH_SECONDS_MAX)
                except self.consumer_stopped_errors:
                    if app.should_stop:
                        return
                    raise
                if app.consumer_generation_id != generation:
                    waiting.clear()
                    generation = app.consumer_generation_id
                waiting.add(fetched or {}, asyncio.get_running_loop().time())
                if app.ahead is not None and self._is_agent_busy():
                    app.ahead.send(fetched or {})
            if waiting.count:
                await self._hand_over(waiting, generation)

    async def _hand_over(self, waiting: Waiting, generation: int) -> None:
        """Make what waits an event, or wait a moment for the agent or for more of it."""
        if self._is_agent_busy():
            await self._until_agent_is_free()
        elif group := waiting.take(asyncio.get_running_loop().time()):
            if not await self._deliver(group, generation):
                waiting.clear()
        else:
            await self.sleep(_LOOK_SECONDS)

    def _is_agent_busy(self) -> bool:
        # Faust keeps weak references only: a message that it dropped in a rebalance is not among them any more.
        return any(not message.acked for message in self._unacked_messages)

    async def _until_agent_is_free(self) -> None:
        """Wait until it has finished, but no longer than it takes until more may have come."""
        self._agent_is_free.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._agent_is_free.wait(), _LOOK_SECONDS)

    async def _deliver(self, group: Sequence[tuple[TP, Sequence[Any]]], generation: int) -> bool:
        """Hand one group to the agent; False when its partitions may have been taken away meanwhile."""
        if not self.flow_active or self.app.consumer_generation_id != generation:
            return False
        chunks = []
        for tp, fetched in group:
            expected, piece = self._read_offset[tp], fetched
            if expected is not None and piece[0].offset < expected:
                # Fetched before a seek: the same messages come again from the sought position.
                piece = [record for record in piece if record.offset >= expected]
            if piece:
                self._read_offset[tp] = piece[-1].offset + 1
                chunks.append(Chunk(tp.topic, tp.partition, piece))
        if chunks:
            await self.callback(self._fetch_message(tuple(chunks)))
        return True

    def _fetch_message(self, fetch: Fetch) -> ConsumerMessage:
        first = fetch[0]
        last = first.records[-1]
        return ConsumerMessage(
            first.topic,
            first.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            None,
            None,
            cast(Any, fetch),  # ChunkSchema hands it on as it is
            None,
            None,
            None,
            TP(first.topic, first.partition),
            generation_id=self.app.consumer_generation_id,
        )

    def finished(self, fetch: Fetch) -> None:
        """The agent is done with an event; Faust acknowledges it by its first chunk, this does it for the others.

        The agent says so itself: Faust's compiled stream acknowledges without asking its consumer.
        """
        for chunk in fetch[1:]:
            self._acked[TP(chunk.topic, chunk.partition)].append(chunk.next_offset - 1)
        self._agent_is_free.set()

    def _new_offset(self, tp: TP) -> int | None:
        # One agent works through the fetches in order, so the highest acknowledged offset has no gap before it.
        acked = self._acked[tp]
        if not acked:
            return None
        newest = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return newest + 1

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every assigned partition to the position that the application's database holds."""
        assigned = self.assignment()
        if not assigned:
            return {}

        async def bounds() -> Mapping[TP, tuple[int, int]]:
            first = await self.earliest_offsets(*assigned)
            ends = await self.highwaters(*assigned)
            return {TP(tp.topic, tp.partition): (first[tp], ends[tp]) for tp in assigned}

        positions: Mapping[TP, int] = await self.app.positions.resume(assigned, bounds)
        await self.seek_wait(positions)
        return positions


class Transport(driver.Transport):
    """The transport behind broker URLs of the form ``saphan://host:port``."""

    Consumer = ChunkConsumer
    default_port = 9092
