"""Whether one schema file is fit to be published: it parses, every field is explained and classed, nothing can trap us."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from saphan_schemas.compatibility import parse
from saphan_schemas.lock import Finding
from saphan_schemas.pii import PII_CLASSES
from saphan_schemas.record_codec import shared_defaults, structure

_THAI = re.compile("[\u0e00-\u0e7f]")
_NESTED_ROWS = ("array", "map")
_NO_BYTES = "an array of values without bytes: a short message could claim any number of them"

#: The types that a schema names, by their name without namespace.
_Defined = Mapping[str, Any]


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
    defined = {kind["name"].rpartition(".")[2]: kind for kind in _written(schema) if "name" in kind}
    for place, part in _records(schema["name"], schema):
        for field in part["fields"]:
            where = f"{place}.{field['name']}"
            if _counts_nothing(field["type"], defined):
                yield Finding(file, f"{where} is {_NO_BYTES}", "let the items be at least one byte long")
            if part is not schema and isinstance(field.get("default"), list | dict):
                found = f"{where} has a list as its default inside another record"
                yield Finding(file, found, "the codec gives lists by default at the top level only: leave it out")
            if part["name"].rpartition(".")[2] in _reached(field["type"], defined):
                yield Finding(file, f"{where} is of the type it is in", "a message must not nest without end")


def _inner(kind: Any) -> list[Any]:
    """The types that a type is made of, one level down."""
    if isinstance(kind, list):
        return kind
    if not isinstance(kind, dict):
        return []
    if kind["type"] == "record":
        return [field["type"] for field in kind["fields"]]
    return [kind[key] for key in ("items", "values") if key in kind] or [kind["type"]]


def _written(kind: Any) -> Iterator[dict[str, Any]]:
    """Every type that is written out in a type, itself included; a name alone stands for one written elsewhere."""
    if isinstance(kind, dict):
        yield kind
    for part in _inner(kind):
        yield from _written(part)


def _reached(kind: Any, defined: _Defined, path: frozenset[str] = frozenset()) -> set[str]:
    """The names of all types inside a type, however deep. ``path`` are those that it is looked for in already."""
    kind = _resolved(kind, defined)
    names: set[str] = set()
    if isinstance(kind, dict) and "name" in kind:
        name = kind["name"].rpartition(".")[2]
        if name in path:
            return {name}
        names, path = {name}, path | {name}
    return names.union(*(_reached(part, defined, path) for part in _inner(kind)))


def _resolved(kind: Any, defined: _Defined) -> Any:
    return defined.get(kind.rpartition(".")[2], kind) if isinstance(kind, str) else kind


def _counts_nothing(kind: Any, defined: _Defined) -> bool:
    """Whether a type holds, outside of records in it, an array whose items take no bytes."""
    if isinstance(kind, dict) and kind["type"] == "record":
        return False  # its fields are looked at one by one
    if isinstance(kind, dict) and kind["type"] == "array" and _is_empty(kind["items"], defined):
        return True
    return any(_counts_nothing(part, defined) for part in _inner(kind))


def _is_empty(kind: Any, defined: _Defined, path: frozenset[str] = frozenset()) -> bool:
    kind = _resolved(kind, defined)
    if not isinstance(kind, dict):
        return bool(kind == "null")
    if kind["type"] == "fixed":
        return bool(kind["size"] == 0)
    if kind["type"] != "record":
        return not isinstance(kind["type"], list) and _is_empty(kind["type"], defined, path)
    # A record that is in itself has no end, which is told as such.
    return kind["name"] not in path and all(_is_empty(part, defined, path | {kind["name"]}) for part in _inner(kind))


def pair_findings(file: str, reader: Any, writer: Any) -> Iterator[Finding]:
    """What the codec cannot do between two versions that are compatible by Avro's own rules."""
    missing = shared_defaults(structure(reader), structure(writer))
    for name, default in missing.items():
        if default:
            yield Finding(file, f"{name} has a default that is not empty", "make a list's or map's default empty")
