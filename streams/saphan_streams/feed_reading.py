"""Which messages of a feed's chunk are records, which are heartbeats and which are refused, and why."""

from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any, NamedTuple

from saphan_projections.hashing import signed_hashes
from saphan_projections.identity import Signature, signature_hashes, signature_of, signatures_of
from saphan_projections.kept import HANDED_ON, kept_of, pack_kept
from saphan_projections.link_records import FeedRecord
from saphan_projections.link_store import FeedRead, PendingHeartbeat
from saphan_projections.naming import named
from saphan_schemas.codec import Codec, Record, UndecodableMessage
from saphan_schemas.column_screen import Columns, columns_of, screened
from saphan_schemas.rules import problems
from saphan_schemas.topics import HEARTBEATS, WORKER_FEEDS
from saphan_streams.reading import Refusal
from saphan_streams.transport import Chunk

_HEADER_BYTES = 5
_WORKER_FEEDS = frozenset(WORKER_FEEDS)
_feed_record = named(FeedRecord)
_PARTS = attrgetter("key", "value", "offset", "timestamp")


class FeedChunk(NamedTuple):
    """A decoded chunk of one feed partition, or of the heartbeats."""

    events: list[FeedRecord]
    heartbeats: list[PendingHeartbeat]
    refusals: list[Refusal]


class StoredPayloads:
    """:class:`saphan_projections.link_records.Payloads` of records that were read before."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def signature(self, feed: str, payload: bytes) -> Signature:
        return signature_of(feed, self._codec.decode(feed, payload))

    def kept(self, feed: str, payload: bytes) -> bytes:
        return pack_kept(kept_of(feed, self._codec.decode(feed, payload)))


def read_feed_chunk(codec: Codec, chunk: Chunk, message_bytes_max: int) -> FeedChunk:
    """Decode and check every message of a feed's chunk; none is lost, whatever is in it."""
    read = FeedChunk([], [], [])
    records, values = _decode(codec, chunk, message_bytes_max, read.refusals)
    if chunk.topic == HEARTBEATS:
        for record, value in zip(records, values, strict=True):
            _read_heartbeat(read, chunk.partition, record, value)
    elif records:
        read.events.extend(_events(chunk, records, values, read.refusals))
    read.refusals.sort(key=lambda refusal: refusal.record.offset)
    return read


def feed_read(chunk: Chunk, read: FeedChunk) -> FeedRead:
    """What a chunk adds to the freshness of its feed partition."""
    changed_at_max = max((event.changed_at for event in read.events), default=0)
    received_at_max = max(record.timestamp for record in chunk.records)
    return FeedRead(*chunk.place, len(chunk.records), len(read.refusals), changed_at_max, received_at_max)


def _decode(
    codec: Codec, chunk: Chunk, message_bytes_max: int, refusals: list[Refusal]
) -> tuple[Sequence[Any], list[Record]]:
    """The messages that can be read, and what they say."""
    payloads = [record.value for record in chunk.records]
    if max([len(payload or b"") for payload in payloads], default=0) > message_bytes_max:
        payloads = [None if _too_large(payload, message_bytes_max) else payload for payload in payloads]
    records, values = [], []
    decoded = codec.decode_many(chunk.topic, payloads)
    if UndecodableMessage not in set(map(type, decoded)):
        return chunk.records, decoded  # type: ignore[return-value]
    for record, value in zip(chunk.records, decoded, strict=True):
        if not isinstance(value, UndecodableMessage):
            records.append(record)
            values.append(value)
        elif _too_large(record.value, message_bytes_max):
            size = len(record.value)
            refusals.append(Refusal(record, "too_large", f"{size} bytes, at most {message_bytes_max} are read"))
        else:
            refusals.append(Refusal(record, value.reason, value.detail))
    return records, values


def _too_large(payload: bytes | None, message_bytes_max: int) -> bool:
    return len(payload or b"") > message_bytes_max


def _events(
    chunk: Chunk, records: Sequence[Any], values: Sequence[Record], refusals: list[Refusal]
) -> list[FeedRecord]:
    feed = chunk.topic
    columns = columns_of(feed, values)
    suspects, numbers = screened(feed, values, columns)
    keys, payloads, offsets, timestamps = zip(*map(_PARTS, records), strict=True)
    suspects.update(_under_another_key(keys, columns["record_id"]))
    wrong = {at: _wrong(feed, keys[at], values[at]) for at in sorted(suspects)}
    refused = {at: Refusal(records[at], *why) for at, why in wrong.items() if why is not None}
    refusals.extend(refused.values())
    signatures: Sequence[Signature | None] = [None] * len(records)
    hashes: Sequence[int] = [0] * len(records)
    if feed in _WORKER_FEEDS:
        signatures = known = signatures_of(feed, columns, numbers)
        for at in suspects:
            known[at] = signature_of(feed, values[at])
        hashes = _hashes(known, columns)
    events = list(
        map(
            _feed_record,
            zip(
                repeat(feed),
                columns["record_id"],
                columns["version"],
                columns["changed_at"],
                signed_hashes([payload[_HEADER_BYTES:] for payload in payloads]),
                columns["deleted"],
                repeat(chunk.partition),
                offsets,
                timestamps,
                signatures,
                hashes,
                payloads,
                _kept(feed, columns),
            ),
        )
    )
    return [event for at, event in enumerate(events) if at not in refused] if refused else events


def _kept(feed: str, columns: Columns) -> Iterable[bytes]:
    """What is handed on of each record."""
    names = HANDED_ON.get(feed)
    return repeat(b"") if names is None else map(pack_kept, zip(*[columns[name] for name in names], strict=True))


def _under_another_key(keys: Sequence[bytes | None], record_ids: Sequence[str]) -> list[int]:
    expected = tuple(map(str.encode, record_ids))
    return [] if keys == expected else [at for at, key in enumerate(keys) if key != expected[at]]


def _hashes(signatures: Sequence[Signature], columns: Columns) -> Sequence[int]:
    hashes = signature_hashes(signatures)
    deleted = columns["deleted"]
    if True not in deleted:
        return hashes
    return [0 if gone else number for gone, number in zip(deleted, hashes, strict=True)]


def _wrong(feed: str, key: bytes | None, value: Record) -> tuple[str, str] | None:
    """Why a record that can be read is refused."""
    if key is None:
        return "no_key", "expected the record_id as the message key, found none"
    if key != value["record_id"].encode():
        return "wrong_key", "the message key is not the record's record_id"
    return _error(feed, value)


def _error(topic: str, value: Record) -> tuple[str, str] | None:
    for problem in problems(topic, value):
        if problem.severity == "error":
            return f"invalid_{problem.code}", f"field {problem.field}: expected {problem.expected}"
    return None


def _read_heartbeat(read: FeedChunk, partition: int, record: Any, value: Record) -> None:
    if record.key is None or record.key != value["feed"].encode():
        read.refusals.append(Refusal(record, "wrong_key", "the key of a heartbeat is the feed that it speaks of"))
        return
    wrong = _error(HEARTBEATS, value)
    if wrong is not None:
        read.refusals.append(Refusal(record, *wrong))
        return
    read.heartbeats.append(
        PendingHeartbeat(
            value["feed"], value["complete_until"], partition, record.offset, record.timestamp, record.value
        )
    )
