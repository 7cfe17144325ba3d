"""Yesterday's messages read today and today's read yesterday, for every topic and every change that is allowed."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from avro_samples import reference_bytes, reference_reader, values_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saphan_schemas.catalogue import Catalogue, SchemaVersion, default_catalogue
from saphan_schemas.codec import Codec, UndecodableMessage
from saphan_schemas.record_codec import record_reader, structure
from saphan_schemas.topics import EMPLOYMENTS, TOPICS

Schema = dict[str, Any]
CATALOGUE = default_catalogue()
SOME = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _with_an_optional_text(schema: Schema) -> Schema:
    schema["fields"].append({"name": "note", "type": ["null", "string"], "default": None})
    return schema


def _with_a_number_in_front(schema: Schema) -> Schema:
    schema["fields"].insert(0, {"name": "priority", "type": "long", "default": 7})
    return schema


def _with_a_list(schema: Schema) -> Schema:
    schema["fields"].insert(1, {"name": "remarks", "type": {"type": "array", "items": "string"}, "default": []})
    return schema


def _without_its_optional_fields(schema: Schema) -> Schema:
    schema["fields"] = [field for field in schema["fields"] if "default" not in field]
    return schema


def _without_its_last_optional_field(schema: Schema) -> Schema:
    optional = [field for field in schema["fields"] if "default" in field]
    if optional:
        schema["fields"].remove(optional[-1])
    return schema


def _in_another_order(schema: Schema) -> Schema:
    schema["fields"].reverse()
    return schema


def _changed_in_three_ways(schema: Schema) -> Schema:
    return _in_another_order(_with_a_number_in_front(_without_its_last_optional_field(schema)))


CHANGES: tuple[Callable[[Schema], Schema], ...] = (
    _with_an_optional_text,
    _with_a_number_in_front,
    _with_a_list,
    _without_its_optional_fields,
    _without_its_last_optional_field,
    _in_another_order,
    _changed_in_three_ways,
)
EACH_CHANGE = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
EACH_TOPIC = pytest.mark.parametrize("topic", sorted(TOPICS))


def _versions(topic: str, change: Callable[[Schema], Schema]) -> tuple[SchemaVersion, SchemaVersion]:
    today = CATALOGUE.latest(topic)
    changed = change(copy.deepcopy(today.parsed()))
    return today, SchemaVersion(topic, today.version + 1, today.schema_id + 1_000, json.dumps(changed))


@EACH_CHANGE
@EACH_TOPIC
@SOME
@given(data=st.data())
def test_what_one_version_writes_the_other_reads_as_avro_resolves_it(
    topic: str, change: Callable[[Schema], Schema], data: st.DataObject
) -> None:
    today, changed = _versions(topic, change)
    for writer, reader in ((today, changed), (changed, today)):
        writer_structure, reader_structure = structure(writer.parsed()), structure(reader.parsed())
        body = reference_bytes(writer_structure, data.draw(values_of(writer_structure)))
        expected = reference_reader(writer_structure, reader_structure)(body)
        assert record_reader(reader, writer)(body) == expected


@EACH_CHANGE
@EACH_TOPIC
def test_both_versions_of_a_topic_are_read_side_by_side(topic: str, change: Callable[[Schema], Schema]) -> None:
    today, changed = _versions(topic, change)
    names = {field["name"] for field in changed.parsed()["fields"]}
    old, new = Codec(Catalogue({topic: (today,)})), Codec(Catalogue({topic: (today, changed)}))
    record = _filled(structure(today.parsed()))
    first = new.decode(topic, old.encode(topic, record))
    assert {name: value for name, value in first.items() if name in record} == {
        name: value for name, value in record.items() if name in names
    }
    again = new.decode_many(topic, [old.encode(topic, record), new.encode(topic, first)])
    assert again == [first, first]


def test_what_the_default_fills_in_is_not_shared_between_records() -> None:
    today, changed = _versions(EMPLOYMENTS, _with_a_list)
    codec = Codec(Catalogue({EMPLOYMENTS: (today, changed)}))
    message = Codec(Catalogue({EMPLOYMENTS: (today,)})).encode(EMPLOYMENTS, _filled(structure(today.parsed())))
    codec.decode(EMPLOYMENTS, message)["remarks"].append("mine")
    assert codec.decode(EMPLOYMENTS, message)["remarks"] == []


def test_a_version_that_this_installation_does_not_know_is_a_dead_letter_not_a_crash() -> None:
    today, changed = _versions(EMPLOYMENTS, _with_a_number_in_front)
    message = Codec(Catalogue({EMPLOYMENTS: (today, changed)})).encode(
        EMPLOYMENTS, _filled(structure(changed.parsed()))
    )
    with pytest.raises(UndecodableMessage) as refused:
        Codec().decode(EMPLOYMENTS, message)
    assert refused.value.reason == "unknown_schema_id"


def _filled(schema: Any) -> Any:
    if isinstance(schema, list):
        return _filled(schema[-1])
    if isinstance(schema, str):
        return {"string": "สะพาน", "long": 5, "int": 6, "boolean": True, "bytes": b"\x01"}[schema]
    if schema["type"] == "array":
        return [_filled(schema["items"])]
    if schema["type"] == "record":
        return {field["name"]: _filled(field["type"]) for field in schema["fields"]}
    return _filled(schema["type"])
