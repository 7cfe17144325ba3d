"""How one Avro record becomes bytes and a dictionary: cavro, held to what Avro itself says.

cavro 1.0.0 departs from Avro in three ways that could reach us, all found by the tests against the ``avro`` package:
it cuts an ``int`` that is too large to 32 bits, so whole numbers are read as ``long``; it cannot read an array written
in blocks with a byte size (as some Go and Java writers do), so ``avro`` reads those; and a list that comes from a
default is the same list in every record, so each record gets its own.
"""

import copy
import io
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

import avro.errors
import avro.io
import avro.schema
import cavro

from saphan_schemas.catalogue import SchemaVersion

Record = dict[str, Any]

#: What reading bytes that do not fit raises; invalid UTF-8 is a ValueError.
CORRUPT = (EOFError, ValueError)
_STRUCTURE = ("type", "name", "namespace", "aliases", "fields", "items", "values", "symbols", "size", "default")
_SCHEMA_VALUES = frozenset(("type", "items", "values", "fields"))


def structure(schema: Any) -> Any:
    """A schema without documentation and logical types: what decides the bytes."""
    if isinstance(schema, dict):
        return {
            key: structure(value) if key in _SCHEMA_VALUES else value
            for key, value in schema.items()
            if key in _STRUCTURE
        }
    if isinstance(schema, list):
        return [structure(item) for item in schema]
    return schema


def widened(schema: Any) -> Any:
    """A structure whose ``int`` is read as ``long``: the same bytes, and no number is cut."""
    if isinstance(schema, dict):
        return {key: widened(value) if key in _SCHEMA_VALUES else value for key, value in schema.items()}
    if isinstance(schema, list):
        return [widened(item) for item in schema]
    return "long" if schema == "int" else schema


def has_collection(schema: Any) -> bool:
    """Whether a structure holds an array or a map anywhere."""
    if isinstance(schema, dict):
        return schema["type"] in {"array", "map"} or any(
            has_collection(field["type"]) for field in schema.get("fields", ())
        )
    return isinstance(schema, list) and any(has_collection(branch) for branch in schema)


def encoder(version: SchemaVersion) -> Callable[[Mapping[str, Any]], bytes]:
    """Writes records by this version. The function raises ValueError for a field that is missing or does not fit."""
    write: Callable[[Mapping[str, Any]], bytes] = _cavro_schema(structure(version.parsed())).binary_encode
    return write


def record_reader(reader: SchemaVersion, writer: SchemaVersion) -> Callable[[bytes], Record]:
    """Reads what ``writer`` wrote, as ``reader`` sees it.

    The function raises one of ``CORRUPT``.
    Raises ValueError when the two do not go together, which ``saphan schemas check`` finds before.
    """
    writer_structure, reader_structure = structure(writer.parsed()), structure(reader.parsed())
    source = _cavro_schema(widened(writer_structure))
    if writer_structure != reader_structure:
        source = _cavro_schema(widened(reader_structure)).reader_for_writer(source)
    quick: Callable[[bytes], Record] = source.binary_decode
    lists = shared_defaults(reader_structure, writer_structure)
    if lists:
        quick = _with_own_defaults(quick, lists)
    if not has_collection(writer_structure):
        return quick
    return _with_blocks(quick, _reference_reader(reader_structure, writer_structure))


def shared_defaults(reader: Any, writer: Any) -> dict[str, Any]:
    """Lists and maps that the reader's fields take from their default because the writer has no such field."""
    written = {field["name"] for field in writer["fields"]}
    return {
        field["name"]: field["default"]
        for field in reader["fields"]
        if field["name"] not in written and isinstance(field.get("default"), list | dict)
    }


def _with_own_defaults(quick: Callable[[bytes], Record], defaults: Record) -> Callable[[bytes], Record]:
    def read(body: bytes) -> Record:
        return quick(body) | copy.deepcopy(defaults)

    return read


def _with_blocks(quick: Callable[[bytes], Record], thorough: Callable[[bytes], Record]) -> Callable[[bytes], Record]:
    def read(body: bytes) -> Record:
        try:
            return quick(body)
        except CORRUPT:
            return thorough(body)

    return read


def _reference_reader(reader: Any, writer: Any) -> Callable[[bytes], Record]:
    datum_reader = avro.io.DatumReader(avro.schema.parse(json.dumps(writer)), avro.schema.parse(json.dumps(reader)))

    def read(body: bytes) -> Record:
        try:
            record: object = datum_reader.read(avro.io.BinaryDecoder(io.BytesIO(body)))
        except (avro.errors.AvroException, AssertionError, OverflowError) as error:
            raise ValueError(f"{type(error).__name__}") from error
        return cast(Record, record)

    return read


def _cavro_schema(schema: Any) -> Any:
    # cavro would turn logical types into date objects and pay for it on every message.
    return cavro.Schema(json.dumps(schema), record_decodes_to_dict=True)
