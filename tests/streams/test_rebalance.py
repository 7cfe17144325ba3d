"""That workers of integrate may join, leave and be killed at any time, with real processes and the real broker."""

import random
import signal
from pathlib import Path

import pytest
from running_platform import RunningPlatform, running, simulate, slices, undisturbed

from saphan_infra.owned_process import tail
from saphan_infra.roles import announced
from saphan_schemas.topics import TOPICS, WORKER_RECORDS

pytestmark = pytest.mark.broker


def owners(platform: RunningPlatform) -> set[str]:
    """Which integrate processes hold partitions now, by slot."""
    rows = platform.rows("SELECT DISTINCT owner FROM source_offset WHERE app = 'integrate'")
    return {owner.partition("@")[0] for (owner,) in rows}


def logs(platform: RunningPlatform) -> str:
    """What the workers said last, for a failure."""
    folder = platform.settings.data_dir
    own = f"{owners(platform)}\n--- integrate-0\n{platform.log('integrate-0', 25)}"
    return "\n".join([own, *(f"--- {name}\n{tail(folder / f'{name}.log', 25)}" for name in ("one", "two"))])


def test_workers_that_join_leave_and_die_lose_and_double_nothing(
    fresh_broker: str, tmp_path: Path, java_cache: Path
) -> None:
    world = simulate(tmp_path / "world", workers=60, seed=11)
    parts = slices(world.events, 5, random.Random(3))
    with running(tmp_path / "data", java_cache, kafka_bootstrap=fresh_broker, chunk_records_max=10) as platform:
        expected = undisturbed(world, tmp_path, platform.settings)
        with platform.one_more("one", "integrate", "--slot", "1") as one:
            platform.publish(parts[0])
            assert platform.becomes(lambda: owners(platform) == {"integrate-0", "integrate-1"}), logs(platform)
            platform.publish(parts[1])
            with platform.one_more("two", "integrate", "--slot", "2") as two:
                platform.publish(parts[2])
                # It may get no partition yet: Faust leaves them where they are while nobody has more than a fair share.
                assert platform.becomes(lambda: announced(platform.settings.data_dir, "integrate-2") is not None)
                one.send_signal(signal.SIGTERM)
                assert one.wait(30) == 0, logs(platform)
                assert platform.becomes(lambda: owners(platform) == {"integrate-0", "integrate-2"}), logs(platform)
                assert {row.restarts for row in platform.platform.status()} == {0}, logs(platform)
                platform.publish(parts[3])
                platform.kill("integrate-0")
                two.kill()
            platform.publish(parts[4])
        platform.publish_heartbeats(world.newest_heartbeats())
        assert platform.reaches(expected), (platform.hash(), expected, owners(platform))
        assert platform.becomes(lambda: owners(platform) == {"integrate-0"}), owners(platform)
        assert platform.rows("SELECT count(*) FROM source_offset WHERE app = 'integrate'") == [
            (TOPICS[WORKER_RECORDS].partitions,)
        ]
