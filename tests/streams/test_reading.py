"""That each message of a chunk is read or refused with its reason, whatever its neighbours are."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from in_process import EMPLOYMENTS, insured, job, pair, permit
from log_record import LogRecord

from saphan_projections.kept import kept_of, pack_kept
from saphan_projections.link_records import LinkMessage
from saphan_schemas.codec import Codec
from saphan_schemas.topics import (
    BROKER_MESSAGE_BYTES_MAX,
    DEAD_LETTERS,
    EMPLOYER_PAIRS,
    HEARTBEATS,
    INSURED_PERSONS,
    MESSAGE_BYTES_MAX,
    TOPICS,
    WORKER_RECORDS,
)
from saphan_schemas.values import to_wire
from saphan_streams.feed_chunks import read_feed_chunk
from saphan_streams.reading import Refusal, dead_letters, read_worker_chunk
from saphan_streams.transport import Chunk
from saphan_streams.worker_batches import BatchEncoder

CODEC = Codec()


def encoded(topic: str, record: dict[str, Any]) -> bytes:
    kinds = CODEC.catalogue.kinds(topic)
    whole = {**dict.fromkeys(kinds), "version": 1, "changed_at": "2026-01-01T00:00:00Z", "deleted": False, **record}
    return CODEC.encode(topic, to_wire(kinds, {name: whole[name] for name in kinds}))


def chunk(topic: str, *messages: tuple[bytes | None, bytes | None]) -> Chunk:
    rows = [LogRecord(topic, 1, 100 + number, 77, key, value) for number, (key, value) in enumerate(messages)]
    return Chunk(topic, 1, rows)


GOOD = encoded(EMPLOYMENTS, job(1))
BAD: dict[str, tuple[bytes | None, bytes | None]] = {
    "not_wire_format": (b"E-1", b"nonsense"),
    "corrupt": (b"E-1", GOOD[:-3]),
    "unknown_schema_id": (b"E-1", b"\x00\x7f\xff\xff\xf0" + GOOD[5:]),
    "wrong_schema": (b"E-1", encoded("doe.work-permits.v1", permit(1))),
    "too_large": (b"E-1", GOOD + b"\x00" * 10_000_000),
    "no_key": (None, GOOD),
    "wrong_key": (b"E-2", GOOD),
    "no_value": (b"E-1", None),
    "invalid_buddhist_era": (b"E-1", encoded(EMPLOYMENTS, job(1, start="2569-01-01"))),
    "invalid_key_carries_person": (b"E-1", encoded(EMPLOYMENTS, job(1, employer=job(1)["non_thai_id"]))),
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_message_is_refused_with_its_reason_and_origin_and_its_neighbours_are_read(reason: str) -> None:
    found = read_feed_chunk(CODEC, chunk(EMPLOYMENTS, (b"E-1", GOOD), BAD[reason], (b"E-1", GOOD)), MESSAGE_BYTES_MAX)
    assert found.events.offset == [100, 102]
    (refusal,) = found.refusals
    assert refusal.reason == reason
    (letter,) = dead_letters(CODEC, "link", chunk(EMPLOYMENTS), [refusal])
    value = CODEC.decode(DEAD_LETTERS, letter.value)
    assert letter.key == f"{EMPLOYMENTS}-1-101".encode()
    assert (value["stage"], value["reason"], value["topic"], value["partition"], value["offset"]) == (
        "link", reason, EMPLOYMENTS, 1, 101,
    )  # fmt: skip
    assert (value["key"], value["value"]) == BAD[reason]


@pytest.mark.parametrize("reason", BAD)
def test_the_detail_of_a_refusal_tells_nothing_of_the_content(reason: str) -> None:
    (refusal,) = read_feed_chunk(CODEC, chunk(EMPLOYMENTS, BAD[reason]), MESSAGE_BYTES_MAX).refusals
    assert job(1)["non_thai_id"] not in refusal.detail
    assert "E-1" not in refusal.detail
    assert refusal.detail


def test_the_content_of_a_record_is_the_same_whatever_number_its_schema_has() -> None:
    """A registry gives a schema another number; which of two contents holds must not hang on it."""

    class Renumbered(Codec):
        def decode_many(self, topic: str, values: Any) -> Any:
            return super().decode_many(topic, [GOOD[:5] + value[5:] for value in values])

    usual = read_feed_chunk(CODEC, chunk(EMPLOYMENTS, (b"E-1", GOOD)), MESSAGE_BYTES_MAX).events.row(0)
    other = read_feed_chunk(
        Renumbered(), chunk(EMPLOYMENTS, (b"E-1", b"\x00\x00\x0f\xff\xff" + GOOD[5:])), MESSAGE_BYTES_MAX
    ).events.row(0)
    changed = read_feed_chunk(
        CODEC, chunk(EMPLOYMENTS, (b"E-1", encoded(EMPLOYMENTS, job(1, "EMP-B")))), MESSAGE_BYTES_MAX
    ).events.row(0)
    assert usual.content_hash == other.content_hash != changed.content_hash


#: Keys that agencies count up, which look like a person's number behind a prefix or in front of a suffix.
USUAL_KEYS = [
    form.format(number)
    for number in range(0, 1_000, 7)
    for form in (
        "I-1767018326{:03d}",  # a time in milliseconds
        "I-2569010112{:03d}",  # a Buddhist date and a counter
        "I-{:013d}", "I-0011037{:06d}", "job_1103700000{:03d}", "1103700000{:03d}_x", "ก1103700000{:03d}",
        "E-1 1037 00{:03d} 01 1",
    )
]  # fmt: skip


def test_a_key_with_thirteen_digits_in_it_is_read_and_so_is_the_deletion_of_its_record() -> None:
    messages = [
        (key.encode(), encoded(INSURED_PERSONS, said | {"record_id": key}))
        for key in USUAL_KEYS
        for said in (insured(1), {"version": 2, "deleted": True})
    ]
    found = read_feed_chunk(CODEC, chunk(INSURED_PERSONS, *messages), MESSAGE_BYTES_MAX)
    assert found.refusals == []
    assert len(found.events.offset) == len(messages)


@pytest.mark.parametrize(("topic", "record"), [(EMPLOYMENTS, job(1)), (EMPLOYER_PAIRS, pair())])
def test_an_employer_s_key_with_thirteen_digits_in_it_is_read(topic: str, record: dict[str, Any]) -> None:
    key = record["record_id"].encode()
    messages = [(key, encoded(topic, {**record, "employer_id": employer})) for employer in USUAL_KEYS]
    assert read_feed_chunk(CODEC, chunk(topic, *messages), MESSAGE_BYTES_MAX).refusals == []


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.none() | st.binary(max_size=8), st.none() | st.binary(max_size=60))
        | st.sampled_from([*list(BAD.values())[:4], (b"E-1", GOOD)]),
        max_size=8,
    ),
    st.sampled_from([EMPLOYMENTS, HEARTBEATS, EMPLOYER_PAIRS, INSURED_PERSONS]),
)
def test_every_message_is_read_or_refused(messages: list[tuple[bytes | None, bytes | None]], topic: str) -> None:
    found = read_feed_chunk(CODEC, chunk(topic, *messages), MESSAGE_BYTES_MAX)
    offsets = [*found.events.offset, *(row.offset for row in found.heartbeats)]
    offsets += [row.record.offset for row in found.refusals]
    assert sorted(offsets) == [100 + number for number in range(len(messages))]
    assert len(dead_letters(CODEC, "link", chunk(topic), found.refusals)) == len(found.refusals)


def test_a_message_that_fits_into_no_letter_does_not_hold_up_what_follows() -> None:
    """The broker measures compressed messages, so that one may come that is too large to be sent on as it is."""
    value = b"\x00" * BROKER_MESSAGE_BYTES_MAX
    bad = chunk(EMPLOYMENTS, (b"E-1", value))
    refusal = Refusal(bad.records[0], "too_large", "too many bytes")
    (letter,) = dead_letters(CODEC, "link", bad, [refusal])
    assert len(letter.value) < BROKER_MESSAGE_BYTES_MAX - 10_000
    told = CODEC.decode(DEAD_LETTERS, letter.value)
    assert (told["key"], told["value"]) == (b"E-1", None)
    assert "only at its origin" in told["detail"]
    huge_key = chunk(EMPLOYMENTS, (value, b"x"))
    (letter,) = dead_letters(CODEC, "link", huge_key, [Refusal(huge_key.records[0], "wrong_key", "…")])
    assert len(letter.value) < 10_000


def _heartbeat(feed: str, without: int = 0, complete_until: int = 1_770_000_000_000) -> bytes:
    """One that names the ends of the feed's two partitions, but of the first ``without``."""
    ends = [{"partition": number, "offset": 5} for number in range(without, 2)]
    return CODEC.encode(
        HEARTBEATS,
        {"feed": feed, "complete_until": complete_until, "sent_at": 1_770_000_000_000, "end_offsets": ends},
    )


