"""What the bench says of its simulated province."""

import pytest

from saphan_cli.bench.province import Province, Size
from saphan_schemas.rules import problems
from saphan_schemas.topics import HEARTBEATS, RECORD_FEEDS


@pytest.mark.parametrize("months", [3, 120])
def test_the_heartbeats_of_a_province_are_believed_whatever_the_day_on_which_the_bench_runs(months: int) -> None:
    province = Province(Size(events=100, workers=10, months=months, seed=1))
    beats = {feed: province.newest_heartbeat(feed) for feed in RECORD_FEEDS}
    assert any(beats.values())
    for feed, beat in beats.items():
        assert beat is None or problems(HEARTBEATS, {"feed": feed, "end_offsets": [], **beat}) == []


def test_newcomers_are_other_workers_than_those_loaded_and_as_many_events_as_were_asked_for() -> None:
    """They are all there before the first is sent: while they were simulated, `bench recovery` sent nothing."""
    province = Province(Size(events=100_000, workers=10, months=12, seed=1), newcomer_events=90)
    loaded = {(feed, message.key) for feed, message in province.messages()}
    newcomers = province.newcomers()
    assert len(newcomers) == 90
    assert loaded.isdisjoint((feed, message.key) for feed, message in newcomers)
