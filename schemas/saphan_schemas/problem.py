"""What a problem with a record is, as the agency reads it in a report."""

from typing import Any, Literal, NamedTuple

Severity = Literal["error", "warning"]
#: Characters of a value that are shown, unless the caller names another number.
FOUND_CHARACTERS_MAX = 60


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


def shown(value: Any, characters_max: int = FOUND_CHARACTERS_MAX) -> str:
    """A value as a report shows it: short, and "nothing" where there is none."""
    if value is None or value == "":
        return "nothing"
    text = str(value)
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"


def error(field: str, found: Any, expected: str, code: str, characters_max: int = FOUND_CHARACTERS_MAX) -> Problem:
    """A problem that keeps the record out."""
    return Problem(field, shown(found, characters_max), expected, "error", code)


def warning(field: str, found: Any, expected: str, code: str, characters_max: int = FOUND_CHARACTERS_MAX) -> Problem:
    """A problem that the agency should know of; the record is taken as it is."""
    return Problem(field, shown(found, characters_max), expected, "warning", code)
