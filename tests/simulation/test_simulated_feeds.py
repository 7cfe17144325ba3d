"""Whether the feeds are what an agency would publish: valid, encodable, in order, faulty at the rates asked for."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from statistics import median
from typing import Any

import pytest

from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.codec import Codec
from saphan_schemas.rules import problems
from saphan_schemas.topics import (
    CONTRIBUTIONS,
    DOE_EMPLOYERS,
    EMPLOYER_PAIRS,
    EMPLOYMENTS,
    FEEDS,
    HEARTBEATS,
    INSURED_PERSONS,
    RECORD_FEEDS,
    TOPICS,
    WORK_PERMITS,
)
from saphan_schemas.values import bangkok_day, date_to_days, days_to_date, parse_time_ms, to_wire
from saphan_simulation.parameters import Parameters
from saphan_simulation.simulating import generate, live


def test_every_feed_is_written_and_every_topic_is_one_of_the_table(province: Any) -> None:
    for feed in FEEDS:
        assert feed in TOPICS
        assert province.rows(feed), feed
        assert province.report["events_by_feed"][feed] == len(province.rows(feed))


@pytest.mark.parametrize("feed", FEEDS)
def test_every_record_is_valid_and_can_be_encoded(province: Any, feed: str) -> None:
    codec, kinds = Codec(), default_catalogue().kinds(feed)
    for row in province.rows(feed):
        wire = to_wire(kinds, row)
        if feed == HEARTBEATS:
            assert "end_offsets" not in row
            wire["end_offsets"] = []
        assert set(wire) == set(kinds)
        assert [problem for problem in problems(feed, wire) if problem.severity == "error"] == []
        assert codec.decode(feed, codec.encode(feed, wire)) == wire


def test_no_record_id_holds_a_number_of_a_person(province: Any) -> None:
    numbers = set()
    ids = set()
    for feed in RECORD_FEEDS:
        for row in province.rows(feed):
            ids.add(row["record_id"])
            for name in ("non_thai_id", "passport_number", "previous_passport_number", "insured_number", "tax_id"):
                if row.get(name):
                    numbers.add(re.sub(r"[- ]", "", row[name]).upper())
    plain = {re.sub(r"[^0-9A-Z]", "", record_id) for record_id in ids}
    assert not [text for text in plain if any(text[place : place + 13] in numbers for place in range(len(text)))]
    assert not ids & numbers
    assert all(re.fullmatch(r"[A-Z]{2}-\d{10}(-\d{4})?", record_id) for record_id in ids)


def test_the_same_version_of_a_record_is_always_the_same(province: Any) -> None:
    for feed in RECORD_FEEDS:
        seen: dict[tuple[str, int], Any] = {}
        for row in province.rows(feed):
            assert seen.setdefault((row["record_id"], row["version"]), row) == row


def test_duplicates_corrections_deletions_and_disorder_all_happen(province: Any) -> None:
    found: Counter[str] = Counter()
    for feed in RECORD_FEEDS:
        newest: dict[str, int] = {}
        for row in province.rows(feed):
            known = newest.get(row["record_id"], 0)
            found["repeated"] += row["version"] == known
            found["out of order"] += row["version"] < known
            found["changed"] += row["version"] > known > 0
            found["deleted"] += row["deleted"]
            newest[row["record_id"]] = max(known, row["version"])
    assert all(found[what] > 0 for what in ("repeated", "out of order", "changed", "deleted")), found


def test_a_heartbeat_is_true(parameters: Parameters) -> None:
    """After "complete until T", nothing that was changed before T is published for the first time."""
    complete: dict[str, int] = {}
    seen: set[tuple[str, str, int]] = set()
    own = parameters.changed({"agencies.straggler_share": 0.2, "agencies.silences_per_month": 0.7})
    for _, topic, record in live(own, 3, 500, 8, form="wire"):
        if topic == HEARTBEATS:
            assert record["complete_until"] > complete.get(record["feed"], 0)
            assert record["complete_until"] <= record["sent_at"]
            complete[record["feed"]] = record["complete_until"]
            continue
        version = (topic, record["record_id"], record["version"])
        if version not in seen:
            seen.add(version)
            assert record["changed_at"] >= complete.get(topic, 0)


def test_events_come_in_order_of_time_and_a_second_run_continues(parameters: Parameters) -> None:
    whole = list(live(parameters, 5, 100, 6))
    assert [event[0] for event in whole] == sorted(event[0] for event in whole)
    assert {topic for _, topic, _ in whole} >= {EMPLOYMENTS, INSURED_PERSONS, HEARTBEATS}
    assert list(live(parameters, 5, 100, 6, skip=700)) == whole[700:]
    assert [(topic, row) for _, topic, row in whole] == list(generate(parameters, 5, 100, 6))


def test_both_orders_and_forms_of_the_stream_hold_the_same_events(parameters: Parameters) -> None:
    catalogue = default_catalogue()
    ordered = [(topic, repr(sorted(row.items()))) for topic, row in generate(parameters, 5, 80, 6, form="wire")]
    loose = generate(parameters, 5, 80, 6, in_order=False)
    again = [(topic, repr(sorted(to_wire(catalogue.kinds(topic), row).items()))) for topic, row in loose]
    assert sorted(ordered) == sorted(again)


def test_coverage_is_near_a_quarter_of_all_registered(province: Any) -> None:
    coverage = province.report["coverage"]
    assert 0.20 < coverage["share_of_registered"] < 0.31
    assert coverage["share_of_registered"] < coverage["share_of_eligible_employed"] < 0.65


def test_there_are_about_ten_events_for_each_worker_in_a_year_and_contributions_lead(province: Any) -> None:
    feeds = province.report["events_by_feed"]
    assert 8 < province.report["events_per_worker"] < 13
    assert max(feeds, key=feeds.get) == CONTRIBUTIONS


def _first_versions(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({row["record_id"]: row for row in rows if row["version"] == 1}.values())


def test_hire_notices_and_enrolments_are_as_late_as_the_parameters_say(parameters: Parameters) -> None:
    own = parameters.changed({
        "people.stock_share": 0.0,
        "faults.correction_share": 0.0,
        "sso.start_backdated_share": 1.0,
        "sso.filed_share": {"eligible": 1.0, "exempt": 1.0},
        "jobs.changes_per_year": dict.fromkeys(parameters["jobs.changes_per_year"], 0.0),
        "people.departures_per_year": 0.0,
    })  # fmt: skip
    lags: dict[str, dict[str, int]] = {EMPLOYMENTS: {}, INSURED_PERSONS: {}}
    horizon = date_to_days(date(2025, 10, 1)) + 365 - 240
    for topic, row in generate(own, 9, 3000, 24, form="wire", in_order=False):
        in_time = topic in lags and row["version"] == 1 and row["start_date"] < horizon
        if in_time and row.get("section", "33") == "33":
            lags[topic][row["record_id"]] = bangkok_day(row["changed_at"]) - row["start_date"]
    noticed, filed = list(lags[EMPLOYMENTS].values()), list(lags[INSURED_PERSONS].values())
    assert abs(median(noticed) - 6) <= 1
    assert abs(sum(lag > 15 for lag in noticed) / len(noticed) - 0.15) < 0.04
    assert abs(median(filed) - 28) <= 2
    assert abs(sum(lag > 30 for lag in filed) / len(filed) - 0.35) < 0.05


def test_employers_are_mostly_small_and_natural_persons(province: Any) -> None:
    rows = _first_versions(province.rows(DOE_EMPLOYERS))
    sizes = [row["workers"] for row in rows]
    natural = sum(row["id_type"] == "person" for row in rows) / len(rows)
    assert 0.64 < natural < 0.80
    assert 0.5 < sum(size < 5 for size in sizes) / len(sizes) < 0.75
    assert max(sizes) > 90
    assert all(re.fullmatch(r"71(0[1-9]|1[0-3])", row["address_district"]) for row in rows)


def test_people_are_as_the_parameters_say(province: Any, parameters: Parameters) -> None:
    rows = [row for row in _first_versions(province.rows(WORK_PERMITS)) if not row["deleted"]]
    assert abs(sum(row["sex"] == "M" for row in rows) / len(rows) - 0.65) < 0.03
    assert abs(sum(row["nationality"] == "MMR" for row in rows) / len(rows) - 0.95) < 0.02
    assert abs(sum(row["birth_date"].endswith("-01-01") for row in rows) / len(rows) - 0.10) < 0.03
    tracks = province.report["workers_by_track"]
    for track, share in parameters["people.track_mix"].items():
        assert abs(tracks[track] / sum(tracks.values()) - share) < 0.03


def test_the_cane_season_brings_hires(parameters: Parameters) -> None:
    hires: Counter[bool] = Counter()
    begins = date_to_days(date(2025, 10, 1))
    for topic, row in generate(parameters, 2, 4000, 12, form="wire", in_order=False):
        if (
            topic == EMPLOYMENTS
            and row["version"] == 1
            and row["sector"] == "agriculture"
            and row["start_date"] > begins
        ):
            hires[days_to_date(row["start_date"]).month in parameters["province.cane_season_months"]] += 1
    assert hires[True] > 1.4 * hires[False]


def test_contributions_follow_the_ceiling_of_their_month(province: Any) -> None:
    for row in province.rows(CONTRIBUTIONS):
        ceiling = 1_750_000 if row["month"] >= "2026-01" else 1_500_000
        assert row["amount_satang"] == max(165_000, min(row["wage_satang"], ceiling)) * 5 // 100


def test_a_name_is_spelt_anew_and_a_returning_worker_may_have_another(province: Any) -> None:
    owner = {
        (row["feed"], row["record_id"]): row["worker"] for row in province.rows("truth") if row["kind"] == "record"
    }
    spellings: dict[str, set[str]] = {}
    for feed in RECORD_FEEDS:
        for row in province.rows(feed):
            if row.get("full_name"):
                spellings.setdefault(owner[feed, row["record_id"]], set()).add(row["full_name"])
    assert 0.15 < sum(len(names) > 1 for names in spellings.values()) / len(spellings) < 0.6


def test_the_report_counts_the_branches_that_are_paired_and_not_the_accounts(province: Any) -> None:
    pairs = province.rows(EMPLOYER_PAIRS)
    branches = {row["record_id"] for row in pairs}
    assert province.report["sso_branches_paired"] == len(branches)
    assert len(branches) > len({row["sso_account"] for row in pairs if not row["deleted"]})


def test_nothing_happens_outside_the_window(simulate: Callable[..., Any]) -> None:
    province = simulate(4, 150, 3, date(2024, 12, 1))
    end = datetime.fromisoformat("2025-03-01T00:00:00+07:00")
    for feed in RECORD_FEEDS:
        assert all(datetime.fromisoformat(row["changed_at"]) < end for row in province.rows(feed))
    for row in province.rows(HEARTBEATS):
        assert parse_time_ms(row["sent_at"]) < end.timestamp() * 1000
    assert province.report["end"] == "2025-03-01"
    for row in province.rows("truth"):
        if row["kind"] == "employed":
            assert row["start_date"] < "2025-03-01"
