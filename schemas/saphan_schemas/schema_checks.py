"""Whether one schema file is fit to be published: it parses, every field is explained and classed, nothing can trap us."""

import re
from collections.abc import Iterator
from typing import Any

from saphan_schemas.compatibility import parse
from saphan_schemas.lock import Finding
from saphan_schemas.pii import PII_CLASSES
from saphan_schemas.record_codec import shared_defaults, structure

_THAI = re.compile("[\u0e00-\u0e7f]")
_NESTED_ROWS = ("array", "map")
_NO_BYTES = "an array or map of values without bytes: a short message could claim any number of them"


def schema_findings(file: str, schema: Any) -> Iterator[Finding]:
    """What is wrong with a schema as JSON."""
    if not isinstance(schema, dict) or schema.get("type") != "record":
        yield Finding(file, "not a record", "make the schema an Avro record")
        return
    try:
        parse(schema)
    except ValueError as error:
        yield Finding(file, f"does not parse: {error}", "mend the schema")
        return
    for place, part in _records(schema["name"], schema):
        yield from _explained(file, place, part)
        for field in part["fields"]:
            yield from _field(file, f"{place}.{field['name']}", field)
    yield from _traps(file, schema)


def _records(place: str, schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every record in a schema, from the outside in, with its place in words."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _records(place, branch)
    elif isinstance(schema, dict):
        if schema["type"] == "record":
            yield place, schema
            for field in schema["fields"]:
                yield from _records(f"{place}.{field['name']}", field["type"])
        elif schema["type"] in _NESTED_ROWS:
            yield from _records(place, schema.get("items") or schema.get("values"))
        elif isinstance(schema["type"], dict | list):
            yield from _records(place, schema["type"])


def _explained(file: str, place: str, part: dict[str, Any]) -> Iterator[Finding]:
    if not part.get("doc"):
        yield Finding(file, f"{place} has no doc", "say in English what it is, in `doc`")
    if not _THAI.search(part.get("doc_th", "")):
        yield Finding(file, f"{place} has no doc_th in Thai", "say in Thai what it is, in `doc_th`")


def _field(file: str, place: str, field: dict[str, Any]) -> Iterator[Finding]:
    yield from _explained(file, place, field)
    if field.get("pii") not in PII_CLASSES:
        found = f"{place} has the PII class {field.get('pii')!r}"
        yield Finding(file, found, "set `pii` to one of " + ", ".join(PII_CLASSES))


def _traps(file: str, schema: dict[str, Any]) -> Iterator[Finding]:
    for place, part in _records(schema["name"], schema):
        for field in part["fields"]:
            where = f"{place}.{field['name']}"
            if _counts_nothing(field["type"]):
                yield Finding(file, f"{where} is {_NO_BYTES}", "let the items be at least one byte long")
            if part is not schema and isinstance(field.get("default"), list | dict):
                found = f"{where} has a list as its default inside another record"
                yield Finding(file, found, "the codec gives lists by default at the top level only: leave it out")
            if part["name"] in _named(field["type"]):
                yield Finding(file, f"{where} is of the type it is in", "a message must not nest without end")


def _counts_nothing(kind: Any) -> bool:
    if isinstance(kind, list):
        return any(_counts_nothing(branch) for branch in kind)
    if not isinstance(kind, dict) or kind["type"] != "array":
        return False
    items = kind["items"]
    return _is_empty(items) or _counts_nothing(items)


def _is_empty(kind: object) -> bool:
    if isinstance(kind, dict):
        if kind["type"] == "record":
            return all(_is_empty(field["type"]) for field in kind["fields"])
        return bool(kind["type"] == "null" or (kind["type"] == "fixed" and kind["size"] == 0))
    return kind == "null"


def _named(kind: Any) -> set[str]:
    """Names of types that a type refers to."""
    if isinstance(kind, list):
        return {name for branch in kind for name in _named(branch)}
    if isinstance(kind, dict):
        return _named(kind.get("items") or kind.get("values") or kind["type"])
    return {str(kind).rpartition(".")[2]}


def pair_findings(file: str, reader: Any, writer: Any) -> Iterator[Finding]:
    """What the codec cannot do between two versions that are compatible by Avro's own rules."""
    missing = shared_defaults(structure(reader), structure(writer))
    for name, default in missing.items():
        if default:
            yield Finding(file, f"{name} has a default that is not empty", "make a list's or map's default empty")
