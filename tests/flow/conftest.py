"""What these tests share: simulated worlds and the way to the platform that runs for real."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# running_platform is a plain module for tests; pytest's importlib mode puts none on the path.
sys.path.insert(0, str(Path(__file__).parents[1]))

if TYPE_CHECKING:
    from running_platform import SimulatedWorld


@pytest.fixture(scope="session")
def province(tmp_path_factory: pytest.TempPathFactory) -> "SimulatedWorld":
    """300 workers over a year."""
    from running_platform import simulate

    return simulate(tmp_path_factory.mktemp("province"), workers=300, seed=7)


@pytest.fixture(scope="session")
def hamlet(tmp_path_factory: pytest.TempPathFactory) -> "SimulatedWorld":
    """60 workers over a year."""
    from running_platform import simulate

    return simulate(tmp_path_factory.mktemp("hamlet"), workers=60, seed=3)
