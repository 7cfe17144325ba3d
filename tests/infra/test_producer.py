"""Whether whole batches reach the right partition in order, and what happens while the broker is away."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from aiokafka.partitioner import murmur2 as reference_murmur2
from hypothesis import given
from hypothesis import strategies as st

from saphan_infra import kafka_admin, kafka_client
from saphan_infra.local_kafka import LocalKafka
from saphan_infra.producer import BatchProducer, Message, SendFailed, murmur2, partition_of, partitions_of
from saphan_schemas.topics import EMPLOYMENTS, TOPICS


@given(
    st.integers(0, 60).flatmap(
        lambda length: st.lists(st.binary(min_size=length, max_size=length), min_size=1, max_size=20)
    )
)
def test_keys_hash_as_in_kafkas_own_clients(keys: list[bytes]) -> None:
    assert list(murmur2(keys)) == [reference_murmur2(key) & 0xFFFFFFFF for key in keys]


@given(st.lists(st.binary(max_size=20)), st.integers(1, 50))
def test_a_keys_partition_is_the_same_whatever_other_keys_leave_with_it(keys: list[bytes], count: int) -> None:
    assert partitions_of(keys, count) == {key: partition_of(key, count) for key in keys}


def test_a_message_without_a_key_has_a_partition() -> None:
    assert partition_of(None, 4) == 0


def read_all(bootstrap: str, count: int) -> dict[int, list[tuple[bytes | None, bytes | None]]]:
    """What a topic holds, by partition in order, as soon as there are so many messages."""
    consumer = kafka_client.consumer(bootstrap, None, [EMPLOYMENTS], auto_offset_reset="earliest")
    rows: dict[int, list[tuple[bytes | None, bytes | None]]] = {}
    try:
        for _ in range(100):
            for partition, records in consumer.poll(timeout_ms=300).items():
                rows.setdefault(partition.partition, []).extend((record.key, record.value) for record in records)
            if sum(map(len, rows.values())) >= count:
                return rows
    finally:
        consumer.close()
    pytest.fail(f"found {sum(map(len, rows.values()))} of {count} messages")


@pytest.mark.broker
def test_messages_of_several_batches_keep_their_order_in_each_partition(
    kafka_bootstrap: str, clean_topics: Callable[[Iterable[str]], None]
) -> None:
    clean_topics([EMPLOYMENTS])
    messages = [Message(b"key-%d" % (number % 7), b"%d|" % number + b"x" * 2_000) for number in range(2_000)]

    async def send() -> None:
        producer = BatchProducer(kafka_bootstrap, "test")
        await producer.send(EMPLOYMENTS, messages, 2)
        await producer.stop()

    asyncio.run(send())
    rows = read_all(kafka_bootstrap, len(messages))
    for partition, found in rows.items():
        wanted = [(row.key, row.value) for row in messages if partition_of(row.key, 2) == partition]
        assert found == wanted


@pytest.mark.broker
def test_a_broker_that_goes_away_fails_the_call_and_the_next_one_reaches_it_again(
    tmp_path: Path, java_cache: Path
) -> None:
    broker = LocalKafka(tmp_path / "kafka", java_cache)
    bootstrap = broker.start()

    async def send(producer: BatchProducer, text: bytes) -> None:
        await producer.send(EMPLOYMENTS, [Message(b"key", text)], 2)

    async def story() -> None:
        producer = BatchProducer(bootstrap, "test", acknowledge_seconds_max=3)
        try:
            await send(producer, b"one")
            await asyncio.to_thread(broker.stop)
            with pytest.raises(SendFailed):
                await send(producer, b"two")
            with pytest.raises(SendFailed):
                await send(producer, b"two")
            await asyncio.to_thread(broker.start)
            await send(producer, b"two")
        finally:
            await producer.stop()

    try:
        kafka_admin.ensure_topics(bootstrap, [TOPICS[EMPLOYMENTS]])
        asyncio.run(story())
        found = [value for rows in read_all(bootstrap, 2).values() for _, value in rows]
    finally:
        broker.stop()
    assert found[0] == b"one"
    assert set(found[1:]) == {b"two"}