def test_a_heartbeat_is_keyed_by_the_feed_that_it_speaks_of() -> None:
    value = _heartbeat(EMPLOYMENTS)
    messages = [(EMPLOYMENTS.encode(), value), (b"other", value), (None, value)]
    found = read_feed_chunk(CODEC, chunk(HEARTBEATS, *messages), MESSAGE_BYTES_MAX)
    assert [(row.feed, row.complete_until, row.offset) for row in found.heartbeats] == [
        (EMPLOYMENTS, 1_770_000_000_000, 100)
    ]
    assert [row.reason for row in found.refusals] == ["wrong_key", "wrong_key"]


@pytest.mark.parametrize("without", [1, 2])
def test_a_heartbeat_that_does_not_name_the_end_of_each_partition_is_refused(without: int) -> None:
    """It would pass before what was published in the others, and an employer be accused."""
    assert TOPICS[EMPLOYMENTS].partitions == 2
    messages = (EMPLOYMENTS.encode(), _heartbeat(EMPLOYMENTS, without))
    found = read_feed_chunk(CODEC, chunk(HEARTBEATS, messages), MESSAGE_BYTES_MAX)
    assert found.heartbeats == []
    assert [row.reason for row in found.refusals] == ["no_end_offsets"]


def test_a_heartbeat_of_a_feed_that_there_is_not_is_refused() -> None:
    found = read_feed_chunk(CODEC, chunk(HEARTBEATS, (b"no.feed.v1", _heartbeat("no.feed.v1"))), MESSAGE_BYTES_MAX)
    assert not found.heartbeats
    assert [row.reason.startswith("invalid_") for row in found.refusals] == [True]


