"""What every reader hands on: rows with their place in the file, and problems that are the whole file's."""

from typing import Any, NamedTuple

from saphan_schemas.problem import Problem, error, warning

#: Characters of a value that a report about a file shows: of a whole line more is needed than of a field.
FOUND_CHARACTERS_MAX = 120


class Row(NamedTuple):
    """One row as read.

    ``raw`` is the row's own bytes and ``preamble`` the header bytes that it stands under, so that a rejected row can
    be kept, corrected and published again. ``record`` is in wire form (dates as days, times as ms), None when the row
    could not be read as a record at all. ``repeatable`` is False where the version was derived from the file: then
    one record may stand in it once only.
    """

    line: int
    raw: bytes
    record: dict[str, Any] | None
    problems: list[Problem]
    preamble: bytes = b""
    repeatable: bool = True


class FileNote(NamedTuple):
    """A problem that belongs to no single row, such as a total that does not add up."""

    line: int
    problem: Problem


class FileProblem(Exception):
    """The file cannot be read as what it is said to be. What was published of it before stays published.

    ``found`` and ``expected`` are what they say, ``todo`` is the next step; ``code`` names the kind of problem.
    ``said`` takes the place of both where everybody may read it, when they show what stands in the file.
    """

    def __init__(self, code: str, found: str, expected: str, todo: str, said: str | None = None) -> None:
        super().__init__(f"found {found}; expected {expected}. {todo}" if said is None else f"{said}. {todo}")
        self.code = code
        self.found = found
        self.expected = expected
        self.todo = todo


class Unreadable(ValueError):
    """A value that is not what its field holds; ``expected`` and ``code`` go into the report."""

    def __init__(self, code: str, expected: str) -> None:
        super().__init__(f"{code}: expected {expected}")
        self.code = code
        self.expected = expected


def row_error(code: str, field: str, found: object, expected: str) -> Problem:
    """A problem for which the row is rejected."""
    return error(field, found, expected, code, FOUND_CHARACTERS_MAX)


def row_warning(code: str, field: str, found: object, expected: str) -> Problem:
    """A problem with which the row is published all the same."""
    return warning(field, found, expected, code, FOUND_CHARACTERS_MAX)
