"""How one Avro record becomes bytes and a dictionary: cavro, held to what Avro itself says.

cavro 1.0.0 departs from Avro in two ways that could reach us, both found by the fuzz tests against the ``avro``
package: it cuts an ``int`` that is too large to 32 bits, so whole numbers are read as ``long``; and it cannot read an
array written in blocks with a byte size (as some Go and Java writers do), so ``avro`` reads those.
"""

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

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
    """Reads what ``writer`` wrote, as ``reader`` sees it. The function raises one of ``CORRUPT``.

    Raises ValueError when the two do not go together, which ``saphan schemas check`` finds before.
    """
    writer_structure, reader_structure = structure(writer.parsed()), structure(reader.parsed())
    source = _cavro_schema(widened(writer_structure))
    if writer_structure != reader_structure:
        source = _cavro_schema(widened(reader_structure)).reader_for_writer(source)
    quick: Callable[[bytes], Record] = source.binary_decode
    if not has_collection(writer_structure):
        return quick
    return _with_blocks(quick, _reference_reader(reader_structure, writer_structure))


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
            record: Any = datum_reader.read(avro.io.BinaryDecoder(io.BytesIO(body)))
        except (avro.errors.AvroException, AssertionError, OverflowError) as error:
            raise ValueError(f"{type(error).__name__}") from error
        result: Record = record
        return result

    return read


def _cavro_schema(schema: Any) -> Any:
    # cavro would turn logical types into date objects and pay for it on every message.
    return cavro.Schema(json.dumps(schema), record_decodes_to_dict=True)
