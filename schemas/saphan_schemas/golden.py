"""Whether today's code still reads yesterday's bytes: examples of every topic as JSON, beside the bytes as written then."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from saphan_schemas.catalogue import Catalogue, SchemaVersion
from saphan_schemas.codec import Codec, schema_id_of
from saphan_schemas.lock import Finding
from saphan_schemas.rules import problems
from saphan_schemas.topics import FEEDS, RECORD_FEEDS, TOPICS
from saphan_schemas.values import logical_type, to_wire

_CHECKED_BY_RULES = frozenset(FEEDS)


def example_findings(examples: Path, catalogue: Catalogue) -> Iterator[Finding]:
    """What is wrong with the folder of examples: ``<topic>/<name>.json`` and ``<topic>/<name>.hex`` each."""
    codec = Codec(catalogue)
    for folder in sorted(path for path in examples.iterdir() if path.is_dir()):
        if folder.name not in TOPICS:
            yield Finding(f"examples/{folder.name}", "no such topic", "remove the folder or name it after a topic")
    for topic, versions in catalogue.by_topic.items():
        folder = examples / topic
        yield from _stray_files(folder)
        written = set()
        deleted = False
        for path in sorted(folder.glob("*.json")):
            record, version, findings = _read(path, topic, codec)
            yield from findings
            written.add(version)
            deleted = deleted or record.get("deleted") is True
        yield from _lacking(topic, versions, written, deleted=deleted)


def _stray_files(folder: Path) -> Iterator[Finding]:
    for path in sorted(folder.glob("*")):
        partner = {".json": ".hex", ".hex": ".json"}.get(path.suffix)
        name = f"examples/{folder.name}/{path.name}"
        if partner is None:
            yield Finding(name, "neither .json nor .hex", "remove it")
        elif not path.with_suffix(partner).exists():
            remedy = "run `saphan schemas lock`" if partner == ".hex" else "add the record as JSON or remove the bytes"
            yield Finding(name, f"has no {partner} beside it", remedy)


def _lacking(
    topic: str, versions: tuple[SchemaVersion, ...], written: set[int | None], *, deleted: bool
) -> Iterator[Finding]:
    for version in versions:
        if version.version not in written:
            found = f"no example written with version {version.version}"
            yield Finding(f"examples/{topic}", found, "add a record as .json and run `saphan schemas lock`")
    if topic in RECORD_FEEDS and not deleted:
        yield Finding(f"examples/{topic}", "no example of a deleted record", "add one with deleted = true")


def _read(path: Path, topic: str, codec: Codec) -> tuple[Mapping[str, Any], int | None, list[Finding]]:
    """The record of an example, the version that wrote its bytes (None when unknown) and what is wrong with it."""
    name = f"examples/{topic}/{path.name}"
    kinds = codec.catalogue.kinds(topic)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        wire = _wire(codec.catalogue.latest(topic), record)
    except ValueError as error:
        return {}, None, [Finding(name, f"cannot be read: {error}", "write one JSON object in the schema's fields")]
    findings = list(_against_rules(name, topic, wire))
    bytes_path = path.with_suffix(".hex")
    if not bytes_path.exists():
        return record, None, findings
    try:
        message = bytes.fromhex(bytes_path.read_text(encoding="ascii"))
        found = codec.decode(topic, message)
    except ValueError as error:
        remedy = "yesterday's bytes must decode: take back the change of the schema or of the codec"
        return record, None, [*findings, Finding(name.replace(".json", ".hex"), str(error), remedy)]
    different = sorted(field for field in kinds if found[field] != wire[field])
    if different:
        found_text = f"the bytes say something else in {', '.join(different)}"
        findings.append(Finding(name, found_text, "mend the JSON; bytes once written stay"))
    version = codec.catalogue.find(topic, schema_id_of(message) or 0)
    return record, version.version if version else None, findings


def _against_rules(name: str, topic: str, wire: Mapping[str, Any]) -> Iterator[Finding]:
    for problem in problems(topic, wire) if topic in _CHECKED_BY_RULES else ():
        # The folder may be newer than the rules' own schemas; _wire has looked at the names already.
        if problem.code != "unknown_field":
            yield Finding(name, f"{problem.field}: {problem.found}", problem.expected)


def _wire(version: SchemaVersion, record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise ValueError(f"a {type(record).__name__} and not an object")  # noqa: TRY004 - a fault of the file
    fields = version.parsed()["fields"]
    names = {field["name"] for field in fields}
    unknown = sorted(record.keys() - names)
    missing = sorted(f["name"] for f in fields if "default" not in f and f["name"] not in record)
    if unknown or missing:
        raise ValueError(f"fields not in the schema: {unknown}, fields missing: {missing}")
    defaults = {field["name"]: field.get("default") for field in fields}
    kinds = {field["name"]: logical_type(field["type"]) for field in fields}
    return to_wire(kinds, defaults | record)


def write_missing_bytes(examples: Path, catalogue: Catalogue) -> list[Path]:
    """Write the ``.hex`` of examples that have none, with today's schema; existing bytes are never touched."""
    codec = Codec(catalogue)
    written = []
    for path in sorted(examples.glob("*/*.json")):
        target = path.with_suffix(".hex")
        topic = path.parent.name
        if topic in catalogue.by_topic and not target.exists():
            record = json.loads(path.read_text(encoding="utf-8"))
            message = codec.encode(topic, _wire(catalogue.latest(topic), record))
            target.write_text("\n".join(_lines(message.hex())) + "\n", encoding="ascii")
            written.append(target)
    return written


def _lines(text: str, width: int = 96) -> Iterator[str]:
    for at in range(0, len(text), width):
        yield text[at : at + width]
