"""That the state is the same for files published in any order and any number of times, on SQLite and on PostgreSQL."""

from pathlib import Path

import pytest
from running_platform import RunningPlatform, SimulatedWorld, running, undisturbed

from saphan_cli.chaos.comparing import expected_rows
from saphan_infra.settings import Settings
from saphan_schemas.topics import (
    CONTRIBUTIONS,
    EMPLOYER_PAIRS,
    EMPLOYMENTS,
    HEALTH_COVER,
    INSURED_PERSONS,
    NON_THAI_IDS,
    STAYS,
    WORK_PERMITS,
)

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

#: The alerts' own feed first, the pairs and the permits that join people last.
ANOTHER_ORDER = (
    EMPLOYMENTS, CONTRIBUTIONS, HEALTH_COVER, INSURED_PERSONS, STAYS, NON_THAI_IDS, EMPLOYER_PAIRS, WORK_PERMITS,
)  # fmt: skip


def publish(platform: RunningPlatform, world: SimulatedWorld, *more: str) -> None:
    ran = platform.run_command("publish", "--dir", str(world.directory), *more)
    assert ran.returncode in (0, 4), ran.stderr  # 4: some rows of the simulated agencies are refused, as they should be


def test_published_twice_in_another_order_and_on_postgresql_the_state_is_the_same(
    hamlet: SimulatedWorld, tmp_path: Path, java_cache: Path, postgres_url: str
) -> None:
    expected = undisturbed(hamlet, tmp_path, Settings())
    with running(tmp_path / "sqlite", java_cache) as platform:
        publish(platform, hamlet, "--heartbeat-anyway")
        assert platform.reaches(expected), (platform.hash(), expected)
        assert platform.settled(hamlet.as_of_ms) == expected_rows(hamlet.expected)
        assert platform.becomes(platform.drained)
        told = platform.rows("SELECT count(*) FROM alert_history")
        publish(platform, hamlet, "--heartbeat-anyway")
        assert platform.becomes(platform.drained)
        assert platform.hash() == expected
        assert platform.rows("SELECT count(*) FROM alert_history") == told
        assert len(set(platform.rows("SELECT sequence FROM record", platform.settings.link_url))) > 1
    with running(tmp_path / "postgres", java_cache, database_url=postgres_url, integrate_workers=2) as platform:
        publish(platform, hamlet, "--heartbeat-anyway", "--order", ",".join(ANOTHER_ORDER))
        assert platform.reaches(expected), (platform.hash(), expected)
        assert platform.settled(hamlet.as_of_ms) == expected_rows(hamlet.expected)
        assert platform.becomes(platform.drained)
        assert platform.hash() == expected
