"""The codec against the ``avro`` package: same bytes, same records, and the same refusals for bytes that do not fit."""

import tracemalloc
from contextlib import suppress
from typing import Any

import avro.errors
import pytest
from avro_samples import reference_bytes, reference_reader, values_of, varint
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.codec import Codec, UndecodableMessage, schema_id_of
from saphan_schemas.record_codec import CORRUPT, record_reader, structure
from saphan_schemas.topics import EMPLOYMENTS, ENROLMENT_ALERTS, HEARTBEATS, INSURED_PERSONS, TOPICS

CODEC = Codec()
STRUCTURES = {topic: structure(CODEC.catalogue.latest(topic).parsed()) for topic in TOPICS}
READERS = {topic: record_reader(CODEC.catalogue.latest(topic), CODEC.catalogue.latest(topic)) for topic in TOPICS}
REFERENCES = {topic: reference_reader(STRUCTURES[topic], STRUCTURES[topic]) for topic in TOPICS}
RECORDS = {topic: values_of(STRUCTURES[topic]) for topic in TOPICS}
#: Numbers that make trouble as a length, a count, a branch or a value.
AWKWARD = (0, 1, -1, 2, -2, 63, 64, 2**31 - 1, 2**31, -(2**31) - 1, 2**40, 2**62, 2**63 - 1, -(2**63))
EACH_TOPIC = pytest.mark.parametrize("topic", sorted(TOPICS))
SOME = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@EACH_TOPIC
@SOME
@given(data=st.data())
def test_bytes_and_records_are_those_of_avro(topic: str, data: st.DataObject) -> None:
    record = data.draw(RECORDS[topic])
    message = CODEC.encode(topic, record)
    assert message[5:] == reference_bytes(STRUCTURES[topic], record)
    assert CODEC.decode(topic, message) == record == REFERENCES[topic](message[5:])


@EACH_TOPIC
@MANY
@given(data=st.data())
def test_corrupt_bytes_are_read_or_refused_as_avro_does(topic: str, data: st.DataObject) -> None:
    body = data.draw(corrupted(reference_bytes(STRUCTURES[topic], data.draw(RECORDS[topic]))))
    try:
        expected = REFERENCES[topic](body)
    except avro.errors.InvalidAvroBinaryEncoding as error:
        # cavro wraps a number of more than 64 bits round; nothing else may differ.
        assume("Varint is too long" not in str(error))
        expected = None
    except (avro.errors.AvroException, ValueError, AssertionError):
        expected = None
    found = CODEC.decode_many(topic, [CODEC.encode(topic, data.draw(RECORDS[topic]))[:5] + body])[0]
    if expected is None:
        assert isinstance(found, UndecodableMessage)
        assert found.reason == "corrupt"
    else:
        assert found == expected


@st.composite
def corrupted(draw: st.DrawFn, body: bytes) -> bytes:
    """``body`` cut, overwritten, with an awkward number put in, or quite other bytes."""
    at = draw(st.integers(0, len(body)))
    match draw(st.sampled_from(("cut", "overwrite", "number", "blocks", "other"))):
        case "cut":
            return body[:at]
        case "overwrite":
            return body[:at] + draw(st.binary(min_size=1, max_size=3)) + body[at + 1 :]
        case "number":
            return body[:at] + varint(draw(st.sampled_from(AWKWARD))) + body[at + draw(st.integers(0, 2)) :]
        case "blocks":
            return body[:-1] + varint(-1) + varint(2) + body[-3:] + b"\x00"
        case _:
            return draw(st.binary(max_size=60))


@EACH_TOPIC
@MANY
@given(data=st.data())
def test_any_bytes_are_decoded_or_refused_and_nothing_else_happens(topic: str, data: st.DataObject) -> None:
    body = data.draw(st.one_of(st.binary(max_size=80), st.just(b"\xff" * 40), st.just(b"\x80" * 40 + b"\x01")))
    with suppress(*CORRUPT):
        READERS[topic](body)
    for found in CODEC.decode_many(topic, [body, None, b""]):
        assert isinstance(found, dict | UndecodableMessage)


