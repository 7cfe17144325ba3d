"""Which files a simulation leaves: the feeds, the truth, the expected alerts and the report."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import orjson

from saphan_schemas.topics import FEEDS
from saphan_simulation.dates import iso_day, iso_time
from saphan_simulation.parameters import as_toml
from saphan_simulation.simulating import EXPECTED_FILE, TRUTH_FILE, Progress, silent, simulate
from saphan_simulation.spool import Spool
from saphan_simulation.tally import Tally
from saphan_simulation.wording import spooled_json, unspooled
from saphan_simulation.world import World

REPORT_FILE = "report.json"
PARAMETERS_FILE = "parameters.toml"
_WRITTEN = (*[f"{feed}.jsonl" for feed in FEEDS], TRUTH_FILE, EXPECTED_FILE, REPORT_FILE, PARAMETERS_FILE)
_BATCH_LINES = 2000
_SCRATCH_PREFIX = ".spool-"


class OutputError(ValueError):
    """A directory that cannot be written to. The text says what was found and what to do."""


def write_world(
    world: World, directory: Path, *, force: bool = False, jobs: int = 1, progress: Progress | None = None
) -> dict[str, Any]:
    """Simulate ``world`` into ``directory`` and return the report that is also written there.

    With ``force`` the files of an earlier simulation are replaced; other files stay. ``jobs`` processes work at once.
    Raises OutputError.
    """
    tell = progress or silent
    prepare(directory, force=force)
    with scratch_beside(directory) as scratch:
        spool, tally = simulate(world, scratch, spooled_json, results=directory, jobs=jobs, progress=tell)
        _write_feeds(spool, directory, sum(tally.by_feed.values()), tell)
    return write_report(world, tally, directory)


def write_report(world: World, tally: Tally, directory: Path) -> dict[str, Any]:
    """Write the report and the parameters, and return the report."""
    report = report_of(world, tally)
    (directory / REPORT_FILE).write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    (directory / PARAMETERS_FILE).write_text(as_toml(world.parameters), encoding="utf-8")
    return report


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


def report_of(world: World, tally: Tally) -> dict[str, Any]:
    """Counts, coverage, and every parameter with its source or as an assumption."""
    employers = world.employers
    complete_until_ms = world.settlement().complete_until_ms(world.window.end_ms)
    return {
        "note": "A simulation: its figures follow from the seed and the parameters below, most of which are assumptions.",
        "seed": world.seed,
        "workers": world.workers,
        "employers": len(employers),
        "employers_natural_share": round(sum(employers.naturals) / len(employers), 4),
        "employers_with_sso_account": sum(branches > 0 for branches in employers.branches),
        "sso_branches_paired": tally.branches_paired,
        "start": iso_day(world.window.start_day),
        "end": iso_day(world.window.end_day),
        "as_of": iso_time(world.window.end_ms),
        "sso_complete_until": None if complete_until_ms is None else iso_time(complete_until_ms),
        **tally.report(world.workers),
        "parameters": world.parameters.report(),
    }


def prepare(directory: Path, *, force: bool) -> None:
    """Make an empty directory for a simulation, or, with ``force``, one without the files of an earlier one.

    Raises OutputError.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()) and not force:
            message = f"{directory} is not empty; give another --out, or --force to replace an earlier simulation there"
            raise OutputError(message)
        for name in _WRITTEN:
            (directory / name).unlink(missing_ok=True)
        # What a simulation left that was killed.
        for left in directory.glob(f"{_SCRATCH_PREFIX}*"):
            shutil.rmtree(left)
    except OSError as error:
        message = f"{directory} cannot be written to ({error.strerror}); give --out a directory of your own"
        raise OutputError(message) from error


@contextmanager
def scratch_beside(directory: Path) -> Iterator[Path]:
    """A directory for temporary files as long as the block lasts."""
    # Beside the result, because the system's temporary directory is often too small for 4 million workers.
    scratch = Path(mkdtemp(prefix=_SCRATCH_PREFIX, dir=directory))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
