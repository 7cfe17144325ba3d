"""Small simulated provinces that several tests read."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from saphan_simulation.parameters import Parameters, load_parameters
from saphan_simulation.world import World
from saphan_simulation.writing import write_world

Rows = list[dict[str, Any]]


class Province:
    """A written simulation: ``rows("truth")`` reads a file, ``report`` is the report."""

    def __init__(self, directory: Path, report: dict[str, Any]) -> None:
        self.directory = directory
        self.report = report

    def rows(self, name: str) -> Rows:
        return [json.loads(line) for line in (self.directory / f"{name}.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="session")
def parameters() -> Parameters:
    return load_parameters()


@pytest.fixture(scope="session")
def province(tmp_path_factory: pytest.TempPathFactory, parameters: Parameters) -> Province:
    """6,000 workers for a year."""
    directory = tmp_path_factory.mktemp("province") / "out"
    return Province(directory, write_world(World(parameters, 11, 6000, 12), directory))


@pytest.fixture
def simulate(tmp_path: Path, parameters: Parameters) -> Callable[..., Province]:
    """Write a small province with some parameters changed."""
    count = 0

    def run(
        seed: int, workers: int, months: int, start: date = date(2025, 10, 1), **changed: dict[str, Any]
    ) -> Province:
        nonlocal count
        count += 1
        directory = tmp_path / f"out-{count}"
        own = parameters.changed(
            {f"{section}.{name}": value for section, rows in changed.items() for name, value in rows.items()}
        )
        return Province(directory, write_world(World(own, seed, workers, months, start), directory))

    return run