@pytest.mark.parametrize("length", [2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -1, -(2**31), -(2**63)])
@EACH_TOPIC
def test_a_huge_declared_length_takes_no_memory(topic: str, length: int) -> None:
    header = CODEC.encode(topic, _smallest(topic))[:5]
    # The first field is a text in most topics; in the others the number stands for something else just as wrong.
    messages = [header + varint(length) + b"abc", header + b"\x02a" + varint(length) * 3]
    CODEC.decode_many(topic, messages)  # whatever is made once is made now
    tracemalloc.start()
    try:
        found = CODEC.decode_many(topic, messages)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert all(isinstance(one, UndecodableMessage) for one in found)
    assert peak_bytes < 200_000


def _smallest(topic: str) -> dict[str, Any]:
    zeros: dict[str, Any] = {"string": "", "long": 0, "int": 0, "boolean": False, "bytes": b""}
    record: dict[str, Any] = {}
    for field in STRUCTURES[topic]["fields"]:
        kind = field["type"]
        if isinstance(kind, list):
            record[field["name"]] = None
        elif isinstance(kind, dict):
            record[field["name"]] = zeros.get(kind["type"], [])
        else:
            record[field["name"]] = zeros[kind]
    return record


def test_an_array_written_in_blocks_with_a_size_is_read() -> None:
    # Some writers of other languages give each block its size in bytes, after a negative count.
    offsets = [{"partition": 0, "offset": 5}, {"partition": 1, "offset": 6}]
    heartbeat = {"feed": "f", "complete_until": 1, "end_offsets": offsets, "sent_at": 2}
    body = varint(1) + b"f" + varint(1) + varint(-2) + varint(4) + b"\x00\x0a\x02\x0c" + b"\x00" + varint(2)
    assert CODEC.decode(HEARTBEATS, CODEC.encode(HEARTBEATS, heartbeat)[:5] + body) == heartbeat


def test_a_number_beyond_32_bits_in_an_int_field_is_not_cut() -> None:
    record = _smallest(EMPLOYMENTS)
    message = CODEC.encode(EMPLOYMENTS, record | {"start_date": 1})
    # Two nulls of one byte each follow start_date; 1 is written as 0x02, after its union's branch.
    at = len(message) - 3
    assert message[at - 1 : at + 1] == b"\x02\x02"
    stretched = message[:at] + varint(2**40) + message[at + 1 :]
    assert CODEC.decode(EMPLOYMENTS, stretched)["start_date"] == 2**40


def test_bad_messages_between_good_ones_do_not_touch_them() -> None:
    good = CODEC.encode(INSURED_PERSONS, _smallest(INSURED_PERSONS))
    alien = CODEC.encode(ENROLMENT_ALERTS, _smallest(ENROLMENT_ALERTS))
    unknown = b"\x00\x00\x00\x00\x07" + good[5:]
    values = [good, None, b"", b"\x01" + good[1:], unknown, alien, good[:-9], good]
    found = Codec().decode_many(INSURED_PERSONS, values)
    assert found[0] == found[-1] == _smallest(INSURED_PERSONS)
    reasons = [one.reason for one in found if isinstance(one, UndecodableMessage)]
    assert reasons == ["no_value", "not_wire_format", "not_wire_format", "unknown_schema_id", "wrong_schema", "corrupt"]


def test_a_refusal_tells_nothing_of_the_person() -> None:
    message = CODEC.encode(INSURED_PERSONS, _smallest(INSURED_PERSONS) | {"insured_number": "0012345678901"})
    with pytest.raises(UndecodableMessage) as refused:
        CODEC.decode(INSURED_PERSONS, message[:-12])
    assert "0012345678901" not in str(refused.value)


@pytest.mark.parametrize(
    "change",
    [{"record_id": None}, {"record_id": 7}, {"version": "1"}, {"version": 2**63}, {"start_date": "2026-01-01"}],
)
def test_a_value_of_another_type_is_not_encoded(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        CODEC.encode(EMPLOYMENTS, _smallest(EMPLOYMENTS) | change)


def test_a_missing_required_field_is_not_encoded() -> None:
    record = _smallest(EMPLOYMENTS)
    del record["version"]
    with pytest.raises(ValueError, match="version"):
        CODEC.encode(EMPLOYMENTS, record)


def test_every_topic_has_a_schema_and_its_id_is_in_the_message() -> None:
    catalogue = default_catalogue()
    assert set(catalogue.by_topic) == set(TOPICS)
    for topic in TOPICS:
        assert schema_id_of(CODEC.encode(topic, _smallest(topic))) == catalogue.latest(topic).schema_id
    assert schema_id_of(b"\x00abc") is None
