"""How messages reach Kafka and stay there: sent in order, acknowledged, and tried again while the broker is away."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from saphan_infra.availability import BrokerUnavailable
from saphan_infra.clock import monotonic_seconds
from saphan_infra.producer import Message, SendFailed

_Answer = TypeVar("_Answer")

_PAUSE_SECONDS_FIRST = 0.25
_PAUSE_SECONDS_MAX = 10.0
# Waiting cannot help here: a person has to change something.
_FINAL = ("Authorization", "Authentication", "InvalidTopic", "MessageSizeTooLarge", "UnsupportedVersion")


class DeliveryRefused(ConnectionError):
    """Kafka answers and says no: waiting would not help. The text says what to change."""


class Producer(Protocol):
    """What :class:`~saphan_infra.producer.BatchProducer` does."""

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Close."""

    async def send(self, topic: str, messages: Sequence[Message], partition_count: int) -> None:
        """Send all and wait for the acknowledgements. Raises SendFailed."""


class Broker(Protocol):
    """What a delivery asks the broker for, besides sending."""

    def producer(self) -> Producer:
        """A new producer."""

    def ensure_topics(self, names: Iterable[str]) -> dict[str, int]:
        """Create missing topics; how many partitions each has. Raises BrokerUnavailable."""

    def end_offsets(self, topic: str) -> dict[int, int]:
        """The next offset of each partition. Raises BrokerUnavailable."""


class Delivery:
    """Sends messages and asks for offsets; both wait for the broker up to ``wait_seconds_max`` (None: for ever).

    ``on_wait`` gets a sentence each time before a pause. After BrokerUnavailable or DeliveryRefused what was
    acknowledged stays published; publishing everything again doubles nothing.
    """

    def __init__(self, broker: Broker, on_wait: Callable[[str], None], wait_seconds_max: float | None = None) -> None:
        self._broker = broker
        self._on_wait = on_wait
        self._wait_seconds_max = wait_seconds_max
        self._partitions: dict[str, int] = {}
        self._producer: Producer | None = None

    async def open(self, topics: Iterable[str]) -> None:
        """Make sure of the topics. Raises BrokerUnavailable."""
        wanted = list(topics)
        counts = await self._patiently(
            "making sure of the topics", lambda: asyncio.to_thread(self._broker.ensure_topics, wanted)
        )
        self._partitions.update(counts)
        self._producer = self._broker.producer()

    async def close(self) -> None:
        """Close the connection."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Send and return when all are acknowledged. Raises BrokerUnavailable or DeliveryRefused."""
        producer, count = self._producer, self._partitions[topic]
        if producer is None:
            raise RuntimeError("the delivery is not open")
        await self._patiently(
            f"sending {len(messages)} messages to {topic}", lambda: producer.send(topic, messages, count)
        )

    async def end_offsets(self, topic: str) -> dict[int, int]:
        """The topic's end offset of each partition now. Raises BrokerUnavailable."""
        return await self._patiently(
            f"asking for the end of {topic}", lambda: asyncio.to_thread(self._broker.end_offsets, topic)
        )

    async def _patiently(self, doing: str, attempt: Callable[[], Awaitable[_Answer]]) -> _Answer:
        began: float | None = None
        pause_seconds = _PAUSE_SECONDS_FIRST
        while True:
            try:
                return await attempt()
            except (SendFailed, BrokerUnavailable) as error:
                _raise_if_final(error)
                now = monotonic_seconds()
                began = now if began is None else began
                limit = self._wait_seconds_max
                if limit is not None and now + pause_seconds - began > limit:
                    message = f"Gave up {doing} after {now - began:.0f} s. {error}"
                    raise BrokerUnavailable(message) from error
                self._on_wait(f"Waiting for Kafka, {doing}: {error}. Nothing is lost; next try in {pause_seconds:g} s.")
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _PAUSE_SECONDS_MAX)


def _raise_if_final(error: Exception) -> None:
    cause = type(error.__cause__).__name__ if error.__cause__ is not None else ""
    if any(cause.startswith(word) or word in cause for word in _FINAL):
        message = (
            f"Kafka refuses: {error}. Check this client's rights on the topic and SAPHAN_KAFKA_SECURITY_PROTOCOL, "
            "…_SASL_… and …_SSL_… settings; what was acknowledged before stays published."
        )
        raise DeliveryRefused(message) from error
