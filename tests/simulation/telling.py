"""Simulated workers without any files, and what is published about them, for tests of rates."""

from collections.abc import Iterator
from typing import Any

from saphan_schemas.values import date_to_days
from saphan_simulation.parameters import Parameters
from saphan_simulation.world import DEFAULT_START, Told, World

Record = dict[str, Any]
START = date_to_days(DEFAULT_START)
YEAR = 365


def people(parameters: Parameters, workers: int = 3000, months: int = 12, **changed: Any) -> list[Told]:
    """The workers of a province with some parameters changed; ``__`` stands for the dot of a name."""
    own = parameters.changed({name.replace("__", "."): value for name, value in changed.items()})
    world = World(own, 17, workers, months)
    return [world.worker(number) for number in range(1, workers + 1)]


def versions(told: Told, feed: str) -> dict[str, list[Record]]:
    """Each record's published versions, in order."""
    found: dict[str, dict[int, Record]] = {}
    for _, name, record in told.events:
        if name == feed:
            found.setdefault(record["record_id"], {})[record["version"]] = record
    return {record_id: [rows[number] for number in sorted(rows)] for record_id, rows in found.items()}


def first_versions(told: Told, feed: str) -> Iterator[Record]:
    return (rows[0] for rows in versions(told, feed).values())


def share(hits: int, of: int) -> float:
    assert of > 100, "too few to speak of a share"
    return hits / of


def returns(workers: list[Told]) -> Iterator[tuple[Told, int]]:
    """(worker, day of coming back)."""
    return ((told, entry) for told in workers for entry, _ in told.life.stays[1:])
