"""How the reports of the benchmarks read for people."""

from collections.abc import Iterator, Mapping
from typing import Any


def lines(report: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """One line a figure; groups are indented, figures of one group that are all plain numbers share a line."""
    for name, value in report.items():
        said = name.replace("_", " ")
        if not isinstance(value, Mapping):
            yield f"{indent}{said}: {_shown(value)}"
        elif value and all(isinstance(part, int | float) for part in value.values()):
            parts = ", ".join(f"{part.replace('_', ' ')} {_shown(number)}" for part, number in value.items())
            yield f"{indent}{said}: {parts}"
        else:
            yield f"{indent}{said}:"
            yield from lines(value, indent + "  ")


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    return str(value)
