"""Which files a simulation leaves: the feeds, the truth, the expected alerts and the report."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, Any

import orjson

from saphan_schemas.topics import CONTRIBUTIONS
from saphan_simulation.book import Event, Final
from saphan_simulation.dates import iso_day, iso_time
from saphan_simulation.employers import employer_id
from saphan_simulation.joining import generic_numbers
from saphan_simulation.life import Life
from saphan_simulation.settlement import Settlement
from saphan_simulation.spool import Spool
from saphan_simulation.tally import Tally
from saphan_simulation.wording import FEEDS, spooled_json, unspooled
from saphan_simulation.world import World

TRUTH_FILE = "truth.jsonl"
EXPECTED_FILE = "expected-alerts.jsonl"
REPORT_FILE = "report.json"
_WRITTEN = (*[f"{feed}.jsonl" for feed in FEEDS], TRUTH_FILE, EXPECTED_FILE, REPORT_FILE)
_BATCH_LINES = 2000

#: Told (what is being done, how far, of how many).
Progress = Callable[[str, int, int], None]


class OutputError(ValueError):
    """A directory that cannot be written to. The text says what was found and what to do."""


def write_world(
    world: World, directory: Path, *, force: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Simulate ``world`` into ``directory`` and return the report that is also written there.

    With ``force`` the files of an earlier simulation are replaced; other files stay. Raises OutputError.
    """
    tell = progress or _silent
    _prepare(directory, force=force)
    with _scratch(directory) as scratch:
        spool = Spool(scratch)
        tally = Tally(world.window)
        _spool(spool, tally, world.employer_events())
        with (directory / TRUTH_FILE).open("wb") as truth, (directory / EXPECTED_FILE).open("wb") as expected:
            _simulate(world, spool, tally, _Results(truth, expected, world.settlement(), tally), tell)
        _spool(spool, tally, world.heartbeat_events())
        _write_feeds(spool, directory, sum(tally.by_feed.values()), tell)
    report = _report(world, tally)
    (directory / REPORT_FILE).write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    return report


class _Results:
    """Writes truth and expected alerts, worker by worker.

    Who shares a number with others waits until the end, because only then it is known whether it is an office's.
    """

    def __init__(self, truth: IO[bytes], expected: IO[bytes], settlement: Settlement, tally: Tally) -> None:
        self._truth = truth
        self._expected = expected
        self._settlement = settlement
        self._tally = tally
        self._waiting: list[tuple[int, list[Final]]] = []

    def worker(self, life: Life, finals: list[Final], *, shares_a_number: bool) -> None:
        self._tally.worker(life, finals)
        self._truth.write(b"".join(_truth_lines(life, finals)))
        # A contribution has one number and no birth date: it neither connects two records nor makes a number generic.
        joining = [final for final in finals if final.feed != CONTRIBUTIONS]
        if shares_a_number:
            self._waiting.append((life.number, joining))
        else:
            self._settle(joining, [life.number] * len(joining), set())

    def finish(self) -> None:
        finals = [final for _, kept in self._waiting for final in kept]
        owners = [number for number, kept in self._waiting for _ in kept]
        self._settle(finals, owners, generic_numbers(finals))

    def _settle(self, finals: list[Final], owners: list[int], generic: set[tuple[str, str]]) -> None:
        for row in self._settlement.expected(finals, owners, generic):
            self._tally.alert(row)
            self._expected.write(orjson.dumps(row) + b"\n")


def _simulate(world: World, spool: Spool, tally: Tally, results: _Results, tell: Progress) -> None:
    for number in range(1, world.workers + 1):
        told = world.worker(number)
        _spool(spool, tally, told.events)
        results.worker(told.life, told.finals, shares_a_number=told.shares_a_number)
        if number % 1000 == 0 or number == world.workers:
            tell("workers simulated", number, world.workers)
    results.finish()


def _spool(spool: Spool, tally: Tally, events: Iterable[Event]) -> None:
    by_feed, add = tally.by_feed, spool.add
    for when_ms, feed, record in events:
        by_feed[feed] += 1
        add(spooled_json(when_ms, feed, record))


def _write_feeds(spool: Spool, directory: Path, count: int, tell: Progress) -> None:
    waiting: dict[str, list[bytes]] = {feed: [] for feed in FEEDS}
    for feed in FEEDS:
        (directory / f"{feed}.jsonl").write_bytes(b"")
    for place, line in enumerate(spool.lines(), 1):
        _, feed, text = unspooled(line)
        lines = waiting[feed]
        lines.append(text)
        if len(lines) >= _BATCH_LINES:
            _append(directory, feed, lines)
        if place % 100_000 == 0 or place == count:
            tell("events written", place, count)
    for feed, lines in waiting.items():
        _append(directory, feed, lines)


def _append(directory: Path, feed: str, lines: list[bytes]) -> None:
    with (directory / f"{feed}.jsonl").open("ab") as file:
        file.writelines(lines)
    lines.clear()


def _truth_lines(life: Life, finals: list[Final]) -> Iterator[bytes]:
    worker = f"W{life.number:08d}"
    for final in finals:
        yield b'{"kind":"record","feed":"%b","record_id":"%b","worker":"%b"}\n' % (
            final.feed.encode(), final.record["record_id"].encode(), worker.encode(),
        )  # fmt: skip
    for job in life.jobs:
        row = {
            "kind": "employed",
            "worker": worker,
            "employer_id": employer_id(job.employer),
            "sector": job.sector,
            "start_date": iso_day(job.start_day),
            "end_date": None if job.end_day is None else iso_day(job.end_day),
            "eligible": job.eligible,
        }
        yield orjson.dumps(row) + b"\n"


def _report(world: World, tally: Tally) -> dict[str, Any]:
    employers = world.employers
    complete_until_ms = world.settlement().complete_until_ms
    return {
        "note": "A simulation: every figure follows from the parameters below, most of which are assumptions.",
        "seed": world.seed,
        "workers": world.workers,
        "employers": len(employers),
        "employers_natural_share": round(sum(employers.naturals) / len(employers), 4),
        "employers_with_sso_account": sum(branches > 0 for branches in employers.branches),
        "accounts_paired": len(world.paired),
        "start": iso_day(world.window.start_day),
        "end": iso_day(world.window.end_day),
        "as_of": iso_time(world.window.end_ms),
        "sso_complete_until": None if complete_until_ms is None else iso_time(complete_until_ms),
        **tally.report(world.workers),
        "parameters": world.parameters.report(),
    }


def _prepare(directory: Path, *, force: bool) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()) and not force:
            message = f"{directory} is not empty; give another --out, or --force to replace an earlier simulation there"
            raise OutputError(message)
        for name in _WRITTEN:
            (directory / name).unlink(missing_ok=True)
    except OSError as error:
        message = f"{directory} cannot be written to ({error.strerror}); give --out a directory of your own"
        raise OutputError(message) from error


@contextmanager
def _scratch(directory: Path) -> Iterator[Path]:
    # Beside the result, because the system's temporary directory is often too small for 4 million workers.
    scratch = Path(mkdtemp(prefix=".spool-", dir=directory))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _silent(_what: str, _done: int, _total: int) -> None:
    pass
