"""Whether `decide` keeps its promises on any records, and agrees with a slow model that walks through the days."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta, timezone
from itertools import count
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from saphan_projections.alerts import (
    Decision,
    Employment,
    Insurance,
    Pair,
    RecordReference,
    deadline_ms,
    decide,
    fingerprint,
    next_check_day,
)
from saphan_projections.law import default_law
from saphan_schemas.topics import EMPLOYER_PAIRS, EMPLOYMENTS, INSURED_PERSONS
from saphan_schemas.values import bangkok_midnight_ms

FIRST, LAST = 20_000, 20_150
#: The model walks to here; an open end is one that is still open then.
HORIZON = LAST + 40
ACCOUNTS = [("71", "000000"), ("71", "000001"), ("72", "000000")]
#: Whose an account may be; nobody's as often as the employer's, so that holds are not rare.
OWNERS = [(), (), ("EMP-A",), ("EMP-A",), ("EMP-B",), ("EMP-A", "EMP-B"), ("EMP-A", "EMP-A")]

Pairs = dict[tuple[str, str], list[Pair]]
Case = tuple[Employment, list[Insurance], Pairs]

days = st.integers(FIRST, LAST)


@st.composite
def spans(draw: st.DrawFn) -> tuple[int, int | None]:
    start = draw(days)
    return start, draw(st.none() | st.integers(start, LAST))


@st.composite
def insurances(draw: st.DrawFn, number: int) -> Insurance:
    start, end = draw(spans())
    account, branch = draw(st.sampled_from(ACCOUNTS))
    section = draw(st.sampled_from(["33", "33", "33", "33", "39", "40"]))
    return Insurance(RecordReference(INSURED_PERSONS, f"I{number}", 1, 0, number), section, account, branch, start, end)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    start, end = draw(spans())
    employment = Employment(RecordReference(EMPLOYMENTS, "E", 1, 0, 0), "EMP-A", start, end)
    covers = [draw(insurances(number)) for number in range(draw(st.integers(0, 4)))]
    numbers = count()
    pairs: Pairs = {}
    for account in ACCOUNTS:
        for employer in draw(st.sampled_from(OWNERS)):
            reference = RecordReference(EMPLOYER_PAIRS, f"P{next(numbers)}", 1, 0, 0)
            pairs.setdefault(account, []).append(Pair(reference, *account, employer))
    return employment, covers, pairs


#: Mostly late ones, because Hypothesis likes small numbers and little is decided early.
heartbeats = st.integers(-1, HORIZON + 60 - FIRST).map(
    lambda back: None if back < 0 else bangkok_midnight_ms(HORIZON + 60 - back)
)


def decided(case: Case, until: int | None) -> Decision:
    employment, covers, pairs = case
    return decide(employment, covers, pairs, until, default_law())


# -- the slow model: sets of days, real calendar times, no arithmetic on ends ----------------------------------------


def _days(start: int, end: int | None) -> set[int]:
    return set(range(start, HORIZON + 1 if end is None else end + 1))


def _model_cover(case: Case, *, trusting: bool) -> list[set[int]]:
    """The days of each matching insurance; ``trusting`` lets one under an account of nobody match too."""
    employment, covers, pairs = case
    work = _days(employment.start_day, employment.end_day)
    found = []
    for one in covers:
        assert one.start_day is not None
        assert one.account is not None
        assert one.branch is not None
        employers = {pair.employer_id for pair in pairs.get((one.account, one.branch), [])}
        insured = _days(one.start_day, one.end_day)
        if (
            one.section == "33"
            and insured & work
            and (employment.employer_id in employers or (trusting and not employers))
        ):
            found.append(insured)
    return found


def _feed_shows_whole(day: int, until: int | None) -> bool:
    bangkok = timezone(timedelta(hours=7))
    end_of_day = datetime.combine(date(1970, 1, 1) + timedelta(days=day + 1), time(0), bangkok)
    return until is not None and until / 1000 >= end_of_day.timestamp()


def _model_state(case: Case, until: int | None, *, trusting: bool) -> tuple[str, int, int]:
    """State, last day in time, first day of the state; found by walking through the days."""
    employment = case[0]
    cover = _model_cover(case, trusting=trusting)
    work = sorted(_days(employment.start_day, employment.end_day))
    gap = next((day for day in work if not any(later >= day for insured in cover for later in insured)), None)
    if gap is None:
        furthest = max(max(insured) for insured in cover)
        since = next(day for day in work if any(furthest in insured and min(insured) <= day for insured in cover))
        return "resolved", work[0] + 30, since
    due = gap
    for _ in range(30):
        due += 1
    if employment.end_day is not None and employment.end_day in range(FIRST, due + 1):
        return "withdrawn", due, employment.end_day
    if _feed_shows_whole(due, until):
        return "overdue", due, due + 1
    return ("reopened" if cover else "due"), due, gap


def model(case: Case, until: int | None) -> tuple[str, int, int, str | None]:
    state, due, since = _model_state(case, until, trusting=False)
    if state == "overdue" and _model_state(case, until, trusting=True)[0] != "overdue":
        waiting, _, waiting_since = _model_state(case, None, trusting=False)
        return waiting, due, waiting_since, "employer_unpaired"
    return state, due, since, None


@given(cases(), heartbeats)
def test_decide_agrees_with_the_model_that_walks_through_the_days(case: Case, until: int | None) -> None:
    decision = decided(case, until)
    assert (decision.state, decision.due_day, decision.since_day, decision.hold) == model(case, until)


@given(cases(), st.integers(-2, 2))
def test_decide_agrees_with_the_model_around_the_deadline(case: Case, shift_ms: int) -> None:
    until = deadline_ms(decided(case, None).due_day) + shift_ms
    decision = decided(case, until)
    assert (decision.state, decision.due_day, decision.since_day, decision.hold) == model(case, until)


# -- promises --------------------------------------------------------------------------------------------------------


@given(cases(), heartbeats, st.integers(0, 2**32))
def test_the_order_of_insurances_and_pairs_does_not_matter(case: Case, until: int | None, seed: int) -> None:
    employment, covers, pairs = case
    random = Random(seed)
    accounts = list(pairs)
    random.shuffle(accounts)
    shuffled = {account: random.sample(pairs[account], len(pairs[account])) for account in accounts}
    other = decided((employment, random.sample(covers, len(covers)), shuffled), until)
    assert other == decided(case, until)


@given(cases(), heartbeats, heartbeats)
def test_an_overdue_alert_stays_overdue_as_the_heartbeat_grows(case: Case, one: int | None, other: int | None) -> None:
    earlier, later = sorted((one, other), key=lambda until: -1 if until is None else until)
    before, after = decided(case, earlier), decided(case, later)
    if before.state == "overdue":
        assert after == before
    if before.state in {"resolved", "withdrawn"}:
        assert after == before
    assert after.due_day == before.due_day


@given(cases(), heartbeats, heartbeats)
def test_only_the_heartbeat_that_passes_the_check_day_changes_a_decision(
    case: Case, one: int | None, other: int | None
) -> None:
    earlier, later = sorted((one, other), key=lambda until: -1 if until is None else until)
    before, after = decided(case, earlier), decided(case, later)
    check_day = next_check_day(before)
    reached = check_day is not None and later is not None and later >= deadline_ms(check_day)
    assert reached or after == before
    if reached:
        assert after != before


@given(cases(), heartbeats)
def test_looking_again_comes_to_an_end(case: Case, until: int | None) -> None:
    decision = decided(case, until)
    for _ in range(2):
        check_day = next_check_day(decision)
        if check_day is None:
            break
        decision = decided(case, deadline_ms(check_day))
    assert next_check_day(decision) is None


@given(cases(), heartbeats)
def test_an_open_insurance_with_the_employer_always_resolves(case: Case, until: int | None) -> None:
    employment, covers, pairs = case
    account = ("79", "000000")
    own = Insurance(RecordReference(INSURED_PERSONS, "own", 1, 0, 0), "33", *account, employment.start_day, None)
    own_pair = Pair(RecordReference(EMPLOYER_PAIRS, "own", 1, 0, 0), *account, employment.employer_id)
    decision = decided((employment, [*covers, own], {**pairs, account: [own_pair]}), until)
    assert (decision.state, decision.reason, decision.hold) == ("resolved", "enrolled", None)


@given(cases(), heartbeats)
def test_a_hold_needs_an_unpaired_insurance_and_keeps_the_alert_waiting(case: Case, until: int | None) -> None:
    decision = decided(case, until)
    roles = {role for role, _ in decision.evidence}
    if decision.hold is None:
        return
    assert decision.hold == "employer_unpaired"
    assert "unpaired_insurance" in roles
    assert decision.state in {"due", "reopened"}
    assert until is not None
    assert until >= deadline_ms(decision.due_day)


@given(cases(), heartbeats)
def test_pairing_the_unpaired_accounts_with_the_employer_never_accuses(case: Case, until: int | None) -> None:
    employment, covers, pairs = case
    every = {account: list(found) for account, found in pairs.items()}
    for account in ACCOUNTS:
        if account not in every:
            reference = RecordReference(EMPLOYER_PAIRS, f"N{account}", 1, 0, 0)
            every[account] = [Pair(reference, *account, employment.employer_id)]
    before, after = decided(case, until), decided((employment, covers, every), until)
    assert after.hold is None
    if before.state != "overdue":
        assert after.state != "overdue"


@given(cases(), heartbeats)
def test_the_days_of_a_decision_fit_its_state(case: Case, until: int | None) -> None:
    employment = case[0]
    decision = decided(case, until)
    assert decision.due_day >= employment.start_day + 30
    match decision.state:
        case "overdue":
            assert decision.since_day == decision.due_day + 1
        case "withdrawn":
            assert decision.since_day == employment.end_day
            assert decision.since_day <= decision.due_day
        case "resolved":
            assert decision.since_day >= employment.start_day
            assert decision.due_day == employment.start_day + 30
        case "due":
            assert (decision.since_day, decision.due_day) == (employment.start_day, employment.start_day + 30)
        case "reopened":
            assert decision.since_day == decision.due_day - 30
            assert decision.since_day > employment.start_day


@given(cases(), heartbeats)
def test_the_reason_fits_the_evidence(case: Case, until: int | None) -> None:
    decision = decided(case, until)
    roles = {role for role, _ in decision.evidence}
    match decision.reason:
        case "no_insurance":
            assert roles == {"employment"}
        case "enrolled_elsewhere":
            assert roles == {"employment", "other_insurance", "pair"}
        case "employer_unpaired":
            assert "unpaired_insurance" in roles
            assert "matching_insurance" not in roles
        case "enrolled" | "insurance_ended_early":
            assert roles >= {"employment", "matching_insurance", "pair"}
        case "left_before_deadline":
            assert decision.state == "withdrawn"


@given(cases(), heartbeats)
def test_the_evidence_alone_gives_the_same_decision(case: Case, until: int | None) -> None:
    employment, covers, pairs = case
    decision = decided(case, until)
    named = {reference for _, reference in decision.evidence}
    kept: Sequence[Insurance] = [one for one in covers if one.reference in named]
    kept_pairs = {account: [one for one in found if one.reference in named] for account, found in pairs.items()}
    assert decide(employment, kept, kept_pairs, until, default_law()) == decision


@given(cases(), heartbeats)
def test_where_the_records_were_read_changes_nothing_but_the_references(case: Case, until: int | None) -> None:
    employment, covers, pairs = case
    moved = [one._replace(reference=one.reference._replace(partition=1, offset=99)) for one in reversed(covers)]
    again, first = decided((employment, moved, pairs), until), decided(case, until)
    assert fingerprint(again) == fingerprint(first)
    assert [(role, ref[:3]) for role, ref in again.evidence] == [(role, ref[:3]) for role, ref in first.evidence]
