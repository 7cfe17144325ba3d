"""That whatever befalls the platform, it comes to rest where an undisturbed one does, and that a seed replays exactly."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from simulated_shell.faults import RATES
from simulated_shell.runner import HARMS, Outcome, Simulator

#: More or fewer worlds than `saphan test` runs, for one night or one moment.
SEEDS = int(os.environ.get("SAPHAN_SIM_SEEDS", "1000"))
_BLOCK = 50
_SCRIPT = Path(__file__).with_name("run.py")


class Worlds:
    """Worlds by seed, each run once."""

    def __init__(self) -> None:
        self.simulator = Simulator()
        self._known: dict[int, Outcome] = {}

    def __getitem__(self, seed: int) -> Outcome:
        if seed not in self._known:
            self._known[seed] = self.simulator.run_seed(seed)
        return self._known[seed]


@pytest.fixture(scope="module")
def worlds() -> Worlds:
    return Worlds()


@pytest.mark.parametrize("first", range(0, SEEDS, _BLOCK))
def test_whatever_befalls_a_simulated_platform_it_comes_to_rest_where_the_oracle_says(
    first: int, worlds: Worlds
) -> None:
    for seed in range(first, min(first + _BLOCK, SEEDS)):
        outcome = worlds[seed]
        told = "\n".join(outcome.problems)
        replay = f"python tests/simulated_shell/run.py --seed {seed} --trace"
        assert not outcome.problems, f"seed {seed} fails; replay: {replay}\n{told}"


def test_every_kind_of_fault_comes_in_a_few_dozen_worlds(worlds: Worlds) -> None:
    happened: Counter[str] = Counter()
    for seed in range(80):
        happened.update(worlds[seed].happened)
    assert {*RATES, *HARMS} - happened.keys() == set()


@pytest.mark.parametrize("seed", [3, 21, 118])
def test_a_seed_gives_the_same_world_step_by_step_in_this_process_and_in_another(seed: int, worlds: Worlds) -> None:
    once = worlds.simulator.run_seed(seed, keep_lines=True)
    worlds.simulator.run_seed(seed + 1)
    again = Simulator().run_seed(seed, keep_lines=True)
    assert once.lines == again.lines
    assert once == again
    hash_seed = {"PYTHONHASHSEED": str(seed)}
    ended = subprocess.run(
        [sys.executable, _SCRIPT, "--seed", str(seed)], env={**os.environ, **hash_seed}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert f"trace {once.trace}\n" in ended.stdout


def test_another_seed_gives_another_world(worlds: Worlds) -> None:
    assert len({worlds[seed].trace for seed in range(5)}) == 5
