"""What the chunk transport is worth: link alone behind it and behind Faust's own transport, on the same topics."""

import sys
from typing import Any

from saphan_cli.bench.delivery import RESULT_FILE, WAYS
from saphan_cli.bench.figures import per_event_us, per_second
from saphan_cli.bench.stand import Stand
from saphan_infra.owned_process import read_json

_START_AND_STOP_SECONDS = 120
COMPARED = (
    "link alone (decode, rules, identity, rows, outbox, publish) from the beginning of the same topics, each way for at"
    " most the same time with a database (SQLite) and a consumer group of its own. chunks: the chunk transport. stock:"
    " Faust's own kafka:// transport with one event a message; the agent collects each partition's messages and"
    " commits them through the same LinkProcessor in chunks of at most the same size, so that only Faust's delivery"
    " differs. stock_single: the same without collecting, one message a commit. Each ratio is chunks to that way."
)


def measured(stand: Stand, events: int, seconds: float) -> dict[str, Any]:
    """Measure each way, one after the other; link and integrate must not run."""
    found = {way: _measured(stand, way, events, seconds) for way in WAYS}
    chunks = found["chunks"]["events_per_second"]
    ratios = {way: round(chunks / rate, 2) if (rate := found[way]["events_per_second"]) else None for way in WAYS}
    return {
        "compared": COMPARED,
        **found,
        "ratio": ratios["stock"],
        "ratio_single": ratios["stock_single"],
    }


def _measured(stand: Stand, way: str, events: int, seconds: float) -> dict[str, Any]:
    stand.report(f"Measuring link alone for up to {seconds:g} s: {way} …")
    name = f"bench-{way}"
    data_dir = stand.settings.data_dir / way
    own = {"SAPHAN_DATA_DIR": str(data_dir), "SAPHAN_KAFKA_BOOTSTRAP": stand.settings.bootstrap}
    command = [sys.executable, "-m", "saphan_cli.bench.delivery", way, str(seconds), str(events)]
    stand.launch(name, command, own)
    stand.wait(name, seconds + _START_AND_STOP_SECONDS)
    result = read_json(data_dir / RESULT_FILE)
    return {
        "events": result["events"],
        "seconds": round(result["seconds"], 3),
        "events_per_second": per_second(result["events"], result["seconds"]),
        "cpu_us_per_event": per_event_us(result["cpu_seconds"], result["events"]),
    }
