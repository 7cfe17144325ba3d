"""What the real Kafka answers a publisher: topics that exist, offsets, a connection that sends."""

from collections.abc import Iterable, Mapping
from typing import Any

from saphan_infra import kafka_admin
from saphan_infra.availability import BrokerUnavailable
from saphan_infra.producer import BatchProducer
from saphan_publishers.delivery import DeliveryRefused, Producer
from saphan_schemas.topics import TOPICS


class KafkaBroker:
    """The real broker at ``bootstrap``. ``security`` as in :mod:`saphan_infra.kafka_security`.

    ``replication`` is how many copies of a missing topic are made; None: topics are the platform's to make, and a
    missing one is refused.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        client_id: str = "saphan-publish",
        replication: int | None = None,
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
        """Create missing topics, or refuse; how many partitions each has. Raises BrokerUnavailable, DeliveryRefused."""
        wanted = list(names)
        if self._replication is not None:
            topics = [TOPICS[name] for name in wanted]
            kafka_admin.ensure_topics(self.bootstrap, topics, self._replication, self._security)
        counts = kafka_admin.partition_counts(self.bootstrap, wanted, self._security)
        missing = [name for name in wanted if name not in counts]
        if not missing:
            return counts
        message = (
            f"Kafka at {self.bootstrap} has no topic {', '.join(missing)}; expected it to be there. `saphan up` makes the "
            "topics of the platform: check the address, or ask whoever runs the platform."
        )
        # One that was just made is on its way to every broker.
        raise DeliveryRefused(message) if self._replication is None else BrokerUnavailable(message)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """The next offset of each partition. Raises BrokerUnavailable."""
        return kafka_admin.end_offsets(self.bootstrap, topic, self._security)
