"""That nothing is lost, doubled or different after `kill -9` of any process at any moment, and in any order."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from running_platform import RunningPlatform, SimulatedWorld, running, slices, undisturbed

from saphan_cli.chaos.comparing import expected_rows, lines_of, newest_told, stored_states, untold
from saphan_consumers.receiver import Inbox, Receiver
from saphan_consumers.signing import signing_keys
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


def missing(path: Path, platform: RunningPlatform) -> dict[str, tuple[str | None, str]]:
    """Alerts whose newest arrived state is not the stored one: (arrived, stored)."""
    with platform.database() as database, database.reading() as transaction:
        stored = stored_states(transaction)
    return untold(stored, newest_told(lines_of(path)))


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
            assert platform.settled(province.as_of_ms) == expected_rows(province.expected)
            for sink in (inbox, file):
                # A delivery process that was killed often is started again after growing pauses.
                everything = platform.becomes(partial(is_whole, sink, platform), 120)
                assert everything, (sink.name, missing(sink, platform), platform.log("delivery", 20))
            assert all(row.restarts > 0 for row in platform.platform.status())
        for sink in (inbox, file):
            ids = [row["id"] for row in lines_of(sink)]
            assert len(ids) == len(set(ids)), f"{sink.name} has a state twice"
    assert len(victims) >= 10


def is_whole(sink: Path, platform: RunningPlatform) -> bool:
    return not missing(sink, platform)


def slices_of_heartbeats(world: SimulatedWorld, count: int, shape: random.Random) -> list[list[dict[str, Any]]]:
    """Some of the heartbeats that came during the year, a few for each part."""
    chosen = shape.sample(list(world.heartbeats), 3 * count)
    return [chosen[number::count] for number in range(count)]
