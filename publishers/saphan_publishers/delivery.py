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
_CLOSE_SECONDS_MAX = 5.0
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
        """Make sure that topics are there; how many partitions each has. Raises BrokerUnavailable, DeliveryRefused."""

    def end_offsets(self, topic: str) -> dict[int, int]:
        """The next offset of each partition. Raises BrokerUnavailable."""


class Delivery:
    """Sends messages and asks for offsets; both wait for the broker up to ``wait_seconds_max`` (None: for ever).

    ``on_wait`` gets a sentence before each pause and every ``tell_seconds`` without an answer. After BrokerUnavailable
    or DeliveryRefused what was acknowledged stays published; publishing everything again doubles nothing.
    """

    def __init__(
        self,
        broker: Broker,
        on_wait: Callable[[str], None],
        wait_seconds_max: float | None = None,
        tell_seconds: float = 5.0,
    ) -> None:
        self._tell_seconds = tell_seconds
        self._closing: set[asyncio.Future[None]] = set()
        self._broker = broker
        self._on_wait = on_wait
        self._wait_seconds_max = wait_seconds_max
        self._partitions: dict[str, int] = {}
        self._producer: Producer | None = None

    async def open(self, topics: Iterable[str]) -> None:
        """Make sure of the topics. Raises BrokerUnavailable or DeliveryRefused."""
        wanted = list(topics)
        counts = await self._patiently(
            "making sure of the topics", lambda: asyncio.to_thread(self._broker.ensure_topics, wanted)
        )
        self._partitions.update(counts)
        self._producer = self._broker.producer()

    async def close(self) -> None:
        """Close the connection; a client that waits for a broker that is away is left behind."""
        producer, self._producer = self._producer, None
        if producer is not None:
            self._closing.add(asyncio.ensure_future(producer.stop()))
        if self._closing:
            await asyncio.wait(self._closing, timeout=_CLOSE_SECONDS_MAX)
            # They belong to this event loop; the next opening may have another one.
            self._closing = set()

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
        began = monotonic_seconds()
        pause_seconds = _PAUSE_SECONDS_FIRST
        while True:
            try:
                return await self._watched(doing, attempt(), began)
            except (SendFailed, BrokerUnavailable) as error:
                _raise_if_final(error)
                waited_seconds = monotonic_seconds() - began
                if self._is_too_long(waited_seconds + pause_seconds):
                    message = f"Gave up {doing} after {waited_seconds:.0f} s: {error}."
                    raise BrokerUnavailable(message) from error
                self._on_wait(f"Waiting for Kafka, {doing}: {error}. Nothing is lost; next try in {pause_seconds:g} s.")
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _PAUSE_SECONDS_MAX)

    async def _watched(self, doing: str, attempt: Awaitable[_Answer], began: float) -> _Answer:
        """The attempt's answer; tells when none comes, because the client itself retries without a word."""
        working = asyncio.ensure_future(attempt)
        try:
            while True:
                await asyncio.wait([working], timeout=self._tell_seconds)
                if working.done():
                    return working.result()
                waited_seconds = monotonic_seconds() - began
                if self._is_too_long(waited_seconds):
                    self._abandon_producer()
                    message = f"no answer for {waited_seconds:.0f} s"
                    raise BrokerUnavailable(message)
                self._on_wait(f"Waiting for Kafka, {doing}: no answer for {waited_seconds:.0f} s. Nothing is lost.")
        finally:
            working.cancel()

    def _is_too_long(self, seconds: float) -> bool:
        return self._wait_seconds_max is not None and seconds > self._wait_seconds_max

    def _abandon_producer(self) -> None:
        """What is stuck in the old producer may still arrive: receivers drop repeats. The next send takes a new one."""
        if self._producer is not None:
            self._closing.add(asyncio.ensure_future(self._producer.stop()))
            self._producer = self._broker.producer()


def _raise_if_final(error: Exception) -> None:
    cause = type(error.__cause__).__name__ if error.__cause__ is not None else ""
    if any(cause.startswith(word) or word in cause for word in _FINAL):
        message = (
            f"Kafka refuses: {error}. Check this client's rights on the topic and SAPHAN_KAFKA_SECURITY_PROTOCOL, "
            "…_SASL_… and …_SSL_… settings; what was acknowledged before stays published."
        )
        raise DeliveryRefused(message) from error
