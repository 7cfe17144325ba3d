"""Whether the expected alerts are what the written files give, computed once more, slowly and from the files alone."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.rules import (
    normalise_passport,
    normalise_person_number,
    problems,
    usable_passport,
    usable_person_number,
)
from saphan_schemas.topics import EMPLOYER_PAIRS, EMPLOYMENTS, HEARTBEATS, INSURED_PERSONS, RECORD_FEEDS, WORKER_FEEDS
from saphan_schemas.values import to_wire

Record = dict[str, Any]
FOREVER = date(9999, 1, 1)


def newest_accepted(province: Any, feed: str) -> dict[str, Record]:
    kinds = default_catalogue().kinds(feed)
    newest: dict[str, Record] = {}
    for row in province.rows(feed):
        if any(problem.severity == "error" for problem in problems(feed, to_wire(kinds, row))):
            continue
        known = newest.get(row["record_id"])
        if known is None or known["version"] < row["version"]:
            newest[row["record_id"]] = row
    return {record_id: row for record_id, row in newest.items() if not row["deleted"]}


def identifiers(row: Record) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    # An insured number is the person's own 13-digit number where there is one.
    for field in ("non_thai_id", "insured_number"):
        number = normalise_person_number(row.get(field) or "")
        if number and usable_person_number(number):
            found.add(("person", number))
    for field in ("passport_number", "previous_passport_number"):
        text = normalise_passport(row.get(field) or "")
        if text and row["nationality"] and usable_passport(text):
            found.add(("passport", row["nationality"], text))
    for field in ("permit_number", "insured_number", "card_number"):
        text = normalise_passport(row.get(field) or "")
        if text and usable_passport(text):
            found.add((field, text))
    return found


def people(records: list[tuple[str, Record]]) -> list[list[tuple[str, Record]]]:
    """Records by person: spread outwards from each record until nothing new is reached."""
    holders: dict[tuple[str, ...], list[int]] = {}
    birth_dates: dict[tuple[str, ...], set[str]] = {}
    for place, (_, row) in enumerate(records):
        for identifier in identifiers(row):
            holders.setdefault(identifier, []).append(place)
            if row.get("birth_date"):
                birth_dates.setdefault(identifier, set()).add(row["birth_date"])
    joining = {key: places for key, places in holders.items() if len(birth_dates.get(key, ())) < 8}
    left = set(range(len(records)))
    groups = []
    while left:
        reached = {left.pop()}
        while True:
            keys = {key for place in reached for key in identifiers(records[place][1]) if key in joining}
            wider = reached | {place for key in keys for place in joining[key]}
            if wider == reached:
                break
            reached = wider
        left -= reached
        groups.append([records[place] for place in sorted(reached)])
    return groups


def day(text: str | None) -> date:
    return FOREVER if text is None else date.fromisoformat(text)


def settled(
    hire: Record, insured: list[Record], employers_of: dict[tuple[str, str], set[str]], until: datetime | None
) -> tuple[str, str, str | None, date, date]:
    """The alert by the contract, step by step."""
    start, end = day(hire["start_date"]), day(hire["end_date"])
    during = [
        row for row in insured
        if row["section"] == "33" and day(row["start_date"]) <= end and day(row["end_date"]) >= start
    ]  # fmt: skip

    def employers(row: Record) -> set[str]:
        return employers_of.get((row["sso_account"], row["sso_branch"]), set())

    own = [row for row in during if hire["employer_id"] in employers(row)]
    nobodys = [row for row in during if not employers(row)]

    def judge(cover: list[Record]) -> tuple[str, date, date]:
        gap = start
        if cover:
            last = max(day(row["end_date"]) for row in cover)
            if last == FOREVER or (end != FOREVER and last >= end):
                since = min(day(row["start_date"]) for row in cover if day(row["end_date"]) == last)
                return "resolved", start + timedelta(30), max(start, since)
            gap = last + timedelta(1)
        due = gap + timedelta(30)
        if end <= due:
            return "withdrawn", due, end
        midnight = datetime.fromisoformat(f"{due + timedelta(1)}T00:00:00+07:00")
        if until is not None and until >= midnight:
            return "overdue", due, due + timedelta(1)
        return ("reopened" if cover else "due"), due, gap

    state, due, since = judge(own)
    hold = None
    if state == "overdue" and nobodys and judge(own + nobodys)[0] != "overdue":
        state, hold, since = ("reopened" if own else "due"), "employer_unpaired", due - timedelta(30)
    reason = {"resolved": "enrolled", "withdrawn": "left_before_deadline"}.get(state)
    if reason is None and own:
        reason = "insurance_ended_early"
    elif reason is None and during:
        reason = "employer_unpaired" if nobodys else "enrolled_elsewhere"
    return state, reason or "no_insurance", hold, due, since


def recomputed(province: Any) -> dict[str, tuple[str, str, str | None, date, date]]:
    employers_of: dict[tuple[str, str], set[str]] = {}
    for row in newest_accepted(province, EMPLOYER_PAIRS).values():
        employers_of.setdefault((row["sso_account"], row["sso_branch"]), set()).add(row["employer_id"])
    beats = [row["complete_until"] for row in province.rows(HEARTBEATS) if row["feed"] == INSURED_PERSONS]
    until = max((datetime.fromisoformat(text) for text in beats), default=None)
    records = [(feed, row) for feed in WORKER_FEEDS for row in newest_accepted(province, feed).values()]
    found = {}
    for group in people(records):
        insured = [row for feed, row in group if feed == INSURED_PERSONS]
        for feed, row in group:
            if feed == EMPLOYMENTS:
                found[row["record_id"]] = settled(row, insured, employers_of, until)
    return found


MESSY = {
    "faults": {
        "office_number_share": 0.02,
        "typo_share": 0.08,
        "placeholder_share": 0.05,
        "deleted_share": 0.15,
        "correction_share": 0.2,
        "registered_twice_share": 0.1,
    },
    "sso": {"filed_share": {"eligible": 0.9, "exempt": 0.6}, "ends_early_share": 0.4, "number_only_share": 0.1},
    "employers": {"paired_share": 0.6, "pair_first_wrong_share": 0.2, "pair_deleted_share": 0.1},
    "agencies": {"straggler_share": 0.2, "duplicate_share": 0.2, "silences_per_month": 0.8},
    "people": {"departures_per_year": 0.8},
}


@pytest.mark.parametrize(
    ("seed", "workers", "months", "start", "changed"),
    [
        (1, 400, 12, date(2025, 10, 1), {}),
        (2, 1, 6, date(2025, 10, 1), {}),
        (3, 60, 1, date(2024, 2, 29), MESSY),
        (4, 250, 9, date(2025, 3, 1), MESSY),
        (5, 500, 4, date(2025, 12, 15), MESSY),
        (6, 120, 36, date(2023, 1, 31), MESSY),
        (7, 200, 6, date(2025, 10, 1), {"faults": {"buddhist_year_share": 0.2}}),
    ],
)
def test_the_expected_alerts_are_those_that_the_files_give(
    simulate: Callable[..., Any], seed: int, workers: int, months: int, start: date, changed: dict[str, Any]
) -> None:
    province = simulate(seed, workers, months, start, **changed)
    found = recomputed(province)
    expected = {
        row["employment_record_id"]: (
            row["state"], row["reason"], row["hold"], day(row["due_on"]), day(row["state_since"])
        )
        for row in province.rows("expected-alerts")
    }  # fmt: skip
    assert found == expected


def test_what_identifiers_cannot_join_is_named_with_the_true_state(simulate: Callable[..., Any]) -> None:
    rows = simulate(4, 250, 9, **MESSY).rows("expected-alerts")
    apart = [row for row in rows if not row["joinable"]]
    assert {"typo", "sso_number_only", "joined_with_another_worker"} <= {row["not_joinable_because"] for row in apart}
    assert any(row["true_state"] != row["state"] for row in apart)
    assert all("true_state" not in row for row in rows if row["joinable"])


def test_a_row_is_joinable_when_the_truth_joins_the_same_insurances(simulate: Callable[..., Any]) -> None:
    province = simulate(4, 250, 9, **MESSY)
    owner = {
        (row["feed"], row["record_id"]): row["worker"] for row in province.rows("truth") if row["kind"] == "record"
    }
    joinable = {row["employment_record_id"]: row["joinable"] for row in province.rows("expected-alerts")}
    insured_ids = newest_accepted(province, INSURED_PERSONS).keys()
    records = [(feed, row) for feed in WORKER_FEEDS for row in newest_accepted(province, feed).values()]
    for group in people(records):
        joined = {row["record_id"] for feed, row in group if feed == INSURED_PERSONS}
        for feed, row in group:
            if feed == EMPLOYMENTS:
                worker = owner[EMPLOYMENTS, row["record_id"]]
                true = {record_id for record_id in insured_ids if owner[INSURED_PERSONS, record_id] == worker}
                assert joinable[row["record_id"]] == (joined == true)


def test_who_comes_back_with_nothing_shared_is_one_person_in_the_truth_and_not_joinable(
    simulate: Callable[..., Any],
) -> None:
    province = simulate(
        5, 1500, 12, people={"departures_per_year": 2.0, "return_share": 1.0, "return_new_passport_share": 1.0,
                             "return_previous_known_share": 0.0, "return_new_person_number_share": 1.0},
        sso={"filed_share": {"eligible": 1.0, "exempt": 1.0}},
    )  # fmt: skip
    apart = {row["worker"] for row in province.rows("truth") if row["kind"] == "stayed" and row["nothing_shared"]}
    owner = {row["record_id"]: row["worker"] for row in province.rows("truth") if row["kind"] == "record"}
    rows = [row for row in province.rows("expected-alerts") if owner[row["employment_record_id"]] in apart]
    why = [row["not_joinable_because"] for row in rows if not row["joinable"]]
    assert why.count("returned_under_new_passport") > 50
    joined_again = simulate(5, 1500, 12, people={"departures_per_year": 2.0, "return_previous_known_share": 1.0})
    assert not [row for row in joined_again.rows("truth") if row["kind"] == "stayed" and row["nothing_shared"]]


def test_nobody_corrects_a_record_that_was_deleted(simulate: Callable[..., Any]) -> None:
    province = simulate(4, 250, 9, **MESSY)
    for feed in RECORD_FEEDS:
        last: dict[str, int] = {}
        for row in province.rows(feed):
            last[row["record_id"]] = max(last.get(row["record_id"], 0), row["version"])
        assert all(row["version"] == last[row["record_id"]] for row in province.rows(feed) if row["deleted"])


def test_a_silent_sso_feed_holds_alerts_before_overdue(simulate: Callable[..., Any]) -> None:
    province = simulate(8, 300, 2, agencies={"silences_per_month": 1.0, "silence_days_quantiles": [[0, 30], [1, 30]]})
    rows = province.rows("expected-alerts")
    assert any(row["hold_as_of"] == "sso_feed_behind" and row["hold"] is None for row in rows)
    for row in rows:
        if row["hold_as_of"] == "sso_feed_behind":
            assert row["state"] in {"due", "reopened"}
            assert day(row["due_on"]) < date(2025, 12, 1)


def test_alerts_have_one_id_for_each_employment(province: Any) -> None:
    rows = province.rows("expected-alerts")
    assert len({row["alert_id"] for row in rows}) == len(rows)
    assert all(row["alert_id"].startswith("A-") and len(row["alert_id"]) == 18 for row in rows)
    assert {row["state"] for row in rows} == {"due", "overdue", "resolved", "withdrawn", "reopened"}
    assert {row["as_of"] for row in rows} == {province.report["as_of"]}
