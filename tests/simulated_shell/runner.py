"""What befalls one world: from a seed alone, or one planned crash; and what is wrong with it in the end."""

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from simulated_shell.checks import problems_of, state_of, undisturbed
from simulated_shell.faults import CrashPlan, Faults, some_rates
from simulated_shell.history import Said, history_of
from simulated_shell.loop import Stuck
from simulated_shell.store import SimulatedStore
from simulated_shell.world import REST_SECONDS_MAX, World
from structlog.testing import capture_logs

from saphan_consumers import file_sink
from saphan_infra import clock
from saphan_projections.canonical import StateHash
from saphan_schemas.values import parse_time_ms

_BEGIN_MS = parse_time_ms("2026-10-01T00:00:00Z")
_MEMORY_DISK = Path("/dev/shm")  # noqa: S108 - flushing a file costs nothing there; elsewhere it is only slower
_LOOK_SECONDS = 0.5
_ALWAYS = ("link-a", "integrate-1", "file", "webhook")
_SOMETIMES = ("link-b", "integrate-2", "integrate-3")
_ENDS = ("kill", "stop", "terminate")
_REBALANCES = ("come", "come", "go")
_OUTAGES = ("link away", "state away", "broker away", "deaf")
#: What operators, machines and networks do.
HARMS = (*_ENDS, *_REBALANCES, *_OUTAGES)
#: What befalls one world; some have more of one thing than any mixture would bring.
_MIXTURES = (
    HARMS,
    (*_ENDS, *_ENDS, *_OUTAGES),
    (*_ENDS, *_REBALANCES),
    (*_REBALANCES, *_REBALANCES, "state away", "broker away"),
    _REBALANCES,
)


class Outcome(NamedTuple):
    """What became of a world. ``trace`` is a hash of everything that happened, ``lines`` the same to read."""

    problems: list[str]
    trace: str
    lines: list[str]
    steps: int
    statements: int
    virtual_seconds: float
    happened: dict[str, int]
    is_crash_reached: bool


