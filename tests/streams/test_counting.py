"""That the metrics count what was committed."""

from typing import Any

import pytest

from saphan_infra import metrics
from saphan_infra.clock import now_ms
from saphan_projections.link_store import FeedRead
from saphan_projections.queries import FeedFreshness
from saphan_schemas.topics import RECORD_FEEDS
from saphan_streams.counting import integrate_chunk, link_fetch, link_started
from saphan_streams.integrate import IntegrateCounts
from saphan_streams.link import LinkCounts
from saphan_streams.reading import Refusal


class Counted:
    """How much counters have grown since this was made."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self._before = self.grown()

    def grown(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        found = {}
        for family in metrics.REGISTRY.collect():
            for sample in family.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                found[key] = sample.value - self._before.get(key, 0.0)
        return found

    def of(self, name: str, **labels: Any) -> float:
        return self.grown().get((name, tuple(sorted(labels.items()))), 0.0)


@pytest.fixture
def counted() -> Counted:
    return Counted()


def refusal(reason: str) -> Refusal:
    return Refusal(None, reason, "")


def test_what_link_committed_is_counted(counted: Counted) -> None:
    feed, other = "doe.employments.v1", "doe.employers.v1"
    reads = [FeedRead(feed, 0, 7, 3, 0, 0), FeedRead(feed, 1, 3, 0, 0, 0), FeedRead(other, 0, 5, 0, 0, 0)]
    refused = [(feed, "corrupt"), (feed, "corrupt"), (feed, "no_key")]
    link_fetch(LinkCounts(reads, refused, {feed: 2}, {}))
    assert counted.of("saphan_feed_events_total", feed=feed) == 10
    assert counted.of("saphan_feed_events_total", feed=other) == 5
    assert counted.of("saphan_feed_stale_events_total", feed=feed) == 2
    assert counted.of("saphan_rejected_total", stage="link", topic=feed, reason="corrupt") == 2
    assert counted.of("saphan_rejected_total", stage="link", topic=feed, reason="no_key") == 1


def test_a_feed_that_fell_silent_before_a_restart_is_as_old_as_its_last_word_and_one_that_never_spoke_older() -> None:
    silent, unread, never = RECORD_FEEDS[:3]
    day_ms, now = 86_400_000, now_ms()
    known = [
        FeedFreshness(silent, 10, 0, now - 5 * day_ms, now, now - 4 * day_ms),
        FeedFreshness(unread, 0, 0, None, None, now - 3 * day_ms),
    ]
    link_started(known)
    ages = {
        (feed, gauge): metrics.REGISTRY.get_sample_value(f"saphan_feed_{gauge}_age_seconds", {"feed": feed})
        for feed in RECORD_FEEDS
        for gauge in ("newest_event", "heartbeat")
    }
    days = {key: round((seconds or 0) / 86_400) for key, seconds in ages.items()}
    assert (days[silent, "newest_event"], days[silent, "heartbeat"]) == (5, 4)
    assert days[unread, "heartbeat"] == 3
    assert all(days[key] > 10_000 for key in days if key[0] not in {silent, unread})
    assert days[never, "heartbeat"] > 10_000


def test_what_integrate_committed_is_counted(counted: Counted) -> None:
    integrate_chunk(IntegrateCounts("worker.records.v2", 5, ["due", "overdue", "overdue"], [refusal("corrupt")]))
    assert counted.of("saphan_alert_events_total", state="overdue") == 2
    assert counted.of("saphan_alert_events_total", state="due") == 1
