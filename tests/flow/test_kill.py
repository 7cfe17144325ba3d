"""That nothing is lost, doubled or different after `kill -9` of any process at any moment, and in any order."""

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from running_platform import RunningPlatform, SimulatedWorld, expected_rows, running, slices, undisturbed

from saphan_consumers.delivery import fingerprint_of, parts_of
from saphan_consumers.receiver import Inbox, Receiver
from saphan_consumers.signing import signing_keys
from saphan_infra.owned_process import wait_until
from saphan_infra.settings import Settings

pytestmark = pytest.mark.broker

SECRET = "whsec_c2FwaGFuLXRlc3Qtc2VjcmV0LTAxMjM0NTY3ODk="  # noqa: S105 - of this test's receiver
SEED = 20
VICTIMS = (
    *("link", "integrate-0", "delivery") * 3,
    *("kafka", "kafka"),
    *("link", "integrate-0"),
)


@contextmanager
def receiver(path: Path) -> Iterator[str]:
    """A receiver of the webhook; its URL."""
    inbox = Inbox(path)
    server = Receiver(inbox, signing_keys(SECRET))
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.stop()
        thread.join()
        inbox.close()


def received(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def states_told(platform: RunningPlatform) -> dict[str, str]:
    """Of each alert that was ever open the newest state that integrate has told, as a delivery's fingerprint."""
    found: dict[str, str] = {}
    for alert_id, state, reason, hold, due_day, since_day in platform.rows(
        "SELECT alert_id, state, reason, hold, due_day, since_day FROM alert_history ORDER BY version"
    ):
        if alert_id in found or state not in {"resolved", "withdrawn"}:
            told = {"state": state, "reason": reason, "hold": hold, "due_on": due_day, "state_since": since_day}
            found[alert_id] = fingerprint_of(told)
    return found


def newest_received(path: Path) -> dict[str, str]:
    """Of each alert the newest state that has arrived, as the fingerprint in the delivery's id."""
    found: dict[str, tuple[str, int]] = {}
    for row in received(path):
        alert_id, version = row["data"]["alert_id"], row["data"]["version"]
        if alert_id not in found or version > found[alert_id][1]:
            found[alert_id] = parts_of(alert_id, row["id"])[0], version
    return {alert_id: fingerprint for alert_id, (fingerprint, _) in found.items()}


def test_after_kills_at_random_moments_the_state_is_that_of_an_undisturbed_run(
    province: SimulatedWorld, tmp_path: Path, java_cache: Path
) -> None:
    shape = random.Random(SEED)
    victims = list(VICTIMS)
    shape.shuffle(victims)
    expected = undisturbed(province, tmp_path, Settings())
    inbox, file = tmp_path / "inbox.jsonl", tmp_path / "alerts.jsonl"
    with receiver(inbox) as url:
        sinks = {"webhook_url": url, "webhook_secret": SECRET, "webhook_allow_http": True, "alerts_file": file}
        with running(tmp_path / "data", java_cache, chunk_records_max=25, **sinks) as platform:
            parts = slices(province.events, len(victims), shape)
            beats = slices_of_heartbeats(province, len(victims), shape)
            for victim, part, some_beats in zip(victims, parts, beats, strict=True):
                process = None if victim == "kafka" else platform.running(victim)
                platform.publish(part)
                platform.publish_heartbeats(some_beats)
                threading.Event().wait(shape.uniform(0, 0.4))  # the moment of the fault, not a synchronisation
                if process is None:
                    platform.kill_broker()
                    platform.start_broker()
                else:
                    platform.kill(victim)
            platform.publish_heartbeats(province.newest_heartbeats())
            assert platform.reaches(expected), (platform.hash(), expected, platform.said)
            assert platform.settled(province.as_of_ms) == expected_rows(province)
            told = states_told(platform)
            for sink in (inbox, file):
                assert arrives(sink, told), f"{sink.name} has not every state"
            assert all(row.restarts > 0 for row in platform.platform.status())
        for sink in (inbox, file):
            ids = [row["id"] for row in received(sink)]
            assert len(ids) == len(set(ids)), f"{sink.name} has a state twice"
    assert len(victims) >= 10


def arrives(sink: Path, told: dict[str, str]) -> bool:
    # A delivery process that was killed often is started again after growing pauses.
    return wait_until(lambda: newest_received(sink) == told, 120)


def slices_of_heartbeats(world: SimulatedWorld, count: int, shape: random.Random) -> list[list[dict[str, Any]]]:
    """Some of the heartbeats that came during the year, a few for each part."""
    chosen = shape.sample(list(world.heartbeats), 3 * count)
    return [chosen[number::count] for number in range(count)]
