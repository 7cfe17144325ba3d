"""That a chunk of a feed read by columns is the chunk read message by message."""

from hashlib import blake2b
from typing import Any

import pytest
from feed_messages import BYTES_MAX, CODEC, brought, chunk_of, message_of, messages_of
from good_records import good
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from linked_histories import feed_events
from log_record import LogRecord

from saphan_projections.identity import signature_hashes, signature_of
from saphan_projections.kept import HANDED_ON, kept_of, pack_kept
from saphan_projections.link_records import FeedRecord
from saphan_projections.link_store import PendingHeartbeat
from saphan_schemas.codec import UndecodableMessage
from saphan_schemas.rules import problems
from saphan_schemas.topics import EMPLOYMENTS, HEARTBEATS, RECORD_FEEDS, WORKER_FEEDS
from saphan_streams.feed_chunks import read_feed_chunk
from saphan_streams.reading import Refusal
from saphan_streams.transport import Chunk


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


@pytest.mark.parametrize("topic", [*RECORD_FEEDS, HEARTBEATS])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_chunk_read_by_columns_is_the_chunk_read_message_by_message(topic: str, data: st.DataObject) -> None:
    messages = data.draw(st.lists(messages_of(topic), max_size=8))
    chunk = chunk_of(topic, messages)
    assert brought(read_feed_chunk(CODEC, chunk, BYTES_MAX)) == read_one_by_one(chunk)


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