def test_a_heartbeat_about_the_future_is_refused_and_those_around_it_count() -> None:
    values = [
        _heartbeat(EMPLOYMENTS),
        _heartbeat(EMPLOYMENTS, complete_until=4_070_908_800_000),
        _heartbeat(EMPLOYMENTS),
    ]
    found = read_feed_chunk(CODEC, chunk(HEARTBEATS, *((EMPLOYMENTS.encode(), v) for v in values)), MESSAGE_BYTES_MAX)
    assert [row.offset for row in found.heartbeats] == [100, 102]
    assert [row.reason for row in found.refusals] == ["invalid_complete_in_future"]


KEPT_OF_GOOD = kept_of(EMPLOYMENTS, CODEC.decode(EMPLOYMENTS, GOOD))


def _worker_message(**more: Any) -> bytes:
    plain = ("record", 5, 7, 3, EMPLOYMENTS, "E-1", 1, 0, False, 0, 0, 0, 0, pack_kept(KEPT_OF_GOOD))
    (batch,) = BatchEncoder(CODEC).batches([LinkMessage._make(plain)._replace(**more)])
    return batch


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: b"nonsense", "not_wire_format"),
        (lambda: None, "no_value"),
        (lambda: _worker_message(payload=b"nonsense"), "corrupt_payload"),
        (lambda: _worker_message(payload=b"\x01"), "corrupt_payload"),
        (lambda: _worker_message(payload=GOOD[:9]), "corrupt_payload"),
        (lambda: _worker_message(feed="no-such.feed"), "corrupt_payload"),
    ],
)
def test_what_link_never_sends_is_refused_by_integrate_too(make: Callable[[], bytes | None], reason: str) -> None:
    good = (b"5", _worker_message())
    events, refusals = read_worker_chunk(CODEC, chunk(WORKER_RECORDS, good, (b"5", make()), good))
    assert [event.message.record_id for event in events] == ["E-1", "E-1"]
    assert [refusal.reason for refusal in refusals] == [reason]
    assert {event.kept for event in events} == {KEPT_OF_GOOD}


def test_a_whole_record_that_an_older_link_handed_on_is_read_as_well() -> None:
    now, before = (_worker_message(**more) for more in ({}, {"payload": GOOD}))
    events, refusals = read_worker_chunk(CODEC, chunk(WORKER_RECORDS, (b"5", before), (b"5", now)))
    assert not refusals
    assert [event.kept for event in events] == [KEPT_OF_GOOD, KEPT_OF_GOOD]
