"""That nothing is lost, doubled or different after `kill -9` of any process at any moment, and in any order."""

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from running_platform import RunningPlatform, SimulatedWorld, expected_rows, running, slices, undisturbed

from saphan_consumers.receiver import Inbox, Receiver
from saphan_consumers.signing import signing_keys
from saphan_infra.settings import Settings
from saphan_schemas.values import days_to_date

pytestmark = pytest.mark.broker

SECRET = "whsec_c2FwaGFuLXRlc3Qtc2VjcmV0LTAxMjM0NTY3ODk="  # noqa: S105 - of this test's receiver
SEED = 20
CLOSED = ("resolved", "withdrawn")
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


def newest_received(path: Path) -> dict[str, dict[str, Any]]:
    """Of each alert the newest state that has arrived."""
    found: dict[str, dict[str, Any]] = {}
    for row in received(path):
        data = row["data"]
        if data["version"] > found.get(data["alert_id"], {"version": -1})["version"]:
            found[data["alert_id"]] = data
    return found


def missing(path: Path, platform: RunningPlatform) -> dict[str, tuple[str | None, str]]:
    """Alerts whose newest arrived state is not the stored one: (arrived, stored).

    An alert that is closed may never have been heard of: workers of two partitions may have told it in either order.
    """
    arrived = {alert_id: in_words(data) for alert_id, data in newest_received(path).items()}
    stored = {
        alert_id: f"{words} {days_to_date(due)} {days_to_date(since)}"
        for alert_id, words, due, since in platform.rows(
            "SELECT alert_id, state || ' ' || reason || ' ' || coalesce(hold, '-'), due_day, since_day FROM alert"
        )
    }
    return {
        alert_id: (arrived.get(alert_id), state)
        for alert_id, state in stored.items()
        if arrived.get(alert_id) != state and not (alert_id not in arrived and state.startswith(CLOSED))
    }


def in_words(told: dict[str, Any]) -> str:
    return f"{told['state']} {told['reason']} {told['hold'] or '-'} {told['due_on']} {told['state_since']}"


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
            for sink in (inbox, file):
                # A delivery process that was killed often is started again after growing pauses.
                everything = platform.becomes(partial(is_whole, sink, platform), 120)
                assert everything, (sink.name, missing(sink, platform), platform.log("delivery", 20))
            assert all(row.restarts > 0 for row in platform.platform.status())
        for sink in (inbox, file):
            ids = [row["id"] for row in received(sink)]
            assert len(ids) == len(set(ids)), f"{sink.name} has a state twice"
    assert len(victims) >= 10


def is_whole(sink: Path, platform: RunningPlatform) -> bool:
    return not missing(sink, platform)


def slices_of_heartbeats(world: SimulatedWorld, count: int, shape: random.Random) -> list[list[dict[str, Any]]]:
    """Some of the heartbeats that came during the year, a few for each part."""
    chosen = shape.sample(list(world.heartbeats), 3 * count)
    return [chosen[number::count] for number in range(count)]
