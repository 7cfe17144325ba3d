"""What the publishers' tests share: a broker in memory that keeps what it acknowledges, and a way to publish a file to it."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from saphan_infra.availability import BrokerUnavailable
from saphan_infra.producer import Message, SendFailed, partition_of
from saphan_publishers.delivery import Delivery
from saphan_publishers.formats import Reading
from saphan_publishers.outcomes import Outcome
from saphan_publishers.publishing import Order, Publication
from saphan_publishers.reports import Report
from saphan_schemas.codec import Codec
from saphan_schemas.topics import TOPICS

KEY = "a key for these tests only"


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


@pytest.fixture
def new_broker() -> Callable[..., MemoryBroker]:
    return MemoryBroker


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


PublishFiles = Callable[..., Outcome]


@pytest.fixture
def publish_files(broker: MemoryBroker, tmp_path: Path) -> PublishFiles:
    """Publish files of a feed to ``broker``; the report goes to tmp_path/report.jsonl."""

    def publish(feed: str, *paths: Path | str, to: MemoryBroker | None = None, **options: Any) -> Outcome:
        dry_run = options.pop("dry_run", False)
        heartbeat = {name: options.pop(name) for name in ("heartbeat_ms", "heartbeat_anyway") if name in options}
        delivery = None if dry_run else Delivery(to or broker, lambda _sentence: None, 5)
        reading = Reading(KEY, **options)
        files = [(feed, str(path)) for path in paths]
        order = Order(files, reading, tmp_path / "data", delivery, **heartbeat)
        report = Report(tmp_path / "report.jsonl")
        return asyncio.run(Publication(order, report, lambda _outcome, _seconds: None).run())

    return publish
