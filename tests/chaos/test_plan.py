"""That a plan of faults is decided by its seed alone, holds every kind when there is time, and leaves time to heal."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saphan_cli.chaos.plan import CAUSES, Database, Fault, causes, plan, seconds_for_all

SEEDS = st.integers(0, 2**32)
SECONDS = st.floats(60, 7200)
DATABASES: st.SearchStrategy[Database] = st.sampled_from(["sqlite", "postgresql"])


def lanes(faults: tuple[Fault, ...]) -> list[list[Fault]]:
    return [
        [fault for fault in faults if fault.cause.lane == lane] for lane in sorted({row.cause.lane for row in faults})
    ]


@given(SEEDS, SECONDS, DATABASES)
def test_the_same_seed_gives_the_same_faults(seed: int, seconds: float, database: Database) -> None:
    assert plan(seed, seconds, database) == plan(seed, seconds, database)


@given(SEEDS, SEEDS)
def test_another_seed_gives_other_faults(one: int, other: int) -> None:
    assert one == other or plan(one, 600, "sqlite") != plan(other, 600, "sqlite")


@given(SEEDS, DATABASES, st.floats(0, 3600))
def test_with_enough_time_every_fault_that_fits_the_database_is_there(
    seed: int, database: Database, more: float
) -> None:
    found = {fault.cause for fault in plan(seed, seconds_for_all(database) + more, database)}
    assert found == {cause for cause in CAUSES if database in cause.databases}


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_ten_minutes_are_enough_for_every_fault(database: Database) -> None:
    assert seconds_for_all(database) <= 600


@given(SEEDS, SECONDS, DATABASES)
def test_a_lane_has_one_fault_at_a_time_and_all_end_before_the_load(
    seed: int, seconds: float, database: Database
) -> None:
    for faults in lanes(plan(seed, seconds, database)):
        assert all(0 <= fault.lasts_seconds <= fault.seconds_max for fault in faults)
        assert all(one.at_seconds + one.seconds_max <= other.at_seconds for one, other in pairwise(faults))
        assert faults[0].at_seconds > 0
        assert faults[-1].at_seconds + faults[-1].seconds_max < seconds


@given(SEEDS, SECONDS, DATABASES)
def test_a_plan_is_in_order_of_time_and_never_empty(seed: int, seconds: float, database: Database) -> None:
    faults = plan(seed, seconds, database)
    assert faults
    assert [fault.at_seconds for fault in faults] == sorted(fault.at_seconds for fault in faults)


def test_only_some_faults_are_planned_when_asked() -> None:
    assert {fault.cause.name for fault in plan(1, 300, "sqlite", ["kill:link", "slow"])} == {
        "kill:link",
        "slow:webhook",
    }
    assert {cause.target for cause in causes("postgresql", ["database"])} == {"database"}
    assert causes("sqlite", ["database"]) == ()
