"""Decoding by columns against decoding one message after the other: the same values, or none at all."""

import copy
import json
from typing import Any

import pytest
from avro_samples import reference_bytes, values_of, varint
from good_records import good
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from varied_records import varied

from saphan_schemas.catalogue import Catalogue, SchemaVersion, default_catalogue
from saphan_schemas.codec import Codec, UndecodableMessage
from saphan_schemas.column_codec import decoded, flat_fields
from saphan_schemas.record_codec import CORRUPT, record_reader, structure
from saphan_schemas.topics import CONTRIBUTIONS, EMPLOYMENTS, HEARTBEATS, RECORD_FEEDS, TOPICS, WORKER_RECORDS

CODEC = Codec()
CATALOGUE = default_catalogue()
FIELDS = {feed: flat_fields(structure(CATALOGUE.latest(feed).parsed())) for feed in RECORD_FEEDS}
#: Enough messages that they are decoded by columns.
MANY = 128
#: As far as eight bytes reach.
FAR = 2**55
EACH_FEED = pytest.mark.parametrize("feed", RECORD_FEEDS)
OFTEN = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

#: One field of each kind, with a text at the end and one in front.
SMALL = {
    "type": "record",
    "name": "Small",
    "fields": [
        {"name": "word", "type": "string"},
        {"name": "number", "type": "long"},
        {"name": "truth", "type": "boolean"},
        {"name": "day", "type": ["null", {"type": "int"}]},
        {"name": "perhaps", "type": ["null", "boolean"]},
        {"name": "note", "type": ["null", "string"]},
    ],
}
_VERSION = SchemaVersion("small", 1, 1, json.dumps(SMALL))
READ = record_reader(_VERSION, _VERSION)
HEADER = b"\x00\x00\x00\x00\xff"
USUAL = b"\x04ab" + b"\x02" + b"\x01" + b"\x02\x08" + b"\x02\x00" + b"\x02\x02c"


def one_by_one(feed: str, messages: list[bytes]) -> dict[str, list[Any]] | None:
    """What the messages say, or None when one of them is no record."""
    rows = CODEC.decode_many(feed, messages)
    if any(isinstance(row, UndecodableMessage) for row in rows):
        return None
    return {name: [row[name] for row in rows if isinstance(row, dict)] for name, _, _ in FIELDS[feed]}


def by_columns(feed: str, messages: list[bytes]) -> dict[str, list[Any]] | None:
    return decoded(FIELDS[feed], CODEC.encode(feed, good(feed))[:5], messages)


def small(*bodies: bytes) -> dict[str, list[Any]] | None:
    return decoded(flat_fields(SMALL), HEADER, [HEADER + body for body in bodies])


def same(one: dict[str, list[Any]] | None, other: dict[str, list[Any]] | None) -> bool:
    """Equal in the types of the values as well: True is not 1."""
    return repr(one) == repr(other)


@st.composite
def batches(draw: st.DrawFn, feed: str) -> list[bytes]:
    """Some records of a feed, unusual ones among them, whose numbers have no more than eight bytes."""
    kinds = {name: kind for name, kind, _ in FIELDS[feed]}
    records = []
    for record in draw(st.lists(varied(feed), min_size=1, max_size=6)):
        for name, value in record.items():
            if kinds[name] in {"int", "long"} and value is not None:
                most = 2**31 - 1 if kinds[name] == "int" else FAR - 1
                record = record | {name: max(-most, min(value, most))}  # noqa: PLW2901 - a changed copy
        records.append(record)
    return [CODEC.encode(feed, record) for record in records]


@EACH_FEED
@OFTEN
@given(data=st.data())
def test_records_by_columns_are_those_read_one_by_one(feed: str, data: st.DataObject) -> None:
    messages = data.draw(batches(feed))
    found = by_columns(feed, messages)
    assert found is not None
    assert same(found, one_by_one(feed, messages))


@EACH_FEED
@OFTEN
@given(data=st.data())
def test_bytes_that_somebody_changed_are_read_as_one_by_one_or_not_at_all(feed: str, data: st.DataObject) -> None:
    messages = data.draw(batches(feed))
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(messages) - 1))
        messages[at] = data.draw(changed(messages[at]))
    found = by_columns(feed, messages)
    assert found is None or same(found, one_by_one(feed, messages))


@st.composite
def changed(draw: st.DrawFn, message: bytes) -> bytes:
    """A message with a bit turned, cut, longer, under another header or with unusual bytes in it."""
    at = draw(st.integers(0, max(len(message) - 1, 0)))
    match draw(st.sampled_from(("flip", "cut", "append", "put", "header"))):
        case "flip" if message:
            return message[:at] + bytes([message[at] ^ 1 << draw(st.integers(0, 7))]) + message[at + 1 :]
        case "cut":
            return message[:at] + message[at + draw(st.integers(1, 12)) :] * draw(st.booleans())
        case "append":
            return message + draw(st.binary(min_size=1, max_size=4))
        case "put":
            return message[:at] + draw(PIECES) + message[at + draw(st.integers(0, 3)) :]
        case _:
            return draw(st.binary(max_size=5)) + message[5:]


