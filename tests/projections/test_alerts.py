"""Whether one employment's alert is decided as docs/alerts.md says, at each boundary."""

import base64
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saphan_projections.alerts import (
    Decision,
    Employment,
    Insurance,
    Pair,
    RecordReference,
    alert_id,
    deadline_ms,
    decide,
    fingerprint,
    hold_at,
    next_check_day,
)
from saphan_projections.law import Law, default_law, parse_law
from saphan_schemas.topics import EMPLOYER_PAIRS, EMPLOYMENTS, INSURED_PERSONS
from saphan_schemas.values import bangkok_midnight_ms

HIRED = 20_000
LATE = bangkok_midnight_ms(HIRED + 10_000)
EARLY = bangkok_midnight_ms(HIRED)
OWN, OTHER, UNKNOWN = ("7100000011", "000000"), ("7100000022", "000000"), ("7100000033", "000000")


def reference(feed: str, record_id: str, version: int = 1) -> RecordReference:
    return RecordReference(feed, record_id, version, 0, 7)


def pair(record_id: str, account: tuple[str, str], employer_id: str) -> Pair:
    return Pair(reference(EMPLOYER_PAIRS, record_id), *account, employer_id)


PAIRS = {OWN: [pair("P1", OWN, "EMP-A")], OTHER: [pair("P2", OTHER, "EMP-B")]}


def employment(end: int | None = None, start: int = HIRED) -> Employment:
    return Employment(reference(EMPLOYMENTS, "E1"), "EMP-A", start, end)


def insurance(
    start: int | None = HIRED,
    end: int | None = None,
    account: tuple[str | None, str | None] = OWN,
    record_id: str = "I1",
    section: str | None = "33",
) -> Insurance:
    return Insurance(reference(INSURED_PERSONS, record_id), section, *account, start, end)


def decided(*insurances: Insurance, end: int | None = None, until: int | None = LATE) -> Decision:
    return decide(employment(end), insurances, PAIRS, until, default_law())


def test_the_alert_id_is_fixed_by_the_record_id() -> None:
    # printf 'doe.employments.v1|E1|enrolment_missing|1' | b2sum -l 80 | cut -d' ' -f1 | xxd -r -p | base32
    assert alert_id("E1") == "A-d5nvhddukybmkkta"
    assert alert_id("E1") != alert_id("E2")


@given(st.text())
def test_the_alert_id_is_base_32_of_the_hash(record_id: str) -> None:
    digest = blake2b(f"doe.employments.v1|{record_id}|enrolment_missing|1".encode(), digest_size=10).digest()
    assert alert_id(record_id) == "A-" + base64.b32encode(digest).decode().lower()


def test_the_alert_id_takes_any_text_as_record_id() -> None:
    for record_id in ("", "งาน-1", "a|b", "x" * 10_000):
        identity = alert_id(record_id)
        assert identity.startswith("A-")
        assert len(identity) == 18
        assert set(identity[2:]) <= set("abcdefghijklmnopqrstuvwxyz234567")


@pytest.mark.parametrize("day", [-1, 0, 1, HIRED, 2**30])
def test_the_deadline_is_the_bangkok_midnight_that_ends_the_last_day(day: int) -> None:
    assert deadline_ms(day) == bangkok_midnight_ms(day + 1)


@pytest.mark.parametrize(
    ("until", "state"),
    [
        (None, "due"),
        (bangkok_midnight_ms(HIRED + 29), "due"),
        (bangkok_midnight_ms(HIRED + 30), "due"),
        (bangkok_midnight_ms(HIRED + 31) - 1, "due"),
        (bangkok_midnight_ms(HIRED + 31), "overdue"),
    ],
)
def test_an_alert_is_overdue_when_the_feed_is_complete_past_day_30(until: int | None, state: str) -> None:
    decision = decided(until=until)
    assert decision.state == state
    assert decision.due_day == HIRED + 30
    assert decision.since_day == (HIRED + 31 if state == "overdue" else HIRED)
    assert next_check_day(decision) == (None if state == "overdue" else HIRED + 30)


@pytest.mark.parametrize(("end", "state"), [(HIRED, "withdrawn"), (HIRED + 30, "withdrawn"), (HIRED + 31, "overdue")])
def test_an_exit_withdraws_up_to_and_on_the_last_day(end: int, state: str) -> None:
    assert decided(end=end).state == state


