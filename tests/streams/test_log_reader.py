"""That a rebuild reads of the log what link reads of it, and no more."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from saphan_schemas.topics import EMPLOYMENTS
from saphan_streams.log_reader import LogReader

pytestmark = pytest.mark.broker


async def _publish_in_transactions(bootstrap: str) -> None:
    """One record that is taken back, one that stands; either leaves a mark behind it in the log."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id="an-agency")
    await producer.start()
    try:
        await producer.begin_transaction()
        await producer.send_and_wait(EMPLOYMENTS, b"taken back", key=b"1", partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(EMPLOYMENTS, b"said", key=b"2", partition=0)
    finally:
        await producer.stop()


async def _values_read(bootstrap: str) -> list[bytes | None]:
    reader = LogReader(bootstrap, {}, 1_000, 1_000_000)
    try:
        await reader.start()
        return [record.value async for fetch in reader.fetches() for chunk in fetch for record in chunk.records]
    finally:
        await reader.stop()


def test_what_a_transaction_took_back_was_never_said_and_its_marks_do_not_keep_the_reader_waiting(
    fresh_broker: str,
) -> None:
    asyncio.run(_publish_in_transactions(fresh_broker))
    assert asyncio.run(asyncio.wait_for(_values_read(fresh_broker), 60)) == [b"said"]
