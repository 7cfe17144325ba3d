"""Whether every version of a topic's schema can read what every other version wrote (FULL_TRANSITIVE)."""

import json
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import avro.errors
import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

LEVEL = "FULL_TRANSITIVE"


class Incompatibility(NamedTuple):
    """Version ``reader`` of a schema cannot read what version ``writer`` wrote, and where in the schema."""

    reader: int
    writer: int
    explanation: str


def parse(schema: Mapping[str, Any]) -> Any:
    """The schema as the ``avro`` package has it. Raises ValueError with the package's own words."""
    try:
        return avro.schema.parse(json.dumps(schema))
    except avro.errors.AvroException as error:
        raise ValueError(str(error)) from error


def incompatibilities(versions: Sequence[Mapping[str, Any]]) -> list[Incompatibility]:
    """What keeps any version from reading any other; versions count from 1. Raises ValueError when one does not parse."""
    parsed = [parse(version) for version in versions]
    found = []
    for (reader, reader_schema), (writer, writer_schema) in permutations(enumerate(parsed, start=1), 2):
        checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
        result = checker.get_compatibility(reader_schema, writer_schema)
        if result.compatibility is not SchemaCompatibilityType.compatible:
            found.append(Incompatibility(reader, writer, _explained(result)))
    return found


def _explained(result: Any) -> str:
    kinds = ", ".join(kind.value for kind in result.incompatibilities)
    return f"{kinds}: {'; '.join(sorted(result.messages))} at {', '.join(sorted(result.locations))}"
