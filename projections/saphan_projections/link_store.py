"""How link's knowledge is read and written: rows of records, workers' signatures, identifiers and heartbeats."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import astuple
from typing import NamedTuple

from saphan_projections.database import Row, Transaction
from saphan_projections.identity import Signature, identifier_hash, is_of_old_form, unpack_signatures
from saphan_projections.kept import pack_kept
from saphan_projections.link_records import FeedRecord, LinkEffects, Numbers, PendingHeartbeat, RecordHead, StoredRecord
from saphan_projections.naming import named
from saphan_projections.packing import packed_array
from saphan_projections.tables import (
    FeedFreshnessRow,
    GenericIdentifierRow,
    LinkIdentifierRow,
    LinkNumbersRow,
    LinkWorkerRow,
    PendingHeartbeatRow,
    RecordRow,
)
from saphan_schemas.topics import HEARTBEATS

_RECORD_COLUMNS = (
    "record_no, key_hash, worker_no, feed, record_id, version, changed_at, content_hash, deleted,"
    ' partition, "offset", received_at, sequence, signature_hash, payload'
)
_stored_record = named(StoredRecord)
_DELETED = StoredRecord._fields.index("deleted")
#: The columns of a record that never change.
_KEY_COLUMNS = ("key_hash", "feed", "record_id")


class FeedRead(NamedTuple):
    """What one chunk adds to a feed partition's freshness."""

    feed: str
    partition: int
    events: int
    rejected: int
    changed_at_max: int
    received_at_max: int


class LinkRowsOf:
    """:class:`saphan_projections.link_records.LinkRows` over a transaction that the caller may change for each chunk."""

    def __init__(self) -> None:
        self._transaction: Transaction | None = None

    def use(self, transaction: Transaction) -> None:
        """Read through this transaction from now on."""
        self._transaction = transaction

    @property
    def _current(self) -> Transaction:
        if self._transaction is None:
            message = "LinkRowsOf.use comes before the first read"
            raise RuntimeError(message)
        return self._transaction

    def heads_by_key(self, key_hashes: Collection[int]) -> Iterable[RecordHead]:
        sql = f"SELECT {', '.join(RecordHead._fields)} FROM record WHERE key_hash IN (:keys)"  # noqa: S608
        return map(named(RecordHead), self._current.rows_in(sql, key_hashes))

    def records_by_no(self, record_nos: Collection[int]) -> Iterable[StoredRecord]:
        sql = f"SELECT {_RECORD_COLUMNS} FROM record WHERE record_no IN (:keys)"  # noqa: S608
        return _records(self._current.rows_in(sql, record_nos))

    def records_of_workers(self, worker_nos: Collection[int]) -> Iterable[StoredRecord]:
        sql = f"SELECT {_RECORD_COLUMNS} FROM record WHERE worker_no IN (:keys)"  # noqa: S608
        return _records(self._current.rows_in(sql, worker_nos))

    def workers_by_identifier(self, identifier_hashes: Collection[int]) -> Iterable[tuple[int, int]]:
        sql = "SELECT identifier_hash, worker_no FROM link_identifier WHERE identifier_hash IN (:keys)"
        return [(number, worker_no) for number, worker_no in self._current.rows_in(sql, identifier_hashes)]

    def signatures_of_workers(self, worker_nos: Collection[int]) -> Iterable[tuple[int, list[Signature]]]:
        sql = "SELECT worker_no, signatures FROM link_worker WHERE worker_no IN (:keys)"
        for worker_no, packed in self._current.rows_in(sql, worker_nos):
            yield worker_no, unpack_signatures(packed)

    def generic_among(self, identifier_hashes: Collection[int]) -> set[str]:
        sql = "SELECT identifier FROM generic_identifier WHERE identifier_hash IN (:keys)"
        return {identifier for (identifier,) in self._current.rows_in(sql, identifier_hashes)}


def _records(rows: Iterable[Row]) -> list[StoredRecord]:
    # SQLite has no truth values, only 0 and 1.
    return [_stored_record((*row[:_DELETED], bool(row[_DELETED]), *row[_DELETED + 1 :])) for row in rows]


def read_numbers(transaction: Transaction) -> Numbers:
    """The next free numbers."""
    rows = transaction.rows('SELECT worker_no, record_no, sequence FROM link_numbers WHERE "only" = 1')
    return Numbers(*rows[0]) if rows else Numbers()


def has_old_identifiers(transaction: Transaction) -> bool:
    """Whether records of these tables were joined by identifiers of an earlier form."""
    connection = transaction.connection
    if connection.dialect.name == "sqlite":
        place = "instr(signatures, CAST('ins:' AS BLOB))"
    else:
        place = "position('ins:'::bytea IN signatures)"
    # Few rows have it unless they are old: then one of the first tells.
    with closing(connection.exec_driver_sql(f"SELECT signatures FROM link_worker WHERE {place} > 0")) as rows:  # noqa: S608
        signatures = (signature for (packed,) in rows for signature in unpack_signatures(packed))
        return any(is_of_old_form(identifier) for signature in signatures for identifier in signature.identifiers)


