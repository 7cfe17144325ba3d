"""What the chunk transport is worth: link alone behind it and behind Faust's own transport, on the same topics."""

import sys
from typing import Any

from saphan_cli.bench.delivery import RESULT_FILE
from saphan_cli.bench.figures import per_event_us, per_second
from saphan_cli.bench.stand import Stand
from saphan_infra.owned_process import read_json

_SECONDS_MAX = 400
COMPARED = (
    "link alone (decode, rules, identity, rows, outbox, publish) through one and the same log, from the first event that"
    " the agent gets to the last commit, each way with a database (SQLite) and a consumer group of its own. fetches: this"
    " platform's transport. stock: Faust's own kafka:// transport with one event a message; the agent collects as many"
    " messages as the platform commits at once, so that only Faust's delivery differs. stock_single: the same without"
    " collecting, one message a commit, on a smaller log. Each ratio is fetches to that way."
)


def measured(stand: Stand, way: str, events: int) -> dict[str, Any]:
    """Our way and another one through the whole log, which has so many events; nothing else must run."""
    ours, other = _measured(stand, "fetches", events), _measured(stand, way, events)
    rate = other["events_per_second"]
    return {"fetches": ours, way: other, "ratio": round(ours["events_per_second"] / rate, 2) if rate else None}


def _measured(stand: Stand, way: str, events: int) -> dict[str, Any]:
    stand.report(f"Measuring link alone on {events:,} events: {way} …")
    name = f"bench-{way}"
    data_dir = stand.settings.data_dir / name
    own = {"SAPHAN_DATA_DIR": str(data_dir), "SAPHAN_KAFKA_BOOTSTRAP": stand.settings.bootstrap}
    command = [sys.executable, "-m", "saphan_cli.bench.delivery", way, str(events)]
    stand.launch(name, command, own)
    stand.wait(name, _SECONDS_MAX)
    result = read_json(data_dir / RESULT_FILE)
    return {
        "events": result["events"],
        "seconds": round(result["seconds"], 3),
        "events_per_second": per_second(result["events"], result["seconds"]),
        "cpu_us_per_event": per_event_us(result["cpu_seconds"], result["events"]),
    }
