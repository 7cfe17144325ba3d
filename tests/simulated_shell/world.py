"""One simulated world: agencies, broker, databases, all processes of the platform, and what befalls them."""

import asyncio
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

from in_process import KEY
from simulated_shell.broker import Group, SimulatedBroker, SimulatedProducer
from simulated_shell.consumer import Evicted, SimulatedConsumer
from simulated_shell.delivery import SimulatedReceiver, run_file, run_webhook
from simulated_shell.disk import SimulatedDisk
from simulated_shell.faults import CrashPlan, Faults
from simulated_shell.history import CODEC, MESSAGE_BYTES_MAX, Said
from simulated_shell.loop import Crashed, Process, SimulatedLoop
from simulated_shell.store import SimulatedStore

from saphan_infra.clock import now_ms
from saphan_projections.database import DatabaseUnavailable
from saphan_projections.law import default_law
from saphan_projections.offsets import Fenced
from saphan_schemas.topics import ENROLMENT_ALERTS, FEEDS, HEARTBEATS, TOPICS, WORKER_RECORDS
from saphan_schemas.values import parse_time_ms
from saphan_streams.integrate import IntegrateProcessor, IntegrateSettings
from saphan_streams.link import LinkProcessor, LinkSettings
from saphan_streams.relay import Relay
from saphan_streams.shell import Processor, Shell, Unsent
from saphan_streams.transport import Fetch

_TIDY_SECONDS = 2.0
#: How a process may end by itself: thrown out of its group, dead, or delivery without a disk to begin on.
_EXPECTED_ENDS = (Evicted, Crashed, sqlite3.OperationalError)
#: How long a world may take to come to rest after the last fault.
REST_SECONDS_MAX = 400.0


