"""What is told and kept when a worker's alerts are looked at: each state once, by versions, and nothing taken back."""

from typing import Any

from in_process import (
    CONTRIBUTIONS,
    EMPLOYMENTS,
    INSURED_PERSONS,
    PAIRS,
    WORK_PERMITS,
    InProcessPlatform,
    contribution,
    insured,
    job,
    one_by_one,
    pair,
    permit,
    told_by_link,
)

from saphan_projections.law import default_law
from saphan_projections.settled import settled_alerts
from saphan_schemas.topics import ENROLMENT_ALERTS, WORKER_RECORDS
from saphan_schemas.values import parse_time_ms

LATE = "2026-03-01T00:00:00Z"


def told(platform: InProcessPlatform) -> list[tuple[str, str | None]]:
    """State and hold of every message about alerts, in the order of their versions."""
    sent = sorted(platform.sent(ENROLMENT_ALERTS), key=lambda alert: int(alert["version"]))
    return [(alert["state"], alert["hold"]) for alert in sent]


def stored(platform: InProcessPlatform, columns: str, table: str = "alert") -> list[tuple[Any, ...]]:
    with platform.state_database.reading() as transaction:
        return transaction.rows(f"SELECT {columns} FROM {table}")  # noqa: S608 - of these tests


def settled(platform: InProcessPlatform) -> list[str]:
    with platform.state_database.reading() as transaction:
        return [alert.state for alert in settled_alerts(transaction, default_law())]


def publish(platform: InProcessPlatform, feed: str, *records: dict[str, Any]) -> None:
    platform.publish(feed, *records)
    platform.run()


def beat(platform: InProcessPlatform, until: str) -> None:
    platform.heartbeat(INSURED_PERSONS, until)
    platform.run()


def again(platform: InProcessPlatform, **wanted: Any) -> None:
    """Send those messages of worker.records.v2 once more, behind everything."""
    for number, rows in platform.log[WORKER_RECORDS].items():
        for row in one_by_one(platform.codec, rows):
            (message,) = told_by_link(platform.codec, row.value)
            if wanted.items() <= message.items():
                platform.publish_raw(WORKER_RECORDS, row.key, row.value, number)
    platform.run()


def test_each_state_is_told_once(in_process_platform: InProcessPlatform) -> None:
    platform = in_process_platform
    publish(platform, EMPLOYMENTS, job(1))
    beat(platform, "2026-01-20T00:00:00Z")
    beat(platform, LATE)
    beat(platform, "2026-03-02T00:00:00Z")
    publish(platform, PAIRS, pair())
    publish(platform, INSURED_PERSONS, insured(1))
    publish(platform, EMPLOYMENTS, {"record_id": "E-1", "version": 2, "deleted": True})
    states = [state for state, _ in told(platform)]
    assert states == ["due", "overdue", "resolved", "withdrawn"]
    history = stored(platform, "state", "alert_history")
    assert sorted(history) == sorted((state,) for state in states)


def test_a_hold_that_comes_and_goes_is_told(in_process_platform: InProcessPlatform) -> None:
    platform = in_process_platform
    publish(platform, EMPLOYMENTS, job(1))
    publish(platform, INSURED_PERSONS, insured(1))
    beat(platform, LATE)
    publish(platform, INSURED_PERSONS, {"record_id": "I-1", "version": 2, "deleted": True})
    assert told(platform) == [("due", None), ("due", None), ("due", "employer_unpaired"), ("overdue", None)]


def test_new_evidence_alone_is_kept_and_not_told(in_process_platform: InProcessPlatform) -> None:
    platform = in_process_platform
    publish(platform, EMPLOYMENTS, job(1))
    before = stored(platform, "version, evidence")
    publish(platform, EMPLOYMENTS, job(1, version=2))
    ((version, evidence),) = stored(platform, "version, evidence")
    assert [version] == [row[0] for row in before]
    assert [evidence] != [row[1] for row in before]
    assert told(platform) == [("due", None)]


def test_a_corrected_employer_is_told_also_when_nothing_else_changes(in_process_platform: InProcessPlatform) -> None:
    """Else the SSO would go on asking an employer of whom the records no longer speak."""
    platform = in_process_platform
    publish(platform, EMPLOYMENTS, job(1, employer="EMP-A"))
    beat(platform, LATE)
    publish(platform, EMPLOYMENTS, job(1, employer="EMP-B", version=2))
    platform.restart()
    publish(platform, EMPLOYMENTS, job(1, employer="EMP-B", version=3))
    sent = sorted(platform.sent(ENROLMENT_ALERTS), key=lambda alert: int(alert["version"]))
    assert [(alert["state"], alert["employer_id"]) for alert in sent] == [
        ("due", "EMP-A"), ("overdue", "EMP-A"), ("overdue", "EMP-B"),
    ]  # fmt: skip
    assert len({alert["alert_id"] for alert in sent}) == 1
    assert stored(platform, "employer_id, version") == [("EMP-B", sent[-1]["version"])]
    assert len(stored(platform, "version", "alert_history")) == 3