#: A branch of two bytes, no branch, a text that is no UTF-8, half of a pair, a text of another alphabet, numbers too large.
PIECES = st.sampled_from((
    b"\x82\x00", b"\x80\x00", b"\x01", b"\x03", b"\x04", b"\x06\xed\xa0\x80", b"\x02\xff", b"\x04\xc3\xa9", b"\x04\xc0\x80",
    b"\x06\xe0\xb8\xaa", b"\x00", b"\xff" * 9 + b"\x01", b"\xff" * 10, b"\x80" * 12 + b"\x01", varint(FAR), varint(-FAR - 1),
    *(varint(number) for number in (-1, 63, 64, 2**31, 2**32 + 4, 2**40, 2**62, 2**63 - 1, -(2**63))),
)) | st.binary(min_size=1, max_size=3)  # fmt: skip


@OFTEN
@given(st.data())
def test_values_of_every_kind_and_size_are_those_read_one_by_one(data: st.DataObject) -> None:
    records = data.draw(st.lists(values_of(SMALL), min_size=1, max_size=6))
    bodies = [reference_bytes(SMALL, record) for record in records]
    found = small(*bodies)
    assert (found is not None) == all(-FAR <= record["number"] < FAR for record in records)
    assert found is None or same(found, {name: [row[name] for row in map(READ, bodies)] for name in found})


def _usual_but(part: int, becomes: bytes) -> bytes:
    parts = [b"\x04ab", b"\x02", b"\x01", b"\x02\x08", b"\x02\x00", b"\x02\x02c"]
    parts[part] = becomes
    return b"".join(parts)


@pytest.mark.parametrize(
    "body",
    [
        USUAL + b"\x00",
        USUAL[:-1],
        USUAL[:3],
        b"",
        _usual_but(0, varint(-1)),
        _usual_but(0, varint(-(2**40))),
        _usual_but(0, varint(2**54) + b"ab"),
        _usual_but(0, varint(2**63 - 1) + b"ab"),
        _usual_but(0, b"\x04\xff\xfe"),
        _usual_but(0, b"\x06\xed\xa0\x80"),
        _usual_but(1, varint(FAR)),
        _usual_but(1, b"\x80" * 8 + b"\x00"),
        _usual_but(1, b"\xff" * 10 + b"\x01"),
        _usual_but(2, b"\x02"),
        _usual_but(3, b"\x82\x00\x08"),
        _usual_but(3, b"\x80\x00"),
        _usual_but(3, b"\x01"),
        _usual_but(3, b"\x04\x08"),
        _usual_but(4, b"\x02\x80"),
        _usual_but(5, b"\x02\x04c"),
        _usual_but(5, b"\x02\x1ac"),
    ],
)
def test_a_message_that_is_unusual_is_left_to_the_other_way_wherever_it_stands(body: bytes) -> None:
    for bodies in ([body], [body, USUAL, USUAL], [USUAL, body, USUAL], [USUAL, USUAL, body]):
        assert small(*bodies) is None


def test_a_text_that_ends_in_the_next_message_is_left_to_the_other_way() -> None:
    # All bytes are used up in the end, but not where the messages are.
    assert small(_usual_but(5, b"\x02" + varint(len(HEADER + USUAL) + 1) + b"c"), USUAL) is None
    assert small(USUAL + USUAL[:4], USUAL[4:]) is None


@pytest.mark.parametrize(
    ("body", "name", "value"),
    [
        (_usual_but(0, b"\x00"), "word", ""),
        (_usual_but(0, b"\x84\x00ab"), "word", "ab"),
        (_usual_but(0, b"\x0e1234567"), "word", "1234567"),
        (_usual_but(0, b"\x101234567\x00"), "word", "1234567\x00"),
        (_usual_but(0, b"\x06\x00\x00\x00"), "word", "\x00\x00\x00"),
        (_usual_but(0, varint(64) + b"x" * 64), "word", "x" * 64),
        (_usual_but(0, b"\x06\xe0\xb8\xaa"), "word", "ส"),
        (_usual_but(0, b"\x04\xc2\x80"), "word", "\x80"),
        (_usual_but(1, varint(FAR - 1)), "number", FAR - 1),
        (_usual_but(1, varint(-FAR)), "number", -FAR),
        (_usual_but(1, b"\x81\x80\x00"), "number", -1),
        (_usual_but(3, b"\x02" + varint(2**40)), "day", 2**40),
        (_usual_but(3, b"\x00"), "day", None),
        (_usual_but(5, b"\x00"), "note", None),
        (_usual_but(5, b"\x02\x00"), "note", ""),
    ],
)
def test_a_plain_value_of_any_size_is_read(body: bytes, name: str, value: object) -> None:
    usual = READ(USUAL)[name]
    assert READ(body)[name] == value
    for bodies, expected in (([body], [value]), ([USUAL, body, USUAL], [usual, value, usual])):
        found = small(*bodies)
        assert found is not None
        assert found[name] == expected


