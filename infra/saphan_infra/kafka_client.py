"""How consumers and small tools connect to Kafka: kafka-python's clients with the settings that the platform relies on."""

from collections.abc import Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, KafkaProducer

from saphan_infra.kafka_admin import broker_errors, require_listener
from saphan_schemas.topics import BROKER_MESSAGE_BYTES_MAX

__all__ = ["broker_errors", "consumer", "producer"]

_SESSION_MS = 10_000


def consumer(
    bootstrap: str,
    group_id: str | None,
    topics: Sequence[str] = (),
    *,
    security: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> KafkaConsumer:
    """A consumer that commits nothing by itself, starts at the oldest message and takes the largest ones.

    Use it with `broker_errors(bootstrap)` around polls. Raises BrokerUnavailable.
    """
    settings: dict[str, Any] = {
        "bootstrap_servers": bootstrap.split(","),
        "group_id": group_id,
        "client_id": f"saphan-{group_id or 'reader'}",
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "allow_auto_create_topics": False,
        "session_timeout_ms": _SESSION_MS,
        "heartbeat_interval_ms": _SESSION_MS // 4,
        "fetch_max_wait_ms": 100,
        "max_partition_fetch_bytes": BROKER_MESSAGE_BYTES_MAX,
        "metadata_max_age_ms": 30_000,
        "reconnect_backoff_max_ms": 2_000,
        **(security or {}),
        **overrides,
    }
    require_listener(bootstrap)
    with broker_errors(bootstrap):
        return KafkaConsumer(*topics, **settings)


def producer(bootstrap: str, *, security: Mapping[str, Any] | None = None, **overrides: Any) -> KafkaProducer:
    """A producer whose messages every in-sync replica has acknowledged, in order. Raises BrokerUnavailable.

    For few messages; whole batches leave with saphan_infra.producer.
    """
    settings: dict[str, Any] = {
        "bootstrap_servers": bootstrap.split(","),
        "client_id": "saphan-producer",
        "acks": "all",
        "enable_idempotence": True,
        "max_request_size": BROKER_MESSAGE_BYTES_MAX,
        "reconnect_backoff_max_ms": 2_000,
        **(security or {}),
        **overrides,
    }
    require_listener(bootstrap)
    with broker_errors(bootstrap):
        return KafkaProducer(**settings)
