"""Which ids and contents of schema versions are settled for ever: the lock file against the schema files."""

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from saphan_schemas.catalogue import LOCK_FILE, LOCK_ID_MIN

_SCHEMA_ID_MAX = 2**31 - 1
_FREE_TO_CHANGE = ("doc", "doc_th", "pii")
_NEW_ID = (
    "take the newer one's entry out of this file and remove the .hex of its examples; then `saphan schemas lock` gives "
    "it an id of its own and writes them again"
)
_RESTORE = "a released version never changes: take the change back and put it into the next version's file"

# "01" and "๑" are no other names for 1: the file of version 1 is 1.avsc.
_VERSION = re.compile("0|[1-9][0-9]*").fullmatch

Lock = dict[str, dict[str, dict[str, Any]]]


class Finding(NamedTuple):
    """Something wrong with a file of the schemas folder, and what to do about it."""

    file: str
    found: str
    remedy: str


def fingerprint(schema: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that change with anything but documentation and PII classes."""
    return sha256(json.dumps(_binding(schema), sort_keys=True).encode()).hexdigest()[:16]


def _binding(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _binding(value) for key, value in schema.items() if key not in _FREE_TO_CHANGE}
    if isinstance(schema, list):
        return [_binding(part) for part in schema]
    return schema


def version_files(package: Path) -> dict[str, dict[int, Path]]:
    """Topic → version → file, rising; a file whose name is no number is left out (``lock_findings`` tells of it)."""
    found: dict[str, dict[int, Path]] = {}
    for folder in sorted((package / "avro").iterdir()):
        numbers = sorted(int(path.stem) for path in folder.glob("*.avsc") if _VERSION(path.stem))
        found[folder.name] = {number: folder / f"{number}.avsc" for number in numbers}
    return found


def lock_findings(package: Path) -> Iterator[Finding]:
    """What is wrong between the lock file and the schema files of a package folder."""
    lock: Lock = json.loads((package / LOCK_FILE).read_text(encoding="utf-8"))
    files = version_files(package)
    yield from _stray_files(package)
    yield from _ids(lock)
    for topic in sorted(lock.keys() | files.keys()):
        locked = {int(version): entry for version, entry in lock.get(topic, {}).items()}
        present = files.get(topic, {})
        for version in sorted(locked.keys() - present.keys()):
            yield Finding(
                f"avro/{topic}/{version}.avsc", "the lock file has it, the file is gone", "bring the file back"
            )
        for version in sorted(present.keys() - locked.keys()):
            yield Finding(f"avro/{topic}/{version}.avsc", "not in the lock file", "run `saphan schemas lock`")
        yield from _gaps(topic, sorted(present))
        for version in sorted(present.keys() & locked.keys()):
            yield from _changed(topic, version, present[version], locked[version])


def _stray_files(package: Path) -> Iterator[Finding]:
    for path in sorted((package / "avro").rglob("*")):
        is_version = path.suffix == ".avsc" and _VERSION(path.stem)
        if path.is_file() and not is_version:
            name = path.relative_to(package).as_posix()
            yield Finding(name, "not a schema version", "name it avro/TOPIC/NUMBER.avsc or remove it")


def _ids(lock: Lock) -> Iterator[Finding]:
    holders: dict[int, str] = {}
    for topic, versions in lock.items():
        for version, entry in versions.items():
            schema_id, holder = entry["id"], f"{topic} version {version}"
            if schema_id in holders:
                found = f"id {schema_id} is that of {holders[schema_id]} and of {holder}"
                yield Finding(LOCK_FILE, found, _NEW_ID)
            elif not LOCK_ID_MIN <= schema_id <= _SCHEMA_ID_MAX:
                found = f"id {schema_id} of {holder} could be a registry's"
                yield Finding(LOCK_FILE, found, f"ids are from {LOCK_ID_MIN} to {_SCHEMA_ID_MAX}")
            holders.setdefault(schema_id, holder)


def _gaps(topic: str, versions: list[int]) -> Iterator[Finding]:
    if not versions:
        yield Finding(f"avro/{topic}", "no version of the schema", "add 1.avsc")
    elif versions != list(range(1, len(versions) + 1)):
        yield Finding(f"avro/{topic}", f"versions {versions} have a gap", "number them 1, 2, 3 …")


def _changed(topic: str, version: int, path: Path, entry: Mapping[str, Any]) -> Iterator[Finding]:
    try:
        now = fingerprint(json.loads(path.read_text(encoding="utf-8")))
    except json.JSONDecodeError:
        return  # told by the check of the schema itself
    if now != entry["fingerprint"]:
        yield Finding(f"avro/{topic}/{version}.avsc", "changed since it was locked", _RESTORE)


def locked(lock: Lock, files: Mapping[str, Mapping[int, Path]]) -> Lock:
    """The lock with an entry for every version that has none; what is in it stays. Raises ValueError for bad JSON."""
    result = {topic: dict(versions) for topic, versions in lock.items()}
    taken = [entry["id"] for versions in lock.values() for entry in versions.values()]
    next_id = max([LOCK_ID_MIN - 1, *taken]) + 1
    for topic, versions in files.items():
        for version, path in versions.items():
            if str(version) not in result.setdefault(topic, {}):
                schema = json.loads(path.read_text(encoding="utf-8"))
                result[topic][str(version)] = {"id": next_id, "fingerprint": fingerprint(schema)}
                next_id += 1
    return result