def test_another_header_or_a_part_of_it_is_left_to_the_other_way() -> None:
    for other in (HEADER[:4] + b"\xfe" + USUAL, HEADER[:4], b"", b"\x01" + HEADER[1:] + USUAL):
        for messages in ([other], [HEADER + USUAL, other], [other, HEADER + USUAL]):
            assert decoded(flat_fields(SMALL), HEADER, messages) is None


@pytest.mark.parametrize(
    "kind",
    ["bytes", "double", "null", ["string", "null"], ["null", "string", "long"], ["string"], {"type": "array", "items": "int"},
     {"type": "fixed", "name": "F", "size": 2}, {"type": "enum", "name": "E", "symbols": ["A"]}, {"type": ["null", "int"]}],
    ids=str,
)  # fmt: skip
def test_a_schema_with_a_field_of_another_kind_is_not_decoded_by_columns(kind: Any) -> None:
    schema = copy.deepcopy(SMALL)
    schema["fields"][2]["type"] = kind  # type: ignore[index]
    assert flat_fields(schema) == ()


def test_every_feed_of_records_is_decoded_by_columns_when_messages_are_many() -> None:
    for feed in RECORD_FEEDS:
        message = CODEC.encode(feed, good(feed))
        assert CODEC.decode_columns(feed, [message] * MANY) == one_by_one(feed, [message] * MANY)
        assert CODEC.decode_columns(feed, [message] * (MANY - 1)) is None
        for other in (None, b"", message[:-1], b"\x00\x00\x00\x00\x07" + message[5:]):
            assert CODEC.decode_columns(feed, [message] * MANY + [other]) is None
            assert CODEC.decode_columns(feed, [other] + [message] * MANY) is None
            assert CODEC.decode_columns(feed, [other] * MANY) is None


def test_a_topic_with_lists_is_not_decoded_by_columns() -> None:
    message = CODEC.encode(HEARTBEATS, good(HEARTBEATS))
    assert CODEC.decode_columns(HEARTBEATS, [message] * MANY) is None
    assert set(TOPICS) - set(RECORD_FEEDS) >= {HEARTBEATS, WORKER_RECORDS}


def test_only_the_newest_structure_is_decoded_by_columns_under_whatever_id() -> None:
    today = CATALOGUE.latest(CONTRIBUTIONS)
    grown = today.parsed()
    grown["fields"].append({"name": "note", "type": ["null", "string"], "default": None})
    newer = SchemaVersion(CONTRIBUTIONS, 2, today.schema_id + 1, json.dumps(grown))
    registered = SchemaVersion(CONTRIBUTIONS, 2, 7, json.dumps(grown))
    old = Codec().encode(CONTRIBUTIONS, good(CONTRIBUTIONS))
    codec = Codec(Catalogue({CONTRIBUTIONS: (today, newer)}, also_read=(registered,)))
    new = codec.encode(CONTRIBUTIONS, good(CONTRIBUTIONS) | {"note": None})
    assert codec.decode_columns(CONTRIBUTIONS, [old] * MANY) is None
    assert codec.decode_columns(CONTRIBUTIONS, [new] * MANY + [old]) is None
    for message in (new, b"\x00\x00\x00\x00\x07" + new[5:]):
        found = codec.decode_columns(CONTRIBUTIONS, [message] * MANY)
        assert found is not None
        assert found["note"] == [None] * MANY


@OFTEN
@given(st.binary(max_size=60), st.integers(0, 2))
def test_any_bytes_are_read_as_one_by_one_or_not_at_all(body: bytes, place: int) -> None:
    bodies = [USUAL, USUAL]
    bodies.insert(place, body)
    found = small(*bodies)
    if found is not None:
        assert same(found, {name: [row[name] for row in map(READ, bodies)] for name in found})
    try:
        READ(body)
    except CORRUPT:
        assert found is None


def test_what_is_decoded_is_not_shared_between_batches() -> None:
    message = CODEC.encode(EMPLOYMENTS, good(EMPLOYMENTS))
    first, second = (by_columns(EMPLOYMENTS, [message, message]) for _ in range(2))
    assert first is not None
    first["sector"].append("mine")
    assert first != second == one_by_one(EMPLOYMENTS, [message, message])