def write_effects(transaction: Transaction, effects: LinkEffects, numbers: Numbers) -> None:
    """Write what a chunk changed."""
    transaction.insert(RecordRow, effects.records_new, StoredRecord._fields)
    transaction.update(RecordRow, effects.records_changed, unchanged=(*_KEY_COLUMNS, "worker_no"))
    transaction.update(RecordRow, effects.records_moved, unchanged=_KEY_COLUMNS)
    gone = [(number,) for number in effects.workers_gone if number not in effects.workers]
    transaction.delete(LinkWorkerRow, gone)
    workers = [(number, packed_array(signatures)) for number, signatures in sorted(effects.workers.items())]
    transaction.upsert(LinkWorkerRow, workers)
    transaction.delete(LinkIdentifierRow, sorted(effects.identifiers_removed))
    transaction.upsert(LinkIdentifierRow, sorted(effects.identifiers_added))
    transaction.delete(GenericIdentifierRow, [(identifier,) for identifier in sorted(effects.generic_removed)])
    generic = [(identifier, identifier_hash(identifier)) for identifier in sorted(effects.generic_added)]
    transaction.upsert(GenericIdentifierRow, generic)
    write_numbers(transaction, numbers)


def write_numbers(transaction: Transaction, numbers: Numbers) -> None:
    """Write the next free numbers."""
    transaction.upsert(LinkNumbersRow, [(1, *astuple(numbers))])


def write_freshness(transaction: Transaction, reads: Sequence[FeedRead]) -> None:
    """Add chunks of different feed partitions to their counts."""
    rows = transaction.rows(
        "SELECT feed, partition, events, rejected, changed_at_max, received_at_max, complete_until FROM feed_freshness"
    )
    known = {(row[0], row[1]): row[2:] for row in rows}
    changed = []
    for read in reads:
        key = read.feed, read.partition
        events, rejected, changed_at, received_at, complete_until = known.get(key, (0, 0, 0, 0, None))
        changed.append(
            (
                *key,
                events + read.events,
                rejected + read.rejected,
                max(changed_at, read.changed_at_max),
                max(received_at, read.received_at_max),
                complete_until,
            )
        )
    transaction.upsert(FeedFreshnessRow, changed)


def write_complete_until(transaction: Transaction, feed: str, complete_until: int) -> None:
    """Note that a heartbeat passed: the feed is read completely up to this moment (ms UTC)."""
    # Of a feed without records there is no row yet: a registry may be empty and complete.
    transaction.execute(
        "INSERT INTO feed_freshness (feed, partition, events, rejected, changed_at_max, received_at_max)"
        " VALUES (?, 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING",
        (feed,),
    )
    transaction.execute(
        "UPDATE feed_freshness SET complete_until = ?"
        " WHERE feed = ? AND (complete_until IS NULL OR complete_until < ?)",
        (complete_until, feed, complete_until),
    )


def hold_heartbeats(transaction: Transaction, heartbeats: Sequence[PendingHeartbeat]) -> None:
    """Keep heartbeats until their end offsets are reached; a repeat replaces itself."""
    latest = {(row.feed, row.complete_until): row for row in heartbeats}
    transaction.upsert(PendingHeartbeatRow, [tuple(latest[key]) for key in sorted(latest)])


def held_heartbeats(transaction: Transaction) -> list[PendingHeartbeat]:
    """Every heartbeat that waits."""
    rows = transaction.rows(
        'SELECT feed, complete_until, partition, "offset", received_at, payload FROM pending_heartbeat'
    )
    return [PendingHeartbeat(*row) for row in rows]


def release_heartbeats(transaction: Transaction, feed: str, complete_until: int) -> None:
    """Forget the waiting heartbeats of a feed up to the one that passed."""
    transaction.execute("DELETE FROM pending_heartbeat WHERE feed = ? AND complete_until <= ?", (feed, complete_until))


def as_feed_record(heartbeat: PendingHeartbeat) -> FeedRecord:
    """The heartbeat as something that :meth:`saphan_projections.linking.Linker.broadcast` can say."""
    return FeedRecord(
        HEARTBEATS,
        heartbeat.feed,
        0,
        heartbeat.complete_until,
        0,
        False,  # noqa: FBT003 - a heartbeat is never deleted
        heartbeat.partition,
        heartbeat.offset,
        heartbeat.received_at,
        None,
        0,
        heartbeat.payload,
        pack_kept((heartbeat.complete_until,)),
    )
