"""What the publishers' tests share: a broker in memory and a way to publish a file to it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from memory_broker import MemoryBroker

from saphan_publishers.delivery import Delivery
from saphan_publishers.formats import Reading
from saphan_publishers.outcomes import Outcome
from saphan_publishers.publishing import Order, Publication
from saphan_publishers.reports import Report
from saphan_schemas.values import parse_time_ms

KEY = "a key for these tests only"
#: When the tests' files are read, whatever the day of the test.
NOW_MS = parse_time_ms("2027-02-01T00:00:00+07:00")


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
        reading = Reading(KEY, **{"now_ms": NOW_MS, **options})
        files = [(feed, str(path)) for path in paths]
        order = Order(files, reading, tmp_path / "data", delivery, **heartbeat)
        report = Report(tmp_path / "report.jsonl")
        return asyncio.run(Publication(order, report, lambda _outcome, _seconds: None).run())

    return publish
