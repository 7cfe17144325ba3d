"""What link and integrate count: from a committed chunk to the metrics."""

from collections.abc import Mapping, Sequence
from typing import Any

from faust.types import TP

from saphan_infra.metrics import (
    ALERT_EVENTS,
    CHUNK_RECORDS,
    FEED_EVENTS,
    FEED_STALE,
    REJECTED,
    saw_event,
    saw_heartbeat,
    set_lag,
)
from saphan_projections.queries import FeedFreshness
from saphan_schemas.topics import RECORD_FEEDS
from saphan_streams.integrate import IntegrateCounts
from saphan_streams.link import LinkCounts


def link_fetch(counts: LinkCounts) -> None:
    """Link has committed what a fetch brought of its feeds."""
    CHUNK_RECORDS.labels("link").observe(sum(read.events for read in counts.reads))
    for read in counts.reads:
        FEED_EVENTS.labels(read.feed).inc(read.events)
        if read.changed_at_max:
            saw_event(read.feed, read.changed_at_max)
    for feed, stale in counts.stale.items():
        FEED_STALE.labels(feed).inc(stale)
    for feed, reason in counts.refused:
        REJECTED.labels("link", feed, reason).inc()
    for feed, complete_until in counts.complete_until.items():
        saw_heartbeat(feed, complete_until)


def link_started(known: Sequence[FeedFreshness]) -> None:
    """Link knows from its database how old each feed is; one that was never heard of is as old as can be.

    A feed that is silent must look so after a restart as well: nothing of it comes that would tell.
    """
    read = {row.feed: row for row in known}
    for feed in RECORD_FEEDS:
        row = read.get(feed)
        saw_event(feed, (row.changed_at_max if row else None) or 0)
        saw_heartbeat(feed, (row.complete_until if row else None) or 0)


def integrate_chunk(counts: IntegrateCounts) -> None:
    """Integrate has committed a chunk."""
    CHUNK_RECORDS.labels("integrate").observe(counts.events)
    for state in counts.alerts_told:
        ALERT_EVENTS.labels(state).inc()
    for refusal in counts.refusals:
        REJECTED.labels("integrate", counts.topic, refusal.reason).inc()


def lag(app: str, consumer: Any, positions: Mapping[tuple[str, int], int]) -> None:
    """Count :func:`lag_of`."""
    set_lag(app, lag_of(consumer, positions))


def lag_of(consumer: Any, positions: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
    """How much of each held partition is still to come, as far as the consumer has heard from the broker."""
    found = {}
    assigned = consumer.assignment()
    for (topic, partition), next_offset in positions.items():
        # In a rebalance the positions are still those of before; the client refuses what is not assigned any more.
        if TP(topic, partition) not in assigned:
            continue
        end = consumer.highwater(TP(topic, partition))
        if end is not None:
            found[topic, partition] = max(0, end - next_offset)
    return found
