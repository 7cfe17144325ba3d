"""How a whole province is simulated, by one process or several, and its events are put in order of publication.

The same plan gives the same events and the same bytes, however many processes there are.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Literal

from saphan_schemas.topics import EMPLOYER_PAIRS
from saphan_simulation.blocks import Line, simulated, spool_events, tasks
from saphan_simulation.book import Event
from saphan_simulation.parameters import Parameters
from saphan_simulation.spool import Spool
from saphan_simulation.tally import Tally
from saphan_simulation.truth import settle_sharing
from saphan_simulation.wording import json_record, parsed, spooled_wire, unspooled
from saphan_simulation.world import DEFAULT_START, World

TRUTH_FILE = "truth.jsonl"
EXPECTED_FILE = "expected-alerts.jsonl"
_COPY_BYTES = 1 << 20

Form = Literal["json", "wire"]
#: Told (what is being done, how far, of how many).
Progress = Callable[[str, int, int], None]


def silent(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody wants to hear of."""


def simulate(
    world: World,
    scratch: Path,
    line: Line,
    *,
    results: Path | None = None,
    jobs: int = 1,
    workers_max: int | None = None,
    progress: Progress = silent,
) -> tuple[Spool, Tally]:
    """All events in a spool, as ``line`` words them; truth and expected alerts as files in the directory ``results``.

    ``workers_max`` leaves out the workers after the first so many.
    """
    spool, tally = Spool(scratch), Tally(world.window)
    count = world.workers if workers_max is None else min(workers_max, world.workers)
    wanted = tasks(world.plan, count, scratch, line, jobs=jobs, has_results=results is not None)
    with simulated(wanted, jobs) as blocks, ExitStack() as stack:
        _spool_employers(world, spool, tally, line)
        spool_events(spool, tally, line, world.heartbeat_events())
        files = None
        if results is not None:
            files = [stack.enter_context((results / name).open("wb")) for name in (TRUTH_FILE, EXPECTED_FILE)]
        sharing = []
        done = 0
        for block in blocks:
            spool.adopt(block.runs)
            tally.add(block.tally)
            done += block.workers
            progress("workers simulated", done, count)
            if files is not None and block.written is not None:
                _move(block.written.truth, files[0])
                _move(block.written.expected, files[1])
                sharing.append(block.written.sharing)
        if files is not None:
            settle_sharing(sharing, files[1], world.settlement(), tally)
    return spool, tally


def _spool_employers(world: World, spool: Spool, tally: Tally, line: Line) -> None:
    for number in range(len(world.employers)):
        events = world.employer(number)
        tally.branches_paired += len({record["record_id"] for _, feed, record in events if feed == EMPLOYER_PAIRS})
        spool_events(spool, tally, line, events)


def events_in_order(world: World) -> Iterator[Event]:
    """Every event of the province in order of publication; sorting takes temporary files."""
    with TemporaryDirectory(prefix="saphan-simulation-") as directory:
        spool, _ = simulate(world, Path(directory), spooled_wire)
        yield from spooled_events(spool)


def spooled_events(spool: Spool) -> Iterator[Event]:
    """The events of a spool of :func:`spooled_wire` lines, in order."""
    for line in spool.lines():
        when_ms, topic, text = unspooled(line)
        yield when_ms, topic, parsed(text)


def generate(
    parameters: Parameters,
    seed: int,
    workers: int,
    months: int,
    *,
    start: date = DEFAULT_START,
    form: Form = "json",
    in_order: bool = True,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(topic, record) of every event: in order of publication, or (``in_order`` false) worker by worker and faster.

    ``form`` "wire" gives dates as days and times as ms, as the codec takes them (a heartbeat's ``end_offsets`` is for
    the publisher to add). Memory is bounded; sorting takes temporary files. Raises WorldError.
    """
    world = World(parameters, seed, workers, months, start)
    if in_order:
        moved = ((topic, record) for _, topic, record in events_in_order(world))
    else:
        moved = ((topic, record) for _, topic, record in world.events())
    return moved if form == "wire" else ((topic, json_record(topic, record)) for topic, record in moved)


def live(
    parameters: Parameters,
    seed: int,
    workers: int,
    months: int,
    *,
    start: date = DEFAULT_START,
    skip: int = 0,
    form: Form = "json",
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(moment of publication in ms, topic, record) in order of time, heartbeats among them.

    The same arguments give the same events, so a second run continues with ``skip`` = events already sent.
    Raises WorldError.
    """
    world = World(parameters, seed, workers, months, start)
    for when_ms, topic, record in islice(events_in_order(world), skip, None):
        yield when_ms, topic, record if form == "wire" else json_record(topic, record)


def _move(part: Path, whole: IO[bytes]) -> None:
    with part.open("rb") as file:
        shutil.copyfileobj(file, whole, _COPY_BYTES)
    part.unlink()
