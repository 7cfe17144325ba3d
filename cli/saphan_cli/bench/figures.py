"""What the numbers of a run say: rates, CPU per event, what limits, percentiles. Pure."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

#: From this share of the cores on, nothing but the CPU holds a run back.
_CORES_SHARE_LIMIT = 0.9
#: From this share of one core on, a single thread (or Python's one running thread) holds its stage back.
_THREAD_SHARE_LIMIT = 0.85
_PYTHON_STAGES = ("link", "integrate")


class StageUse(NamedTuple):
    """What one stage used between the two moments."""

    cpu_seconds: float
    busiest_thread_cpu_seconds: float
    busiest_process_cpu_seconds: float
    peak_rss_mib: float


class Span(NamedTuple):
    """What was measured between two moments. ``others_cpu_seconds``: of processes that are no part of the run."""

    events: int
    seconds: float
    cores: float
    stages: Mapping[str, StageUse]
    own_cpu_seconds: float
    others_cpu_seconds: float


def per_second(events: int, seconds: float) -> float:
    """A rate; 0 when no time passed."""
    return round(events / seconds, 1) if seconds > 0 else 0.0


def per_event_us(cpu_seconds: float, events: int) -> float:
    """Microseconds of CPU for each event; 0 without events."""
    return round(cpu_seconds * 1e6 / events, 2) if events else 0.0


def span_report(span: Span) -> dict[str, Any]:
    """The part of a report that a span gives."""
    capacity = span.seconds * span.cores
    total = sum(stage.cpu_seconds for stage in span.stages.values())
    return {
        "events": span.events,
        "seconds": round(span.seconds, 3),
        "events_per_second": per_second(span.events, span.seconds),
        "cpu_us_per_event": {
            **{name: per_event_us(stage.cpu_seconds, span.events) for name, stage in span.stages.items()},
            "total": per_event_us(total, span.events),
        },
        "cores_share": {
            **{name: share(stage.cpu_seconds, capacity) for name, stage in span.stages.items()},
            "total": share(total, capacity),
            "measuring": share(span.own_cpu_seconds, capacity),
            "other_programs": share(span.others_cpu_seconds, capacity),
        },
        "limited_by": limited_by(span),
        "peak_rss_mib": {name: round(stage.peak_rss_mib) for name, stage in span.stages.items()},
    }


def share(part: float, whole: float) -> float:
    """A share, rounded; 0 of nothing."""
    return round(max(0.0, part) / whole, 3) if whole > 0 else 0.0


def limited_by(span: Span) -> str:
    """What held the run back, in words, with the numbers that say so."""
    capacity = span.seconds * span.cores
    ours = sum(stage.cpu_seconds for stage in span.stages.values())
    everybody = share(ours + span.own_cpu_seconds + span.others_cpu_seconds, capacity)
    others = share(span.others_cpu_seconds, capacity)
    if everybody >= _CORES_SHARE_LIMIT:
        said = f"CPU of all {span.cores:g} cores ({everybody:.0%} busy)"
        return f"{said}, {others:.0%} of them taken by other programs" if others >= 0.05 else said
    thread = _busiest(span, lambda stage: stage.busiest_thread_cpu_seconds)
    if thread is not None:
        return f"{thread[0]}: one thread at {thread[1]:.0%} of a core"
    python = _busiest(span, lambda stage: stage.busiest_process_cpu_seconds, _PYTHON_STAGES)
    if python is not None:
        return f"{python[0]}: one Python process at {python[1]:.0%} of a core"
    return f"waiting for the disk or for each other (the cores are {everybody:.0%} busy)"


def _busiest(span: Span, cost: Any, names: Sequence[str] | None = None) -> tuple[str, float] | None:
    shares = {
        name: share(cost(stage), span.seconds) for name, stage in span.stages.items() if names is None or name in names
    }
    name = max(shares, key=lambda key: shares[key], default=None)
    if name is None or shares[name] < _THREAD_SHARE_LIMIT:
        return None
    return name, shares[name]


def percentile(ordered: Sequence[float], share_of_all: float) -> float:
    """The smallest value that at least so large a share of all does not exceed. Raises ValueError for no values."""
    if not ordered:
        message = "a percentile of nothing"
        raise ValueError(message)
    return ordered[max(0, ceil(share_of_all * len(ordered)) - 1)]


def latency_report(latencies_ms: Sequence[float]) -> dict[str, Any]:
    """p50, p95, p99, largest (ms) and count."""
    ordered = sorted(latencies_ms)
    if not ordered:
        return {"count": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None, "max_ms": None}
    return {
        "count": len(ordered),
        "p50_ms": percentile(ordered, 0.50),
        "p95_ms": percentile(ordered, 0.95),
        "p99_ms": percentile(ordered, 0.99),
        "max_ms": ordered[-1],
    }


def is_bounded(lags: Sequence[int], per_second_sent: float) -> bool:
    """Whether a lag that was looked at regularly stayed within a second's events after the first half of the time."""
    later = lags[len(lags) // 2 :]
    return bool(later) and max(later) <= per_second_sent


def recovered_at(looks: Sequence[tuple[float, int]], usual_lag_max: int) -> float | None:
    """When the lag was back at its usual height for good: looks are (moment, lag) from the kill on. None: not yet."""
    back: float | None = None
    for moment, lag in looks:
        if lag > usual_lag_max:
            back = None
        elif back is None:
            back = moment
    return back
