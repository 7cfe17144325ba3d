"""Questions to the broker: topics, offsets, lag, and what is said when it is away."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from saphan_infra import kafka_admin, kafka_client
from saphan_infra.availability import BrokerUnavailable
from saphan_infra.kafka_admin import TopicDifference
from saphan_infra.owned_process import free_port
from saphan_schemas.topics import DEAD_LETTERS, HEARTBEATS, TOPICS, WORKER_RECORDS

Clean = Callable[[Iterable[str]], None]


@pytest.mark.broker
def test_topics_are_made_once(kafka_bootstrap: str, clean_topics: Clean) -> None:
    kafka_admin.delete_topics(kafka_bootstrap, [HEARTBEATS, DEAD_LETTERS])
    wanted = [TOPICS[HEARTBEATS], TOPICS[DEAD_LETTERS]]
    assert sorted(kafka_admin.ensure_topics(kafka_bootstrap, wanted)) == sorted([HEARTBEATS, DEAD_LETTERS])
    assert kafka_admin.ensure_topics(kafka_bootstrap, wanted) == []
    assert kafka_admin.partition_counts(kafka_bootstrap, [HEARTBEATS, "none"]) == {HEARTBEATS: 1}


@pytest.mark.broker
def test_a_topic_that_is_not_as_in_the_table_is_named(kafka_bootstrap: str) -> None:
    other = replace(TOPICS[HEARTBEATS], partitions=3, cleanup="compact")
    missing = replace(TOPICS[HEARTBEATS], name="absent.v1")
    assert kafka_admin.topic_differences(kafka_bootstrap, [other, missing]) == [
        TopicDifference("absent.v1", "topic", "present", None),
        TopicDifference(HEARTBEATS, "partitions", "3", "1"),
        TopicDifference(HEARTBEATS, "cleanup.policy", "compact", "delete"),
    ]


@pytest.mark.broker
def test_lag_is_what_a_group_has_not_committed(kafka_bootstrap: str, clean_topics: Clean) -> None:
    clean_topics([WORKER_RECORDS])
    producer = kafka_client.producer(kafka_bootstrap)
    for partition in (0, 0, 0, 1):
        producer.send(WORKER_RECORDS, value=b"v", partition=partition)
    producer.close()
    assert kafka_admin.end_offsets(kafka_bootstrap, WORKER_RECORDS) == {0: 3, 1: 1, 2: 0, 3: 0}
    assert kafka_admin.begin_offsets(kafka_bootstrap, WORKER_RECORDS) == {0: 0, 1: 0, 2: 0, 3: 0}

    group = "test-lag"
    assert kafka_admin.group_lag(kafka_bootstrap, group, [WORKER_RECORDS])[WORKER_RECORDS, 0] == 3
    with kafka_admin.administrator(kafka_bootstrap) as client:
        part, offset = TopicPartition(WORKER_RECORDS, 0), OffsetAndMetadata(2, "", -1)
        client.alter_group_offsets(group, {part: offset})
    assert kafka_admin.group_offsets(kafka_bootstrap, group) == {(WORKER_RECORDS, 0): 2}
    lag = kafka_admin.group_lag(kafka_bootstrap, group, [WORKER_RECORDS, "absent.v1"])
    assert lag == {(WORKER_RECORDS, 0): 1, (WORKER_RECORDS, 1): 1, (WORKER_RECORDS, 2): 0, (WORKER_RECORDS, 3): 0}


@pytest.mark.broker
def test_a_topic_that_nobody_leads_or_that_stays_is_not_taken_for_done(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_admin, "_ANSWER_SECONDS_MAX", 0.2)
    with kafka_admin.administrator(kafka_bootstrap) as client:
        with pytest.raises(BrokerUnavailable, match=r"absent\.v1 a leader"):
            kafka_admin._wait_for_leaders(client, kafka_bootstrap, ["absent.v1"])
        with pytest.raises(BrokerUnavailable, match="to be deleted"):
            kafka_admin._wait_until_gone(client, kafka_bootstrap, [HEARTBEATS])


def test_a_broker_that_is_away_is_told_with_advice_while_waiting() -> None:
    said: list[str] = []
    with pytest.raises(BrokerUnavailable, match="saphan doctor"):
        kafka_admin.wait_for_broker(f"127.0.0.1:{free_port()}", 1, said.append)
    assert all("SAPHAN_KAFKA_BOOTSTRAP" in line for line in said)
    assert any("Trying again in" in line for line in said) or said == []


@pytest.mark.broker
def test_waiting_ends_when_the_broker_answers(kafka_bootstrap: str) -> None:
    said: list[str] = []
    kafka_admin.wait_for_broker(kafka_bootstrap, None, said.append)
    assert said == []


def test_a_client_of_an_absent_broker_fails_with_advice() -> None:
    with pytest.raises(BrokerUnavailable, match="SAPHAN_KAFKA_BOOTSTRAP"):
        kafka_client.consumer(f"127.0.0.1:{free_port()}", "g", [HEARTBEATS], bootstrap_timeout_ms=300)
