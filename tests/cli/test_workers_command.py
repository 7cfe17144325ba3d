"""That `saphan workers` finds a worker by any of its ids, says who said what, and keeps names and numbers back."""

import pytest
from commands_in_process import Saphan
from in_process import (
    CONTRIBUTIONS,
    EMPLOYMENTS,
    NON_THAI_IDS,
    InProcessPlatform,
    contribution,
    permit,
    person_number,
    tell_small_story,
)


@pytest.fixture
def story(in_process_platform: InProcessPlatform) -> InProcessPlatform:
    tell_small_story(in_process_platform)
    in_process_platform.publish(
        NON_THAI_IDS,
        {"record_id": "D-1", "non_thai_id": person_number(1), "nationality": "LAO", "birth_date": "1991-02-03"},
    )
    in_process_platform.run()
    return in_process_platform


def test_a_worker_is_found_by_its_id_and_by_any_of_its_records(saphan: Saphan, story: InProcessPlatform) -> None:
    found = saphan("workers", "show", "E-1", "--json").json
    for text in (found["worker_id"], "WP-1", "I-1", "C-1-2026-01", "doe.employments.v1/E-1"):
        assert saphan("workers", "show", text, "--json").json == found
    assert found["view"]["employers"] == ["EMP-A"]
    assert found["view"]["enrolled"] is True
    assert [row["month"] for row in found["contributions"]] == ["2026-01", "2026-02"]
    assert [row["sso_account"] for row in found["enrolments"]] == ["7100000011"]
    assert [row["start_date"] for row in found["employments"]] == ["2026-01-01"]
    (alert,) = found["alerts"]
    assert alert["state"] == "resolved"
    assert [entry["state"] for entry in alert["history"]] == ["resolved"]


def test_each_attribute_names_the_record_that_said_it(saphan: Saphan, story: InProcessPlatform) -> None:
    found = saphan("workers", "show", "E-1", "--json").json
    assert (found["view"]["nationality"], found["view"]["birth_year"], found["view"]["sex"]) == ("LAO", 1991, "M")
    said = {name: row["record_id"] for name, row in found["sources"].items()}
    assert said == {"nationality": "D-1", "birth_year": "D-1", "sex": "WP-1"}
    assert "dopa.non-thai-ids.v1/D-1 version 1" in saphan("workers", "show", "E-1").out


def test_names_and_numbers_are_shown_on_request_only(saphan: Saphan, story: InProcessPlatform) -> None:
    for arguments in (("--json",), ()):
        quiet = saphan("workers", "show", "E-1", *arguments)
        for secret in (person_number(1), "AUNG", "MB700001", "1990-05-17"):
            assert secret not in quiet.out + quiet.err
        open_ = saphan("workers", "show", "E-1", "--personal-data", *arguments)
        for shown in (person_number(1), "AUNG AUNG 1", "MB700001", "1990-05-17"):
            assert shown in open_.out
    assert "--personal-data" in saphan("workers", "show", "E-1").err


def test_contributions_of_nobody_known_are_shown_by_their_record(saphan: Saphan, story: InProcessPlatform) -> None:
    found = saphan("workers", "show", "C-9-2026-01", "--json").json
    assert found["worker_id"] is None
    assert [row["record_id"] for row in found["contributions"]] == ["C-9-2026-01"]
    assert "whom no other record names" in saphan("workers", "show", "C-9-2026-01").out


def test_a_record_id_of_two_feeds_and_workers_is_asked_back(saphan: Saphan, story: InProcessPlatform) -> None:
    story.publish(EMPLOYMENTS, {"record_id": "SAME", "non_thai_id": person_number(1), "employer_id": "EMP-B",
                                "start_date": "2026-01-01"})  # fmt: skip
    story.publish(CONTRIBUTIONS, contribution(9, "2026-03", record_id="SAME"))
    story.run()
    ran = saphan("workers", "show", "SAME")
    assert ran.code == 2
    assert "doe.employments.v1/SAME" in ran.err
    assert "sso.contributions.v1/SAME" in ran.err
    assert saphan("workers", "show", "sso.contributions.v1/SAME", "--json").json["worker_id"] is None


def test_deleted_and_unknown_ids_are_failures_with_advice(saphan: Saphan, story: InProcessPlatform) -> None:
    story.publish(EMPLOYMENTS, {"record_id": "E-2", "version": 2, "deleted": True})
    story.run()
    deleted = saphan("workers", "show", "E-2")
    assert (deleted.code, "deleted" in deleted.err) == (1, True)
    unknown = saphan("workers", "show", "W-nobody")
    assert (unknown.code, "workers list" in unknown.err) == (1, True)


def test_a_record_that_integrate_has_not_read_is_told(saphan: Saphan, story: InProcessPlatform) -> None:
    story.publish("doe.work-permits.v1", permit(77))
    story.run(topics=["doe.work-permits.v1"])
    with story.state_database.transaction() as transaction:
        transaction.execute("DELETE FROM worker WHERE worker_no = (SELECT max(worker_no) FROM worker)")
    ran = saphan("workers", "show", "WP-77")
    assert (ran.code, "has not read it yet" in ran.err) == (1, True)


def test_workers_are_listed_without_names(saphan: Saphan, story: InProcessPlatform) -> None:
    rows = saphan("workers", "list", "--json").json
    assert len(rows) == 5
    assert {row["nationality"] for row in rows} == {"LAO", "MMR"}
    assert len(saphan("workers", "list", "--limit", "2", "--json").json) == 2
    assert "AUNG" not in saphan("workers", "list").out


@pytest.mark.postgres
def test_postgresql_shows_the_same_worker(
    saphan: Saphan, story: InProcessPlatform, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = saphan("workers", "show", "E-3", "--personal-data", "--json").json
    platform = InProcessPlatform(postgres_url, postgres_url)
    tell_small_story(platform)
    platform.run()
    platform.close()
    monkeypatch.setenv("SAPHAN_DATABASE_URL", postgres_url)
    found = saphan("workers", "show", "E-3", "--personal-data", "--json").json
    for side in (expected, found):
        for alert in side["alerts"]:
            del alert["version"], alert["history"]
    assert found == expected
    assert len(saphan("workers", "list", "--json").json) == 5
