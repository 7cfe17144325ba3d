"""What link and integrate count: from a committed chunk to the metrics."""

from collections.abc import Mapping
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
