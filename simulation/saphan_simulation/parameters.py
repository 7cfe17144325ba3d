"""Which rates the simulated province runs on, where each comes from, and what a user may change."""

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from saphan_schemas.topics import RECORD_FEEDS

_FILE = "parameters.toml"
_CADENCES = ("real_time", "daily", "weekly", "monthly")
_MIX_TOLERANCE = 1e-6


class ParameterError(ValueError):
    """A parameter file that cannot be used. The text says what was found, what was expected and what to do."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. ``basis`` is ``source`` or ``assumption``, ``note`` its text."""

    name: str
    value: Any
    unit: str
    basis: str
    note: str


class Parameters:
    """All parameters by ``section.name``; ``parameters["people.male_share"]`` is the value."""

    def __init__(self, rows: Mapping[str, Parameter]) -> None:
        self.rows = dict(rows)

    def __getitem__(self, name: str) -> Any:
        return self.rows[name].value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parameters) and self.rows == other.rows

    __hash__ = None  # type: ignore[assignment]

    def report(self) -> list[dict[str, Any]]:
        """Each parameter with its value, unit and source or assumption, for the report."""
        return [
            {"name": row.name, "value": row.value, "unit": row.unit, row.basis: row.note} for row in self.rows.values()
        ]

    def changed(self, values: Mapping[str, Any], where: str = "the caller") -> "Parameters":
        """These parameters with other ``values`` by name. Raises ParameterError."""
        rows = dict(self.rows)
        for name, value in values.items():
            rows[name] = _replaced(rows, name, {"value": value}, where)
        return Parameters(rows)


def load_parameters(path: Path | None = None) -> Parameters:
    """The parameters of the package, changed by the TOML file at ``path``.

    A changed parameter is ``name = value`` in its section, or a table with ``value`` and ``source`` or ``assumption``.
    Raises ParameterError.
    """
    rows: dict[str, Parameter] = {}
    for section, entries in tomllib.loads(files("saphan_simulation").joinpath(_FILE).read_text("utf-8")).items():
        for name, entry in entries.items():
            basis = "source" if "source" in entry else "assumption"
            row = Parameter(f"{section}.{name}", entry["value"], entry["unit"], basis, entry[basis])
            _check(row, _FILE)
            rows[row.name] = row
    if path is not None:
        for name, entry in _own_entries(path, rows):
            rows[name] = _replaced(rows, name, entry, str(path))
    return Parameters(rows)


def as_toml(parameters: Parameters) -> str:
    """All parameters as a file that :func:`load_parameters` takes, sections and order as in the package's own."""
    lines = ["# All parameters of a simulated province. Change what you want and pass this file with --params."]
    section = ""
    for row in parameters.rows.values():
        if row.name.partition(".")[0] != section:
            section = row.name.partition(".")[0]
            lines += ["", f"# {'-' * 60} {section}"]
        lines += [f"[{row.name}]", f"value = {_toml(row.value)}", f"unit = {_toml(row.unit)}"]
        lines += [f"{row.basis} = {_toml(row.note)}", ""]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(str(name))} = {_toml(part)}" for name, part in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    # What is left are numbers and texts; JSON writes both as TOML does.
    return json.dumps(value, ensure_ascii=False)


def _own_entries(path: Path, rows: Mapping[str, Parameter]) -> list[tuple[str, dict[str, Any]]]:
    try:
        sections = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        message = f"{path}: the parameter file cannot be read ({error.strerror}); give --params an existing file"
        raise ParameterError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path}: not TOML ({error}); see parameters.toml in saphan_simulation for the form"
        raise ParameterError(message) from error
    found = []
    for section, entries in sections.items():
        if not isinstance(entries, dict):
            message = f"{path}: found {section} outside a section, expected sections such as [people]"
            raise ParameterError(message)
        for name, entry in entries.items():
            full_name = f"{section}.{name}"
            _known(rows, full_name, str(path))
            is_table = isinstance(entry, dict) and "value" in entry
            found.append((full_name, entry if is_table else {"value": entry}))
    return found


def _replaced(rows: Mapping[str, Parameter], name: str, entry: Mapping[str, Any], where: str) -> Parameter:
    old = _known(rows, name, where)
    value = entry["value"]
    if isinstance(old.value, dict) and isinstance(value, dict) and old.unit in {"shares", "cadences"}:
        value = {**old.value, **value}
    basis = "source" if "source" in entry else "assumption"
    row = Parameter(name, value, old.unit, basis, entry.get(basis, f"set in {where}"))
    if isinstance(old.value, dict) and isinstance(value, dict) and set(value) - set(old.value):
        message = f"{where}: {name} has {sorted(set(value) - set(old.value))}, expected only {sorted(old.value)}"
        raise ParameterError(message)
    _check(row, where)
    return row


def _known(rows: Mapping[str, Parameter], name: str, where: str) -> Parameter:
    if name not in rows:
        near = get_close_matches(name, rows, 1)
        hint = f"; did you mean {near[0]}?" if near else "; `saphan simulate` reports all names in report.json"
        message = f"{where}: found {name}, which is no parameter{hint}"
        raise ParameterError(message)
    return rows[name]


def _check(row: Parameter, where: str) -> None:
    expected = _UNITS[row.unit]
    text, holds = expected
    try:
        fits = holds(row.value)
    except (TypeError, AttributeError, ValueError, IndexError):
        fits = False
    if not fits:
        message = f"{where}: {row.name} is {row.value!r}, expected {text}"
        raise ParameterError(message)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_amount(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_mix(value: Any) -> bool:
    return all(map(_is_share, value.values())) and abs(sum(value.values()) - 1) < _MIX_TOLERANCE


def _is_quantiles(value: Any) -> bool:
    points = [point[0] for point in value]
    return (
        points[0] == 0
        and points[-1] == 1
        and points == sorted(set(points))
        and all(_is_amount(point[1]) and len(point) == 2 for point in value)
        and [point[1] for point in value] == sorted(point[1] for point in value)
    )


def _is_steps(value: Any) -> bool:
    months = [step[0] for step in value]
    return months == sorted(set(months)) and all(len(month) == 7 for month in months) and all(map(_is_step, value))


def _is_step(value: Any) -> bool:
    return _is_whole(value[1])


def _is_months(value: Any) -> bool:
    return all(_is_whole(month) and 1 <= month <= 12 for month in value)


def _is_cadences(value: Any) -> bool:
    return set(value) == set(RECORD_FEEDS) and all(cadence in _CADENCES for cadence in value.values())


def _is_positive_amounts(value: Any) -> bool:
    return all(_is_amount(amount) for amount in value.values())


_UNITS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "share": ("a number from 0 to 1", _is_share),
    "shares": ("a table of names and numbers that are not negative", _is_positive_amounts),
    "mix": ("a table of shares whose sum is 1", _is_mix),
    "count": ("a whole number, not negative", _is_whole),
    "days": ("a whole number of days", _is_whole),
    "hours": ("a whole number of hours", _is_whole),
    "minutes": ("a whole number of minutes", _is_whole),
    "satang": ("a whole number of satang", _is_whole),
    "factor": ("a number, not negative", _is_amount),
    "rate_per_year": ("a number, not negative", _is_amount),
    "quantiles": ("points [u, value] with u rising from 0 to 1 and values that never fall", _is_quantiles),
    "steps": ("points [YYYY-MM, whole number], months rising", _is_steps),
    "months": ("months from 1 to 12", _is_months),
    "cadences": (f"each feed with one of {', '.join(_CADENCES)}", _is_cadences),
}
