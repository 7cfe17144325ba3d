"""That a process may die at every single step and statement of a small story, and nothing is lost or told twice."""

from typing import Literal

import pytest
from simulated_shell.faults import CrashPlan
from simulated_shell.history import small_history
from simulated_shell.runner import Simulator


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator()


def test_the_small_story_comes_to_rest_without_a_crash(simulator: Simulator) -> None:
    assert simulator.run_crash(None, small_history()).problems == []


@pytest.mark.parametrize("at", ["step", "statement"])
@pytest.mark.parametrize("process", ["link-a", "integrate-1", "file", "webhook"])
def test_a_process_may_die_anywhere(process: str, at: Literal["step", "statement"], simulator: Simulator) -> None:
    """A step is what runs between two awaits; a statement is one call of the database, ledger or file, or a commit."""
    number = 0
    while True:
        plan = CrashPlan(process, at, number)
        outcome = simulator.run_crash(plan, small_history())
        told = "\n".join(outcome.problems)
        replay = f"python tests/simulated_shell/run.py --crash {plan} --trace"
        assert not outcome.problems, f"a crash of {process} at its {at} {number} fails; replay: {replay}\n{told}"
        if not outcome.is_crash_reached:
            break
        number += 1
    assert number >= 5, "the story is too short to say something"
