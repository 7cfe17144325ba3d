"""How a setting that cannot be used is told: which one, what was found, what was expected, in a person's words."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

_SECRET_WORDS = ("key", "secret", "password", "_url")
#: What is expected, where the library's own words help nobody, by its name of the mistake.
_EXPECTED = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
    "greater_than": "more than {gt}",
    "literal_error": "{expected}",
    # Only the database's address has a pattern.
    "string_pattern_mismatch": "postgresql+psycopg://user:password@host/name",
}


def explained(error: ValidationError, path: Path | None, prefix: str) -> str:
    """A line for each mistake; ``path`` is the settings file, ``prefix`` that of the environment's variables."""
    return "\n".join(_line(row, path, prefix) for row in error.errors())


def _line(row: Mapping[str, Any], path: Path | None, prefix: str) -> str:
    name = str(row["loc"][0]) if row["loc"] else ""
    words = str(row["msg"]).removeprefix("Value error, ")
    expected = _EXPECTED[row["type"]].format(**row.get("ctx", {})) if row["type"] in _EXPECTED else words
    if not name:
        return expected
    variable = f"{prefix}{name.upper()}"
    origin = f"{variable} (environment)" if variable in os.environ else f"{name} ({path or 'default'})"
    hidden = any(word in name for word in _SECRET_WORDS)
    found = "a value that is not shown" if hidden else repr(row["input"])
    return f"{origin}: found {found}; expected: {expected}."
