"""What the real Kafka answers a publisher: topics that exist, offsets, a connection that sends."""

from collections.abc import Iterable, Mapping
from typing import Any

from saphan_infra import kafka_admin
from saphan_infra.producer import BatchProducer
from saphan_publishers.delivery import Producer
from saphan_schemas.topics import TOPICS


class KafkaBroker:
    """The real broker at ``bootstrap``. ``security`` as in :mod:`saphan_infra.kafka_security`."""

    def __init__(
        self,
        bootstrap: str,
        *,
        client_id: str = "saphan-publish",
        replication: int = 1,
        security: Mapping[str, Any] | None = None,
    ) -> None:
        self.bootstrap = bootstrap
        self._client_id = client_id
        self._replication = replication
        self._security = security

    def producer(self) -> Producer:
        """A new producer."""
        return BatchProducer(self.bootstrap, self._client_id, self._security)

    def ensure_topics(self, names: Iterable[str]) -> dict[str, int]:
        """Create missing topics; how many partitions each has. Raises BrokerUnavailable."""
        wanted = list(names)
        kafka_admin.ensure_topics(self.bootstrap, [TOPICS[name] for name in wanted], self._replication, self._security)
        return kafka_admin.partition_counts(self.bootstrap, wanted, self._security)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """The next offset of each partition. Raises BrokerUnavailable."""
        return kafka_admin.end_offsets(self.bootstrap, topic, self._security)
