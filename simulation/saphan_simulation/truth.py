"""What is true of the simulated workers, and what the platform must say of them: truth and expected alerts as lines."""

import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from saphan_schemas.topics import CONTRIBUTIONS
from saphan_simulation.book import Final
from saphan_simulation.dates import iso_day, iso_time
from saphan_simulation.employers import employer_id
from saphan_simulation.history import Change, histories
from saphan_simulation.joining import Identifier, generic_numbers, identifiers_of
from saphan_simulation.life import Life
from saphan_simulation.settlement import Settlement
from saphan_simulation.tally import Tally
from saphan_simulation.world import Told


class Sharing(NamedTuple):
    """A worker some of whose records carry a number that other people's carry too."""

    worker: int
    finals: list[Final]


class Results:
    """Writes truth and expected alerts of one worker after another.

    Who shares a number with others goes to ``sharing``: only when all are known is it clear whether it is an office's.
    """

    def __init__(self, truth: IO[bytes], expected: IO[bytes], sharing: IO[bytes], settlement: Settlement) -> None:
        self._truth = truth
        self._expected = expected
        self._sharing = sharing
        self._settlement = settlement

    def worker(self, told: Told, tally: Tally) -> None:
        """Write what concerns one worker."""
        life = told.life
        self._truth.write(b"".join(truth_lines(life, told.finals)))
        joining = _joining(told.finals)
        if told.shares_a_number:
            pickle.dump(Sharing(life.number, joining), self._sharing)
            return
        changes = histories(self._settlement, told.events, set())
        for row in self._settlement.expected(joining, [life.number] * len(joining), set()):
            _write_row(self._expected, tally, row, changes.get(row["employment_record_id"]))


def settle_sharing(paths: Sequence[Path], expected: IO[bytes], settlement: Settlement, tally: Tally) -> None:
    """Write the expected alerts of all who share a number with others.

    A number of many people joins nobody. A number of a few joins them, so these few are settled together.
    """
    generic = generic_numbers(final for path in paths for sharing in _read(path) for final in sharing.finals)
    together: list[Sharing] = []
    shared = _shared_by_few(paths, generic)
    for path in paths:
        for sharing in _read(path):
            if any(number in shared for final in sharing.finals for number in identifiers_of(final.record)):
                together.append(sharing)
                continue
            owners = [sharing.worker] * len(sharing.finals)
            for row in settlement.expected(sharing.finals, owners, generic):
                _write_row(expected, tally, row, None)
    finals = [final for sharing in together for final in sharing.finals]
    owners = [sharing.worker for sharing in together for _ in sharing.finals]
    for row in settlement.expected(finals, owners, generic):
        _write_row(expected, tally, row, None)


def truth_lines(life: Life, finals: Sequence[Final]) -> Iterator[bytes]:
    """Whose each record is, who works where, and what happened to the worker."""
    worker = f"W{life.number:08d}"
    for final in finals:
        yield b'{"kind":"record","feed":"%b","record_id":"%b","worker":"%b"}\n' % (
            final.feed.encode(), final.record["record_id"].encode(), worker.encode(),
        )  # fmt: skip
    for row in _happenings(life):
        yield orjson.dumps({"kind": row.pop("kind"), "worker": worker, **row}) + b"\n"


def _happenings(life: Life) -> Iterator[dict[str, Any]]:
    for job in life.jobs:
        yield {
            "kind": "employed",
            "employer_id": employer_id(job.employer),
            "sector": job.sector,
            "start_date": iso_day(job.start_day),
            "end_date": None if job.end_day is None else iso_day(job.end_day),
            "eligible": job.eligible,
        }
    for place, (entry, leave) in enumerate(life.stays):
        identity = life.identity_on(entry)
        yield {
            "kind": "stayed",
            "track": life.track,
            "start_date": iso_day(entry),
            "end_date": None if leave is None else iso_day(leave),
            "new_name": place > 0 and any(from_day == entry for from_day, _ in life.names[1:]),
            "new_passport": place > 0 and any(passport.from_day == entry for passport in life.passports[1:]),
            "nothing_shared": place > 0 and identity.is_apart and identity.from_day == entry,
        }
    for first_day, last_day in life.illnesses:
        yield {"kind": "ill", "start_date": iso_day(first_day), "end_date": iso_day(last_day)}


def _write_row(expected: IO[bytes], tally: Tally, row: dict[str, Any], changes: Sequence[Change] | None) -> None:
    tally.alert(row)
    row["history"] = None if changes is None else [_change_row(change) for change in changes]
    expected.write(orjson.dumps(row) + b"\n")


def _change_row(change: Change) -> dict[str, Any]:
    settled = change.settled
    return {
        "at": iso_time(change.at_ms),
        "state": settled.state,
        "reason": settled.reason,
        "hold": settled.hold,
        "due_on": iso_day(settled.due_day),
        "state_since": iso_day(settled.since_day),
    }


def _joining(finals: Sequence[Final]) -> list[Final]:
    # A contribution has one number and no birth date: it neither connects two records nor makes a number generic.
    return [final for final in finals if final.feed != CONTRIBUTIONS]


def _shared_by_few(paths: Sequence[Path], generic: set[Identifier]) -> set[Identifier]:
    """Numbers that more than one of these workers carries and that join them."""
    holder: dict[Identifier, int] = {}
    found: set[Identifier] = set()
    for path in paths:
        for sharing in _read(path):
            for final in sharing.finals:
                for number in identifiers_of(final.record):
                    if number not in generic and holder.setdefault(number, sharing.worker) != sharing.worker:
                        found.add(number)
    return found


def _read(path: Path) -> Iterator[Sharing]:
    with path.open("rb") as file:
        while file.peek(1):
            yield pickle.load(file)  # noqa: S301 - written by this simulation a moment ago
