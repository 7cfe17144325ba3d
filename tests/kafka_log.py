"""What a topic of the real Kafka holds."""

from typing import Any

from saphan_infra import kafka_client
from saphan_infra.kafka_admin import end_offsets


def read_all(bootstrap: str, topic: str) -> list[Any]:
    """Every message of a topic, by partition and offset."""
    ends = end_offsets(bootstrap, topic)
    consumer = kafka_client.consumer(bootstrap, None, [topic], auto_offset_reset="earliest")
    found: list[Any] = []
    try:
        while len(found) < sum(ends.values()):
            for rows in consumer.poll(timeout_ms=1000).values():
                found.extend(rows)
    finally:
        consumer.close()
    return sorted(found, key=lambda row: (row.partition, row.offset))
