"""Whether every parameter does something, and the page about the simulation speaks of each one and of real tests."""

import re
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from saphan_schemas.topics import RECORD_FEEDS
from saphan_simulation.parameters import Parameters, load_parameters
from saphan_simulation.world import World

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "simulation.md"
NAMES = list(load_parameters().rows)
#: By unit; a number is doubled and one more.
ANOTHER: dict[str, Callable[[Any], Any]] = {
    "share": lambda share: 0.6 if share < 0.3 else 0.05,
    "mix": lambda mix: {name: 1.0 if place == 0 else 0.0 for place, name in enumerate(mix)},
    "shares": lambda parts: {
        name: max(1, part // 2) if isinstance(part, int) else (part / 3 or 0.5) for name, part in parts.items()
    },
    "quantiles": lambda points: [[u, value * 2 + 3] for u, value in points],
    "steps": lambda steps: [[month, amount // 2] for month, amount in steps],
    "months": lambda _months: [6, 7],
    "cadences": lambda _cadences: dict.fromkeys(RECORD_FEEDS, "weekly"),
}
#: Says how many workers there are when the command line does not.
ELSEWHERE = {"province.registered_migrants"}


def another(row: Any) -> Any:
    """A value that the parameter may have, too."""
    return ANOTHER.get(row.unit, lambda amount: amount * 2 + 1)(row.value)


@cache
def told(name: str | None) -> str:
    """Everything that 250 of 1,500 workers and all employers bring in two years, one parameter changed, as a digest."""
    parameters = load_parameters()
    if name is not None:
        parameters = parameters.changed({name: another(parameters.rows[name])})
    world = World(parameters, 23, 1500, 24)
    digest = sha256()
    for event in (*world.employer_events(), *world.heartbeat_events()):
        digest.update(repr(event).encode())
    settlement = world.settlement()
    for number in range(1, 251):
        worker = world.worker(number)
        digest.update(repr(worker.events).encode())
        rows = settlement.expected(worker.finals, [number] * len(worker.finals), set())
        digest.update(repr([(row["state"], row["due_on"]) for row in rows]).encode())
        digest.update(repr([job.eligible for job in worker.life.jobs]).encode())
    return digest.hexdigest()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ELSEWHERE])
def test_another_value_gives_another_province(name: str) -> None:
    assert told(name) != told(None)


def test_the_page_names_every_parameter_and_no_other() -> None:
    named = set(re.findall(r"`((?:province|people|identifiers|employers|jobs|doe|immigration|dopa|moph|sso|law|agencies"
                           r"|faults)\.[a-z_]+)`", PAGE.read_text("utf-8")))  # fmt: skip
    assert sorted(named) == sorted(NAMES)


def test_the_page_says_of_each_parameter_whether_it_has_a_source(parameters: Parameters) -> None:
    for line in PAGE.read_text("utf-8").splitlines():
        names = [name for name in re.findall(r"`([a-z]+\.[a-z_]+)`", line) if name in parameters.rows]
        if names and line.startswith("|"):
            basis = line.split("|")[3]
            sources = {parameters.rows[name].basis for name in names}
            assert ("assumption" in basis) == ("assumption" in sources), line
            assert bool(re.search(r"\[[A-Z0-9]+\]", basis)) >= ("source" in sources), line


def test_the_page_names_tests_that_exist() -> None:
    written = "\n".join(path.read_text("utf-8") for path in HERE.glob("test_*.py"))
    tests = re.findall(r"`(test_[a-z_0-9]+)`", PAGE.read_text("utf-8"))
    assert len(set(tests)) > 20
    assert [name for name in tests if f"def {name}(" not in written] == []
