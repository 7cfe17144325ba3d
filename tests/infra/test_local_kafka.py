"""The broker that the platform brings: it starts, keeps its data and its address, and says why when it cannot start."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from saphan_infra import kafka_admin, kafka_client
from saphan_infra.availability import BrokerUnavailable
from saphan_infra.local_kafka import LocalKafka
from saphan_infra.owned_process import wait_until
from saphan_infra.settings import Settings
from saphan_schemas.topics import BROKER_MESSAGE_BYTES_MAX, HEARTBEATS, TOPICS

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, java_cache: Path) -> Iterator[LocalKafka]:
    kafka = LocalKafka(tmp_path_factory.mktemp("data") / "kafka", java_cache, heap_mb=256)
    yield kafka
    kafka.stop()


def _send(bootstrap: str, value: bytes) -> None:
    producer = kafka_client.producer(bootstrap)
    producer.send(HEARTBEATS, key=b"k", value=value).get(timeout=30)
    producer.close()


def _values(bootstrap: str, count: int) -> list[bytes]:
    consumer = kafka_client.consumer(bootstrap, None, [HEARTBEATS])
    found: list[bytes] = []

    def enough() -> bool:
        found.extend(row.value for rows in consumer.poll(200).values() for row in rows)
        return len(found) >= count

    assert wait_until(enough, 30)
    consumer.close()
    return found


def test_it_keeps_messages_topics_and_address_over_stop_and_kill(broker: LocalKafka) -> None:
    bootstrap = broker.start()
    kafka_admin.ensure_topics(bootstrap, TOPICS.values())
    _send(bootstrap, b"first")

    broker.stop()
    assert broker.process is None
    assert broker.bootstrap == bootstrap
    assert broker.start() == bootstrap
    _send(bootstrap, b"second")

    process = broker.process
    assert process is not None
    assert process.send(signal.SIGKILL)
    assert broker.start() == bootstrap
    _send(bootstrap, b"third")

    assert _values(bootstrap, 3) == [b"first", b"second", b"third"]
    assert kafka_admin.topic_differences(bootstrap, TOPICS.values()) == []


def test_a_second_start_adopts_the_one_that_runs(broker: LocalKafka, tmp_path: Path) -> None:
    bootstrap = broker.start()
    before = broker.process
    assert broker.start() == bootstrap
    assert broker.process == before


def test_it_takes_the_largest_message_that_is_kept(broker: LocalKafka) -> None:
    bootstrap = broker.start()
    kafka_admin.ensure_topics(bootstrap, [TOPICS[HEARTBEATS]])
    kafka_admin.delete_topics(bootstrap, [HEARTBEATS])
    kafka_admin.ensure_topics(bootstrap, [TOPICS[HEARTBEATS]])
    large = b"x" * (BROKER_MESSAGE_BYTES_MAX - 1000)
    _send(bootstrap, large)
    assert _values(bootstrap, 1) == [large]


def test_unknown_topics_are_not_made_by_asking(broker: LocalKafka) -> None:
    bootstrap = broker.start()
    assert kafka_admin.end_offsets(bootstrap, "no.such.topic") == {}
    assert kafka_admin.partition_counts(bootstrap, ["no.such.topic"]) == {}


def test_settings_of_its_data_directory_find_it(broker: LocalKafka, tmp_path: Path) -> None:
    bootstrap = broker.start()
    (tmp_path / "kafka").symlink_to(broker.log_path.parent)
    assert Settings(data_dir=tmp_path, kafka_bootstrap=None).bootstrap == bootstrap


def test_when_it_cannot_start_the_error_holds_the_end_of_its_log(tmp_path: Path, java_cache: Path) -> None:
    broken = LocalKafka(tmp_path / "kafka", java_cache, heap_mb=256)
    (tmp_path / "kafka" / "data").mkdir(parents=True)
    (tmp_path / "kafka" / "data" / "meta.properties").write_text("version=1\nnode.id=77\ncluster.id=x\n")
    with pytest.raises(BrokerUnavailable, match="node") as failure:
        broken.start()
    assert str(broken.log_path) in str(failure.value)
    assert broken.process is None