@pytest.mark.parametrize(
    ("start", "end", "overlaps"),
    [
        (HIRED + 100, None, True),
        (HIRED + 101, None, False),
        (HIRED - 50, HIRED, True),
        (HIRED - 50, HIRED - 1, False),
    ],
)
def test_an_insurance_overlaps_when_one_day_is_common(start: int, end: int | None, overlaps: bool) -> None:
    decision = decided(insurance(start, end), end=HIRED + 100)
    assert ("matching_insurance" in {role for role, _ in decision.evidence}) is overlaps


@pytest.mark.parametrize(
    ("cover_end", "state"),
    [(HIRED + 99, "withdrawn"), (HIRED + 100, "resolved"), (HIRED + 101, "resolved"), (None, "resolved")],
)
def test_cover_must_last_to_the_last_day_of_work(cover_end: int | None, state: str) -> None:
    assert decided(insurance(end=cover_end), end=HIRED + 100).state == state


@pytest.mark.parametrize(("end", "state"), [(HIRED + 71, "withdrawn"), (HIRED + 72, "overdue")])
def test_a_gap_gives_its_own_thirty_days_to_leave(end: int, state: str) -> None:
    assert decided(insurance(end=HIRED + 40), end=end).state == state


def test_an_insurance_that_began_before_the_work_resolves_from_the_first_day_of_work() -> None:
    decision = decided(insurance(HIRED - 400))
    assert (decision.state, decision.since_day, decision.due_day) == ("resolved", HIRED, HIRED + 30)


def test_the_earliest_of_those_that_last_longest_gives_the_day() -> None:
    decision = decided(
        insurance(HIRED + 9), insurance(HIRED + 4, record_id="I2"), insurance(HIRED, HIRED + 20, record_id="I3")
    )
    assert decision.since_day == HIRED + 4


def test_a_second_insurance_carries_the_cover_on() -> None:
    decision = decided(insurance(end=HIRED + 40), insurance(HIRED + 41, HIRED + 80, record_id="I2"))
    assert (decision.state, decision.reason) == ("overdue", "insurance_ended_early")
    assert decision.due_day == HIRED + 81 + 30


def test_a_reopened_alert_runs_from_the_gap() -> None:
    decision = decided(insurance(end=HIRED + 40), until=bangkok_midnight_ms(HIRED + 72) - 1)
    assert (decision.state, decision.since_day, decision.due_day) == ("reopened", HIRED + 41, HIRED + 71)
    assert next_check_day(decision) == HIRED + 71


@pytest.mark.parametrize("section", ["39", "40", None, "", "033"])
def test_no_other_section_counts(section: str | None) -> None:
    decision = decided(insurance(section=section))
    assert (decision.state, decision.reason, len(decision.evidence)) == ("overdue", "no_insurance", 1)


def test_an_insurance_without_a_first_day_counts_for_nothing() -> None:
    assert decided(insurance(None)) == decided()
    assert decided(insurance(None, account=UNKNOWN)) == decided()


def test_another_branch_is_another_employer() -> None:
    decision = decided(insurance(account=(OWN[0], "000001")))
    assert decision.hold == "employer_unpaired"


@pytest.mark.parametrize("account", [UNKNOWN, (None, None), (OWN[0], None), (None, "000000")])
def test_an_insurance_without_a_known_employer_holds(account: tuple[str | None, str | None]) -> None:
    decision = decided(insurance(account=account))
    assert (decision.state, decision.hold, decision.reason) == ("due", "employer_unpaired", "employer_unpaired")
    assert decision.since_day == HIRED
    assert next_check_day(decision) is None


def test_an_account_whose_last_pair_was_taken_back_is_unpaired() -> None:
    decision = decide(employment(), [insurance()], {OWN: []}, LATE, default_law())
    assert decision.hold == "employer_unpaired"


def test_there_is_no_hold_before_the_deadline() -> None:
    decision = decided(insurance(account=UNKNOWN), until=EARLY)
    assert (decision.state, decision.hold) == ("due", None)


def test_a_hold_ends_when_the_unpaired_insurance_could_no_longer_help() -> None:
    ended = insurance(end=HIRED + 50, account=UNKNOWN)
    held = decided(ended, until=bangkok_midnight_ms(HIRED + 82) - 1)
    assert (held.state, held.hold, held.due_day) == ("due", "employer_unpaired", HIRED + 30)
    assert next_check_day(held) == HIRED + 51 + 30
    over = decided(ended, until=deadline_ms(HIRED + 51 + 30))
    assert (over.state, over.hold, over.due_day, over.since_day) == ("overdue", None, HIRED + 30, HIRED + 31)


