"""Small random histories that go wrong in every way that registries do; a seed gives the same one on every machine."""

import random
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta, timezone
from functools import partial
from typing import Any

from oracle.oracle_numbers import last_digit

Event = tuple[str, dict[str, Any]]

HEARTBEATS = "feed-heartbeats.v1"
PERMITS, JOBS, IDS, STAYS = "doe.work-permits.v1", "doe.employments.v1", "dopa.non-thai-ids.v1", "immigration.stays.v1"
INSURED, PAID, COVER = "sso.insured-persons.v1", "sso.contributions.v1", "moph.health-cover.v1"
PAIRS, INSPECTIONS, FIRMS = "employers.pairs.v1", "dlpw.inspections.v1", "doe.employers.v1"

BANGKOK = timezone(timedelta(hours=7))
FIRST = date(2026, 1, 1)
PLACEHOLDERS = ("0000000000000", "-", "NONE/NONE", "N/A", "ไม่มี", "1111111111111", "1234567890121", "A1234567", "")
COMPANY = "0105536000315"

#: How often each kind of trouble comes; one draw per history, so that some are quiet and some are a mess.
_TROUBLES = ("shared", "placeholder", "typo", "spelt", "changed", "deleted", "revived", "tied", "wrong", "empty")


class _World:
    """What the records of one history draw from."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.people = self.draw.choice((5, 6, 8, 10, 12, 16, 25, 40))
        self.often = {name: self.draw.choice((0.0, 0.05, 0.15, 0.35)) for name in _TROUBLES}
        # One of them looks like a person's number behind a prefix, which link must read.
        self.employers = ["EMP-A", f"EMP-{_person_number(4)}", "EMP-C", "EMP-D"][: self.draw.randint(2, 4)]
        self.accounts = [(f"71000000{n}{n}", self.draw.choice(("000000", "000001"))) for n in range(1, 6)]
        # The draw decides how near an office's number comes to the eight birth dates that make it nobody's.
        self.office_share = self.draw.choice((0.0, 0.0, 0.15, 0.4, 0.7))
        self.offices = {
            "non_thai_id": _person_number(900),
            "permit_number": "OFF9900900",
            "insured_number": _person_number(901),
        }
        self.persons = [self._person(number) for number in range(self.people)]

    def happens(self, trouble: str) -> bool:
        return self.draw.random() < self.often[trouble]

    def day(self, least: int = -40, most: int = 120) -> str:
        return (FIRST + timedelta(self.draw.randint(least, most))).isoformat()

    def _person(self, number: int) -> dict[str, Any]:
        born = date(1980, 1, 1) + timedelta(self.draw.choice((0, 131 * number, 131 * number)))
        return {
            "non_thai_id": _person_number(number),
            "passport_number": f"MB{700000 + number}",
            "previous_passport_number": f"MA{100000 + number}",
            "nationality": self.draw.choice(("MMR", "MMR", "KHM", "LAO")),
            "permit_number": f"WPN{number:07d}",
            "insured_number": self.draw.choice((_person_number(number), f"71{number:011d}")),
            "card_number": f"HC{880000 + number}",
            "birth_date": born.isoformat(),
            "sex": self.draw.choice("FM"),
        }

    def number(self, field: str, person: dict[str, Any]) -> Any:
        """A person's number as a clerk writes it."""
        text = person[field]
        if self.happens("placeholder"):
            return self.draw.choice(PLACEHOLDERS)
        if field in self.offices and self.draw.random() < self.office_share:
            return self.offices[field]
        if self.happens("shared"):
            text = self.draw.choice(self.persons)[field]
        if self.happens("typo"):
            place = self.draw.randrange(len(text))
            text = text[:place] + self.draw.choice("0123456789") + text[place + 1 :]
        return _spelt(self.draw, text) if self.happens("spelt") else text

    def identity(self, person: dict[str, Any], *fields: str) -> dict[str, Any]:
        """Some of these identifiers; who has none at all is refused."""
        said = {field: self.number(field, person) for field in fields if self.draw.random() < 0.6}
        if not said:
            said = {field: self.number(field, person) for field in fields[:1]}
        said["nationality"] = self.draw.choice((None, "")) if self.happens("empty") else person["nationality"]
        return said

    def who(self, person: dict[str, Any]) -> dict[str, Any]:
        """Birth date and sex, now and then another's or none."""
        other = self.draw.choice(self.persons) if self.happens("shared") else person
        said = {"birth_date": other["birth_date"], "sex": person["sex"]}
        return {
            name: (None if name == "birth_date" else "") if self.happens("empty") else value
            for name, value in said.items()
        }

    def ended(self, start: str, least: int = 0, most: int = 150) -> str | None:
        """A last day, or none."""
        if self.draw.random() < 0.5:
            return None
        days = self.draw.choice((self.draw.randint(least, most), 29, 30, 31))
        return (date.fromisoformat(start) + timedelta(days)).isoformat()


