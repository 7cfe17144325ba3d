"""How fast events get through everything: loaded first, then measured from the first event to the last alert."""

import asyncio
from collections.abc import Mapping
from typing import Any

from saphan_cli.bench.figures import Span, StageUse, span_report
from saphan_cli.bench.looking import Eye, Look, looking_at
from saphan_cli.bench.province import Loaded, Province, load
from saphan_cli.bench.speed import speed
from saphan_cli.bench.stand import Stand
from saphan_cli.bench.usage import Usage, machine, peak_rss_mib
from saphan_infra.clock import monotonic_seconds
from saphan_infra.machine import processes_at_once
from saphan_infra.roles import LINK, integrate_roles
from saphan_infra.settings import Settings
from saphan_projections.migrate import migrate
from saphan_schemas.topics import ENROLMENT_ALERTS, TOPICS, WORKER_INTEGRATED, WORKER_RECORDS

_TOLD_SECONDS = 2.0
_NOTHING = Usage({}, {})


def load_feeds(stand: Stand, province: Province) -> Loaded:
    """Simulate and send; how long it takes is no part of any figure."""
    size = province.size
    stand.report(
        f"Simulating {size.workers:,} workers over {size.months} months and sending up to {size.events:,} events …"
    )
    began = monotonic_seconds()

    def progress(count: int) -> None:
        if count % 100_000 == 0:
            stand.report(f"  {count:,} sent")

    loaded = asyncio.run(load(stand.settings.bootstrap, province, progress))
    stand.report(f"{loaded.events:,} events are in the log ({monotonic_seconds() - began:.0f} s).")
    return loaded


def prepare_databases(settings: Settings) -> None:
    """Make the tables before anything starts, so that one can look from the beginning."""
    for url in dict.fromkeys((settings.link_url, settings.state_url)):
        migrate(url)


def start_platform(stand: Stand, eye: Eye) -> Look:
    """Start integrate, then link; the look at the moment when link begins to fetch."""
    for role in integrate_roles(stand.settings):
        stand.start(role)
    stand.start(LINK)
    return eye.look()


def measured(stand: Stand, loaded: Loaded) -> dict[str, Any]:
    """Run link and integrate through the loaded log; the report of it. They run on afterwards."""
    cores = processes_at_once()
    before = speed(cores)
    with looking_at(stand) as eye:
        stand.report("Starting integrate and link …")
        first = start_platform(stand, eye)
        last = eye.until_done(first, _Progress(stand, loaded.events, first.at))
    return {
        **span_report(span_between(stand, first, last)),
        "machine_speed": {"before": before._asdict(), "after": speed(cores)._asdict()},
        "messages": _messages(last, loaded),
    }


def span_between(stand: Stand, first: Look, last: Look) -> Span:
    """What two looks say about what lies between them."""
    seconds = last.at - first.at
    pids = stand.stages()
    stages = {name: _stage_use(first.usages.get(name, _NOTHING), last.usages[name], pids[name]) for name in last.usages}
    own = last.own.cpu_seconds - first.own.cpu_seconds
    busy = last.machine_busy_seconds - first.machine_busy_seconds
    others = busy - own - sum(stage.cpu_seconds for stage in stages.values())
    return Span(last.events - first.events, seconds, machine().cores, stages, own, max(0.0, others))


def _stage_use(first: Usage, last: Usage, pids: tuple[int, ...]) -> StageUse:
    return StageUse(
        last.cpu_seconds - first.cpu_seconds,
        _most_used(first.thread_cpu_seconds, last.thread_cpu_seconds),
        _most_used(first.process_cpu_seconds, last.process_cpu_seconds),
        peak_rss_mib(pids),
    )


def _most_used(first: Mapping[int, float], last: Mapping[int, float]) -> float:
    return max((seconds - first.get(number, 0.0) for number, seconds in last.items()), default=0.0)


def _messages(last: Look, loaded: Loaded) -> dict[str, Any]:
    def total(name: str) -> int:
        return sum(last.ends.get((name, number), 0) for number in range(TOPICS[name].partitions))

    return {
        "in": dict(sorted(loaded.by_feed.items())),
        "in_value_bytes_mean": round(loaded.value_bytes / max(loaded.events, 1)),
        **{name: total(name) for name in (WORKER_RECORDS, WORKER_INTEGRATED, ENROLMENT_ALERTS)},
    }


class _Progress:
    """Tells on stderr how far it is, every few seconds."""

    def __init__(self, stand: Stand, events: int, began: float) -> None:
        self._report = stand.report
        self._events = events
        self._began = self._told = began

    def __call__(self, look: Look) -> None:
        if look.at - self._told >= _TOLD_SECONDS:
            self._told = look.at
            integrated = sum(look.integrated.values())
            self._report(
                f"  {look.at - self._began:5.0f} s: {look.events:,} of {self._events:,} linked, {integrated:,} integrated"
            )


def surroundings(settings: Settings) -> dict[str, Any]:
    """The machine and the settings that matter, for every report."""
    here: Mapping[str, Any] = machine()._asdict()
    return {
        "machine": dict(here),
        "settings": {
            "database": "postgresql" if settings.state_url.startswith("postgresql") else "sqlite",
            "integrate_workers": settings.integrate_workers,
            "chunk_records_max": settings.chunk_records_max,
            "chunk_bytes_max": settings.chunk_bytes_max,
            "kafka_heap_mb": settings.kafka_heap_mb,
        },
    }
