"""How link works through a chunk: whose record is it, what moves, and which heartbeat may pass on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from saphan_projections import link_store
from saphan_projections.database import Database, DatabaseUnavailable, Transaction
from saphan_projections.identity import Signature, signature_of
from saphan_projections.link_records import LinkMessage
from saphan_projections.link_store import FeedRead, LinkRowsOf, PendingHeartbeat
from saphan_projections.linking import Linker
from saphan_projections.offsets import (
    AlreadyCommitted,
    Claim,
    OutgoingMessage,
    advance,
    claim,
    delete_outbox,
    keep_lease,
    pending_outbox,
    put_outbox,
    take_lease,
)
from saphan_schemas.codec import Codec
from saphan_schemas.topics import HEARTBEATS, TOPICS, WORKER_RECORDS
from saphan_streams.reading import FeedChunk, Refusal, dead_letters, read_feed_chunk
from saphan_streams.shell import Committed, Resumed
from saphan_streams.transport import Chunk

APP = "link"
_LEASE_MS = 15_000


class LeaseHeld(DatabaseUnavailable):
    """Another link is the active one; this one stands by."""


class LinkCounts(NamedTuple):
    """What one chunk counted, for the metrics."""

    feed: str
    events: int
    stale: int
    refusals: Sequence[Refusal]
    changed_at_max: int
    complete_until: Mapping[str, int]


@dataclass(frozen=True)
class LinkSettings:
    """What link needs to know of its surroundings. ``on_counts`` is told of each committed chunk."""

    owner: str
    message_bytes_max: int
    now_ms: Callable[[], int]
    on_counts: Callable[[LinkCounts], None]


class LinkProcessor:
    """link's side of :class:`saphan_streams.shell.Processor`: the one active process that joins identities."""

    def __init__(self, database: Database, codec: Codec, settings: LinkSettings) -> None:
        self._database = database
        self._codec = codec
        self._settings = settings
        self._rows = LinkRowsOf()
        self._linker: Linker | None = None
        self._lease: int | None = None
        self._claims: dict[tuple[str, int], Claim] = {}
        self._held: list[PendingHeartbeat] = []

    def become_active(self) -> None:
        """Take the lease, before joining the consumer group. Raises LeaseHeld while another link is the active one."""
        with self._database.transaction() as transaction:
            self._lease = self._take_lease(transaction)

    def _take_lease(self, transaction: Transaction) -> int:
        settings = self._settings
        lease = take_lease(transaction, APP, settings.owner, settings.now_ms(), _LEASE_MS)
        if lease is None:
            message = "another link process holds the lease; this one stands by"
            raise LeaseHeld(message)
        return lease

    def resume(self, partitions: Sequence[tuple[str, int]]) -> Resumed:
        settings = self._settings
        with self._database.transaction() as transaction:
            lease = self._take_lease(transaction)
            claims = claim(transaction, APP, partitions, settings.owner, settings.now_ms())
            unsent = pending_outbox(transaction, APP, partitions)
            self._held = link_store.held_heartbeats(transaction)
        self._lease = lease
        self._claims = {(row.topic, row.partition): row for row in claims}
        self._linker = None
        return Resumed(claims, unsent)

    def commit(self, chunk: Chunk, sent: set[int], poison: str | None) -> Committed | None:
        held = self._claims.get((chunk.topic, chunk.partition))
        if held is None or self._lease is None:
            return None
        settings = self._settings
        if poison is None:
            read = read_feed_chunk(self._codec, chunk, settings.message_bytes_max)
        else:
            read = FeedChunk([], [], [Refusal(record, "processing_failed", poison) for record in chunk.records])
        with self._database.transaction() as transaction:
            keep_lease(transaction, APP, self._lease, settings.now_ms())
            try:
                moved = advance(transaction, APP, held, chunk.next_offset, settings.now_ms())
            except AlreadyCommitted:
                delete_outbox(transaction, sent)
                return self._committed_before(transaction, held, chunk)
            linker = self._linker_for(transaction)
            effects = linker.apply(read.events)
            link_store.hold_heartbeats(transaction, read.heartbeats)
            waiting = self._held + read.heartbeats
            passing = self._passing(waiting, moved)
            said = [linker.broadcast("heartbeat", link_store.as_feed_record(row)) for row in passing]
            link_store.write_effects(transaction, effects, linker.numbers)
            counts = self._note(transaction, chunk, read, effects.stale, passing)
            for row in passing:
                link_store.release_heartbeats(transaction, row.feed, row.complete_until)
                link_store.write_complete_until(transaction, row.feed, row.complete_until)
            messages = [
                *self._outgoing([*effects.messages, *said]),
                *dead_letters(self._codec, APP, chunk, read.refusals),
            ]
            outbox_no = put_outbox(transaction, APP, chunk.topic, chunk.partition, messages)
            delete_outbox(transaction, sent)
        self._claims[chunk.topic, chunk.partition] = moved
        self._held = [row for row in waiting if row.complete_until > counts.complete_until.get(row.feed, -1)]
        settings.on_counts(counts)
        return Committed(outbox_no, messages)

    def _committed_before(self, transaction: Transaction, held: Claim, chunk: Chunk) -> Committed:
        unsent = pending_outbox(transaction, APP, [(chunk.topic, chunk.partition)])
        reached = max(held.next_offset, chunk.next_offset)
        self._claims[chunk.topic, chunk.partition] = held._replace(next_offset=reached)
        self._held = link_store.held_heartbeats(transaction)
        self._linker = None
        return Committed(*unsent[-1]) if unsent else Committed(None, ())

    def positions(self) -> Mapping[tuple[str, int], int]:
        return {key: row.next_offset for key, row in self._claims.items()}

    def reset(self) -> None:
        self._linker = None

    def release(self) -> None:
        if self._lease is not None:
            with self._database.transaction() as transaction:
                keep_lease(transaction, APP, self._lease, 0)
            self._lease = None

    def tidy(self, sent: set[int]) -> None:
        """Between chunks: keep the lease and delete the outbox rows that were sent. Raises Fenced."""
        if self._lease is None:
            return
        with self._database.transaction() as transaction:
            keep_lease(transaction, APP, self._lease, self._settings.now_ms())
            delete_outbox(transaction, sent)

    def _linker_for(self, transaction: Transaction) -> Linker:
        self._rows.use(transaction)
        if self._linker is None:
            self._linker = Linker(self._rows, link_store.read_numbers(transaction), self._signature_of_payload)
        return self._linker

    def _signature_of_payload(self, feed: str, payload: bytes) -> Signature:
        return signature_of(feed, self._codec.decode(feed, payload))

    def _passing(self, waiting: Sequence[PendingHeartbeat], moved: Claim) -> list[PendingHeartbeat]:
        """The newest heartbeat of each feed whose end offsets have been read, counting this chunk."""
        if not waiting:
            return []
        next_offsets: dict[str, dict[int, int]] = {}
        for (topic, partition), held in self._claims.items():
            next_offsets.setdefault(topic, {})[partition] = held.next_offset
        next_offsets.setdefault(moved.topic, {})[moved.partition] = moved.next_offset
        newest: dict[str, PendingHeartbeat] = {}
        for row in waiting:
            known = newest.get(row.feed)
            if known is not None and known.complete_until >= row.complete_until:
                continue
            ends = self._codec.decode(HEARTBEATS, row.payload)["end_offsets"]
            if link_store.is_reached({end["partition"]: end["offset"] for end in ends}, next_offsets.get(row.feed, {})):
                newest[row.feed] = row
        return [newest[feed] for feed in sorted(newest)]

    def _note(
        self, transaction: Transaction, chunk: Chunk, read: FeedChunk, stale: int, passing: Sequence[PendingHeartbeat]
    ) -> LinkCounts:
        changed_at_max = max((event.changed_at for event in read.events), default=0)
        received_at_max = max(record.timestamp for record in chunk.records)
        link_store.write_freshness(
            transaction,
            FeedRead(
                chunk.topic, chunk.partition, len(chunk.records), len(read.refusals), changed_at_max, received_at_max
            ),
        )
        complete_until = {row.feed: row.complete_until for row in passing}
        return LinkCounts(chunk.topic, len(chunk.records), stale, read.refusals, changed_at_max, complete_until)

    def _outgoing(self, messages: Sequence[LinkMessage]) -> list[OutgoingMessage]:
        return outgoing(self._codec, messages)


def outgoing(codec: Codec, messages: Sequence[LinkMessage]) -> list[OutgoingMessage]:
    """Link's messages in the wire format; a pair or a heartbeat goes to every partition."""
    encode: Callable[[str, Any], bytes] = codec.encode
    partitions = TOPICS[WORKER_RECORDS].partitions
    fields = LinkMessage._fields
    rows = []
    for message in messages:
        value = encode(WORKER_RECORDS, dict(zip(fields, message, strict=True)))
        key = str(message.worker_no).encode()
        if message.worker_no:
            rows.append(OutgoingMessage(WORKER_RECORDS, message.worker_no % partitions, key, value))
        else:
            rows += [OutgoingMessage(WORKER_RECORDS, number, key, value) for number in range(partitions)]
    return rows
