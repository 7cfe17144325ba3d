"""`saphan schemas check`: this repository is in order, and each rule fires when one thing is planted."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saphan_schemas.catalogue import LOCK_FILE
from saphan_schemas.checking import EXAMPLES, PACKAGE, catalogue_of, findings, settle
from saphan_schemas.compatibility import incompatibilities
from saphan_schemas.topics import EMPLOYMENTS, HEARTBEATS

Schema = dict[str, Any]
LATER = {"name": "later", "type": ["null", "string"], "default": None, "doc": "x", "doc_th": "ก", "pii": "none"}


def inner(name: str, kind: Any) -> Schema:
    return {"name": name, "type": kind, "doc": "x", "doc_th": "ก", "pii": "none"}


def record(name: str, *fields: Schema) -> Schema:
    return {"type": "record", "name": name, "doc": "x", "doc_th": "ก", "fields": list(fields)}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the schemas folder to plant something in."""
    package = tmp_path / "saphan_schemas"
    shutil.copytree(PACKAGE / "avro", package / "avro")
    shutil.copy(PACKAGE / LOCK_FILE, package / LOCK_FILE)
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    return package


def check(package: Path) -> list[tuple[str, str]]:
    return [(finding.file, finding.found) for finding in findings(package, package.parent / "examples")]