def test_a_hold_keeps_a_gap_reopened() -> None:
    decision = decided(insurance(end=HIRED + 40), insurance(HIRED + 41, account=UNKNOWN, record_id="I2"))
    assert (decision.state, decision.hold) == ("reopened", "employer_unpaired")
    assert (decision.since_day, decision.due_day) == (HIRED + 41, HIRED + 71)
    assert decision.reason == "insurance_ended_early"


def test_a_hold_waits_also_where_the_work_would_have_ended_in_time() -> None:
    ended = insurance(end=HIRED + 50, account=UNKNOWN)
    decision = decided(ended, end=HIRED + 60)
    assert (decision.state, decision.hold, next_check_day(decision)) == ("due", "employer_unpaired", None)


def test_the_reason_tells_no_insurance_from_another_employers() -> None:
    assert decided().reason == "no_insurance"
    assert decided(insurance(account=OTHER)).reason == "enrolled_elsewhere"
    mixed = decided(insurance(account=OTHER), insurance(account=UNKNOWN, record_id="I2"))
    assert mixed.reason == "employer_unpaired"


def test_the_evidence_is_sorted_and_names_each_record_once_per_role() -> None:
    shared = {OWN: [pair("P9", OWN, "EMP-A"), pair("P1", OWN, "EMP-A"), pair("P5", OWN, "EMP-B")]}
    decision = decide(
        employment(),
        [
            insurance(record_id="I3"),
            insurance(record_id="I2"),
            insurance(account=UNKNOWN, record_id="I4"),
            insurance(section="39", record_id="I5"),
            insurance(end=HIRED - 1, record_id="I6"),
        ],
        shared,
        LATE,
        default_law(),
    )
    assert [(role, ref.record_id) for role, ref in decision.evidence] == [
        ("employment", "E1"),
        ("matching_insurance", "I2"),
        ("matching_insurance", "I3"),
        ("pair", "P1"),
        ("pair", "P9"),
        ("unpaired_insurance", "I4"),
    ]


def test_the_pair_of_another_employer_is_evidence_that_the_account_is_not_this_employers() -> None:
    decision = decided(insurance(account=OTHER))
    assert [role for role, _ in decision.evidence] == ["employment", "other_insurance", "pair"]


def test_a_reader_sees_that_the_sso_feed_is_behind_only_past_the_last_day() -> None:
    decision = decided(until=EARLY)
    past = deadline_ms(decision.due_day)
    assert hold_at(decision, past - 1, EARLY) is None
    assert hold_at(decision, past, EARLY) == "sso_feed_behind"
    assert hold_at(decision, past, None) == "sso_feed_behind"
    assert hold_at(decision, past, past) is None


def test_a_reader_sees_the_stored_hold_first_and_none_on_a_closed_alert() -> None:
    assert hold_at(decided(insurance(account=UNKNOWN)), LATE, LATE) == "employer_unpaired"
    assert hold_at(decided(insurance()), LATE, None) is None
    assert hold_at(decided(), LATE, None) is None


def test_new_evidence_alone_is_no_change_worth_telling() -> None:
    first, second = insurance(), insurance()._replace(reference=reference(INSURED_PERSONS, "I1", 2))
    assert decided(first) != decided(second)
    assert fingerprint(decided(first)) == fingerprint(decided(second))
    assert fingerprint(decided()) != fingerprint(decided(until=EARLY))
    assert fingerprint(decided(insurance(account=UNKNOWN))) != fingerprint(
        decided(insurance(account=UNKNOWN), until=EARLY)
    )


def _shorter_from(day: str) -> Law:
    text = f"""
    exemption = []
    contribution_rate = []
    wage_limit = []
    [[deadline]]
    rule_version = "old"
    deadline_days = 30
    source = "test"
    confirmed = true
    [[deadline]]
    rule_version = "new"
    deadline_days = 15
    source = "test"
    confirmed = true
    valid_from = {day}
    """
    return parse_law(text)


def test_the_law_of_the_day_on_which_the_gap_begins_decides() -> None:
    # 2024-10-04 is day 20,000.
    law = _shorter_from("2024-10-24")
    change = HIRED + 20
    assert decide(employment(), [], PAIRS, None, law)[3:6] == (HIRED + 30, HIRED, "old")
    assert decide(employment(start=change), [], PAIRS, None, law)[3:6] == (change + 15, change, "new")
    ended = insurance(end=change - 1)
    assert decide(employment(), [ended], PAIRS, None, law)[3:6] == (change + 15, change, "new")
    # A resolved alert shows the day in time of the hire.
    assert decide(employment(), [insurance()], PAIRS, None, law)[3:6] == (HIRED + 30, HIRED, "old")
