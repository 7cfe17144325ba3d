"""What the settled alert of an employment is: docs/alerts.md step by step, slowly."""

from base64 import b32encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from hashlib import blake2b
from typing import Any, NamedTuple

from oracle.oracle_records import Record

BANGKOK = timezone(timedelta(hours=7))
FOREVER = date.max
#: The only row of the law so far; a new one is to be added here by hand, so that both tables are checked.
DAYS_ALLOWED, RULE_VERSION = 30, "sso-s34.1"


class Verdict(NamedTuple):
    """One way to see an employment: its state, the last day in time, and since when the state holds."""

    state: str
    due_on: date
    since: date


#: The pairs of each SSO account and branch.
Pairs = Mapping[tuple[str, str], Sequence[Record]]


def settle(
    job: Record, insurances: Iterable[Record], pairs: Pairs, heartbeat: datetime | None, as_of: datetime | None
) -> dict[str, Any]:
    """The settled alert in plain JSON form, but for the worker. ``as_of`` reads with the smaller of it and H."""
    known_until = min(heartbeat, as_of) if heartbeat and as_of else heartbeat
    during = [insurance for insurance in insurances if _overlaps(insurance, job)]
    said_of = {
        insurance: pairs.get((insurance.said["sso_account"], insurance.said["sso_branch"]), ()) for insurance in during
    }
    own = {
        insurance: [pair for pair in said if pair.said["employer_id"] == job.said["employer_id"]]
        for insurance, said in said_of.items()
    }
    matching = [insurance for insurance in during if own[insurance]]
    unpaired = [insurance for insurance in during if not said_of[insurance]]

    verdict, hold = _judge(job, matching, known_until), None
    if verdict.state == "overdue" and unpaired and _judge(job, matching + unpaired, known_until).state != "overdue":
        hold = "employer_unpaired"
        verdict = _judge(job, matching, None)  # as if the feed had not come to the deadline
    evidence = {("employment", job)}
    for insurance in during:
        if insurance in matching:
            role = "matching_insurance"
        else:
            role = "unpaired_insurance" if insurance in unpaired else "other_insurance"
        evidence.add((role, insurance))
        evidence |= {("pair", pair) for pair in own[insurance] or said_of[insurance]}
    return {
        "alert_id": alert_id(job.record_id),
        "kind": "enrolment_missing",
        "employer": job.said["employer_id"],
        "state": verdict.state,
        "reason": _reason(verdict.state, matching, unpaired, during),
        "hold": hold,
        "hold_as_of": hold if as_of is None else hold or _feed_behind(verdict, known_until, as_of),
        "due_on": verdict.due_on.isoformat(),
        "state_since": verdict.since.isoformat(),
        "rule_version": RULE_VERSION,
        "evidence": {f"{role} {record.name}": record.version for role, record in sorted(evidence, key=_role_and_name)},
    }


def alert_id(employment_record_id: str) -> str:
    """The alert's id, from the employment record's own id."""
    text = f"doe.employments.v1|{employment_record_id}|enrolment_missing|1"
    return "A-" + b32encode(blake2b(text.encode(), digest_size=10).digest()).decode().lower().rstrip("=")


def _judge(job: Record, cover: Sequence[Record], known_until: datetime | None) -> Verdict:
    first, last = job.said["start_date"], _last_day(job)
    gap = first
    if cover:
        cover_end = max(_last_day(insurance) for insurance in cover)
        if cover_end >= last:  # both open is enough, too
            reaching = [insurance.said["start_date"] for insurance in cover if _last_day(insurance) == cover_end]
            return Verdict("resolved", first + timedelta(DAYS_ALLOWED), max(first, min(reaching)))
        gap = cover_end + timedelta(1)
    due_on = gap + timedelta(DAYS_ALLOWED)
    if last <= due_on:
        return Verdict("withdrawn", due_on, last)
    if known_until is not None and known_until >= _end_of(due_on):
        return Verdict("overdue", due_on, due_on + timedelta(1))
    return Verdict("reopened" if cover else "due", due_on, gap)


def _reason(state: str, matching: Sequence[Record], unpaired: Sequence[Record], during: Sequence[Record]) -> str:
    if state in {"resolved", "withdrawn"}:
        return {"resolved": "enrolled", "withdrawn": "left_before_deadline"}[state]
    if matching:
        return "insurance_ended_early"
    if unpaired:
        return "employer_unpaired"
    return "enrolled_elsewhere" if during else "no_insurance"


def _feed_behind(verdict: Verdict, known_until: datetime | None, as_of: datetime) -> str | None:
    waits = verdict.state in {"due", "reopened"} and as_of >= _end_of(verdict.due_on)
    return "sso_feed_behind" if waits and (known_until is None or known_until < _end_of(verdict.due_on)) else None


def _overlaps(insurance: Record, job: Record) -> bool:
    first = insurance.said["start_date"]
    return (
        insurance.said["section"] == "33"
        and first is not None
        and first <= _last_day(job)
        and _last_day(insurance) >= job.said["start_date"]
    )


def _last_day(record: Record) -> date:
    last: date | None = record.said["end_date"]
    return FOREVER if last is None else last


def _end_of(day: date) -> datetime:
    following = day + timedelta(1)
    return datetime(following.year, following.month, following.day, tzinfo=BANGKOK)


def _role_and_name(item: tuple[str, Record]) -> tuple[str, str]:
    return item[0], item[1].name


def pairs_by_place(pairs: Iterable[Record]) -> Pairs:
    """What the pairs say of each account and branch."""
    places: dict[tuple[str, str], list[Record]] = {}
    for pair in pairs:
        places.setdefault((pair.said["sso_account"], pair.said["sso_branch"]), []).append(pair)
    return places
