"""Which workers are simulated together, and by how many processes: the bytes that come out are the same for any number."""

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from saphan_simulation.book import Event, Record
from saphan_simulation.spool import Spool
from saphan_simulation.tally import Tally
from saphan_simulation.truth import Results
from saphan_simulation.world import Plan, World, WorldError

#: Workers of one block: their events are sorted in memory, and each block is one run of the merge.
BLOCK_WORKERS = 10_000
_BLOCKS_PER_JOB_MIN = 4

#: (moment in ms, topic, record) → a line of a spool.
Line = Callable[[int, str, Record], bytes]


class Written(NamedTuple):
    """Files about some workers: the truth, the expected alerts, and those who share a number with others."""

    truth: Path
    expected: Path
    sharing: Path


class Block(NamedTuple):
    """What came of some workers: sorted runs of events, their count, and, if asked for, what was written of them."""

    workers: int
    runs: list[Path]
    tally: Tally
    written: Written | None


class Task(NamedTuple):
    """Simulate workers ``first`` to ``last`` into ``directory``."""

    plan: Plan
    first: int
    last: int
    directory: Path
    line: Line
    has_results: bool


def tasks(plan: Plan, workers: int, directory: Path, line: Line, *, jobs: int, has_results: bool) -> list[Task]:
    """The blocks of the first so many ``workers``, in order."""
    size = max(1, min(BLOCK_WORKERS, -(-workers // (jobs * _BLOCKS_PER_JOB_MIN))))
    return [
        Task(plan, first, min(first + size - 1, workers), directory / f"block-{first:07d}", line, has_results)
        for first in range(1, workers + 1, size)
    ]


@contextmanager
def simulated(wanted: Sequence[Task], jobs: int) -> Iterator[Iterable[Block]]:
    """The blocks as they become ready, in order, made by ``jobs`` processes (1: by this one)."""
    if jobs == 1 or len(wanted) == 1:
        yield map(_block, wanted)
        return
    # A fresh process for each, not a copy of this one, which may have threads and open connections.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_leave_ctrl_c)
    try:
        yield pool.map(_block, wanted)
    except BrokenProcessPool as error:
        message = f"one of {jobs} processes ended before its time, perhaps for want of memory; try fewer --jobs"
        raise WorldError(message) from error
    finally:
        pool.shutdown(cancel_futures=True)


def spool_events(spool: Spool, tally: Tally, line: Line, events: Iterable[Event]) -> None:
    """Count the events and take them into the spool."""
    by_feed, add = tally.by_feed, spool.add
    for when_ms, feed, record in events:
        by_feed[feed] += 1
        add(line(when_ms, feed, record))


def _leave_ctrl_c() -> None:
    """Ctrl-C goes to every process of a terminal; only the one that waits for the others answers it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Worlds:
    """The world that this process simulates: made once, as long as the same one is asked for."""

    def __init__(self) -> None:
        self._world: World | None = None

    def of(self, plan: Plan) -> World:
        if self._world is None or self._world.plan != plan:
            self._world = World(*plan)
        return self._world


_WORLDS = _Worlds()


def _block(task: Task) -> Block:
    world = _WORLDS.of(task.plan)
    task.directory.mkdir()
    spool, tally = Spool(task.directory), Tally(world.window)
    written = Written(*(task.directory / name for name in Written._fields)) if task.has_results else None
    with ExitStack() as stack:
        results = None
        if written is not None:
            truth, expected, sharing = (stack.enter_context(path.open("wb")) for path in written)
            results = Results(truth, expected, sharing, world.settlement())
        for number in range(task.first, task.last + 1):
            told = world.worker(number)
            spool_events(spool, tally, task.line, told.events)
            tally.worker(told.life, told.finals)
            if results is not None:
                results.worker(told, tally)
    return Block(task.last - task.first + 1, spool.runs(), tally, written)
