"""A broker in memory that keeps what it acknowledges, for tests of whatever publishes."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from saphan_infra.availability import BrokerUnavailable
from saphan_infra.producer import Message, SendFailed, partition_of
from saphan_schemas.codec import Codec
from saphan_schemas.topics import TOPICS


class TopicAuthorizationFailedError(Exception):
    """As aiokafka names it."""


class MemoryBroker:
    """Keeps messages by topic. ``failures`` many sends, and ``absences`` many questions, fail first."""

    def __init__(self, failures: int = 0, absences: int = 0, *, refuses: bool = False, silent: bool = False) -> None:
        self.refuses = refuses
        self.silent = silent
        self.topics: dict[str, list[Message]] = {}
        self.failures = failures
        self.absences = absences
        self.sizes: list[int] = []

    def producer(self) -> "MemoryBroker":
        return self

    async def start(self) -> None:
        """Nothing to connect."""

    async def stop(self) -> None:
        """Nothing to close."""

    async def send(self, topic: str, messages: Sequence[Message], partition_count: int) -> None:
        assert partition_count == TOPICS[topic].partitions
        await asyncio.sleep(0)
        if self.silent:
            await asyncio.Event().wait()
        if self.refuses:
            raise SendFailed(f"{topic}: the broker did not acknowledge") from TopicAuthorizationFailedError()
        if self.failures:
            self.failures -= 1
            raise SendFailed(f"{topic}: the broker did not acknowledge")
        self.sizes.append(len(messages))
        self.topics.setdefault(topic, []).extend(messages)

    def ensure_topics(self, names: Iterable[str]) -> dict[str, int]:
        if self.absences:
            self.absences -= 1
            raise BrokerUnavailable("Kafka did not answer")
        return {name: TOPICS[name].partitions for name in names}

    def end_offsets(self, topic: str) -> dict[int, int]:
        count = TOPICS[topic].partitions
        ends = dict.fromkeys(range(count), 0)
        for message in self.topics.get(topic, []):
            ends[partition_of(message.key, count)] += 1
        return ends

    def records(self, topic: str) -> list[dict[str, Any]]:
        codec = Codec()
        return [codec.decode(topic, message.value) for message in self.topics.get(topic, [])]
