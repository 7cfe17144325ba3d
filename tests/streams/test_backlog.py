"""That a backlog is worked off in fewer, larger steps, with the same state at the end, with real processes and broker."""

import threading
from pathlib import Path

import pytest
from kafka_log import read_all
from running_platform import RunningPlatform, simulate, undisturbed

from saphan_infra.kafka_admin import ensure_topics
from saphan_schemas.topics import TOPICS, WORKER_RECORDS
from saphan_streams.catching_up import behind_in

pytestmark = pytest.mark.broker


def test_link_says_how_far_behind_it_is_and_integrate_ends_with_the_same_state(
    fresh_broker: str, tmp_path: Path, java_cache: Path
) -> None:
    world = simulate(tmp_path / "world", workers=2_400, seed=5)
    platform = RunningPlatform(tmp_path / "data", java_cache, kafka_bootstrap=fresh_broker, chunk_records_max=2_000)
    ensure_topics(fresh_broker, TOPICS.values(), 1, {})
    platform.publish(world.events)
    platform.publish_heartbeats(world.newest_heartbeats())
    waiting = len(world.events)
    assert waiting > 24_000
    platform.platform.start(stop=threading.Event())
    try:
        assert platform.reaches(undisturbed(world, tmp_path, platform.settings)), platform.log("integrate", 25)
    finally:
        platform.platform.stop()
    said = [behind_in(record) for record in read_all(fresh_broker, WORKER_RECORDS)]
    assert waiting - 4_000 <= max(said) < waiting + len(world.heartbeats)
    assert min(said) == 0, "the last ones say nothing"
