"""That a chunk of a feed read by columns is the chunk read message by message."""

import json
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import pytest
from feed_messages import BYTES_MAX, CODEC, Message, brought, chunk_of, fits, message_of, messages_of
from good_records import good
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from linked_histories import feed_events
from log_record import LogRecord
from varied_records import varied

from saphan_projections.identity import signature_hashes, signature_of
from saphan_projections.kept import HANDED_ON, kept_of, pack_kept
from saphan_projections.link_records import FeedRecord, PendingHeartbeat
from saphan_schemas.catalogue import Catalogue, SchemaVersion
from saphan_schemas.codec import Codec, UndecodableMessage
from saphan_schemas.rules import problems
from saphan_schemas.topics import EMPLOYMENTS, FEEDS, HEARTBEATS, RECORD_FEEDS, WORKER_FEEDS
from saphan_streams.feed_chunks import read_feed_chunk
from saphan_streams.reading import Refusal
from saphan_streams.transport import Chunk

#: Enough messages that they are decoded by columns.
MANY = 128


def read_one_by_one(chunk: Chunk) -> tuple[list[Any], ...]:
    """What `read_feed_chunk` does, in the plainest way."""
    events: list[FeedRecord] = []
    heartbeats, refusals = [], []
    for record in chunk.records:
        try:
            found = _read(chunk, record)
        except UndecodableMessage as refused:
            refusals.append(Refusal(record, refused.reason, refused.detail))
            continue
        if isinstance(found, FeedRecord):
            events.append(found)
        elif isinstance(found, PendingHeartbeat):
            heartbeats.append(found)
    return list(zip(*feed_events(events), strict=True)), heartbeats, refusals


def _read(chunk: Chunk, record: LogRecord) -> FeedRecord | PendingHeartbeat:
    topic = chunk.topic
    if len(record.value or b"") > BYTES_MAX:
        raise UndecodableMessage("too_large", f"{len(record.value or b'')} bytes, at most {BYTES_MAX} are read")
    value = CODEC.decode(topic, record.value)
    assert record.value is not None
    if topic == HEARTBEATS and record.key != value["feed"].encode():
        raise UndecodableMessage("wrong_key", "the key of a heartbeat is the feed that it speaks of")
    if record.key is None:
        raise UndecodableMessage("no_key", "expected the record_id as the message key, found none")
    if topic != HEARTBEATS and record.key != value["record_id"].encode():
        raise UndecodableMessage("wrong_key", "the message key is not the record's record_id")
    for problem in problems(topic, value):
        if problem.severity == "error":
            raise UndecodableMessage(f"invalid_{problem.code}", f"field {problem.field}: expected {problem.expected}")
    if topic == HEARTBEATS:
        return PendingHeartbeat(
            value["feed"], value["complete_until"], record.partition, record.offset, record.timestamp, record.value
        )
    signature = signature_of(topic, value) if topic in WORKER_FEEDS else None
    digest = blake2b(record.value[5:], digest_size=8).digest()
    return FeedRecord(
        feed=topic,
        record_id=value["record_id"],
        version=value["version"],
        changed_at=value["changed_at"],
        content_hash=int.from_bytes(digest, "big", signed=True),
        deleted=value["deleted"],
        partition=chunk.partition,
        offset=record.offset,
        received_at=record.timestamp,
        signature=signature,
        signature_hash=0 if signature is None or value["deleted"] else signature_hashes((signature,))[0],
        payload=record.value,
        kept=pack_kept(kept_of(topic, value)) if topic in HANDED_ON else b"",
    )


