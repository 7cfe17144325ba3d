"""Which state the enrolment alert of one employment is in: a pure function of the records and the SSO feed's heartbeat.

The meaning, with worked examples, is in docs/alerts.md. All days are Bangkok calendar days since 1970-01-01.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import product
from typing import Final, Literal, NamedTuple, get_args

from saphan_projections.law import Law
from saphan_schemas.topics import DAY_MS, EMPLOYMENTS
from saphan_schemas.values import bangkok_midnight_ms

KIND: Final = "enrolment_missing"
#: An alert never starts a second episode: reopening is a new state of the same alert.
EPISODE: Final = 1
#: Compulsory insurance of employees. Sections 39 and 40 never stand in for it.
SECTION_OF_EMPLOYEES: Final = "33"

State = Literal["due", "overdue", "reopened", "resolved", "withdrawn"]
STATES: Final[tuple[State, ...]] = get_args(State)
#: States in which somebody still has to act, the most urgent first.
OPEN_STATES: Final[tuple[State, ...]] = ("overdue", "reopened", "due")
Reason = Literal[
    "enrolled",
    "left_before_deadline",
    "no_insurance",
    "enrolled_elsewhere",
    "employer_unpaired",
    "insurance_ended_early",
]
Hold = Literal["employer_unpaired", "sso_feed_behind"]
Role = Literal["employment", "matching_insurance", "other_insurance", "unpaired_insurance", "pair"]
#: Reason of the history entry that takes back an announced alert whose employment record was deleted.
EMPLOYMENT_DELETED: Final = "employment_deleted"

_ID_BITS = 80
#: Base 32 of 10 bits, and where in an id's number they stand: base64.b32encode takes as long as all the rest of an id.
_BASE_32_PAIRS: Final = tuple(map("".join, product("abcdefghijklmnopqrstuvwxyz234567", repeat=2)))
_ID_SHIFTS: Final = range(_ID_BITS - 10, -1, -10)
#: After every day that a record can name, so that open ends compare as numbers.
_OPEN: Final = 2**31
_FIRST_MIDNIGHT_MS: Final = bangkok_midnight_ms(0)


def urgency(state: State) -> int:
    """Where alerts in this state stand in a list, the most urgent first; all that are closed stand together."""
    return OPEN_STATES.index(state) if state in OPEN_STATES else len(OPEN_STATES)


class RecordReference(NamedTuple):
    """Where a record was read: its feed, its own id and version, and the message's partition and offset."""

    feed: str
    record_id: str
    version: int
    partition: int
    offset: int


class Employment(NamedTuple):
    """A hire as notified. ``end_day`` is the last day of work, None while employed."""

    reference: RecordReference
    employer_id: str
    start_day: int
    end_day: int | None


class Insurance(NamedTuple):
    """One insurance of the worker. ``end_day`` is the last insured day; without ``start_day`` it counts for nothing."""

    reference: RecordReference
    section: str | None
    account: str | None
    branch: str | None
    start_day: int | None
    end_day: int | None


class Pair(NamedTuple):
    """One record that says: this SSO account and branch is this DOE employer."""

    reference: RecordReference
    account: str
    branch: str
    employer_id: str


Evidence = tuple[tuple[Role, RecordReference], ...]


class Decision(NamedTuple):
    """The settled alert of one employment.

    ``due_day`` is the last day in time, ``since_day`` the day from which the state holds, ``rule_version`` the row of
    the law that set the deadline. ``evidence`` is sorted by role, feed and record id, each record once per role.
    ``check_day``: see :func:`next_check_day`.
    """

    state: State
    reason: Reason
    hold: Hold | None
    due_day: int
    since_day: int
    rule_version: str
    evidence: Evidence
    check_day: int | None


class _Overlapping(NamedTuple):
    """The worker's section-33 insurances that overlap the employment: (start, end) each, `_OPEN` for no end."""

    matching: list[tuple[int, int]]
    unpaired: list[tuple[int, int]]
    elsewhere: bool


class _Standing(NamedTuple):
    """Where the employment stands, given when the insurance that counts ends and begins (`_OPEN`: no end)."""

    state: State
    due_day: int
    since_day: int
    rule_version: str


