"""What is measured: every Prometheus metric of the platform, with its help text, and the server that shows them.

Labels name feeds, topics, applications, states and reasons; never a person, an employer or a record.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)

from saphan_infra.clock import now_ms

disable_created_metrics()  # type: ignore[no-untyped-call]  # half of the page, and nobody reads them
REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

_TRANSACTION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 0.75, 1, 2, 5, 10, 30, 60, 300)

FEED_EVENTS = Counter("saphan_feed_events", "Messages read from a feed, repeats included.", ["feed"], registry=REGISTRY)
FEED_STALE = Counter(
    "saphan_feed_stale_events",
    "Messages that changed nothing: a repeat or an older version.",
    ["feed"],
    registry=REGISTRY,
)
REJECTED = Counter(
    "saphan_rejected",
    "Messages that this process put into the dead letters.",
    ["stage", "topic", "reason"],
    registry=REGISTRY,
)
LAG = Gauge(
    "saphan_lag_messages",
    "Messages in a partition that are not processed yet.",
    ["app", "topic", "partition"],
    registry=REGISTRY,
)
FEED_NEWEST_AGE = Gauge(
    "saphan_feed_newest_event_age_seconds",
    "Seconds since the newest change that a feed reported (its changed_at); since 1970 for a feed that never did.",
    ["feed"],
    registry=REGISTRY,
)
FEED_HEARTBEAT_AGE = Gauge(
    "saphan_feed_heartbeat_age_seconds",
    "Seconds since the moment up to which a feed says that it is complete; since 1970 for a feed that never did.",
    ["feed"],
    registry=REGISTRY,
)
TRANSACTION_SECONDS = Histogram(
    "saphan_transaction_seconds",
    "Time of one database transaction.",
    ["app"],
    buckets=_TRANSACTION_BUCKETS,
    registry=REGISTRY,
)
CHUNK_RECORDS = Histogram(
    "saphan_chunk_records",
    "Messages in one transaction: link's of a fetch, integrate's of each of its partitions.",
    ["app"],
    buckets=(1, 10, 50, 100, 250, 500, 1000, 2000, 4000, 8000, 20_000),
    registry=REGISTRY,
)
ALERT_EVENTS = Counter(
    "saphan_alert_events", "Changes of an alert's state that were sent.", ["state"], registry=REGISTRY
)
EVENT_TO_ALERT_SECONDS = Histogram(
    "saphan_event_to_alert_seconds",
    "From a change's arrival in the feed to the alert that it caused.",
    buckets=_LATENCY_BUCKETS,
    registry=REGISTRY,
)
ALERTS = Gauge("saphan_alerts", "Enrolment alerts by their present state.", ["state"], registry=REGISTRY)
WORKERS = Gauge(
    "saphan_workers",
    "Workers: known (registered anywhere), employed, eligible (employed where enrolment is a duty), enrolled, "
    "eligible_enrolled.",
    ["group"],
    registry=REGISTRY,
)
COVERAGE = Gauge(
    "saphan_coverage_ratio",
    "Share of workers in the Social Security Fund, of all registered and of the eligible employed; NaN while there are none.",
    ["denominator"],
    registry=REGISTRY,
)
DEAD_LETTERS = Gauge(
    "saphan_dead_letters",
    "Messages in the dead letters, by who refused them and why.",
    ["stage", "reason"],
    registry=REGISTRY,
)
DELIVERIES = Counter(
    "saphan_deliveries", "Tries to hand an alert to a receiver, by outcome.", ["sink", "outcome"], registry=REGISTRY
)
OUTBOX = Gauge(
    "saphan_outbox_messages", "Committed messages that Kafka has not acknowledged yet.", ["app"], registry=REGISTRY
)

_Labels = TypeVar("_Labels", bound=tuple[str, ...])
_shown: dict[tuple[Gauge, str], set[tuple[str, ...]]] = {}
_newest: dict[tuple[Gauge, str], int] = {}
_newest_lock = threading.Lock()


def saw_event(feed: str, changed_at_ms: int) -> None:
    """A feed reported a change of this moment, 0: never any; the age of the newest one grows by itself."""
    _keep_newest(FEED_NEWEST_AGE, feed, changed_at_ms)


def saw_heartbeat(feed: str, complete_until_ms: int) -> None:
    """A feed said that it is complete up to this moment; 0: it never did."""
    _keep_newest(FEED_HEARTBEAT_AGE, feed, complete_until_ms)


def _keep_newest(gauge: Gauge, feed: str, moment_ms: int) -> None:
    key = (gauge, feed)
    with _newest_lock:
        first = key not in _newest
        _newest[key] = moment_ms if first else max(moment_ms, _newest[key])
    if first:
        # Asked at each scrape: a silent feed must look old, not frozen.
        gauge.labels(feed).set_function(lambda: max(0.0, (now_ms() - _newest[key]) / 1000))


def set_lag(app: str, lag: Mapping[tuple[str, int], int]) -> None:
    """Messages not processed yet, by (topic, partition); what is not named is not this application's any more."""
    _show_only(LAG, app, {(app, topic, str(partition)): messages for (topic, partition), messages in lag.items()})


def _show_only(gauge: Gauge, group: str, values: Mapping[_Labels, int]) -> None:
    """These numbers of a group, and no others: one that nobody renews would look like a fresh one."""
    for labels in _shown.get((gauge, group), set()) - set(values):
        gauge.remove(*labels)
    for labels, value in values.items():
        gauge.labels(*labels).set(value)
    _shown[gauge, group] = set(values)


def set_alerts(counts: Mapping[str, int]) -> None:
    """Alerts by state, also by those states that no alert is in."""
    for state, count in counts.items():
        ALERTS.labels(state).set(count)


def set_workers(groups: Mapping[str, int], shares: Mapping[str, float | None]) -> None:
    """Numbers of workers by group, and shares by denominator; None: of nobody."""
    for group, count in groups.items():
        WORKERS.labels(group).set(count)
    for denominator, share in shares.items():
        COVERAGE.labels(denominator).set(float("nan") if share is None else share)


def set_dead_letters(counts: Mapping[tuple[str, str], int]) -> None:
    """Dead letters by (stage, reason); of what is not named there are none."""
    _show_only(DEAD_LETTERS, "", counts)


@dataclass(frozen=True, slots=True)
class MetricsServer:
    """The running server of the metrics."""

    port: int
    close: Callable[[], None]


def serve(host: str = "127.0.0.1", port: int = 0) -> MetricsServer:
    """Show the metrics at http://host:port/metrics, on a thread of its own. Port 0: a free one, see ``port`` of the result.

    Raises OSError when the port is taken or the address is none of this machine's.
    """
    server: WSGIServer
    server, thread = start_http_server(port, host, REGISTRY)

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return MetricsServer(server.server_port, close)
