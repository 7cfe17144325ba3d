"""What the platform should know after a history: which records are one worker, what they say, and the settled alerts."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from oracle.oracle_alerts import pairs_by_place, settle
from oracle.oracle_numbers import Identifier, identifiers_of
from oracle.oracle_records import Folded, History, Record, fold, sso_complete_until
from oracle.oracle_validity import CONTRIBUTIONS, EMPLOYMENTS, INSURED, PAIRS

WORK_PERMITS, HEALTH_COVER = "doe.work-permits.v1", "moph.health-cover.v1"
#: The registries that speak of a person, the first to be believed first.
REGISTRIES = ("dopa.non-thai-ids.v1", "immigration.stays.v1", WORK_PERMITS, INSURED, HEALTH_COVER)
#: So many different birth dates on one number: it is an office's or a placeholder, and joins nobody.
BIRTH_DATES_OF_NOBODY = 8

_WHO = ("nationality", "sex", "birth_date")
_JOB = ("employer_id", "workplace_district", "sector", "start_date", "end_date")
_COVER = ("section", "sso_account", "sso_branch", "start_date", "end_date")
#: What the integrated worker keeps of each record; names and numbers are not among it.
KEPT = {
    WORK_PERMITS: (*_WHO, "valid_until"),
    EMPLOYMENTS: (*_JOB, "contract_months"),
    "dopa.non-thai-ids.v1": (*_WHO, "address_district"),
    "immigration.stays.v1": (*_WHO, "exit_date"),
    INSURED: (*_WHO, *_COVER),
    HEALTH_COVER: (*_WHO, "valid_until"),
    CONTRIBUTIONS: ("month", "sso_account", "sso_branch", "wage_satang", "amount_satang", "paid_on"),
}

Fields = dict[str, Any]


class Outcome(NamedTuple):
    """Workers by their first record's name, alerts by their employment's id, both with plain JSON values.

    A field that is an object has record names as keys.
    """

    workers: dict[str, Fields]
    alerts: dict[str, Fields]


def compute(history: History, as_of: datetime | None = None) -> Outcome:
    """All of it, from the whole history at once."""
    return compute_of(fold(history), sso_complete_until(history), as_of)


def compute_of(folded: Folded, heartbeat: datetime | None, as_of: datetime | None = None) -> Outcome:
    """All of it, from the records that count."""
    pairs = pairs_by_place(folded.present.get(PAIRS, ()))
    outcome = Outcome({}, {})
    for records in people([record for feed in KEPT for record in folded.present.get(feed, ())]):
        name = first_name(records)
        outcome.workers[name] = worker(records)
        insurances = [record for record in records if record.feed == INSURED]
        for record in records:
            if record.feed == EMPLOYMENTS:
                alert = settle(record, insurances, pairs, heartbeat, as_of)
                outcome.alerts[record.record_id] = {"worker": name, **alert}
    return outcome


# -- who is who ----------------------------------------------------------------------------------------------------


def people(records: Sequence[Record]) -> list[list[Record]]:
    """The records by person: from each one outwards, over identifiers that name somebody, until nothing new is met."""
    identifiers = {record: identifiers_of(record.said) for record in records}
    holders: dict[Identifier, list[Record]] = {}
    birth_dates: dict[Identifier, set[date]] = {}
    for record, found in identifiers.items():
        for identifier in found:
            holders.setdefault(identifier, []).append(record)
            if record.said.get("birth_date") is not None:
                birth_dates.setdefault(identifier, set()).add(record.said["birth_date"])
    nobodys = {identifier for identifier, days in birth_dates.items() if len(days) >= BIRTH_DATES_OF_NOBODY}
    met: set[Record] = set()
    found_people = []
    for start in records:
        if start in met:
            continue
        met.add(start)
        person = [start]
        for record in person:  # grows while it is read
            for identifier in identifiers[record] - nobodys:
                new = [other for other in holders[identifier] if other not in met]
                met.update(new)
                person.extend(new)
        found_people.append(sorted(person, key=_name))
    return found_people


def first_name(records: Sequence[Record]) -> str:
    """The worker's name: its first record by feed and id; contributions only where there is nothing else."""
    others = [record for record in records if record.feed != CONTRIBUTIONS]
    return min((record.feed, record.record_id, record.name) for record in others or records)[2]


def _name(record: Record) -> tuple[str, str]:
    return record.feed, record.record_id


# -- what is known of one ------------------------------------------------------------------------------------------


def worker(records: Sequence[Record]) -> Fields:
    """The integrated worker: the records, the view over them, and the rows that people ask for."""
    contributions = {r.name: kept(r) for r in records if r.feed == CONTRIBUTIONS}
    members = {r.name: {**kept(r), "changed_at": _plain(r.changed_at)} for r in records if r.feed != CONTRIBUTIONS}
    if not members:
        return {"records": {}, "contributions": contributions}
    return {
        "records": members,
        "contributions": contributions,
        "employments": {r.name: _some(r, _JOB) for r in records if r.feed == EMPLOYMENTS},
        "enrolments": {r.name: _some(r, _COVER) for r in records if r.feed == INSURED},
        **_view(records),
    }


def kept(record: Record) -> Fields:
    """What is kept of one record."""
    return {"version": record.version, "content_hash": record.content_hash, **_some(record, KEPT[record.feed])}


def _view(records: Sequence[Record]) -> Fields:
    born = _first_said(records, "birth_date")
    jobs = [record.said for record in records if record.feed == EMPLOYMENTS and record.said["end_date"] is None]
    return {
        "nationality": _first_said(records, "nationality"),
        "sex": _first_said(records, "sex"),
        "birth_year": None if born is None else born.year,
        "employers": sorted({job["employer_id"] for job in jobs}),
        "employed": bool(jobs),
        "eligible": any(_is_surely_eligible(job) for job in jobs),
        "enrolled": any(
            record.feed == INSURED and record.said["section"] == "33" and record.said["end_date"] is None
            for record in records
        ),
        "permit_valid_until": _latest(records, WORK_PERMITS),
        "health_cover_until": _latest(records, HEALTH_COVER),
    }


def _first_said(records: Sequence[Record], attribute: str) -> Any:
    """By the newest record of the first registry whose newest record says it."""
    for feed in REGISTRIES:
        own = [record for record in records if record.feed == feed]
        if own:
            newest = max(own, key=lambda record: (record.changed_at, record.version, record.record_id))
            if newest.said[attribute] is not None:
                return newest.said[attribute]
    return None


def _latest(records: Sequence[Record], feed: str) -> Any:
    days = [record.said["valid_until"] for record in records if record.feed == feed]
    return _plain(max((day for day in days if day is not None), default=None))


def _is_surely_eligible(job: Any) -> bool:
    """No exemption of 2017 can apply; whose sector or contract is not known is not counted."""
    if job["sector"] == "agriculture":
        return bool(job["start_date"] >= date(2017, 1, 1)) and (job["contract_months"] or 0) >= 12
    return job["sector"] in {"manufacturing", "construction", "services", "other"}


def _some(record: Record, names: Iterable[str]) -> Fields:
    return {name: _plain(record.said[name]) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return value.isoformat() if isinstance(value, date) else value