def _person_number(number: int) -> str:
    twelve = f"00193{number:07d}" if number % 3 else f"61017{number:07d}"
    return f"{twelve}{last_digit(twelve)}"


def _spelt(draw: random.Random, text: str) -> str:
    thai = str.maketrans("0123456789", "๐๑๒๓๔๕๖๗๘๙")
    forms: list[Callable[[str], str]] = [
        str.lower,
        lambda number: f" {number[:1]}-{number[1:5]}-{number[5:]} ",
        lambda number: number.translate(thai),
        lambda number: ".".join((number[:3], number[3:])),
        lambda number: f"{number[:2]}\u200b\u2013{number[2:]}",
    ]
    return draw.choice(forms)(text)


# -- what a record says ------------------------------------------------------------------------------------------------


def _permit(world: _World, person: dict[str, Any]) -> dict[str, Any]:
    start = world.day(-400, 0)
    return {
        **world.identity(person, "permit_number", "non_thai_id", "passport_number", "previous_passport_number"),
        **world.who(person), "full_name": "AUNG", "permit_type": "mou", "valid_from": start,
        "valid_until": world.ended(start, 300, 700),
    }  # fmt: skip


def _job(world: _World, person: dict[str, Any]) -> dict[str, Any]:
    start = world.day()
    return {
        **world.identity(person, "non_thai_id", "permit_number", "passport_number"),
        "employer_id": world.draw.choice(world.employers),
        "workplace_district": world.draw.choice(("7101", "7102", None)),
        "sector": world.draw.choice(("agriculture", "manufacturing", "domestic", "services", None, "")),
        "start_date": start,
        "end_date": world.ended(start),
        "contract_months": world.draw.choice((None, 6, 12, 24)),
    }


def _registered(world: _World, person: dict[str, Any]) -> dict[str, Any]:
    return {
        **world.identity(person, "non_thai_id", "passport_number"), **world.who(person),
        "address_district": world.draw.choice(("7105", None)),
    }  # fmt: skip


def _stay(world: _World, person: dict[str, Any]) -> dict[str, Any]:
    start = world.day(-300, 0)
    return {
        **world.identity(person, "passport_number", "previous_passport_number"), **world.who(person),
        "entry_date": start, "exit_date": world.ended(start, 0, 500),
    }  # fmt: skip


def _insured(world: _World, person: dict[str, Any]) -> dict[str, Any]:
    account, branch = world.draw.choice(world.accounts)
    start = world.day(-60, 140)
    said = {
        **world.identity(person, "insured_number", "non_thai_id", "passport_number"), **world.who(person),
        "section": world.draw.choice(("33", "33", "33", "33", "39", "40")), "sso_account": account,
        "sso_branch": branch, "start_date": start, "end_date": world.ended(start),
    }  # fmt: skip
    if said["section"] != "33" and world.draw.random() < 0.5:
        said.update(sso_account=None, sso_branch=None, start_date=None)
    return said


def _paid(world: _World, person: dict[str, Any]) -> dict[str, Any]:
    account, branch = world.draw.choice(world.accounts)
    return {
        "insured_number": world.number("insured_number", person), "sso_account": account, "sso_branch": branch,
        "month": f"2026-{world.draw.randint(1, 6):02d}", "wage_satang": world.draw.choice((None, 0, 1_000_000)),
        "amount_satang": 50_000, "paid_on": world.day(0, 150),
    }  # fmt: skip


def _cover(world: _World, person: dict[str, Any]) -> dict[str, Any]:
    start = world.day(-300, 0)
    return {
        **world.identity(person, "card_number", "non_thai_id", "passport_number"), **world.who(person),
        "valid_from": start, "valid_until": world.ended(start, 100, 400),
    }  # fmt: skip


def _pair(world: _World, _: dict[str, Any]) -> dict[str, Any]:
    account, branch = world.draw.choice(world.accounts)
    return {"sso_account": account, "sso_branch": branch, "employer_id": world.draw.choice(world.employers)}


def _inspection(world: _World, _: dict[str, Any]) -> dict[str, Any]:
    return {"employer_id": world.draw.choice(world.employers), "visited_on": world.day(), "workers_found": 3}


def _firm(world: _World, _: dict[str, Any]) -> dict[str, Any]:
    return {"tax_id": COMPANY, "id_type": "juristic", "sector": "services"}


#: Feed → what a record says, and how many a person has of it.
_KINDS: dict[str, tuple[Callable[[_World, dict[str, Any]], dict[str, Any]], tuple[int, ...]]] = {
    PERMITS: (_permit, (0, 1, 1, 2)),
    JOBS: (_job, (0, 1, 1, 1, 2, 3)),
    IDS: (_registered, (0, 1)),
    STAYS: (_stay, (0, 0, 1)),
    INSURED: (_insured, (0, 1, 1, 2)),
    PAID: (_paid, (0, 0, 1, 3)),
    COVER: (_cover, (0, 0, 1)),
}

