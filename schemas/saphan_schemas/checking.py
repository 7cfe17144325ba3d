"""Whether the whole schemas folder is in order: schemas, lock, compatibility and examples in one go."""

import json
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

from saphan_schemas.catalogue import LOCK_FILE, Catalogue, SchemaVersion
from saphan_schemas.compatibility import incompatibilities
from saphan_schemas.golden import example_findings, write_missing_bytes
from saphan_schemas.lock import Finding, Lock, lock_findings, locked, version_files
from saphan_schemas.schema_checks import pair_findings, schema_findings
from saphan_schemas.topics import TOPICS

PACKAGE = Path(__file__).parent
#: Beside the package in a checkout; an installed package has no examples.
EXAMPLES = PACKAGE.parent / "examples"


def findings(package: Path = PACKAGE, examples: Path | None = EXAMPLES) -> list[Finding]:
    """Everything that is wrong. The examples are checked when everything else is right and ``examples`` exists."""
    found = [*lock_findings(package), *_topic_findings(package)]
    for topic, files in version_files(package).items():
        found.extend(_version_findings(topic, files))
    if not found and examples is not None and examples.exists():
        found.extend(example_findings(examples, catalogue_of(package)))
    return found


def _topic_findings(package: Path) -> Iterator[Finding]:
    present = version_files(package).keys()
    for topic in sorted(TOPICS.keys() - present):
        yield Finding(f"avro/{topic}", "the topic has no schema", "add avro/TOPIC/1.avsc")
    for topic in sorted(present - TOPICS.keys()):
        yield Finding(f"avro/{topic}", "no such topic", "add the topic to topics.py or remove the folder")


def _version_findings(topic: str, files: dict[int, Path]) -> Iterator[Finding]:
    schemas: list[dict[str, Any]] = []
    for version, path in files.items():
        name = f"avro/{topic}/{version}.avsc"
        try:
            schema = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            yield Finding(name, f"is not JSON: {error}", "mend the file")
            return
        wrong = list(schema_findings(name, schema))
        yield from wrong
        if any(finding.found.startswith(("does not parse", "not a record")) for finding in wrong):
            return
        schemas.append(schema)
    for reader, writer, explanation in incompatibilities(schemas):
        yield Finding(
            f"avro/{topic}/{max(reader, writer)}.avsc",
            f"version {reader} cannot read version {writer}: {explanation}",
            "only add or remove fields that have a default; for anything else make a new topic, such as "
            f"{topic.rpartition('.')[0]}.v2",
        )
    for reader_schema, writer_schema in permutations(schemas, 2):
        yield from pair_findings(f"avro/{topic}/{len(schemas)}.avsc", reader_schema, writer_schema)


def catalogue_of(package: Path) -> Catalogue:
    """The catalogue of a package folder that has no findings."""
    lock: Lock = json.loads((package / LOCK_FILE).read_text(encoding="utf-8"))
    files = version_files(package)
    return Catalogue(
        {
            topic: tuple(
                SchemaVersion(topic, version, lock[topic][str(version)]["id"], path.read_text(encoding="utf-8"))
                for version, path in versions.items()
            )
            for topic, versions in files.items()
        }
    )


def settle(package: Path = PACKAGE, examples: Path = EXAMPLES) -> list[str]:
    """Lock new versions and write the bytes of new examples; names of the files written.

    Raises ValueError when a schema or an example cannot be read.
    """
    written = []
    path = package / LOCK_FILE
    lock: Lock = json.loads(path.read_text(encoding="utf-8"))
    settled = locked(lock, version_files(package))
    if settled != lock:
        path.write_text(json.dumps(settled, indent=2) + "\n", encoding="utf-8")
        written.append(path.name)
    return written + [
        str(path.relative_to(examples.parent)) for path in write_missing_bytes(examples, catalogue_of(package))
    ]
