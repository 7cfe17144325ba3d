"""What the consumers show of themselves, in the platform's registry of metrics."""

from collections.abc import Mapping, Sequence

from prometheus_client import Counter, Gauge

from saphan_consumers.committee import Numbers
from saphan_consumers.delivery import Decision
from saphan_consumers.ledger import Place
from saphan_consumers.pending import Backlog
from saphan_infra import metrics
from saphan_infra.clock import now_ms
from saphan_projections.alerts import STATES

_REPEATS = Counter(
    "saphan_delivery_repeats",
    "Alert messages that told a sink nothing new.",
    ["sink"],
    registry=metrics.REGISTRY,
)
_SET_ASIDE = Counter(
    "saphan_consumer_set_aside",
    "Messages that a consumer could not read and keeps in its ledger's quarantine.",
    ["consumer"],
    registry=metrics.REGISTRY,
)
_WAITING = Gauge(
    "saphan_webhook_waiting",
    "Alert states that the webhook has not taken yet, parked ones included.",
    registry=metrics.REGISTRY,
)
_PARKED = Gauge(
    "saphan_webhook_parked",
    "Alert states that were given up; an operator must look (saphan deliveries status).",
    registry=metrics.REGISTRY,
)
_FAILING_SECONDS = Gauge(
    "saphan_webhook_failing_seconds",
    "Seconds for which the longest failing delivery has been tried; 0 when none fails.",
    registry=metrics.REGISTRY,
)
_OFF = Gauge(
    "saphan_webhook_off",
    "1 when the endpoint said that it is gone (410) and waits for an operator.",
    registry=metrics.REGISTRY,
)
_OUTCOMES = {"switch_off": "gone", "retry": "failed"}


def taken(sink: str, decision: Decision, refused: int) -> None:
    """A chunk was taken in."""
    _REPEATS.labels(sink).inc(decision.repeats)
    set_aside(f"delivery-{sink}", refused)


def set_aside(consumer: str, count: int) -> None:
    """Messages could not be read."""
    _SET_ASIDE.labels(consumer).inc(count)


def file_delivered(count: int) -> None:
    """Lines are in the file and in the ledger."""
    metrics.DELIVERIES.labels("file", "delivered").inc(count)


def webhook_attempt(kind: str) -> None:
    """One post came to an end: delivered, failed, parked or gone."""
    metrics.DELIVERIES.labels("webhook", _OUTCOMES.get(kind, kind)).inc()


def webhook_backlog(backlog: Backlog, *, switched_off: bool) -> None:
    """How much waits."""
    _WAITING.set(backlog.waiting)
    _PARKED.set(backlog.parked)
    since = backlog.failing_since_ms
    _FAILING_SECONDS.set(0 if since is None else max(0, now_ms() - since) / 1000)
    _OFF.set(switched_off)


def lag(consumer: str, messages: Mapping[Place, int]) -> None:
    """Messages still to read, per partition."""
    metrics.set_lag(consumer, {(place.topic, place.partition): count for place, count in messages.items()})


def committee(numbers: Numbers) -> None:
    """Show the committee's numbers."""
    counted = numbers.coverage()
    groups = counted._asdict()
    metrics.set_workers(
        {"known": groups.pop("workers"), **groups},
        {"registered": counted.of_registered, "eligible": counted.of_eligible},
    )
    metrics.set_alerts({state: numbers.alerts[state] for state in STATES})
    metrics.set_dead_letters(numbers.dead_letters)


def latencies(seconds: Sequence[float]) -> None:
    """From the message that caused an alert to the alert's arrival in its topic."""
    for one in seconds:
        metrics.EVENT_TO_ALERT_SECONDS.observe(one)