def newest_told(platform: InProcessPlatform) -> dict[str, int]:
    """The highest version of each alert."""
    newest: dict[str, int] = {}
    for alert in platform.sent(ENROLMENT_ALERTS):
        newest[alert["alert_id"]] = max(alert["version"], newest.get(alert["alert_id"], 0))
    return newest


def test_the_version_that_is_told_is_the_one_that_is_kept(in_process_platform: InProcessPlatform) -> None:
    platform = in_process_platform
    publish(platform, EMPLOYMENTS, job(1), job(2))
    # New evidence alone: a newer look at the alert, whose state is the one that was told.
    publish(platform, EMPLOYMENTS, job(1, version=2))
    assert dict(stored(platform, "alert_id, version")) == newest_told(platform)
    beat(platform, LATE)
    assert dict(stored(platform, "alert_id, version")) == newest_told(platform)
    assert set(stored(platform, "alert_id, version")) <= set(stored(platform, "alert_id, version", "alert_history"))


def test_an_alert_that_moves_with_its_employment_is_not_withdrawn_in_between(
    in_process_platform: InProcessPlatform,
) -> None:
    """The SSO would be told that an employment was deleted that only turned out to be another person's."""
    platform = in_process_platform
    publish(platform, WORK_PERMITS, permit(1), permit(2))
    publish(platform, EMPLOYMENTS, job(1))
    publish(platform, EMPLOYMENTS, job(1, version=2, non_thai_id=permit(2)["non_thai_id"]))
    assert {state for state, _ in told(platform)} == {"due"}
    assert settled(platform) == ["due"]


def test_an_older_heartbeat_takes_nothing_back(in_process_platform: InProcessPlatform) -> None:
    """Partitions of integrate are read at different speeds, and what is sent may come again."""
    platform = in_process_platform
    publish(platform, EMPLOYMENTS, job(1))
    beat(platform, "2026-01-20T00:00:00Z")
    beat(platform, LATE)
    again(platform, kind="heartbeat", changed_at=parse_time_ms("2026-01-20T00:00:00Z"))
    assert settled(platform) == ["overdue"]
    assert {until for (until,) in stored(platform, "complete_until", "watermark")} == {parse_time_ms(LATE)}


def test_a_pair_that_comes_again_late_changes_nothing(in_process_platform: InProcessPlatform) -> None:
    platform = in_process_platform
    publish(platform, EMPLOYMENTS, job(1))
    publish(platform, INSURED_PERSONS, insured(1))
    beat(platform, LATE)
    publish(platform, PAIRS, pair(employer="EMP-B"))
    publish(platform, PAIRS, pair(version=2))
    assert settled(platform) == ["resolved"]
    again(platform, kind="pair", version=1)
    assert settled(platform) == ["resolved"]


def test_of_a_contribution_the_newest_message_counts_within_a_chunk_and_after_it(
    in_process_platform: InProcessPlatform,
) -> None:
    platform = in_process_platform
    publish(platform, CONTRIBUTIONS, contribution(1, amount_satang=1), contribution(1, version=2, amount_satang=2))
    assert stored(platform, "version, amount_satang, present", "contribution_month") == [(2, 2, 1)]
    again(platform, kind="record", version=1)
    assert stored(platform, "version, amount_satang, present", "contribution_month") == [(2, 2, 1)]
    publish(platform, CONTRIBUTIONS, {"record_id": "C-1-2026-01", "version": 3, "deleted": True})
    again(platform, kind="record", version=2)
    assert [present for (present,) in stored(platform, "present", "contribution_month")] == [0]


def test_the_heartbeat_that_ends_the_last_day_in_time_makes_the_alert_overdue_at_once(
    in_process_platform: InProcessPlatform,
) -> None:
    platform = in_process_platform
    publish(platform, EMPLOYMENTS, job(1))
    beat(platform, "2026-01-31T16:59:59.999Z")
    assert stored(platform, "state") == [("due",)]
    beat(platform, "2026-01-31T17:00:00Z")
    assert stored(platform, "state") == [("overdue",)]
    assert told(platform) == [("due", None), ("overdue", None)]


def test_a_deleted_employment_and_a_deleted_insurance_leave_the_rows(in_process_platform: InProcessPlatform) -> None:
    platform = in_process_platform
    publish(platform, WORK_PERMITS, permit(1))
    publish(platform, EMPLOYMENTS, job(1), job(2))
    publish(platform, INSURED_PERSONS, insured(1), insured(2))
    publish(platform, EMPLOYMENTS, {"record_id": "E-1", "version": 2, "deleted": True})
    publish(platform, INSURED_PERSONS, {"record_id": "I-1", "version": 2, "deleted": True})
    assert stored(platform, "record_id", "employment") == [("E-2",)]
    assert stored(platform, "record_id", "enrolment") == [("I-2",)]


def test_a_deleted_pair_is_gone_also_after_a_restart(in_process_platform: InProcessPlatform) -> None:
    platform = in_process_platform
    publish(platform, PAIRS, pair())
    publish(platform, PAIRS, pair(version=2, deleted=True))
    platform.restart()
    publish(platform, EMPLOYMENTS, job(1))
    publish(platform, INSURED_PERSONS, insured(1))
    beat(platform, LATE)
    assert stored(platform, "state, hold") == [("due", "employer_unpaired")]
