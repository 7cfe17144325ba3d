"""That dead letters are listed, shown and brought back repaired, and that alerts are watched live, with real Kafka."""

import json
from pathlib import Path
from typing import Any

import pytest
from commands_in_process import Saphan
from in_process import EMPLOYMENTS, INSURED_PERSONS, InProcessPlatform, job, permit, person_number, tell_small_story
from kafka import TopicPartition

from saphan_infra.kafka_client import consumer, producer
from saphan_infra.producer import partition_of
from saphan_schemas.topics import DEAD_LETTERS, ENROLMENT_ALERTS, WORK_PERMITS

pytestmark = pytest.mark.broker


@pytest.fixture
def broker(fresh_broker: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRAP", fresh_broker)
    return fresh_broker


def send_on(platform: InProcessPlatform, broker: str, topic: str) -> None:
    """Put what the platform sent to a topic into the real Kafka."""
    sender = producer(broker)
    for rows in platform.log.get(topic, {}).values():
        for record in rows:
            sender.send(topic, key=record.key, value=record.value)
    sender.flush()
    sender.close()


def read(broker: str, topic: str) -> list[Any]:
    reader = consumer(broker, None)
    partitions = [TopicPartition(topic, number) for number in reader.partitions_for_topic(topic)]
    reader.assign(partitions)
    reader.seek_to_beginning(*partitions)
    ends = reader.end_offsets(partitions)
    found = []
    while any(reader.position(partition) < end for partition, end in ends.items()):
        found += [row for rows in reader.poll(timeout_ms=200).values() for row in rows]
    reader.close()
    return found


@pytest.fixture
def refused(saphan: Saphan, in_process_platform: InProcessPlatform, broker: str) -> InProcessPlatform:
    """Four refused messages: corrupt, of an unknown schema, without a key, and with a field that is wrong."""
    platform = in_process_platform
    good = platform.codec.encode(WORK_PERMITS, _wire(platform, permit(1)))
    platform.publish_raw(WORK_PERMITS, b"WP-8", good[:-20], partition=0)
    platform.publish_raw(WORK_PERMITS, b"WP-7", b"\0\xff\xff\xff\xff" + good[5:], partition=0)
    platform.publish_raw(WORK_PERMITS, None, good, partition=0)
    platform.publish(WORK_PERMITS, permit(2, sex="neither"))
    platform.run()
    send_on(platform, broker, DEAD_LETTERS)
    return platform


def _wire(platform: InProcessPlatform, record: dict[str, Any]) -> dict[str, Any]:
    record = {**dict.fromkeys(platform.codec.catalogue.kinds(WORK_PERMITS)), "version": 1, "deleted": False, **record}
    return {**record, "changed_at": 1_767_225_600_000, "birth_date": 7_441, "valid_from": 20_179, "valid_until": 20_908}


def test_dead_letters_are_listed_with_reason_and_origin(saphan: Saphan, refused: InProcessPlatform) -> None:
    rows = saphan("dlq", "list", "--json").json
    assert sorted(row["reason"] for row in rows) == ["corrupt", "invalid_code", "no_key", "unknown_schema_id"]
    assert {row["topic"] for row in rows} == {WORK_PERMITS}
    assert all(row["retried_at"] is None for row in rows)
    (one,) = saphan("dlq", "list", "--reason", "no_key", "--json").json
    assert (one["offset"], one["key_bytes"]) == (2, None)
    people = saphan("dlq", "list").out
    assert f"{WORK_PERMITS}-0-2" in people
    assert person_number(1) not in people


def test_a_letter_is_shown_without_its_content_unless_asked(saphan: Saphan, refused: InProcessPlatform) -> None:
    letter_id = f"{WORK_PERMITS}-0-2"
    ran = saphan("dlq", "show", letter_id, "--json")
    assert person_number(1) not in ran.out
    # Its only fault is the missing key, which follows from the record.
    assert ran.json["would_be_taken_now"] is True
    content = saphan("dlq", "show", letter_id, "--personal-data", "--json").json
    assert content["record"]["non_thai_id"] == person_number(1)
    broken = saphan("dlq", "show", f"{WORK_PERMITS}-0-0", "--personal-data", "--json").json
    assert broken["record"] is None
    assert broken["value_start_hex"].startswith("00")
    assert broken["would_be_refused_because"].startswith("corrupt")
    assert saphan("dlq", "show", "nothing").code == 1


def test_what_would_be_refused_again_stays_and_the_rest_goes_back(
    saphan: Saphan, refused: InProcessPlatform, broker: str
) -> None:
    ran = saphan("dlq", "retry", "--all", "--json")
    assert ran.code == 1
    outcomes = {row["id"]: row for row in ran.json}
    assert [name for name, row in outcomes.items() if row["published"]] == [f"{WORK_PERMITS}-0-2"]
    assert "refused again: corrupt" in outcomes[f"{WORK_PERMITS}-0-0"]["why_not"]
    (back,) = read(broker, WORK_PERMITS)
    assert back.key == b"WP-1"
    assert back.partition == partition_of(b"WP-1", 2)
    headers = dict(back.headers)
    assert headers["saphan_retry_of"] == f"{WORK_PERMITS}-0-2".encode()
    assert headers["ce_specversion"] == b"1.0"
    listed = {row["id"]: row["retried_at"] for row in saphan("dlq", "list", "--json").json}
    assert len(listed) == 4
    assert [name for name, at in listed.items() if at] == [f"{WORK_PERMITS}-0-2"]
    assert len(saphan("dlq", "list", "--waiting", "--json").json) == 3
    again = saphan("dlq", "retry", f"{WORK_PERMITS}-0-2")
    assert (again.code, "--force" in again.err) == (1, True)
    assert saphan("dlq", "retry", f"{WORK_PERMITS}-0-2", "--force").code == 0
    assert len(read(broker, WORK_PERMITS)) == 2


def test_a_repaired_letter_is_taken(saphan: Saphan, refused: InProcessPlatform, broker: str, tmp_path: Path) -> None:
    platform = refused
    repaired = tmp_path / "repaired.json"
    repaired.write_text(json.dumps({**permit(8), "version": 1, "changed_at": "2026-01-01T00:00:00Z"}))
    assert saphan("dlq", "retry", f"{WORK_PERMITS}-0-0", "--value-file", str(repaired)).code == 0
    raw = tmp_path / "repaired.avro"
    raw.write_bytes(platform.codec.encode(WORK_PERMITS, _wire(platform, permit(7))))
    assert saphan("dlq", "retry", f"{WORK_PERMITS}-0-1", "--value-file", str(raw)).code == 0
    for back in read(broker, WORK_PERMITS):
        platform.publish_raw(WORK_PERMITS, back.key, back.value)
    platform.run()
    assert saphan("workers", "show", "WP-8", "--json").json["view"]["nationality"] == "MMR"
    assert saphan("workers", "show", "WP-7").code == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"no json", "neither Avro"),
        (b"[1]", "as an object"),
        (b'{"record_id": "WP-8", "colour": "red"}', "colour"),
        (b'{"record_id": "WP-8"}', "changed_at"),
        (b'{"record_id": "WP-8", "version": 1, "changed_at": "yesterday"}', "does not fit"),
    ],
)
def test_a_useless_repair_is_told(
    saphan: Saphan, refused: InProcessPlatform, tmp_path: Path, content: bytes, told: str
) -> None:
    file = tmp_path / "value"
    file.write_bytes(content)
    ran = saphan("dlq", "retry", f"{WORK_PERMITS}-0-0", "--value-file", str(file))
    assert ran.code == 2
    assert told in ran.err


