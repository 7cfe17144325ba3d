"""That `saphan feeds` and `saphan status` show what can be read, and say what is away."""

from pathlib import Path

import pytest
from commands_in_process import Saphan
from in_process import INSURED_PERSONS, InProcessPlatform, tell_small_story

from saphan_infra.kafka_client import producer
from saphan_infra.roles import announce
from saphan_schemas.topics import RECORD_FEEDS, WORK_PERMITS


@pytest.fixture
def story(in_process_platform: InProcessPlatform) -> InProcessPlatform:
    tell_small_story(in_process_platform)
    in_process_platform.publish_raw(WORK_PERMITS, b"x", b"not a record")
    in_process_platform.run()
    return in_process_platform


def test_feeds_show_counts_and_freshness_without_kafka(saphan: Saphan, story: InProcessPlatform) -> None:
    ran = saphan("feeds", "--json")
    assert ran.code == 3
    assert "Kafka" in ran.err
    rows = {row["feed"]: row for row in ran.json}
    assert set(rows) == set(RECORD_FEEDS)
    assert (rows[WORK_PERMITS]["events"], rows[WORK_PERMITS]["rejected"], rows[WORK_PERMITS]["lag"]) == (5, 1, None)
    assert rows[INSURED_PERSONS]["complete_until"] == "2026-03-01T00:00:00Z"
    assert rows[INSURED_PERSONS]["newest_change"] == "2026-01-01T00:00:00Z"
    assert rows["dlpw.inspections.v1"]["newest_change"] is None


def test_status_shows_coverage_with_both_denominators(saphan: Saphan, story: InProcessPlatform) -> None:
    ran = saphan("status", "--json")
    assert ran.code == 3
    form = ran.json
    assert (form["kafka_reachable"], form["database_reachable"], form["lag"]) == (False, True, None)
    assert form["workers"] == {"workers": 5, "employed": 3, "enrolled": 3, "eligible": 3, "eligible_enrolled": 2}
    assert form["coverage"] == {"of_registered": 3 / 5, "of_eligible_employed": 2 / 3}
    assert form["alerts"] == {"due": 1, "overdue": 1, "reopened": 0, "resolved": 1, "withdrawn": 1}
    assert form["outbox_chunks"] == {"link": 0, "integrate": 0}
    assert {row["role"]: row["state"] for row in form["processes"]}["link"] == "stopped"
    assert "66.7 %" in saphan("status").out


@pytest.mark.postgres
def test_postgresql_gives_the_same_status(
    saphan: Saphan, story: InProcessPlatform, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = saphan("status", "--json").json
    platform = InProcessPlatform(postgres_url, postgres_url)
    tell_small_story(platform)
    platform.publish_raw(WORK_PERMITS, b"x", b"not a record")
    platform.run()
    platform.close()
    monkeypatch.setenv("SAPHAN_DATABASE_URL", postgres_url)
    found = saphan("status", "--json").json
    for form in (expected, found):
        for row in form["feeds"]:
            row.pop("newest_change_age_seconds"), row.pop("complete_until_age_seconds")
    assert found == expected
    assert saphan("feeds").code == 3


def test_tables_of_an_earlier_version_are_told(saphan: Saphan, story: InProcessPlatform) -> None:
    with story.state_database.transaction() as transaction:
        transaction.execute("ALTER TABLE worker RENAME COLUMN eligible TO something_older")
    ran = saphan("status")
    assert ran.code == 3
    assert "earlier version" in ran.err


def test_status_shows_where_each_process_serves_its_metrics(
    saphan: Saphan, story: InProcessPlatform, tmp_path: Path
) -> None:
    announce(tmp_path, "link", 9187)
    lines = saphan("status").out.splitlines()
    assert "Metrics port" in lines[1]
    assert any("link" in line and "9187" in line for line in lines)


def test_status_of_a_place_where_nothing_ran_is_told(saphan: Saphan) -> None:
    ran = saphan("status", "--json")
    assert ran.code == 3
    assert "saphan up" in ran.err
    assert ran.json["workers"] is None


@pytest.mark.broker
def test_lag_is_what_the_log_holds_beyond_the_positions(
    saphan: Saphan, story: InProcessPlatform, fresh_broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRAP", fresh_broker)
    # Offsets that link of this story has read, and three more.
    read = {(topic, number): len(rows) for topic, parts in story.log.items() for number, rows in parts.items()}
    sender = producer(fresh_broker)
    for number in range(2):
        for _ in range(read.get((INSURED_PERSONS, number), 0)):
            sender.send(INSURED_PERSONS, key=b"k", value=b"v", partition=number)
    for _ in range(3):
        sender.send(INSURED_PERSONS, key=b"k", value=b"v", partition=1)
    sender.flush()
    sender.close()
    rows = {row["feed"]: row for row in saphan("feeds", "--json").json}
    assert rows[INSURED_PERSONS]["lag"] == 3
    ran = saphan("status", "--json")
    assert ran.code == 0
    assert ran.json["lag"] == {"link": 3, "integrate": 0}
    assert ran.json["dead_letters"] == {"looked_at": 0, "waiting": 0, "by_reason": {}}
