"""Which events a benchmark sends: a simulated province in order of publication, and workers whom nobody has met yet."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from saphan_infra.kafka_admin import end_offsets
from saphan_infra.machine import processes_at_once
from saphan_infra.producer import BatchProducer, Message
from saphan_publishers.messages import MessageMaker, heartbeat_maker
from saphan_schemas.topics import HEARTBEATS, RECORD_FEEDS, TOPICS
from saphan_simulation.parameters import load_parameters
from saphan_simulation.simulating import simulate, spooled_events
from saphan_simulation.spool import Spool
from saphan_simulation.wording import spooled_wire
from saphan_simulation.world import World

_BATCH_EVENTS = 20_000
#: What a worker brings in a year, rounded down: enough new workers for a wanted number of events.
_EVENTS_PER_WORKER_MIN = 9

Send = Callable[[int], None]


class Size(NamedTuple):
    """How large the province is. ``events`` is the most that is sent, the earliest first."""

    events: int
    workers: int
    months: int
    seed: int


class Loaded(NamedTuple):
    """What was sent: messages of each feed (heartbeats too), and how many bytes their values have."""

    by_feed: Mapping[str, int]
    value_bytes: int

    @property
    def events(self) -> int:
        """Messages of all feeds."""
        return sum(self.by_feed.values())


class Province:
    """A world with some workers more than are loaded, who arrive later."""

    def __init__(self, size: Size, newcomer_events: int = 0) -> None:
        self.size = size
        newcomers = -(-newcomer_events // _EVENTS_PER_WORKER_MIN)
        self._world = World(load_parameters(), size.seed, size.workers + newcomers, size.months)
        self._newcomer_events = newcomer_events

    def messages(self) -> Iterator[tuple[str, Message]]:
        """(feed, message) of the employers and the first workers, in order of publication."""
        with _scratch() as scratch:
            spool, _ = simulate(
                self._world, scratch, spooled_wire, jobs=processes_at_once(), workers_max=self.size.workers
            )
            yield from _messages(spool, self.size.events)

    def newcomers(self) -> list[tuple[str, Message]]:
        """The same of the workers after those; all at once, since whoever paces them must not wait for a simulation."""
        with _scratch() as scratch:
            spool = Spool(scratch)
            for number in range(self.size.workers + 1, self._world.workers + 1):
                for event in self._world.worker(number).events:
                    spool.add(spooled_wire(*event))
            return list(_messages(spool, self._newcomer_events))

    def newest_heartbeat(self, feed: str) -> dict[str, int] | None:
        """Up to when the simulated agency says that its feed is complete, and when; None when it says nothing."""
        beat = self._world.agencies.newest_heartbeat(feed)
        # Sent in the province's own time: beside this machine's it could speak of the future, which nobody believes.
        return None if beat is None else {"sent_at": beat[0], "complete_until": beat[1]}


@contextmanager
def _scratch() -> Iterator[Path]:
    with TemporaryDirectory(prefix="saphan-bench-") as directory:
        yield Path(directory)


def _messages(spool: Spool, count_max: int) -> Iterator[tuple[str, Message]]:
    makers = {feed: MessageMaker(feed) for feed in RECORD_FEEDS}
    # Heartbeats are the loader's: it knows the offsets.
    records = (event for event in spooled_events(spool) if event[1] != HEARTBEATS)
    for _, feed, record in islice(records, count_max):
        yield feed, makers[feed].message(record)


async def load(bootstrap: str, province: Province, progress: Send) -> Loaded:
    """Send the province's records, then one heartbeat of each feed with its real end offsets. Raises SendFailed."""
    producer = BatchProducer(bootstrap, "saphan-bench-load")
    await producer.start()
    counts: dict[str, int] = {}
    value_bytes = 0
    waiting: dict[str, list[Message]] = {}
    sent = 0
    try:
        for count, (feed, message) in enumerate(province.messages(), 1):
            waiting.setdefault(feed, []).append(message)
            counts[feed] = counts.get(feed, 0) + 1
            value_bytes += len(message.value or b"")
            if count % _BATCH_EVENTS == 0:
                await send_all(producer, waiting)
                waiting = {}
                progress(count)
            sent = count
        await send_all(producer, waiting)
        progress(sent)
        heartbeats = await _heartbeats(bootstrap, province)
        await producer.send(HEARTBEATS, heartbeats, TOPICS[HEARTBEATS].partitions)
        counts[HEARTBEATS] = len(heartbeats)
    finally:
        await producer.stop()
    return Loaded(counts, value_bytes)


async def send_all(producer: BatchProducer, by_feed: Mapping[str, list[Message]]) -> None:
    """Send to several feeds at once; returns when all is acknowledged."""
    await asyncio.gather(*(producer.send(feed, rows, TOPICS[feed].partitions) for feed, rows in by_feed.items()))


async def _heartbeats(bootstrap: str, province: Province) -> list[Message]:
    maker = heartbeat_maker()
    found = []
    for feed in RECORD_FEEDS:
        beat = province.newest_heartbeat(feed)
        if beat is None:
            continue
        ends = await asyncio.to_thread(end_offsets, bootstrap, feed)
        offsets = [{"partition": partition, "offset": offset} for partition, offset in sorted(ends.items())]
        found.append(maker.heartbeat({"feed": feed, **beat, "end_offsets": offsets}))
    return found
