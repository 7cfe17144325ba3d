"""What the agencies publish in one small world: people, corrections, deletions, merges that are undone, bad messages."""

import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, NamedTuple

from in_process import (
    CONTRIBUTIONS,
    EMPLOYMENTS,
    INSURED_PERSONS,
    NON_THAI_IDS,
    PAIRS,
    WORK_PERMITS,
    contribution,
    insured,
    job,
    pair,
    permit,
    person_number,
)

from saphan_schemas.codec import Codec
from saphan_schemas.topics import HEARTBEATS, STAYS, WORKER_RECORDS
from saphan_schemas.values import to_wire

CODEC = Codec()
MESSAGE_BYTES_MAX = 4_000
NONSENSE = b"nonsense"
_BANGKOK = timezone(timedelta(hours=7))
_FIRST = datetime(2026, 1, 1, tzinfo=_BANGKOK)
_ACCOUNTS = ("7100000011", "7100000022")
_EMPLOYERS = ("EMP-A", "EMP-B")

Row = dict[str, Any]


class Said(NamedTuple):
    """One message of an agency. ``row`` is what an oracle reads, None when the message is bad.

    ``breaks``: the message is well formed, but breaks the code whenever it is processed. ``value`` is None in a
    heartbeat, which is written when it is published, as it names the ends of its feed.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    row: Row | None
    breaks: bool = False

    @property
    def is_heartbeat(self) -> bool:
        """Whether it still has to be written."""
        return self.topic == HEARTBEATS and self.row is not None


def encoded(feed: str, row: Mapping[str, Any]) -> bytes:
    """A record in the wire format."""
    kinds = CODEC.catalogue.kinds(feed)
    return CODEC.encode(feed, to_wire(kinds, {**dict.fromkeys(kinds), **row}))


def history_of(seed: int) -> list[Said]:
    """Everything that is published, in the order in which it is."""
    draw = random.Random(f"history {seed}")
    people = draw.choice((1, 2, 2, 3))
    rows: list[tuple[str, Row]] = []
    for number in range(1, people + 1):
        for feed, make, chance in (
            (WORK_PERMITS, permit, 0.6),
            (EMPLOYMENTS, _job, 1.0),
            (EMPLOYMENTS, _second_job, 0.3),
            (INSURED_PERSONS, _insured, 0.7),
            (CONTRIBUTIONS, contribution, 0.4),
            (STAYS, _bridge, 0.6),
            (NON_THAI_IDS, _bridge, 0.4),
        ):
            if draw.random() < chance:
                rows += _life(draw, feed, partial(_made, draw, make, number))
    for number, account in enumerate(_ACCOUNTS):
        if draw.random() < 0.7:
            rows += _life(draw, PAIRS, partial(_pair, draw, number, account))
    said = [Said(feed, row["record_id"].encode(), encoded(feed, row), row) for feed, row in rows]
    said += [draw.choice(said) for _ in range(draw.choice((0, 1, 3)))]
    said += _bad(draw)
    draw.shuffle(said)
    for _ in range(draw.choice((0, 1, 2, 3))):
        said.insert(draw.randrange(len(said) // 2, len(said) + 1), _heartbeat(draw, INSURED_PERSONS))
    if draw.random() < 0.3:
        said.append(_heartbeat(draw, EMPLOYMENTS))
    return said


def _made(draw: random.Random, make: Callable[..., Row], number: int) -> Row:
    return make(number) if make in (permit, contribution) else make(draw, number)


def _pair(draw: random.Random, number: int, account: str) -> Row:
    return pair(f"P-{number}", account, draw.choice(_EMPLOYERS))


def _day(draw: random.Random) -> str:
    return (_FIRST + timedelta(days=draw.randrange(0, 90))).date().isoformat()


def _job(draw: random.Random, number: int) -> Row:
    end = draw.choice((None, None, "2026-04-20"))
    sector = draw.choice(("manufacturing", "agriculture"))
    return job(number, draw.choice(_EMPLOYERS), _day(draw), end_date=end, sector=sector)


def _second_job(draw: random.Random, number: int) -> Row:
    return {**_job(draw, number), "record_id": f"E-2-{number}"}


def _insured(draw: random.Random, number: int) -> Row:
    return insured(number, draw.choice(_ACCOUNTS), _day(draw), end_date=draw.choice((None, None, "2026-05-01")))


def _bridge(draw: random.Random, number: int) -> Row:
    """A record that may hold two people's identifiers: they are one person until the next version says otherwise."""
    other = draw.choice((number, number, 1, 2))
    who = {"nationality": "MMR", "birth_date": "1990-05-17", "sex": "M", "passport_number": f"MB{700000 + other}"}
    if draw.random() < 0.5:
        return {"record_id": f"B-{number}", **who, "non_thai_id": person_number(number)}
    return {"record_id": f"B-{number}", **who, "previous_passport_number": f"MB{700000 + number}"}


