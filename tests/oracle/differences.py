"""Where what one side says differs from what the other says: which worker, which field, which records."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from oracle.oracle_outcome import Fields, Outcome

#: The field of a difference when only one side knows the worker or alert at all.
PRESENCE = "presence"


class Difference(NamedTuple):
    """One field that differs. ``worker`` is the name of its first record, ``records`` are record names."""

    worker: str
    field: str
    oracle: Any
    platform: Any
    records: tuple[str, ...]

    def __str__(self) -> str:
        records = ", ".join(self.records)
        return f"worker {self.worker}: {self.field}: oracle {self.oracle}, platform {self.platform}; records: {records}"


def differences(oracle: Outcome, platform: Outcome) -> list[Difference]:
    """All differences in what ``platform`` tells; it may tell fewer fields of a worker than the oracle."""
    found = [*_of_workers(oracle.workers, platform.workers), *_of_alerts(oracle.alerts, platform.alerts)]
    return sorted(found, key=str)


def printed(found: Iterable[Difference], most: int = 40) -> str:
    """The first differences, one a line."""
    lines = [str(difference) for difference in found]
    more = [f"… and {len(lines) - most} more"] if len(lines) > most else []
    return "\n".join([*lines[:most], *more])


def _of_workers(oracle: Mapping[str, Fields], platform: Mapping[str, Fields]) -> Iterator[Difference]:
    counterparts = _counterparts(oracle, platform)
    for name, fields in oracle.items():
        other = counterparts.get(name)
        if other is None:
            yield Difference(name, PRESENCE, "knows it", "does not", _records_of(fields))
        else:
            yield from _of_fields(name, fields, platform[other], _records_of(fields))
    for name in platform.keys() - set(counterparts.values()):
        yield Difference(name, PRESENCE, "does not", "knows it", _records_of(platform[name]))


def _of_alerts(oracle: Mapping[str, Fields], platform: Mapping[str, Fields]) -> Iterator[Difference]:
    for record_id in oracle.keys() | platform.keys():
        ours, theirs = oracle.get(record_id), platform.get(record_id)
        worker = (ours or theirs or {}).get("worker", "unknown")
        records = (f"doe.employments.v1/{record_id}",)
        if ours is None or theirs is None:
            mine, other = ("settles an alert" if alert else "settles none" for alert in (ours, theirs))
            yield Difference(worker, PRESENCE, mine, other, records)
        else:
            yield from _of_fields(worker, ours, theirs, records)


def _of_fields(worker: str, ours: Fields, theirs: Fields, records: tuple[str, ...]) -> Iterator[Difference]:
    for field in sorted(theirs):
        mine, other = ours.get(field), theirs[field]
        if mine == other:
            continue
        if isinstance(mine, dict) and isinstance(other, dict):
            apart = tuple(sorted(key for key in mine.keys() | other.keys() if mine.get(key) != other.get(key)))
            said = [{key: side.get(key) for key in apart} for side in (mine, other)]
            yield Difference(worker, field, said[0], said[1], apart)
        else:
            yield Difference(worker, field, mine, other, records)


def _counterparts(oracle: Mapping[str, Fields], platform: Mapping[str, Fields]) -> dict[str, str]:
    """For each worker of the oracle the platform's that holds most of its records, each at most once."""
    holder = {record: name for name, fields in platform.items() for record in _records_of(fields)}
    shared: Counter[tuple[str, str]] = Counter()
    for name, fields in oracle.items():
        shared.update((name, holder[record]) for record in _records_of(fields) if record in holder)
    found: dict[str, str] = {}
    taken: set[str] = set()
    for _, name, other in sorted((-count, name, other) for (name, other), count in shared.items()):
        if name not in found and other not in taken:
            found[name] = other
            taken.add(other)
    return found


def _records_of(fields: Fields) -> tuple[str, ...]:
    return (*fields["records"], *fields.get("contributions", ()))