def change(path: Path, edit: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")


def schema_path(package: Path, topic: str = EMPLOYMENTS, version: int = 1) -> Path:
    return package / "avro" / topic / f"{version}.avsc"


def add_version(package: Path, edit: Callable[[Schema], None], topic: str = EMPLOYMENTS) -> None:
    shutil.copy(schema_path(package, topic), schema_path(package, topic, 2))
    change(schema_path(package, topic, 2), edit)


def test_the_schemas_of_this_repository_are_in_order() -> None:
    assert findings() == []


def test_every_finding_says_what_to_do(copied: Path) -> None:
    shutil.rmtree(copied / "avro" / HEARTBEATS)
    found = findings(copied, None)
    assert found
    assert all(finding.file and finding.found and finding.remedy for finding in found)


PLANTED_IN_A_SCHEMA: dict[str, tuple[Callable[[Schema], None], str]] = {
    "no documentation": (lambda s: s["fields"][4].pop("doc"), "Employment.permit_number has no doc"),
    "no Thai": (lambda s: s["fields"][4].update(doc_th="permit"), "Employment.permit_number has no doc_th in Thai"),
    "no PII class": (lambda s: s["fields"][4].pop("pii"), "Employment.permit_number has the PII class None"),
    "unknown PII class": (lambda s: s["fields"][4].update(pii="secret"), "has the PII class 'secret'"),
    "record undocumented": (lambda s: s.update(doc_th=""), "Employment has no doc_th in Thai"),
    "unknown type": (lambda s: s["fields"][4].update(type="text"), "does not parse"),
    "not a record": (lambda s: s.update(type="enum", symbols=["A"]), "not a record"),
    "nulls without number": (
        lambda s: s["fields"].append(LATER | {"type": {"type": "array", "items": "null"}, "default": []}),
        "an array of values without bytes",
    ),
    "nulls without number in a map": (
        lambda s: s["fields"].append(
            LATER | {"type": {"type": "map", "values": {"type": "array", "items": "null"}}, "default": {}}
        ),
        "Employment.later is an array of values without bytes",
    ),
    "named records without bytes": (
        lambda s: s["fields"].extend(
            (inner("one", record("Empty")), inner("many", {"type": "array", "items": "Empty"}))
        ),
        "Employment.many is an array of values without bytes",
    ),
    "records of records without bytes": (
        lambda s: s["fields"].append(
            inner("many", {"type": "array", "items": record("Outer", inner("x", record("Empty")))})
        ),
        "Employment.many is an array of values without bytes",
    ),
    "itself within another": (
        lambda s: s["fields"].append(inner("other", record("Other", inner("back", ["null", "Employment"])))),
        "Employment.other is of the type it is in",
    ),
    "another within itself": (
        lambda s: s["fields"].append(
            inner("a", record("A", inner("b", record("B", inner("a", {"type": "map", "values": "A"})))))
        ),
        "Employment.a.b is of the type it is in",
    ),
    "itself": (
        lambda s: s["fields"].append(LATER | {"type": ["null", "Employment"]}),
        "Employment.later is of the type it is in",
    ),
    "changed after release": (lambda s: s["fields"].append(LATER), "changed since it was locked"),
    "changed default": (lambda s: s["fields"][3].update(default=True), "changed since it was locked"),
}


@pytest.mark.parametrize("planted", PLANTED_IN_A_SCHEMA)
def test_a_fault_planted_in_a_schema_is_found(planted: str, copied: Path) -> None:
    edit, expected = PLANTED_IN_A_SCHEMA[planted]
    change(schema_path(copied), edit)
    assert any(file.endswith(f"{EMPLOYMENTS}/1.avsc") and expected in found for file, found in check(copied))


def test_documentation_may_change_after_release(copied: Path) -> None:
    change(schema_path(copied), lambda schema: schema["fields"][4].update(doc="Better words.", pii="sensitive"))
    assert check(copied) == []


PLANTED_IN_THE_LOCK: dict[str, tuple[Callable[[Any], None], str]] = {
    "id of another": (lambda lock: lock[EMPLOYMENTS]["1"].update(lock[HEARTBEATS]["1"]), "is that of"),
    "id like a registry's": (lambda lock: lock[EMPLOYMENTS]["1"].update(id=2), "could be a registry's"),
    "version without file": (lambda lock: lock[EMPLOYMENTS].update({"2": {"id": 1971009999}}), "the file is gone"),
    "file without version": (lambda lock: lock.pop(EMPLOYMENTS), "not in the lock file"),
}


@pytest.mark.parametrize("planted", PLANTED_IN_THE_LOCK)
def test_a_fault_planted_in_the_lock_is_found(planted: str, copied: Path) -> None:
    edit, expected = PLANTED_IN_THE_LOCK[planted]
    change(copied / LOCK_FILE, edit)
    assert any(expected in found for _, found in check(copied))


def test_an_id_that_two_versions_have_is_put_right_by_what_the_finding_says(copied: Path) -> None:
    examples = copied.parent / "examples"
    edit, _ = PLANTED_IN_THE_LOCK["id of another"]
    change(copied / LOCK_FILE, edit)
    (remedy,) = [row.remedy for row in findings(copied, examples) if "is that of" in row.found]
    assert "take the newer one's entry out" in remedy
    assert "remove the .hex of its examples" in remedy
    change(copied / LOCK_FILE, lambda lock: lock.pop(EMPLOYMENTS))
    for path in (examples / EMPLOYMENTS).glob("*.hex"):
        path.unlink()
    settle(copied, examples)
    assert check(copied) == []


def test_an_example_that_is_no_object_is_not_settled(copied: Path) -> None:
    folder = copied.parent / "examples" / EMPLOYMENTS
    (folder / "new.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="not an object"):
        settle(copied, copied.parent / "examples")


def test_faults_planted_in_the_folders_are_found(copied: Path) -> None:
    schema_path(copied).rename(schema_path(copied, version=3))
    (copied / "avro" / "doe.unknown.v1").mkdir()
    (copied / "avro" / HEARTBEATS / "draft.avsc").write_text("{}", encoding="utf-8")
    schema_path(copied, "dead-letters.v1").write_text("{", encoding="utf-8")
    found = " ".join(text for _, text in check(copied))
    for expected in ("have a gap", "no such topic", "no version of the schema", "not a schema version", "is not JSON"):
        assert expected in found


@pytest.mark.parametrize("name", ["๒", "²", "02"])
def test_a_file_named_by_another_spelling_of_a_number_is_told_and_read_by_nobody(name: str, copied: Path) -> None:
    shutil.copy(schema_path(copied), copied / "avro" / EMPLOYMENTS / f"{name}.avsc")
    assert check(copied) == [(f"avro/{EMPLOYMENTS}/{name}.avsc", "not a schema version")]


INCOMPATIBLE: dict[str, Callable[[Schema], None]] = {
    "a required field more": lambda s: s["fields"].append({k: v for k, v in LATER.items() if k != "default"}),
    "a required field less": lambda s: s["fields"].remove(next(f for f in s["fields"] if f["name"] == "version")),
    "another type": lambda s: s["fields"][4].update(type=["null", "long"]),
    "no longer optional": lambda s: s["fields"][4].update(type="string", default=""),
    "narrower": lambda s: s["fields"][1].update(type="int"),
    "wider, which yesterday cannot read": lambda s: s["fields"][-1].update(type=["null", "long"]),
    "another name": lambda s: s.update(name="Hire"),
}


@pytest.mark.parametrize("planted", INCOMPATIBLE)
def test_an_incompatible_version_is_found(planted: str, copied: Path) -> None:
    add_version(copied, INCOMPATIBLE[planted])
    assert any("cannot read version" in found for _, found in check(copied))


def test_compatibility_is_with_all_versions_not_only_the_last() -> None:
    def version(*fields: Schema) -> Schema:
        return {"type": "record", "name": "R", "fields": [{"name": "a", "type": "string"}, *fields]}

    first = version({"name": "b", "type": "string", "default": ""})
    third = version({"name": "b", "type": "long", "default": 0})
    assert incompatibilities([first, version()]) == []
    assert incompatibilities([version(), third]) == []
    assert {(row.reader, row.writer) for row in incompatibilities([first, version(), third])} == {(1, 3), (3, 1)}


def test_a_new_version_is_settled_by_one_command_and_old_ids_and_bytes_stay(copied: Path) -> None:
    examples = copied.parent / "examples"
    before = {path: path.read_bytes() for path in examples.glob("*/*.hex")}
    lock = json.loads((copied / LOCK_FILE).read_text(encoding="utf-8"))
    add_version(copied, lambda schema: schema["fields"].append(LATER))
    assert check(copied) == [(f"avro/{EMPLOYMENTS}/2.avsc", "not in the lock file")]
    assert settle(copied, examples) == [LOCK_FILE]
    assert check(copied) == [(f"examples/{EMPLOYMENTS}", "no example written with version 2")]
    hired = json.loads((examples / EMPLOYMENTS / "hired.json").read_text(encoding="utf-8"))
    (examples / EMPLOYMENTS / "later.json").write_text(json.dumps(hired | {"later": "word"}), encoding="utf-8")
    assert settle(copied, examples) == [f"examples/{EMPLOYMENTS}/later.hex"]
    assert check(copied) == []
    assert {path: path.read_bytes() for path in before} == before
    after = json.loads((copied / LOCK_FILE).read_text(encoding="utf-8"))
    assert after[EMPLOYMENTS].pop("2")["id"] == max(row["id"] for rows in lock.values() for row in rows.values()) + 1
    assert after == lock
    assert catalogue_of(copied).latest(EMPLOYMENTS).version == 2


PLANTED_IN_THE_EXAMPLES: dict[str, tuple[Callable[[Path], object], str]] = {
    "bytes gone": (lambda folder: (folder / "hired.hex").unlink(), "has no .hex beside it"),
    "record gone": (lambda folder: (folder / "hired.json").unlink(), "has no .json beside it"),
    "stray file": (lambda folder: (folder / "notes.txt").write_text("x"), "neither .json nor .hex"),
    "stray folder": (lambda folder: (folder.parent / "doe.unknown.v1").mkdir(), "no such topic"),
    "no deletion": (
        lambda folder: change(folder / "deleted.json", lambda record: record.update(deleted=False)),
        "no example of a deleted record",
    ),
    "no example": (shutil.rmtree, "no example written with version 1"),
    "other bytes": (
        lambda folder: shutil.copy(folder / "left.hex", folder / "hired.hex"),
        "the bytes say something else in changed_at, end_date, version",
    ),
    "cut bytes": (lambda folder: (folder / "hired.hex").write_text("00757b12c202"), "corrupt"),
    "bytes of another topic": (
        lambda folder: shutil.copy(folder.parent / HEARTBEATS / "sso.hex", folder / "hired.hex"),
        "wrong_schema",
    ),
    "unknown field": (
        lambda folder: change(folder / "hired.json", lambda record: record.update(salary=1)),
        "fields not in the schema: ['salary']",
    ),
    "missing field": (
        lambda folder: change(folder / "hired.json", lambda record: record.pop("version")),
        "fields missing: ['version']",
    ),
    "against the rules": (
        lambda folder: change(folder / "hired.json", lambda record: record.update(start_date="2569-01-15")),
        "start_date: 2569-01-15",
    ),
    "not JSON": (lambda folder: (folder / "hired.json").write_text("{"), "cannot be read"),
    "a list": (lambda folder: (folder / "hired.json").write_text("[1]"), "cannot be read: a list and not an object"),
    "a list where a date belongs": (
        lambda folder: change(folder / "hired.json", lambda record: record.update(start_date=[])),
        "start_date: []",
    ),
}


@pytest.mark.parametrize("planted", PLANTED_IN_THE_EXAMPLES)
def test_a_fault_planted_in_the_examples_is_found(planted: str, copied: Path) -> None:
    edit, expected = PLANTED_IN_THE_EXAMPLES[planted]
    edit(copied.parent / "examples" / EMPLOYMENTS)
    assert any(expected in found for _, found in check(copied))
