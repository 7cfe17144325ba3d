"""How fast the whole log is folded anew into shadow tables."""

import asyncio
from typing import Any

from saphan_cli.bench.figures import per_event_us, per_second
from saphan_cli.bench.stand import Stand
from saphan_cli.bench.usage import own_peak_rss_mib, own_usage, usage
from saphan_streams.rebuild import rebuild, shadow_databases

_TOLD_MESSAGES = 200_000


def measured(stand: Stand) -> dict[str, Any]:
    """Fold the loaded log in this process, as `saphan rebuild` does; the comparison with a live state is left out."""
    stand.report("Folding the log anew …")
    broker = stand.stages()["broker"]
    before, broker_before = own_usage(), usage(broker)

    with shadow_databases(stand.settings, keep=False) as shadow:
        rebuilt = asyncio.run(rebuild(stand.settings, shadow, _Progress(stand)))
        cpu_seconds = own_usage().cpu_seconds - before.cpu_seconds
        broker_cpu_seconds = usage(broker).cpu_seconds - broker_before.cpu_seconds
    return {
        "events": rebuilt.events,
        "seconds": round(rebuilt.seconds, 3),
        "events_per_second": per_second(rebuilt.events, rebuilt.seconds),
        "cpu_us_per_event": {
            "rebuild": per_event_us(cpu_seconds, rebuilt.events),
            "broker": per_event_us(broker_cpu_seconds, rebuilt.events),
        },
        "peak_rss_mib": {"rebuild": round(own_peak_rss_mib())},
    }


class _Progress:
    """Tells on stderr how far it is, every so many messages."""

    def __init__(self, stand: Stand) -> None:
        self._report = stand.report
        self._told = 0

    def __call__(self, done: int, total: int) -> None:
        if done // _TOLD_MESSAGES != self._told:
            self._told = done // _TOLD_MESSAGES
            self._report(f"  {done:,} of {total:,} messages")