def test_retry_wants_exactly_one_choice(saphan: Saphan, broker: str, tmp_path: Path) -> None:
    assert saphan("dlq", "retry").code == 2
    assert saphan("dlq", "retry", "x", "--all").code == 2
    assert saphan("dlq", "retry", "--all", "--value-file", str(tmp_path / "x")).code == 2
    assert saphan("dlq", "retry", "--all").code == 0


def test_a_retry_twice_over_changes_nothing_downstream(saphan: Saphan, refused: InProcessPlatform, broker: str) -> None:
    saphan("dlq", "retry", f"{WORK_PERMITS}-0-2")
    saphan("dlq", "retry", f"{WORK_PERMITS}-0-2", "--force")
    hashes = []
    for back in read(broker, WORK_PERMITS):
        refused.publish_raw(WORK_PERMITS, back.key, back.value)
        refused.run()
        hashes.append(saphan("state", "hash", "--json").json["state_hash"])
    assert len(hashes) == 2
    assert hashes[0] == hashes[1]


def test_watch_shows_each_state_once(saphan: Saphan, in_process_platform: InProcessPlatform, broker: str) -> None:
    tell_small_story(in_process_platform)
    in_process_platform.run()
    send_on(in_process_platform, broker, ENROLMENT_ALERTS)
    send_on(in_process_platform, broker, ENROLMENT_ALERTS)  # messages leave at least once
    ran = saphan("alerts", "watch", "--from-beginning", "--seconds", "3", "--json")
    assert ran.code == 0
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert sorted(row["employment_record_id"] for row in told) == ["E-1", "E-2", "E-3", "E-4"]
    assert {"due_on", "state_since", "evidence", "told_at"} <= set(told[0])
    people = saphan("alerts", "watch", "--from-beginning", "--count", "4")
    assert "overdue" in people.out
    assert "held: employer_unpaired" in people.out


def test_watch_starts_with_what_comes_next(saphan: Saphan, in_process_platform: InProcessPlatform, broker: str) -> None:
    in_process_platform.publish(EMPLOYMENTS, job(1))
    in_process_platform.heartbeat(INSURED_PERSONS, "2026-01-15T00:00:00Z")
    in_process_platform.run()
    send_on(in_process_platform, broker, ENROLMENT_ALERTS)
    assert saphan("alerts", "watch", "--seconds", "1", "--json").out == ""


def test_a_broker_that_is_away_is_told(saphan: Saphan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    for arguments in (("dlq", "list"), ("alerts", "watch", "--seconds", "1")):
        ran = saphan(*arguments)
        assert ran.code == 3
        assert "SAPHAN_KAFKA_BOOTSTRAP" in ran.err
