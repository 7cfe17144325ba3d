"""That a log that lost messages is told, with what to do."""

from pathlib import Path

import pytest
from running_platform import RunningPlatform

from saphan_infra.owned_process import tail, wait_until
from saphan_projections.migrate import migrate
from saphan_projections.tables import SourceOffsetRow
from saphan_schemas.topics import EMPLOYMENTS

pytestmark = pytest.mark.broker


def test_a_log_that_lost_messages_ends_the_process_with_what_to_do(
    fresh_broker: str, tmp_path: Path, java_cache: Path
) -> None:
    platform = RunningPlatform(tmp_path, java_cache, kafka_bootstrap=fresh_broker)
    settings = platform.settings
    migrate(settings.link_url)
    with platform.database(settings.link_url) as database, database.transaction() as transaction:
        transaction.upsert(SourceOffsetRow, [("link", EMPLOYMENTS, 1, 1_000_000, 1, "somebody", 0)])
    with platform.one_more("lost", "link") as process:
        assert wait_until(lambda: process.poll() is not None, 30), tail(settings.data_dir / "lost.log", 40)
        assert process.returncode == 1
    told = (settings.data_dir / "lost.log").read_text(encoding="utf-8")
    assert "the database has read up to 1000000, the log holds 0 to 0" in told
    assert "saphan rebuild" in told