class World:
    """Everything of one run. ``links`` and ``integrates`` say how many places there are for either."""

    def __init__(
        self, draw: random.Random, faults: Faults, stores: tuple[SimulatedStore, SimulatedStore], folder: Path
    ) -> None:
        self.draw = draw
        self.faults = faults
        self.loop = SimulatedLoop(draw, faults.delay_seconds)
        self.link_store, self.state_store = stores
        self.disk = SimulatedDisk(self.loop, faults, folder)
        self.broker = SimulatedBroker(self.loop, faults, now_ms)
        self.receiver = SimulatedReceiver(self.broker)
        self.groups = {"link": Group(self.broker, FEEDS), "integrate": Group(self.broker, [WORKER_RECORDS])}
        self.said: list[Said] = []
        self.positions_of_bad: set[tuple[str, int, int]] = set()
        self.breaking: set[tuple[str, int, int]] = set()
        self.failures: list[str] = []
        self.crash: CrashPlan | None = None
        self.is_crash_reached = False
        self._opportunities = 0
        self._wanted: set[str] = set()
        self._stops: dict[str, asyncio.Event] = {}
        self.chunk_records_max = draw.choice((1, 2, 5, 50))
        for store in stores:
            store.begin(self.loop, faults)
            store.on_statement = self._at_statement
        self.disk.on_statement = self._at_statement
        self.loop.before_step = self._before_step
        self.loop.around_job = self._around_job
        self.loop.on_death = self._after_death
        for group in self.groups.values():
            self.later(0.0, group.watch)

    # -- in --------------------------------------------------------------------------------------------------------

    def publish(self, said: Said) -> None:
        """Append what an agency says."""
        value = said.value
        if said.is_heartbeat and said.row is not None:
            feed = said.row["feed"]
            ends = [{"partition": n, "offset": self.broker.end(feed, n)} for n in range(TOPICS[feed].partitions)]
            until = parse_time_ms(said.row["complete_until"])
            row = {"feed": feed, "complete_until": until, "end_offsets": ends, "sent_at": until}
            value = CODEC.encode(HEARTBEATS, row)
        record = self.broker.append(said.topic, None, said.key, value)
        place = (record.topic, record.partition, record.offset)
        self.said.append(said)
        if said.row is None:
            self.positions_of_bad.add(place)
        if said.breaks:
            self.breaking.add(place)

    # -- processes -------------------------------------------------------------------------------------------------

    def keep_up(self, name: str) -> None:
        """Start a process, and start it again whenever it ends, until :meth:`let_go`."""
        self._wanted.add(name)
        if not any(process.name == name for process in self.loop.processes):
            self._start(name)

    def let_go(self, name: str) -> None:
        """Tell a process to stop, as SIGTERM does, and do not start it again."""
        self._wanted.discard(name)
        self.ask_to_stop(name)

    def ask_to_stop(self, name: str) -> None:
        """As SIGTERM; who is kept up comes again."""
        if name in self._stops:
            self._stops[name].set()

    def running(self) -> list[Process]:
        """The platform's processes that are alive."""
        return [process for process in self.loop.processes if process is not self.loop.world]

    def _start(self, name: str) -> None:
        if name not in self._wanted or any(process.name == name for process in self.loop.processes):
            return
        process = Process(name)
        self._stops[name] = asyncio.Event()
        task = self.loop.start(process, lambda: self._main(name))
        # In the world's name, as the process' own callbacks end with it.
        task.add_done_callback(lambda done: self._ended(process, done), context=self.loop.world.context)

    def _ended(self, process: Process, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, _EXPECTED_ENDS):
            self.failures.append(f"{process.name} ended with {error!r}")
        if process.alive:
            self.loop.kill(process)

    def _after_death(self, process: Process) -> None:
        """What the system and the supervisor do when a process is gone."""
        self.loop.tell(f"{process.name} is gone")
        self.disk.clean_up(process)
        delay = 0.2 + self.draw.random() * (3.0 if self.faults.are_on else 0.3)
        self.later(delay, self._start, process.name)

    def later(self, seconds: float, call: Callable[..., object], *args: object) -> None:
        """Let something happen in the world's own name."""
        self.loop.call_later(seconds, call, *args, context=self.loop.world.context)

    async def _main(self, name: str) -> None:
        if name == "file":
            await run_file(self.broker, self.disk, self._stops[name])
        elif name == "webhook":
            await run_webhook(self.broker, self.disk, self.receiver, self._stops[name])
        elif name.startswith("link"):
            await self._run_link(name)
        else:
            await self._run_integrate(name)

    async def _run_link(self, name: str) -> None:
        settings = LinkSettings(name, MESSAGE_BYTES_MAX, now_ms, _ignore)
        link = LinkProcessor(self.link_store.database, CODEC, settings)
        processor = _Breaking(self, self.link_store, link)
        shell = Shell("link", processor, Relay(SimulatedProducer(self.broker)), lambda: None)
        while not self._stops[name].is_set():
            try:
                await self.loop.run_in_executor(shell.thread, link.become_active)
            except DatabaseUnavailable:
                await asyncio.sleep(0.5 + self.draw.random() * 5)
            else:
                await self._run_role(shell, "link", "saphan-link", name)
                return

    async def _run_integrate(self, name: str) -> None:
        settings = IntegrateSettings(name, KEY, default_law(), now_ms, _ignore)
        integrate = IntegrateProcessor(self.state_store.database, CODEC, settings)
        processor = _Breaking(self, self.state_store, integrate)
        shell = Shell("integrate", processor, Relay(SimulatedProducer(self.broker)), lambda: None)
        await self._run_role(shell, "integrate", name, name)

    async def _run_role(self, shell: Shell, group: str, instance: str, name: str) -> None:
        consumer = SimulatedConsumer(self.broker, self.groups[group], instance, shell, self.chunk_records_max)
        tasks = [asyncio.ensure_future(work) for work in (consumer.run(), _tidy(shell), self._stops[name].wait())]
        # Nothing here cleans up behind a ``finally``: a process that is killed would do it, too.
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        ended = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        consumer.leave()
        await shell.stop()
        for task in ended:
            task.result()

    # -- what befalls them -----------------------------------------------------------------------------------------

    def _before_step(self, process: Process) -> None:
        if process is self.loop.world:
            return
        if self._is_planned(process, "step") or self.faults.happens("crash_at_step"):
            process.die()

    def _at_statement(self, process: Process) -> None:
        if self._is_planned(process, "statement"):
            process.die()

    def _is_planned(self, process: Process, at: str) -> bool:
        plan = self.crash
        if plan is None or self.is_crash_reached or plan.process != process.name or plan.at != at:
            return False
        self._opportunities += 1
        self.is_crash_reached = self._opportunities > plan.number
        return self.is_crash_reached

    def _around_job(self, process: Process) -> None:
        if self.faults.happens("stops_around_a_job"):
            self.loop.stop_for(process, self.draw.choice((3.0, 12.0, 20.0, 40.0)))

    # -- to the end ------------------------------------------------------------------------------------------------

    def calm_down(self) -> None:
        """All faults cease."""
        self.faults.are_on = False
        self.broker.away_until = self.receiver.away_until = 0.0
        self.link_store.away_until = self.state_store.away_until = 0.0
        for process in self.loop.processes:
            process.resumes_at = 0.0

    def what_is_left(self) -> str | None:
        """What still has to happen before the world is at rest; None: nothing."""
        if self.broker.under_way:
            return f"{self.broker.under_way} batches are under way"
        for store, app, topics in (
            (self.link_store, "link", FEEDS),
            (self.state_store, "integrate", (WORKER_RECORDS,)),
        ):
            at = {(row[0], row[1]): row[2] for row in store.look(
                "SELECT topic, partition, next_offset FROM source_offset WHERE app = ?", (app,)
            )}  # fmt: skip
            for topic in topics:
                for number in range(TOPICS[topic].partitions):
                    if at.get((topic, number), 0) != self.broker.end(topic, number):
                        return f"{app} is at {at.get((topic, number))} of {topic}[{number}], not at its end"
            if store.look("SELECT 1 FROM outbox"):
                return f"the outbox of {app} is not empty"
        return self._what_is_undelivered()

    def _what_is_undelivered(self) -> str | None:
        ends = {number: self.broker.end(ENROLMENT_ALERTS, number) for number in range(2)}
        for sink in ("file", "webhook"):
            rows = self.disk.look(sink, "SELECT partition, next_offset FROM positions")
            if dict(rows) != {number: end for number, end in ends.items() if end}:
                return f"delivery to the {sink} is at {rows} of {ends}"
            if self.disk.look(sink, "SELECT 1 FROM waiting"):
                return f"something waits for the {sink}"
        return None


async def _tidy(shell: Shell) -> None:
    """As the application does it: every two seconds, and it leaves when another one is active."""
    while True:
        await asyncio.sleep(_TIDY_SECONDS)
        try:
            await shell.tidy()
        except Fenced:
            return


def _ignore(_: object) -> None:
    return


class _Breaking:
    """A processor whose code breaks on some messages, in the middle of the transaction."""

    def __init__(self, world: World, store: SimulatedStore, processor: Processor) -> None:
        self._world = world
        self._store = store
        self._commit = processor.commit
        self.resume, self.positions, self.reset = processor.resume, processor.positions, processor.reset
        self.tidy, self.release = processor.tidy, processor.release

    def commit(self, fetch: Fetch, sent: set[int], poison: str | None) -> Unsent | None:
        places = {(*chunk.place, record.offset) for chunk in fetch for record in chunk.records}
        if poison is None and places & self._world.breaking:
            self._store.breaks_after = self._world.draw.randrange(25)
        try:
            return self._commit(fetch, sent, poison)
        finally:
            self._store.breaks_after = None
