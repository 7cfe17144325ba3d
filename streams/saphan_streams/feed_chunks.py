"""What a chunk of a feed brings: rows of what its messages say (:mod:`saphan_streams.feed_reading`) and where they stand."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from saphan_projections.identity import Signature, signature_of
from saphan_projections.kept import kept_of, pack_kept
from saphan_projections.link_records import FeedEvents, PendingHeartbeat
from saphan_projections.link_store import FeedRead
from saphan_schemas.codec import Codec
from saphan_streams.feed_reading import FeedColumns, Messages, read_columns
from saphan_streams.reading import Refusal
from saphan_streams.transport import Chunk


class FeedChunk(NamedTuple):
    """A decoded chunk of one feed partition, or of the heartbeats."""

    events: FeedEvents
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
    return feed_chunk(chunk, read_columns(codec, messages_of(chunk), message_bytes_max))


def messages_of(chunk: Chunk) -> Messages:
    """What of a chunk is read."""
    records = chunk.records
    return Messages(chunk.topic, [record.key for record in records], [record.value for record in records])


def feed_chunk(chunk: Chunk, read: FeedColumns) -> FeedChunk:
    """The rows of what was read of exactly this chunk. Raises ValueError, IndexError when it was not."""
    records, partition = chunk.records, chunk.partition
    heartbeats = [
        PendingHeartbeat(feed, until, partition, records[at].offset, records[at].timestamp, records[at].value)
        for at, feed, until in read.heartbeats
    ]
    refusals = [Refusal(records[at], reason, detail) for at, reason, detail in read.refusals]
    return FeedChunk(_events(chunk, read), heartbeats, refusals)


def feed_read(chunk: Chunk, read: FeedChunk) -> FeedRead:
    """What a chunk adds to the freshness of its feed partition."""
    changed_at_max = max(read.events.changed_at, default=0)
    received_at_max = max(record.timestamp for record in chunk.records)
    return FeedRead(*chunk.place, len(chunk.records), len(read.refusals), changed_at_max, received_at_max)


def _events(chunk: Chunk, read: FeedColumns) -> FeedEvents:
    count = len(read.indexes)
    records: Sequence[Any] = chunk.records
    if count != len(records):
        records = [records[at] for at in read.indexes]
    return FeedEvents(
        [chunk.topic] * count,
        read.record_ids,
        read.versions,
        read.changed_at,
        read.content_hashes,
        read.deleted,
        [chunk.partition] * count,
        [record.offset for record in records],
        [record.timestamp for record in records],
        [b""] * count if read.signatures is None else read.signatures,
        [0] * count if read.signature_hashes is None else read.signature_hashes,
        [record.value for record in records],
        [b""] * count if read.kept is None else read.kept,
        read.key_hashes,
    )
