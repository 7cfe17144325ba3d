"""That `saphan alerts` lists what is settled, shows what was told, and says what to do when it cannot."""

from pathlib import Path

import pytest
from commands_in_process import Saphan
from in_process import EMPLOYMENTS, InProcessPlatform, job, tell_small_story

CONTRACT = {"alert_id", "kind", "employment_record_id", "state", "due_on", "state_since", "evidence"}


@pytest.fixture
def story(in_process_platform: InProcessPlatform) -> InProcessPlatform:
    tell_small_story(in_process_platform)
    in_process_platform.run()
    return in_process_platform


def test_open_alerts_are_listed_by_default(saphan: Saphan, story: InProcessPlatform) -> None:
    ran = saphan("alerts", "list", "--json")
    assert ran.code == 0
    assert {row["employment_record_id"]: row["state"] for row in ran.json} == {"E-2": "overdue", "E-3": "due"}
    assert set(ran.json[0]) >= CONTRACT


def test_all_as_of_a_moment_gives_every_settled_alert(saphan: Saphan, story: InProcessPlatform) -> None:
    ran = saphan("alerts", "list", "--all", "--as-of", "2026-01-31T16:59:59.999Z", "--json")
    assert {row["employment_record_id"]: row["state"] for row in ran.json} == {
        "E-1": "resolved", "E-2": "due", "E-3": "due", "E-4": "withdrawn",
    }  # fmt: skip
    end_of_day = saphan("alerts", "list", "--all", "--as-of", "2026-01-31", "--json").json
    assert {row["employment_record_id"]: row["state"] for row in end_of_day}["E-2"] == "overdue"


def test_stored_and_settled_alerts_are_the_same(saphan: Saphan, story: InProcessPlatform) -> None:
    stored = saphan("alerts", "list", "--all", "--json").json
    settled = saphan("alerts", "list", "--all", "--as-of", "2026-03-01T00:00:00Z", "--json").json
    assert stored == sorted(settled, key=lambda row: row["alert_id"])


def test_a_deleted_employment_is_history_and_not_settled(saphan: Saphan, story: InProcessPlatform) -> None:
    story.publish(EMPLOYMENTS, {"record_id": "E-2", "version": 2, "deleted": True})
    story.run()
    listed = saphan("alerts", "list", "--all", "--json").json
    (gone,) = [row for row in listed if row["employment_record_id"] == "E-2"]
    assert (gone["state"], gone["reason"]) == ("withdrawn", "employment_deleted")
    settled = saphan("alerts", "list", "--all", "--as-of", "2026-03-01", "--json").json
    assert "E-2" not in {row["employment_record_id"] for row in settled}


def test_states_and_limits_choose(saphan: Saphan, story: InProcessPlatform) -> None:
    only = saphan("alerts", "list", "--state", "resolved", "--state", "withdrawn", "--json").json
    assert {row["state"] for row in only} == {"resolved", "withdrawn"}
    for as_of in ([], ["--as-of", "2026-03-01"]):
        (first,) = saphan("alerts", "list", "--limit", "1", "--json", *as_of).json
        assert first["state"] == "overdue"
    ran = saphan("alerts", "list", "--limit", "1")
    assert "--limit 0 shows all" in ran.err


def test_a_table_shows_whole_lines_without_a_terminal(saphan: Saphan, story: InProcessPlatform) -> None:
    ran = saphan("alerts", "list")
    line = next(line for line in ran.out.splitlines() if "E-3" in line)
    assert "employer_unpaired" in line
    assert "EMP-A" in line


def test_show_tells_history_and_evidence(saphan: Saphan, story: InProcessPlatform) -> None:
    (row,) = saphan("alerts", "list", "--state", "overdue", "--json").json
    shown = saphan("alerts", "show", row["alert_id"], "--json").json
    assert shown["history"][-1]["state"] == "overdue"
    assert [entry["role"] for entry in shown["evidence"]] == ["employment"]
    assert shown["evidence"][0]["feed"] == EMPLOYMENTS
    people = saphan("alerts", "show", row["alert_id"])
    assert people.code == 0
    assert "History" in people.out


def test_an_unknown_alert_is_a_failure_with_advice(saphan: Saphan, story: InProcessPlatform) -> None:
    ran = saphan("alerts", "show", "A-nothing")
    assert ran.code == 1
    assert "alerts list --all" in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    "arguments", [("--as-of", "31/01/2569"), ("--as-of", "2026-01-31T00:00:00"), ("--state", "late")]
)
def test_wrong_usage_says_what_was_expected(
    saphan: Saphan, story: InProcessPlatform, arguments: tuple[str, str]
) -> None:
    ran = saphan("alerts", "list", *arguments)
    assert ran.code == 2
    assert "found" in ran.err
    assert "expected" in ran.err


def test_states_in_one_option_are_refused_with_the_way_to_give_them(saphan: Saphan, story: InProcessPlatform) -> None:
    assert "Give --state once for each" in saphan("alerts", "list", "--state", "due,overdue").err
    assert "Give --state once for each" not in saphan("alerts", "list", "--state", "late").err


def test_a_place_where_nothing_ran_is_told(saphan: Saphan, tmp_path: Path) -> None:
    ran = saphan("alerts", "list")
    assert ran.code == 3
    assert "saphan up" in ran.err
    assert not (tmp_path / "state.db").exists()


def test_a_database_without_tables_is_told(saphan: Saphan, tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    ran = saphan("alerts", "list")
    assert ran.code == 3
    assert "no tables" in ran.err


def test_a_wrong_setting_is_told(saphan: Saphan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPHAN_INTEGRATE_WORKERS", "many")
    ran = saphan("alerts", "list")
    assert ran.code == 2
    assert "SAPHAN_INTEGRATE_WORKERS" in ran.err


@pytest.mark.postgres
def test_postgresql_lists_the_same(
    saphan: Saphan, postgres_url: str, monkeypatch: pytest.MonkeyPatch, story: InProcessPlatform
) -> None:
    expected = saphan("alerts", "list", "--all", "--as-of", "2026-03-01", "--json").json
    platform = InProcessPlatform(postgres_url, postgres_url)
    tell_small_story(platform)
    platform.run()
    monkeypatch.setenv("SAPHAN_DATABASE_URL", postgres_url)
    assert saphan("alerts", "list", "--all", "--as-of", "2026-03-01", "--json").json == expected
    assert {row["alert_id"] for row in saphan("alerts", "list", "--all", "--json").json} == {
        row["alert_id"] for row in expected
    }
    assert saphan("alerts", "list").code == 0
    platform.close()


@pytest.mark.postgres
def test_postgresql_without_tables_is_told(saphan: Saphan, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPHAN_DATABASE_URL", postgres_url)
    ran = saphan("alerts", "list")
    assert ran.code == 3
    assert "no tables" in ran.err


def test_postgresql_away_is_told(saphan: Saphan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPHAN_DATABASE_URL", "postgresql+psycopg://saphan:hidden@127.0.0.1:9/saphan")
    ran = saphan("alerts", "list")
    assert ran.code == 3
    assert "hidden" not in ran.err


def test_many_alerts_come_in_parts_and_once_each(
    saphan: Saphan, in_process_platform: InProcessPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saphan_projections.queries._ALERTS_PER_READ", 3)
    in_process_platform.publish(EMPLOYMENTS, *(job(number) for number in range(1, 9)))
    in_process_platform.run()
    listed = saphan("alerts", "list", "--json").json
    assert sorted(row["employment_record_id"] for row in listed) == sorted(f"E-{number}" for number in range(1, 9))
