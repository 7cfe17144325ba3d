"""That what people ask is answered from the rows, and that every attribute of a person names the record that said it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_process import (
    EMPLOYMENTS,
    INSURED_PERSONS,
    WORK_PERMITS,
    InProcessPlatform,
    insured,
    job,
    permit,
    tell_small_story,
)

from saphan_projections import queries, worker_queries
from saphan_projections.alerts import urgency
from saphan_projections.tables import AlertRow
from saphan_projections.worker import KEPT, Member, WorkerState
from saphan_projections.worker_view import person_sources, view
from saphan_schemas.topics import CONTRIBUTIONS, EMPLOYER_PAIRS, HEARTBEATS, WORKER_FEEDS
from saphan_schemas.values import date_to_days, days_to_date, parse_date, parse_time_ms

READ_AT_MS = parse_time_ms("2026-10-01T00:00:00Z")


@pytest.fixture
def story(in_process_platform: InProcessPlatform) -> InProcessPlatform:
    tell_small_story(in_process_platform)
    in_process_platform.run()
    return in_process_platform


def test_coverage_counts_people_with_a_record_only(story: InProcessPlatform) -> None:
    with story.state_database.reading() as transaction:
        before = queries.coverage(transaction)
    assert before == (5, 3, 3, 3, 2)
    story.publish(INSURED_PERSONS, {"record_id": "I-5", "version": 2, "deleted": True})
    story.run()
    with story.state_database.reading() as transaction:
        assert queries.coverage(transaction) == (4, 3, 2, 3, 2)


def test_the_most_urgent_alerts_come_first(story: InProcessPlatform) -> None:
    with story.state_database.transaction() as transaction:
        (row, *_) = transaction.rows("SELECT * FROM alert")
        transaction.execute("DELETE FROM alert")
        one = dict(zip(AlertRow.model_fields, row, strict=True))
        states = ["resolved", "due", "withdrawn", "reopened", "overdue"]
        rows = [tuple({**one, "alert_id": f"A-{state}", "state": state}.values()) for state in states]
        transaction.upsert(AlertRow, rows)
        found = [alert.state for alert in queries.stored_alerts(transaction, None, 10, READ_AT_MS)]
    assert found == ["overdue", "reopened", "due", "resolved", "withdrawn"]
    assert found == sorted(found, key=urgency)


def test_coverage_of_nobody_is_unknown(in_process_platform: InProcessPlatform) -> None:
    with in_process_platform.state_database.reading() as transaction:
        nothing = queries.coverage(transaction)
    assert (nothing.of_registered, nothing.of_eligible) == (None, None)


def test_feeds_tell_how_far_they_were_read(story: InProcessPlatform) -> None:
    with story.link_database.reading() as transaction:
        rows = {row.feed: row for row in queries.feeds(transaction)}
    assert rows[WORK_PERMITS].events == 4
    assert rows[EMPLOYER_PAIRS].changed_at_max == parse_time_ms("2026-01-01T00:00:00Z")
    assert rows[INSURED_PERSONS].complete_until == parse_time_ms("2026-03-01T00:00:00Z")
    assert rows[HEARTBEATS].changed_at_max is None
    with story.state_database.reading() as transaction:
        assert queries.watermarks(transaction) == {INSURED_PERSONS: parse_time_ms("2026-03-01T00:00:00Z")}


def test_a_feed_that_is_empty_and_complete_is_known_to_be_complete(in_process_platform: InProcessPlatform) -> None:
    """Nothing was kept of it, and after a restart it looked as if it had never been heard of."""
    in_process_platform.heartbeat(EMPLOYER_PAIRS, "2026-03-01T00:00:00Z")
    in_process_platform.run()
    with in_process_platform.link_database.reading() as transaction:
        (row,) = (row for row in queries.feeds(transaction) if row.feed == EMPLOYER_PAIRS)
    assert row == (EMPLOYER_PAIRS, 0, 0, None, None, parse_time_ms("2026-03-01T00:00:00Z"))


def test_the_newest_alert_comes_first(story: InProcessPlatform) -> None:
    with story.state_database.reading() as transaction:
        found = queries.newest_alerts(transaction, 2)
    assert len(found) == 2
    versions = [alert.version or 0 for _, alert in found]
    assert versions == sorted(versions, reverse=True)


def test_a_hold_is_shown_to_who_reads_after_the_deadline(in_process_platform: InProcessPlatform) -> None:
    platform = in_process_platform
    platform.publish(EMPLOYMENTS, job(1))
    platform.heartbeat(INSURED_PERSONS, "2026-01-15T00:00:00Z")
    platform.run()
    with platform.state_database.reading() as transaction:
        (late,) = queries.stored_alerts(transaction, None, None, READ_AT_MS)
        (early,) = queries.stored_alerts(transaction, None, 1, parse_time_ms("2026-01-20T00:00:00Z"))
        shown = queries.alert_by_id(transaction, late.alert_id, READ_AT_MS)
        assert queries.alert_by_id(transaction, "A-nothing", READ_AT_MS) is None
    assert (late.state, late.hold, late.hold_as_of) == ("due", None, "sso_feed_behind")
    assert early.hold_as_of is None
    assert shown == late


def test_history_tells_each_state_in_order(in_process_platform: InProcessPlatform) -> None:
    platform = in_process_platform
    platform.publish(EMPLOYMENTS, job(1))
    platform.run()
    platform.heartbeat(INSURED_PERSONS, "2026-03-01T00:00:00Z")
    platform.run()
    platform.publish("employers.pairs.v1", {
        "record_id": "P", "sso_account": "7100000011", "sso_branch": "000000", "employer_id": "EMP-A",
    })  # fmt: skip
    platform.publish(INSURED_PERSONS, insured(1))
    platform.run()
    platform.publish(EMPLOYMENTS, {"record_id": "E-1", "version": 2, "deleted": True})
    platform.run()
    with platform.state_database.reading() as transaction:
        (alert,) = queries.alerts_of_employments(transaction, ["E-1"], READ_AT_MS)
        history = queries.alert_history(transaction, alert.alert_id)
    assert [(entry.state, entry.reason) for entry in history] == [
        ("due", "no_insurance"), ("overdue", "no_insurance"), ("resolved", "enrolled"),
        ("withdrawn", "employment_deleted"),
    ]  # fmt: skip
    assert [entry.version for entry in history] == sorted({entry.version for entry in history})


def test_a_record_is_found_with_its_feed_or_without(story: InProcessPlatform) -> None:
    with story.link_database.reading() as transaction:
        (alone,) = worker_queries.record_owners(transaction, "E-1")
        assert worker_queries.record_owners(transaction, "doe.employments.v1/E-1") == [alone]
        assert worker_queries.record_owners(transaction, "sso.insured-persons.v1/E-1") == []
        assert worker_queries.record_owners(transaction, "E-unknown") == []
        assert worker_queries.record_owners(transaction, "P-1") == []
    assert alone.feed == "doe.employments.v1"


def test_a_record_id_with_a_slash_is_found(in_process_platform: InProcessPlatform) -> None:
    in_process_platform.publish(WORK_PERMITS, permit(1, record_id="71/2569/12"))
    in_process_platform.run()
    with in_process_platform.link_database.reading() as transaction:
        (alone,) = worker_queries.record_owners(transaction, "71/2569/12")
        assert worker_queries.record_owners(transaction, f"{WORK_PERMITS}/71/2569/12") == [alone]


def test_personal_records_are_whole_and_without_deleted_ones(story: InProcessPlatform) -> None:
    story.publish(INSURED_PERSONS, {"record_id": "I-1", "version": 2, "deleted": True})
    story.run()
    with story.link_database.reading() as transaction:
        (owner,) = worker_queries.record_owners(transaction, "WP-1")
        assert owner.worker_no is not None
        found = worker_queries.personal_records(transaction, story.codec, owner.worker_no)
    # The contributions stay without the insurance: their insured number is the person's own 13-digit number.
    assert [(feed, record["record_id"]) for feed, record in found] == [
        (WORK_PERMITS, "WP-1"), (EMPLOYMENTS, "E-1"), (CONTRIBUTIONS, "C-1-2026-01"), (CONTRIBUTIONS, "C-1-2026-02"),
    ]  # fmt: skip
    assert found[0][1]["full_name"] == "AUNG AUNG 1"


@st.composite
def states(draw: st.DrawFn) -> WorkerState:
    state = WorkerState(1)
    for number in range(draw(st.integers(1, 6))):
        feed = draw(st.sampled_from([feed for feed in WORKER_FEEDS if feed in KEPT]))
        values: dict[str, Any] = {
            "nationality": st.sampled_from([None, "MMR", "LAO"]),
            "sex": st.sampled_from([None, "M", "F"]),
            "birth_date": st.sampled_from(
                [None, *(date_to_days(parse_date(f"{year}-05-17")) for year in (1990, 1991))]
            ),
        }
        kept = tuple(draw(values[name]) if name in values else None for name in KEPT[feed])
        state.put(
            number, Member(number, feed, f"R{number}", draw(st.integers(1, 2)), draw(st.integers(1, 2)), 0, 0, 0, kept)
        )
    return state


@given(states())
def test_sources_name_the_record_that_the_view_took_each_attribute_from(state: WorkerState) -> None:
    sources, seen = person_sources(state), view(state)

    def said(name: str) -> Any:
        member = sources.get(name)
        return member.kept[KEPT[member.feed].index(name)] if member is not None else None

    birth_day = said("birth_date")
    assert (said("nationality"), said("sex")) == (seen.nationality, seen.sex)
    assert (None if birth_day is None else days_to_date(birth_day).year) == seen.birth_year
