"""A consumer as a process of its own, for tests that kill it: delivery or metrics, as the settings in argv say."""

import json
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from saphan_consumers.addresses import target_of
from saphan_consumers.delivering import DeliveryPlan, WebhookPlan, deliver
from saphan_consumers.measuring import TOPICS, measure
from saphan_consumers.reading import Source
from saphan_consumers.retrying import RetryPolicy
from saphan_consumers.signing import signing_keys
from saphan_infra import logs
from saphan_schemas.topics import ENROLMENT_ALERTS


def main() -> None:
    given = json.loads(sys.argv[1])
    folder = Path(given["data_dir"])
    logs.configure("INFO")
    stop = threading.Event()

    def leave(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, leave)
    bootstrap: str = given["bootstrap"]
    if given["role"] == "metrics":
        measure(Source(lambda: bootstrap, "test-metrics", TOPICS, chunk_records_max=100), folder, stop)
        return
    webhook = None
    if "url" in given:
        target = target_of(given["url"], allow_http=True, allow_private=False)
        policy = RetryPolicy(base_seconds=0.05, max_seconds=0.5, give_up_seconds=76 * 3600)
        webhook = WebhookPlan(target, signing_keys(given["secret"]), 5.0, 8, policy)
    plan = DeliveryPlan(
        lambda group: Source(lambda: bootstrap, f"test-{group}", (ENROLMENT_ALERTS,), chunk_records_max=100),
        folder,
        folder / "alerts.jsonl",
        webhook,
    )
    deliver(plan, stop)


if __name__ == "__main__":
    main()
