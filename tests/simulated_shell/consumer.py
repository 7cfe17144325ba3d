"""How a simulated process reads its partitions: the platform's own transport, without Faust and the network around it.

What Faust does at a rebalance is done here in its order: stop the flow, drop what waits, note the generation, seek
(given up when the next generation comes), let it flow again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from faust.types import TP
from log_record import LogRecord
from simulated_shell.broker import Group, SimulatedBroker
from simulated_shell.loop import OWNER

from saphan_streams.shell import Shell
from saphan_streams.transport import ChunkConsumer

_CHUNKS_WAITING_MAX = 4
_HEARTBEAT_SECONDS = 2.0
_IDLE_SECONDS = 1.0


class Evicted(RuntimeError):
    """Another process has taken the membership over."""


class SimulatedConsumer(ChunkConsumer):
    """One process' consumer and agent. ``instance`` is its name in the group."""

    should_stop = False
    consumer_stopped_errors = ()

    def __init__(self, broker: SimulatedBroker, group: Group, instance: str, shell: Shell, records_max: int) -> None:
        self.process = OWNER.get()
        self._broker = broker
        self._group = group
        self._instance = instance
        self._shell = shell
        self.app = SimpleNamespace(
            chunk_records_max=records_max,
            chunk_bytes_max=100_000,
            waits_for_senders=True,
            ahead=None,
            consumer_generation_id=0,
            positions=shell,
            should_stop=False,
        )
        self.flow_active = False
        self._flows = asyncio.Event()
        self._assigned = asyncio.Event()
        self._generation_seen = 0
        self._mine: set[TP] = set()
        self._fetch_at: dict[TP, int] = {}
        self._read_offset: dict[TP, int | None] = defaultdict(lambda: None)
        self._queue: asyncio.Queue[Any] = asyncio.Queue(_CHUNKS_WAITING_MAX)
        self._acked: dict[TP, list[int]] = defaultdict(list)
        self._unacked_messages: Any = set()
        self._agent_is_free = asyncio.Event()

    async def run(self) -> None:
        """Read until cancelled. Raises Evicted, and whatever the platform's code lets out."""
        self._group.join(self._instance, self)
        tasks = [asyncio.ensure_future(work()) for work in (self._fetch, self._work, self._recover, self._beat)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()

    def leave(self) -> None:
        """Leave the group, at an orderly end."""
        self._stop_flow()
        self._group.leave(self._instance, self)

    # -- what the group asks for -----------------------------------------------------------------------------------

    def revoke(self, generation: int) -> None:
        """A rebalance is under way: hand nothing over any more."""
        if generation < self._generation_seen:
            return
        self._generation_seen = generation
        self._stop_flow()
        self._group.has_rejoined(self._instance, generation)

    def assign(self, generation: int, partitions: set[TP]) -> None:
        """The new partitions, unless a newer rebalance has begun."""
        if generation < self._generation_seen or not self._group.holds(self._instance, self):
            return
        self.app.consumer_generation_id = generation
        self._mine = set(partitions)
        self._assigned.set()

    def _stop_flow(self) -> None:
        self.flow_active = False
        self._flows.clear()
        while not self._queue.empty():
            self._unacked_messages.discard(self._queue.get_nowait())

    # -- the tasks -------------------------------------------------------------------------------------------------

    async def _fetch(self) -> None:
        await self._drain(self)

    async def _work(self) -> None:
        while True:
            message = await self._queue.get()
            if self.flow_active and message.generation_id == self.app.consumer_generation_id:
                await self._shell.handle(message.value)
            self._unacked_messages.discard(message)
            self.finished(message.value)

    async def _recover(self) -> None:
        while True:
            await self._assigned.wait()
            self._assigned.clear()
            generation = self.app.consumer_generation_id
            seeking = asyncio.ensure_future(self._seek_all())
            again = asyncio.ensure_future(self._assigned.wait())
            await asyncio.wait([seeking, again], return_when=asyncio.FIRST_COMPLETED)
            again.cancel()
            if not seeking.done():
                seeking.cancel()
                continue
            seeking.result()
            if generation == self.app.consumer_generation_id and generation >= self._generation_seen:
                self.flow_active = True
                self._flows.set()

    async def _seek_all(self) -> None:
        if self._mine:
            await self.seek_to_committed()
        else:
            await self._shell.resume((), _no_bounds)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            if not self._group.holds(self._instance, self):
                self._stop_flow()
                raise Evicted(self._instance)

    # -- what the transport asks its client for --------------------------------------------------------------------

    async def sleep(self, n: Any) -> None:
        await asyncio.sleep(n)

    async def _wait_next_records(self, _timeout: float) -> tuple[dict[TP, list[LogRecord]], None]:
        await self._flows.wait()
        faults, broker = self._broker.faults, self._broker
        await asyncio.sleep(faults.delay_seconds())
        found: dict[TP, list[LogRecord]] = {}
        if self.flow_active and not broker.is_away:
            for tp in sorted(self._mine):
                start = self._fetch_at.get(tp)
                if start is None or start >= broker.end(tp.topic, tp.partition) or faults.draw.random() < 0.2:
                    continue
                rows = broker.log[tp.topic, tp.partition][start : start + faults.draw.choice((1, 3, 10, 100))]
                self._fetch_at[tp] = rows[-1].offset + 1
                found[tp] = rows
        if not found:
            await asyncio.sleep(_IDLE_SECONDS * faults.draw.random())
        return found, None

    async def callback(self, message: Any) -> None:
        self._unacked_messages.add(message)
        await self._queue.put(message)

    def assignment(self) -> set[TP]:
        return set(self._mine)

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        await asyncio.sleep(self._broker.faults.delay_seconds())
        return dict.fromkeys(partitions, 0)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        await asyncio.sleep(self._broker.faults.delay_seconds())
        return {tp: self._broker.end(*tp) for tp in partitions}

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        for tp, offset in partitions.items():
            if tp in self._mine:
                self._fetch_at[tp] = self._read_offset[tp] = offset


async def _no_bounds() -> Mapping[TP, tuple[int, int]]:
    return {}
