"""What link reads, keeps, changes and says: the plain values around the decision in :mod:`saphan_projections.linking`."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal, NamedTuple, Protocol

from saphan_projections.hashing import signed_hashes
from saphan_projections.identity import Signature, unpack_signature


class FeedRecord(NamedTuple):
    """One decoded feed message. ``signature`` is None for a feed whose records belong to no worker.

    ``signature_hash`` is 0 where the record belongs to nobody now, because of its feed or because it is deleted.
    ``payload`` is the message as it came, ``kept`` the part of it that is handed on (:mod:`saphan_projections.kept`).
    """

    feed: str
    record_id: str
    version: int
    changed_at: int
    content_hash: int
    deleted: bool
    partition: int
    offset: int
    received_at: int
    signature: Signature | None
    signature_hash: int
    payload: bytes
    kept: bytes


_SIGNATURE = FeedRecord._fields.index("signature")


class FeedEvents(NamedTuple):
    """Decoded feed messages in columns: a :class:`FeedRecord` field by field, and the hash of each record's key.

    Most of what link does with a message it does with all of them at once, so that none need be an object of its own.
    Signatures are packed (:func:`saphan_projections.identity.pack_signature`), empty for none: most say nothing new.
    """

    feed: Sequence[str] = ()
    record_id: Sequence[str] = ()
    version: Sequence[int] = ()
    changed_at: Sequence[int] = ()
    content_hash: Sequence[int] = ()
    deleted: Sequence[bool] = ()
    partition: Sequence[int] = ()
    offset: Sequence[int] = ()
    received_at: Sequence[int] = ()
    signature: Sequence[bytes] = ()
    signature_hash: Sequence[int] = ()
    payload: Sequence[bytes] = ()
    kept: Sequence[bytes] = ()
    key_hash: Sequence[int] = ()

    def row(self, at: int) -> FeedRecord:
        """One of the messages."""
        values: list[Any] = [column[at] for column in self[:-1]]
        packed = self.signature[at]
        values[_SIGNATURE] = unpack_signature(packed) if packed else None
        return FeedRecord._make(values)

    def cut(self, start: int, stop: int) -> "FeedEvents":
        """The messages from ``start`` up to, not including, ``stop``."""
        return FeedEvents._make([column[start:stop] for column in self])


def joined(parts: Sequence[FeedEvents]) -> FeedEvents:
    """The messages of several parts, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    return FeedEvents._make([list(chain.from_iterable(columns)) for columns in zip(*parts, strict=True)])


class PendingHeartbeat(NamedTuple):
    """A heartbeat that link has read but may not pass on yet."""

    feed: str
    complete_until: int
    partition: int
    offset: int
    received_at: int
    payload: bytes


class StoredRecord(NamedTuple):
    """One version of one record, as the store keeps it; the fields are the table's columns in order."""

    record_no: int
    key_hash: int
    worker_no: int | None
    feed: str
    record_id: str
    version: int
    changed_at: int
    content_hash: int
    deleted: bool
    partition: int
    offset: int
    received_at: int
    sequence: int
    signature_hash: int
    payload: bytes


#: A stored record's values alone.
Row = tuple[Any, ...]


class RecordHead(NamedTuple):
    """As much of a stored record as it takes to see whether another version is news."""

    key_hash: int
    feed: str
    record_id: str
    record_no: int
    worker_no: int | None
    version: int
    changed_at: int
    content_hash: int
    signature_hash: int


MessageKind = Literal["record", "moved", "pair", "heartbeat"]


class LinkMessage(NamedTuple):
    """What integrate is told, copied from the record when the message is made.

    ``payload`` is the part of the record that is handed on, empty when the record moves away. ``received_at`` is the
    broker's time of the feed message that caused this one: for a record that moves, of the one that made it move.
    """

    kind: MessageKind
    worker_no: int
    sequence: int
    record_no: int
    feed: str
    record_id: str
    version: int
    changed_at: int
    deleted: bool
    content_hash: int
    source_partition: int
    source_offset: int
    received_at: int
    payload: bytes


def message_of(
    kind: MessageKind,
    worker_no: int,
    sequence: int,
    record_no: int,
    record: StoredRecord | FeedRecord,
    caused_at: int,
    kept: bytes,
) -> LinkMessage:
    """What integrate is told of a record."""
    return LinkMessage(
        kind,
        worker_no,
        sequence,
        record_no,
        record.feed,
        record.record_id,
        record.version,
        record.changed_at,
        record.deleted,
        record.content_hash,
        record.partition,
        record.offset,
        caused_at,
        kept,
    )


class Payloads(Protocol):
    """Reads a record's message, which link keeps as it came."""

    def signature(self, feed: str, payload: bytes) -> Signature:
        """The record's signature."""

    def kept(self, feed: str, payload: bytes) -> bytes:
        """The part that is handed on, packed by :func:`saphan_projections.kept.pack_kept`."""


class LinkRows(Protocol):
    """What the store answers; every read sees the last committed chunk."""

    def heads_by_key(self, key_hashes: Collection[int]) -> Iterable[RecordHead]:
        """Records whose key hashes to one of these."""

    def records_by_no(self, record_nos: Collection[int]) -> Iterable[StoredRecord]:
        """The records with these numbers."""

    def records_of_workers(self, worker_nos: Collection[int]) -> Iterable[StoredRecord]:
        """Records that belong to these workers."""

    def workers_by_identifier(self, identifier_hashes: Collection[int]) -> Iterable[tuple[int, int]]:
        """(identifier hash, worker number) of every holder."""

    def signatures_of_workers(self, worker_nos: Collection[int]) -> Iterable[tuple[int, list[Signature]]]:
        """(worker number, its different signatures)."""

    def generic_among(self, identifier_hashes: Collection[int]) -> set[str]:
        """Which identifiers with these hashes are generic."""


@dataclass(slots=True)
class Numbers:
    """The next free numbers; committed with each chunk."""

    worker_no: int = 1
    record_no: int = 1
    sequence: int = 1


@dataclass(slots=True)
class LinkEffects:
    """What one chunk changes: rows to write and messages to send, in order; ``stale`` counts repeats by feed.

    Each record, the values of a :class:`StoredRecord`, is in one of three lists, each in the order of record numbers:
    new, stored and still with its worker, or stored and now with another worker or none. ``workers`` holds the packed
    signatures of the workers of whom something new is known.
    """

    records_new: list[Row] = field(default_factory=list)
    records_changed: list[Row] = field(default_factory=list)
    records_moved: list[Row] = field(default_factory=list)
    workers: dict[int, list[bytes]] = field(default_factory=dict)
    workers_gone: set[int] = field(default_factory=set)
    identifiers_added: set[tuple[int, int]] = field(default_factory=set)
    identifiers_removed: set[tuple[int, int]] = field(default_factory=set)
    generic_added: set[str] = field(default_factory=set)
    generic_removed: set[str] = field(default_factory=set)
    messages: list[LinkMessage] = field(default_factory=list)
    stale: Counter[str] = field(default_factory=Counter)


def record_key_hashes(feed: str, record_ids: Iterable[str]) -> tuple[int, ...]:
    """64 signed bits of each record's feed and id; equality is always checked on feed and record id."""
    prefix = feed + "|"
    return signed_hashes([(prefix + record_id).encode() for record_id in record_ids])
