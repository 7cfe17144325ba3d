"""That the settled alerts follow from the rows alone: the same as those stored, at any moment asked for."""

from collections.abc import Iterable

import msgpack
import pytest
from in_process import (
    EMPLOYMENTS,
    INSURED_PERSONS,
    PAIRS,
    InProcessPlatform,
    insured,
    job,
    pair,
    permit,
    tell_small_story,
)

from saphan_projections.law import default_law
from saphan_projections.settled import SettledAlert, settled_alerts
from saphan_schemas.values import date_to_days, parse_date, parse_time_ms


def settled(platform: InProcessPlatform, as_of: str | None = None) -> dict[str, SettledAlert]:
    as_of_ms = None if as_of is None else parse_time_ms(as_of)
    with platform.state_database.reading() as transaction:
        found = list(settled_alerts(transaction, default_law(), as_of_ms))
    assert len({alert.alert_id for alert in found}) == len(found)
    return {alert.employment_record_id: alert for alert in found}


def stored(platform: InProcessPlatform) -> dict[str, tuple[object, ...]]:
    with platform.state_database.reading() as transaction:
        rows = transaction.rows(
            "SELECT employment_record_id, alert_id, kind, state, reason, hold, due_day, since_day, worker_id,"
            " employer_id, rule_version, version, evidence FROM alert WHERE reason <> 'employment_deleted'"
        )
    return {row[0]: row[1:] for row in rows}


def as_stored(alerts: Iterable[SettledAlert]) -> dict[str, tuple[object, ...]]:
    def evidence(alert: SettledAlert) -> object:
        return msgpack.packb([(role, *reference) for role, reference in alert.evidence])

    return {
        alert.employment_record_id: (
            alert.alert_id, alert.kind, alert.state, alert.reason, alert.hold, alert.due_day, alert.since_day,
            alert.worker_id, alert.employer_id, alert.rule_version, alert.version, evidence(alert),
        )
        for alert in alerts
    }  # fmt: skip


def states(alerts: dict[str, SettledAlert]) -> dict[str, str]:
    return {record_id: alert.state for record_id, alert in alerts.items()}


def test_the_small_story_settles_as_the_rules_say(in_process_platform: InProcessPlatform) -> None:
    tell_small_story(in_process_platform)
    in_process_platform.run()
    found = settled(in_process_platform)
    assert states(found) == {"E-1": "resolved", "E-2": "overdue", "E-3": "due", "E-4": "withdrawn"}
    assert found["E-3"].hold == "employer_unpaired"
    assert found["E-2"].due_day == date_to_days(parse_date("2026-01-31"))
    assert [role for role, _ in found["E-1"].evidence] == ["employment", "matching_insurance", "pair"]


def test_recomputed_alerts_equal_the_stored_ones(in_process_platform: InProcessPlatform) -> None:
    tell_small_story(in_process_platform)
    in_process_platform.run(chunk_records_max=2)
    assert as_stored(settled(in_process_platform).values()) == stored(in_process_platform)


def test_an_earlier_moment_reads_with_an_earlier_heartbeat(in_process_platform: InProcessPlatform) -> None:
    tell_small_story(in_process_platform)
    in_process_platform.run()
    # The last day in time of E-2 ends at 17:00 UTC on 31 January.
    assert settled(in_process_platform, "2026-01-31T16:59:59.999Z")["E-2"].state == "due"
    assert settled(in_process_platform, "2026-01-31T17:00:00Z")["E-2"].state == "overdue"


def test_a_moment_after_the_heartbeat_shows_that_the_feed_is_behind(in_process_platform: InProcessPlatform) -> None:
    in_process_platform.publish(EMPLOYMENTS, job(1))
    in_process_platform.heartbeat(INSURED_PERSONS, "2026-01-15T00:00:00Z")
    in_process_platform.run()
    assert settled(in_process_platform)["E-1"].hold_as_of is None
    late = settled(in_process_platform, "2026-02-01T00:00:00Z")["E-1"]
    assert (late.state, late.hold, late.hold_as_of) == ("due", None, "sso_feed_behind")


def test_without_any_heartbeat_nothing_is_overdue(in_process_platform: InProcessPlatform) -> None:
    in_process_platform.publish(EMPLOYMENTS, job(1))
    in_process_platform.run()
    assert states(settled(in_process_platform)) == {"E-1": "due"}
    assert settled(in_process_platform, "2027-01-01T00:00:00Z")["E-1"].hold_as_of == "sso_feed_behind"


def test_a_deleted_employment_has_no_settled_alert(in_process_platform: InProcessPlatform) -> None:
    in_process_platform.publish(EMPLOYMENTS, job(1), job(2))
    in_process_platform.run()
    in_process_platform.publish(EMPLOYMENTS, {"record_id": "E-1", "version": 2, "deleted": True})
    in_process_platform.run()
    assert set(settled(in_process_platform)) == {"E-2"}
    with in_process_platform.state_database.reading() as transaction:
        assert transaction.rows("SELECT state, reason FROM alert WHERE employment_record_id = 'E-1'") == [
            ("withdrawn", "employment_deleted")
        ]


def test_every_moment_of_a_pair_is_followed(in_process_platform: InProcessPlatform) -> None:
    platform = in_process_platform
    platform.publish("doe.work-permits.v1", permit(1))
    platform.publish(EMPLOYMENTS, job(1))
    platform.publish(INSURED_PERSONS, insured(1))
    platform.heartbeat(INSURED_PERSONS, "2026-03-01T00:00:00Z")
    platform.run()
    assert settled(platform)["E-1"].hold == "employer_unpaired"
    platform.publish(PAIRS, pair())
    platform.run()
    assert settled(platform)["E-1"].state == "resolved"
    assert as_stored(settled(platform).values()) == stored(platform)
    platform.publish(PAIRS, {"record_id": "P-1", "version": 2, "deleted": True})
    platform.run()
    assert settled(platform)["E-1"].hold == "employer_unpaired"
    assert as_stored(settled(platform).values()) == stored(platform)


@pytest.mark.parametrize("workers_per_read", [1, 2, 3])
def test_reading_in_batches_skips_nobody(
    in_process_platform: InProcessPlatform, monkeypatch: pytest.MonkeyPatch, workers_per_read: int
) -> None:
    monkeypatch.setattr("saphan_projections.settled._WORKERS_PER_READ", workers_per_read)
    in_process_platform.publish(EMPLOYMENTS, *(job(number) for number in range(1, 8)))
    in_process_platform.run()
    assert len(settled(in_process_platform)) == 7