class Simulator:
    """Runs worlds one after the other, with databases that are made once."""

    def __init__(self) -> None:
        self._stores = SimulatedStore(), SimulatedStore()
        self._reference = SimulatedStore()
        #: What a plain fold of the same messages came to before; nothing of a state depends on their order.
        self._folded: tuple[object, StateHash] | None = None

    def run_seed(self, seed: int, *, keep_lines: bool = False) -> Outcome:
        """A world whose people, faults and order of things follow from the seed."""
        draw = random.Random(seed)
        faults = Faults(draw, some_rates(draw))
        return self._run(draw, faults, lambda world: _befall(world, history_of(seed)), keep_lines)

    def run_crash(self, plan: CrashPlan | None, said: list[Said], *, keep_lines: bool = False) -> Outcome:
        """A quiet world in which one process dies once, as planned."""
        draw = random.Random(0)
        faults = Faults(draw, {})

        def prepare(world: World) -> None:
            world.crash = plan
            world.chunk_records_max = 50
            # Two waves, so that a crash may also fall between two chunks of a partition.
            _publish(world, said[: len(said) // 2], 0.05)
            world.later(0.5, _publish, world, said[len(said) // 2 :], 0.05)
            for name in _ALWAYS:
                world.keep_up(name)
            world.later(0.6, world.calm_down)

        return self._run(draw, faults, prepare, keep_lines)

    def _run(self, draw: random.Random, faults: Faults, prepare: Callable[[World], None], keep_lines: bool) -> Outcome:
        with tempfile.TemporaryDirectory(dir=_MEMORY_DISK if _MEMORY_DISK.is_dir() else None) as folder:
            world = World(draw, faults, self._stores, Path(folder))
            lines = world.loop.keep_trace() if keep_lines else []
            with _in_place_of_the_real(world), capture_logs():
                prepare(world)
                problems = _run_to_rest(world)
                world.link_store.end()
                world.state_store.end()
                if not problems:
                    problems = problems_of(world)
                if not problems:
                    problems = self._against_a_plain_fold(world)
            for process in world.running():
                world.loop.kill(process)
            world.disk.end()
            world.loop.close()
        return Outcome(
            problems,
            world.loop.trace,
            lines,
            world.loop.steps,
            world.link_store.statements + world.state_store.statements,
            world.loop.time(),
            faults.happened,
            world.is_crash_reached,
        )

    def _against_a_plain_fold(self, world: World) -> list[str]:
        messages = sorted((said.topic, repr(said)) for said in world.said)
        if self._folded is None or self._folded[0] != messages:
            self._reference.begin(world.loop, world.faults)
            self._reference.end()
            self._folded = messages, undisturbed(world, self._reference.database)
        found, expected = state_of(world), self._folded[1]
        return [] if found == expected else [f"the state is {found}, an undisturbed fold gives {expected}"]


@contextmanager
def _in_place_of_the_real(world: World) -> Iterator[None]:
    """The world's clock and disk stand where the platform expects the machine's."""
    loop = world.loop
    times = SimpleNamespace(
        time_ns=lambda: _BEGIN_MS * 1_000_000 + int(loop.time() * 1e9), monotonic=loop.time, sleep=None
    )
    before = vars(clock)["time"], vars(file_sink)["os"]
    vars(clock)["time"], vars(file_sink)["os"] = times, world.disk
    try:
        yield
    finally:
        vars(clock)["time"], vars(file_sink)["os"] = before


def _publish(world: World, said: list[Said], seconds: float) -> None:
    moments = sorted(world.draw.random() * seconds for _ in said)
    for moment, message in zip(moments, said, strict=True):
        world.later(moment, world.publish, message)


def _befall(world: World, said: list[Said]) -> None:
    """The agencies publish, processes come and go, services are away; after a while all of it ends."""
    draw = world.draw
    seconds = draw.choice((2.0, 10.0, 30.0))
    _publish(world, said, seconds)
    for name in _ALWAYS:
        world.keep_up(name)
    for name in _SOMETIMES:
        if draw.random() < 0.5:
            world.later(draw.random() * seconds, world.keep_up, name)
    end = seconds + draw.choice((1.0, 15.0, 30.0))
    kinds = draw.choice(_MIXTURES)
    for _ in range(draw.choice((0, 2, 5, 10, 20))):
        world.later(draw.random() * end, _do_harm, world, draw.choice(kinds))
    world.later(end, world.calm_down)


def _do_harm(world: World, kind: str) -> None:
    """One of the things that operators, machines and networks do."""
    draw, loop = world.draw, world.loop
    process = draw.choice(world.running() or [loop.world])
    loop.tell(f"{kind} {process.name}")
    world.faults.note(kind)
    until = loop.time() + draw.choice((0.5, 4.0, 25.0))
    if kind == "kill" and process is not loop.world:
        loop.kill(process)
    elif kind == "stop" and process is not loop.world:
        loop.stop_for(process, draw.choice((1.0, 11.0, 18.0, 40.0)))
    elif kind == "terminate":
        world.ask_to_stop(process.name)
    elif kind == "come":
        world.keep_up(draw.choice(_SOMETIMES))
    elif kind == "go":
        world.let_go(draw.choice(_SOMETIMES))
    elif kind == "link away":
        world.link_store.away_until = until
    elif kind == "state away":
        world.state_store.away_until = until
    elif kind == "broker away":
        world.broker.away_until = until
    elif kind == "deaf":
        world.receiver.away_until = until


def _run_to_rest(world: World) -> list[str]:
    """Run until nothing is left to do; what is wrong when that does not come."""
    left: list[str | None] = ["it has not begun"]
    calm_at: list[float] = []

    def look() -> None:
        if not world.faults.are_on:
            calm_at.append(world.loop.time())
            left[0] = world.what_is_left()
        if left[0] is not None:
            world.later(_LOOK_SECONDS, look)

    world.later(_LOOK_SECONDS, look)
    try:
        world.loop.run_while(
            lambda: (
                left[0] is not None
                and not world.failures
                and (not calm_at or world.loop.time() < calm_at[0] + REST_SECONDS_MAX)
            )
        )
    except Stuck as stuck:
        return [str(stuck), *world.failures]
    if left[0] is not None and not world.failures:
        return [f"after {REST_SECONDS_MAX:g} s without any fault {left[0]}"]
    return []
