"""What a problem with a record is, as the agency reads it in a report."""

from typing import Any, Literal, NamedTuple

Severity = Literal["error", "warning"]
_FOUND_CHARACTERS_MAX = 60


class Problem(NamedTuple):
    """One thing that is wrong with one field of a record.

    ``found`` is the agency's own value (never log it); ``expected`` says what to write instead and holds no value of
    the record. An ``error`` keeps the record out, a ``warning`` does not. ``code`` is stable, for machines.
    """

    field: str
    found: str
    expected: str
    severity: Severity
    code: str


def shown(value: Any) -> str:
    """A value as a report shows it: short, and "nothing" where there is none."""
    if value is None or value == "":
        return "nothing"
    text = str(value)
    return text if len(text) <= _FOUND_CHARACTERS_MAX else text[: _FOUND_CHARACTERS_MAX - 1] + "…"


def error(field: str, found: Any, expected: str, code: str) -> Problem:
    """A problem that keeps the record out."""
    return Problem(field, shown(found), expected, "error", code)


def warning(field: str, found: Any, expected: str, code: str) -> Problem:
    """A problem that the agency should know of; the record is taken as it is."""
    return Problem(field, shown(found), expected, "warning", code)