def alert_id(employment_record_id: str) -> str:
    """The id of the employment's alert, from the record's own id alone: a merge of workers never changes it."""
    text = f"{EMPLOYMENTS}|{employment_record_id}|{KIND}|{EPISODE}"
    number = int.from_bytes(blake2b(text.encode(), digest_size=_ID_BITS // 8).digest(), "big")
    return "A-" + "".join([_BASE_32_PAIRS[number >> shift & 0x3FF] for shift in _ID_SHIFTS])


def deadline_ms(due_day: int) -> int:
    """The moment (ms UTC) that ends ``due_day`` in Bangkok; a heartbeat at or after it shows the whole day."""
    return (due_day + 1) * DAY_MS + _FIRST_MIDNIGHT_MS


def decide(
    employment: Employment,
    insurances: Iterable[Insurance],
    pairs_by_account: Mapping[tuple[str, str], Sequence[Pair]],
    sso_complete_until_ms: int | None,
    law: Law,
) -> Decision:
    """The settled alert of one employment of a worker.

    ``insurances`` are the worker's, in any order, ``pairs_by_account`` is keyed by account and branch; none of the
    records is a deleted one. ``sso_complete_until_ms`` is the moment up to which the SSO's feed of insured persons is
    known to be complete, None if it never said so.
    """
    evidence: list[tuple[Role, RecordReference]] = [("employment", employment.reference)]
    overlapping = _sort_out(employment, insurances, pairs_by_account, evidence)
    matching, unpaired, _ = overlapping
    standing = _standing(employment, matching, sso_complete_until_ms, law)
    hold: Hold | None = None
    check_day = standing.due_day if standing.state in {"due", "reopened"} else None
    if standing.state == "overdue" and unpaired:
        at_best = _standing(employment, matching + unpaired, sso_complete_until_ms, law)
        if at_best.state != "overdue":
            hold = "employer_unpaired"
            standing = _before_deadline(employment, matching, standing)
            check_day = at_best.due_day if at_best.state in {"due", "reopened"} else None
    return Decision(
        standing.state,
        _reason(standing.state, overlapping),
        hold,
        standing.due_day,
        standing.since_day,
        standing.rule_version,
        tuple(sorted(set(evidence))) if len(evidence) > 1 else tuple(evidence),
        check_day,
    )


def next_check_day(decision: Decision) -> int | None:
    """The day whose end, once the SSO feed is complete past it, may change the decision though no record changes.

    Usually ``due_day`` while due or reopened. Under a hold it is the deadline that would follow if the unpaired
    account were this employer's (None if that insurance covers the employment). The moment is :func:`deadline_ms`.
    """
    return decision.check_day


def hold_at(decision: Decision, as_of_ms: int, sso_complete_until_ms: int | None) -> Hold | None:
    """The hold to show to someone who reads at ``as_of_ms``: the stored one, or that the SSO feed is behind."""
    if decision.hold is not None or decision.state not in {"due", "reopened"}:
        return decision.hold
    deadline = deadline_ms(decision.due_day)
    behind = sso_complete_until_ms is None or sso_complete_until_ms < deadline
    return "sso_feed_behind" if behind and as_of_ms >= deadline else None


def fingerprint(decision: Decision) -> tuple[State, int, int, Hold | None, Reason]:
    """What must differ between two decisions about one employer for the change to be worth telling.

    Another employer in the employment's record is news as well, whatever is decided.
    """
    return (decision.state, decision.due_day, decision.since_day, decision.hold, decision.reason)


def _sort_out(
    employment: Employment,
    insurances: Iterable[Insurance],
    pairs_by_account: Mapping[tuple[str, str], Sequence[Pair]],
    evidence: list[tuple[Role, RecordReference]],
) -> _Overlapping:
    """The insurances that overlap the employment, by what the pairs say of their accounts.

    Adds to ``evidence`` each of them by its role and the pairs that gave it that role.
    """
    _, employer_id, first_day, end_day = employment
    last_day = _OPEN if end_day is None else end_day
    matching: list[tuple[int, int]] = []
    unpaired: list[tuple[int, int]] = []
    elsewhere = False
    for reference, section, account, branch, start, end in insurances:
        if section != SECTION_OF_EMPLOYEES or start is None or start > last_day:
            continue
        until = _OPEN if end is None else end
        if until < first_day:
            continue
        pairs = pairs_by_account.get((account, branch), ()) if account is not None and branch is not None else ()
        own = [pair for pair in pairs if pair.employer_id == employer_id]
        if own:
            matching.append((start, until))
            evidence.append(("matching_insurance", reference))
        elif pairs:
            elsewhere = True
            evidence.append(("other_insurance", reference))
        else:
            unpaired.append((start, until))
            evidence.append(("unpaired_insurance", reference))
        evidence.extend([("pair", pair.reference) for pair in own or pairs])
    return _Overlapping(matching, unpaired, elsewhere)


def _standing(
    employment: Employment, cover: list[tuple[int, int]], sso_complete_until_ms: int | None, law: Law
) -> _Standing:
    _, _, first_day, end_day = employment
    gap_day = first_day
    if cover:
        cover_end = max([end for _, end in cover])
        if cover_end == _OPEN or (end_day is not None and cover_end >= end_day):
            since_day = max(first_day, min([start for start, end in cover if end == cover_end]))
            rule = law.deadline_on(first_day)
            return _Standing("resolved", first_day + rule.deadline_days, since_day, rule.rule_version)
        gap_day = cover_end + 1
    rule = law.deadline_on(gap_day)
    due_day = gap_day + rule.deadline_days
    if end_day is not None and end_day <= due_day:
        return _Standing("withdrawn", due_day, end_day, rule.rule_version)
    if sso_complete_until_ms is not None and sso_complete_until_ms >= deadline_ms(due_day):
        return _Standing("overdue", due_day, due_day + 1, rule.rule_version)
    return _Standing("reopened" if cover else "due", due_day, gap_day, rule.rule_version)


def _before_deadline(employment: Employment, matching: list[tuple[int, int]], overdue: _Standing) -> _Standing:
    """The state that an overdue alert had before its deadline, with the same deadline."""
    if matching:
        return overdue._replace(state="reopened", since_day=max([end for _, end in matching]) + 1)
    return overdue._replace(state="due", since_day=employment.start_day)


def _reason(state: State, overlapping: _Overlapping) -> Reason:
    if state == "resolved":
        return "enrolled"
    if state == "withdrawn":
        return "left_before_deadline"
    if overlapping.matching:
        return "insurance_ended_early"
    if overlapping.unpaired:
        return "employer_unpaired"
    return "enrolled_elsewhere" if overlapping.elsewhere else "no_insurance"
