"""What the shared fixtures promise to the other tests."""

from collections.abc import Callable, Iterable

import psycopg
import pytest

from saphan_infra import kafka_admin, kafka_client
from saphan_schemas.topics import HEARTBEATS, TOPICS


@pytest.mark.broker
def test_the_session_broker_has_every_topic_of_the_table(kafka_bootstrap: str) -> None:
    assert kafka_admin.topic_differences(kafka_bootstrap, TOPICS.values()) == []


@pytest.mark.broker
def test_a_cleaned_topic_is_empty_and_there(
    kafka_bootstrap: str, clean_topics: Callable[[Iterable[str]], None]
) -> None:
    clean_topics([HEARTBEATS])  # whatever ran before
    producer = kafka_client.producer(kafka_bootstrap)
    producer.send(HEARTBEATS, key=b"k", value=b"v").get(timeout=10)
    producer.close()
    assert kafka_admin.end_offsets(kafka_bootstrap, HEARTBEATS) == {0: 1}
    clean_topics([HEARTBEATS])
    assert kafka_admin.end_offsets(kafka_bootstrap, HEARTBEATS) == {0: 0}


@pytest.mark.postgres
@pytest.mark.parametrize("_turn", [1, 2])
def test_each_test_gets_an_empty_database(postgres_url: str, _turn: int) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE once (id int)")