def _life(draw: random.Random, feed: str, make: Callable[[], Row]) -> list[tuple[str, Row]]:
    """The versions of one record."""
    kinds = CODEC.catalogue.kinds(feed)
    version, changed_at = 1, _FIRST
    rows = []
    for _ in range(draw.choice((1, 1, 2, 3))):
        row = {name: value for name, value in make().items() if name in kinds}
        deleted = draw.random() < 0.2
        rows.append((feed, {**row, "version": version, "changed_at": changed_at.isoformat(), "deleted": deleted}))
        version += draw.choice((0, 1, 1, 2))
        changed_at += timedelta(hours=draw.choice((0, 1, 24)))
    return rows


def _heartbeat(draw: random.Random, feed: str) -> Said:
    until = _FIRST + timedelta(days=draw.randrange(20, 200))
    return Said(HEARTBEATS, feed.encode(), None, {"feed": feed, "complete_until": until.isoformat()})


def _bad(draw: random.Random) -> list[Said]:
    good = {**job(50), "version": 1, "changed_at": _FIRST.isoformat(), "deleted": False}
    value = encoded(EMPLOYMENTS, good)
    wrong = encoded(EMPLOYMENTS, {**good, "end_date": "2020-01-01"})
    kinds = [
        Said(EMPLOYMENTS, b"E-50", NONSENSE, None),
        Said(INSURED_PERSONS, None, None, None),
        Said(EMPLOYMENTS, None, value, None),
        Said(EMPLOYMENTS, b"E-51", value, None),
        Said(EMPLOYMENTS, b"E-50", wrong, None),
        Said(WORK_PERMITS, b"WP-50", b"\x00" * (MESSAGE_BYTES_MAX + 1), None),
        Said(HEARTBEATS, b"nobody's", b"\x00nonsense", None),
        Said(EMPLOYMENTS, b"E-50", value, None, breaks=True),
        Said(EMPLOYMENTS, b"E-50", value, None, breaks=True),
        Said(WORKER_RECORDS, b"1", NONSENSE, None),
        Said(WORKER_RECORDS, b"2", NONSENSE, None, breaks=True),
    ]
    return draw.sample(kinds, draw.choice((0, 1, 2, 4, 6)))


def small_history() -> list[Said]:
    """A few messages of every kind, for going through every place at which a process may die."""

    def said(feed: str, row: Row, version: int = 1) -> Said:
        kinds = CODEC.catalogue.kinds(feed)
        whole = {name: value for name, value in row.items() if name in kinds}
        whole |= {"version": version, "changed_at": _FIRST.isoformat(), "deleted": False}
        return Said(feed, row["record_id"].encode(), encoded(feed, whole), whole)

    until = Said(HEARTBEATS, INSURED_PERSONS.encode(), None, {
        "feed": INSURED_PERSONS, "complete_until": (_FIRST + timedelta(days=60)).isoformat(),
    })  # fmt: skip
    return [
        said(EMPLOYMENTS, job(1)),
        said(EMPLOYMENTS, job(2)),
        Said(EMPLOYMENTS, b"E-1", NONSENSE, None),
        said(PAIRS, pair()),
        until,
        said(INSURED_PERSONS, insured(1)),
        said(EMPLOYMENTS, job(2, end_date="2026-03-01"), 2),
        Said(EMPLOYMENTS, b"E-2", None, None),
        until,
    ]