#: What makes a record one that is refused.
_WRONGS: dict[str, list[dict[str, Any]]] = {
    JOBS: [{"employer_id": None}, {"start_date": "2569-01-05"}, {"end_date": "2020-01-01"}, {"sector": "circus"}],
    INSURED: [{"section": "44"}, {"section": "33", "start_date": None}, {"non_thai_id": COMPANY}, {"sso_branch": "1"}],
    PERMITS: [{"nationality": "Mmr"}, {"birth_date": "2533-05-01"}, {"version": 0}, {"full_name": "A\nB"}],
    PAID: [{"month": "2569-01"}, {"wage_satang": -1}, {"insured_number": "-"}],
    PAIRS: [{"employer_id": None}, {"sso_account": "71-0"}, {"employer_id": _person_number(3)}],
    COVER: [{"valid_from": "2027-01-01", "valid_until": "2026-01-01"}, {"sex": "X"}],
}


# -- a record's life ---------------------------------------------------------------------------------------------------


def _life(world: _World, feed: str, record_id: str, say: Callable[[], dict[str, Any]]) -> list[Event]:
    """The versions of one record: corrections, deletions, revivals, refused and tied ones."""
    draw = world.draw
    version, changed_at = draw.choice((1, 1, 1, 7)), datetime(2026, 1, 1, tzinfo=BANGKOK)
    said, deleted = say(), False
    events: list[Event] = []

    def tell(**more: Any) -> None:
        row = {"record_id": record_id, "version": version, "changed_at": changed_at.isoformat(), "deleted": deleted}
        events.append((feed, {**row, **({} if deleted and draw.random() < 0.5 else said), **more}))

    tell()
    for _ in range(3):
        if draw.random() < 0.4:
            break
        if world.happens("tied"):
            changed_at += timedelta(hours=draw.choice((0, 0, 0, 5, -5)))  # the same version, other content
        else:
            version += draw.choice((1, 1, 3))
            changed_at += timedelta(hours=draw.choice((1, 24, 24, -48)))
        if deleted:
            deleted = not world.happens("revived")
        elif world.happens("deleted"):
            deleted = True
        if not deleted and world.happens("changed"):
            said = {**said, **_changed(draw, say())}
        tell(**(draw.choice(_WRONGS.get(feed, [{}])) if world.happens("wrong") and not deleted else {}))
    return events


def _changed(draw: random.Random, other: dict[str, Any]) -> dict[str, Any]:
    """Some fields of another telling: a corrected day, employer, account, number."""
    return {name: value for name, value in other.items() if draw.random() < 0.4}


def records_of(seed: int) -> list[Event]:
    """All versions of all records of a history, in no order that means anything."""
    world = _World(seed)
    events: list[Event] = []
    for number, person in enumerate(world.persons):
        for feed, (say, counts) in _KINDS.items():
            for count in range(world.draw.choice(counts)):
                # Ids sort differently from one feed to the next, so that any record may be the first of a worker.
                record_id = f"{world.draw.choice('AMZ')}-{feed[-6:-3]}-{number}-{count}"
                events += _life(world, feed, record_id, partial(say, world, person))
    for feed, say, count in (
        (PAIRS, _pair, world.draw.randint(0, 8)),
        (INSPECTIONS, _inspection, 1),
        (FIRMS, _firm, 1),
    ):
        for number in range(count):
            events += _life(world, feed, f"R-{number}", partial(say, world, {}))
    return events


def heartbeats_of(seed: int, records: Iterable[Event]) -> list[Event]:
    """Heartbeats of the SSO and of others; many at the very moment at which somebody's last day in time ends."""
    draw = random.Random(f"heartbeats {seed}")
    starts = [row["start_date"] for feed, row in records if feed in {JOBS, INSURED} and row.get("start_date")]
    moments = []
    for _ in range(draw.choice((0, 1, 1, 2, 4))):
        day = date.fromisoformat(draw.choice(starts or ["2026-02-01"])) + timedelta(draw.choice((31, 31, 32, 60, 10)))
        day = min(day, date(2026, 9, 1))
        midnight = datetime(day.year, day.month, day.day, tzinfo=BANGKOK)
        moments.append((INSURED, midnight + timedelta(milliseconds=draw.choice((-1, 0, 0, 1)))))
    moments += [(feed, datetime(2026, 8, 1, tzinfo=BANGKOK)) for feed in (JOBS, PAID) if draw.random() < 0.5]
    if draw.random() < 0.1:
        moments.append((INSURED, datetime(2569, 2, 1, tzinfo=BANGKOK)))  # of the Buddhist era
    return [(HEARTBEATS, {"feed": feed, "complete_until": moment.isoformat()}) for feed, moment in moments]


def as_of(seed: int) -> datetime:
    """A moment to read at, before, between or after the heartbeats."""
    draw = random.Random(f"as of {seed}")
    return datetime(2026, 1, 1, tzinfo=BANGKOK) + timedelta(
        days=draw.randint(0, 260), milliseconds=draw.choice((-1, 0))
    )