@pytest.mark.parametrize("topic", FEEDS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_chunk_read_by_columns_is_the_chunk_read_message_by_message(topic: str, data: st.DataObject) -> None:
    messages = data.draw(st.lists(messages_of(topic), max_size=8))
    chunk = chunk_of(topic, messages)
    assert brought(read_feed_chunk(CODEC, chunk, BYTES_MAX)) == read_one_by_one(chunk)


@pytest.mark.parametrize("topic", RECORD_FEEDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_long_chunk_is_read_as_message_by_message_with_and_without_decoding_by_columns(
    topic: str, data: st.DataObject
) -> None:
    messages = data.draw(st.lists(records_of(topic), max_size=6))
    usual = [message_of(topic, good(topic))] * (MANY - len(messages))
    for at, message in enumerate(messages):
        usual.insert(data.draw(st.integers(0, len(usual)), label=str(at)), message)
    chunk = chunk_of(topic, usual)
    read = brought(read_feed_chunk(CODEC, chunk, BYTES_MAX))
    assert read == read_one_by_one(chunk)
    assert read == brought(read_feed_chunk(OneByOne(), chunk, BYTES_MAX))


def records_of(topic: str) -> st.SearchStrategy[Message]:
    """Records and what is broken, the latter seldom: one message in a chunk that cannot be read decides for all."""
    records = varied(topic).filter(fits).map(lambda record: message_of(topic, record))
    misplaced = records.map(lambda message: (b"other", message[1]))
    return st.one_of([records] * 12 + [misplaced, messages_of(topic)])


class OneByOne(Codec):
    """Decodes nothing by columns."""

    def decode_columns(self, topic: str, values: Sequence[bytes | None]) -> dict[str, list[Any]] | None:
        return super().decode_columns(topic, values[:0])


def test_records_with_a_field_that_this_version_does_not_know_are_looked_at_one_by_one() -> None:
    today = CODEC.catalogue.latest(EMPLOYMENTS)
    grown = today.parsed()
    grown["fields"].append({"name": "colour", "type": ["null", "string"], "default": None})
    newer = Catalogue({EMPLOYMENTS: (SchemaVersion(EMPLOYMENTS, 2, 7, json.dumps(grown)),)})
    key, value = message_of(EMPLOYMENTS, good(EMPLOYMENTS))
    assert value is not None
    body = value[5:]
    chunk = chunk_of(EMPLOYMENTS, [(key, b"\x00\x00\x00\x00\x07" + body + b"\x02\x06red")] * MANY)
    assert Codec(newer).decode_columns(EMPLOYMENTS, [record.value for record in chunk.records]) is not None
    read = read_feed_chunk(Codec(newer), chunk, BYTES_MAX)
    assert brought(read) == brought(read_feed_chunk(OneByOne(newer), chunk, BYTES_MAX))
    assert len(read.events.offset) + len(read.refusals) == MANY


def test_unusual_records_deletions_and_refusals_stand_in_their_places() -> None:
    usual = good(EMPLOYMENTS)
    envelope = {name: usual[name] for name in ("record_id", "version", "changed_at")}
    records = [
        usual,
        usual | {"start_date": 200_000},
        usual | {"passport_number": "N/A"},
        {**dict.fromkeys(usual), **envelope, "deleted": True},
    ]
    key, value = message_of(EMPLOYMENTS, usual)
    messages = [*(message_of(EMPLOYMENTS, record) for record in records), (key, b"nonsense"), (b"other", value)]
    chunk = chunk_of(EMPLOYMENTS, [*messages, *reversed(messages)])
    read = read_feed_chunk(CODEC, chunk, BYTES_MAX)
    assert read.events.offset == [100, 102, 103, 108, 109, 111]
    assert [refusal.record.offset for refusal in read.refusals] == [101, 104, 105, 106, 107, 110]
    assert brought(read) == read_one_by_one(chunk)


def test_unusual_records_and_deletions_stand_in_their_places_when_all_are_decoded_by_columns() -> None:
    usual = good(EMPLOYMENTS)
    envelope = {name: usual[name] for name in ("record_id", "version", "changed_at")}
    records = [
        usual,
        usual | {"start_date": 200_000},
        usual | {"passport_number": "N/A", "employer_id": "ภาค"},
        {**dict.fromkeys(usual), **envelope, "deleted": True},
        usual | {"employer_id": "0071015201849"},
    ]
    messages = [message_of(EMPLOYMENTS, record) for record in records]
    chunk = chunk_of(EMPLOYMENTS, [*messages, (b"other", messages[0][1]), *messages[:1] * MANY])
    assert CODEC.decode_columns(EMPLOYMENTS, [record.value for record in chunk.records]) is not None
    read = read_feed_chunk(CODEC, chunk, BYTES_MAX)
    assert read.events.offset == [100, 102, 103, *range(106, 106 + MANY)]
    assert [refusal.record.offset for refusal in read.refusals] == [101, 104, 105]
    assert brought(read) == read_one_by_one(chunk)
