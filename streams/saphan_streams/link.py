"""How link works through a fetch: whose record is it, what moves, and which heartbeat may pass on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from saphan_projections import link_store
from saphan_projections.database import Database, DatabaseUnavailable, Transaction
from saphan_projections.link_records import FeedEvents, LinkMessage, PendingHeartbeat, joined
from saphan_projections.link_store import FeedRead, LinkRowsOf
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
from saphan_schemas.topics import TOPICS, WORKER_RECORDS
from saphan_streams.feed_chunks import FeedChunk, StoredPayloads, feed_read
from saphan_streams.passing import passing
from saphan_streams.reading import Refusal, dead_letters
from saphan_streams.reading_ahead import ReadingAhead
from saphan_streams.shell import Resumed, Unsent
from saphan_streams.transport import Chunk, Fetch
from saphan_streams.worker_batches import BatchEncoder

APP = "link"
_LEASE_MS = 15_000


class LeaseHeld(DatabaseUnavailable):
    """Another link is the active one; this one stands by."""


class LinkCounts(NamedTuple):
    """What one transaction counted, for the metrics: by feed partition, (feed, reason) of each refusal, by feed."""

    reads: Sequence[FeedRead]
    refused: Sequence[tuple[str, str]]
    stale: Mapping[str, int]
    complete_until: Mapping[str, int]


@dataclass(frozen=True)
class LinkSettings:
    """What link needs to know of its surroundings. ``on_counts`` is told of each transaction."""

    owner: str
    message_bytes_max: int
    now_ms: Callable[[], int]
    on_counts: Callable[[LinkCounts], None]


class LinkProcessor:
    """link's side of :class:`saphan_streams.shell.Processor`: the one active process that joins identities."""

    def __init__(self, database: Database, codec: Codec, settings: LinkSettings) -> None:
        self._database = database
        self._codec = codec
        self._batches = BatchEncoder(codec)
        self._settings = settings
        self.ahead = ReadingAhead(codec, settings.message_bytes_max)
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
            unsent = pending_outbox(transaction, APP)
            self._held = link_store.held_heartbeats(transaction)
        self._lease = lease
        self._claims = {(row.topic, row.partition): row for row in claims}
        self._linker = None
        self.ahead.forget()
        return Resumed(claims, unsent)

    def commit(self, fetch: Fetch, sent: set[int], poison: str | None) -> Unsent | None:
        unsent = self._commit(fetch, sent, poison)
        for chunk in fetch:
            self.ahead.passed(chunk)
        return unsent

    def _commit(self, fetch: Fetch, sent: set[int], poison: str | None) -> Unsent | None:
        ours = [chunk for chunk in fetch if chunk.place in self._claims]
        if not ours or self._lease is None:
            return None
        settings = self._settings
        reads = [(chunk, self._read(chunk, poison)) for chunk in ours]
        steps = [(self._claims[chunk.place], chunk.next_offset) for chunk in ours]
        with self._database.transaction() as transaction:
            keep_lease(transaction, APP, self._lease, settings.now_ms())
            try:
                moved = advance(transaction, APP, steps, settings.now_ms())
            except AlreadyCommitted:
                delete_outbox(transaction, sent)
                return self._committed_before(transaction, steps)
            claims = {**self._claims, **{(row.topic, row.partition): row for row in moved}}
            linker = self._linker_for(transaction)
            effects = linker.apply(joined([read.events for _, read in reads]))
            heartbeats = [row for _, read in reads for row in read.heartbeats]
            link_store.hold_heartbeats(transaction, heartbeats)
            waiting = self._held + heartbeats
            passed = passing(self._codec, waiting, {place: held.next_offset for place, held in claims.items()})
            said = [linker.broadcast(link_store.as_feed_record(row)) for row in passed]
            link_store.write_effects(transaction, effects, linker.numbers)
            feed_reads = [feed_read(chunk, read) for chunk, read in reads]
            link_store.write_freshness(transaction, feed_reads)
            complete_until = {row.feed: row.complete_until for row in passed}
            for feed, until in complete_until.items():
                link_store.release_heartbeats(transaction, feed, until)
                link_store.write_complete_until(transaction, feed, until)
            messages = outgoing(self._batches, [*effects.messages, *said])
            for chunk, read in reads:
                messages += dead_letters(self._codec, APP, chunk, read.refusals)
            # One row for all, under any of the places: every partition is this one process's.
            outbox_no = put_outbox(transaction, APP, *ours[0].place, messages)
            delete_outbox(transaction, sent)
        self._claims = claims
        self._held = [row for row in waiting if row.complete_until > complete_until.get(row.feed, -1)]
        refused = [(chunk.topic, refusal.reason) for chunk, read in reads for refusal in read.refusals]
        settings.on_counts(LinkCounts(feed_reads, refused, effects.stale, complete_until))
        return [] if outbox_no is None else [(outbox_no, messages)]

    def _read(self, chunk: Chunk, poison: str | None) -> FeedChunk:
        if poison is None:
            return self.ahead.read(chunk)
        return FeedChunk(FeedEvents(), [], [Refusal(record, "processing_failed", poison) for record in chunk.records])

    def _committed_before(self, transaction: Transaction, steps: Sequence[tuple[Claim, int]]) -> Unsent:
        for held, next_offset in steps:
            reached = max(held.next_offset, next_offset)
            self._claims[held.topic, held.partition] = held._replace(next_offset=reached)
        self._held = link_store.held_heartbeats(transaction)
        self._linker = None
        return pending_outbox(transaction, APP)

    def positions(self) -> Mapping[tuple[str, int], int]:
        return {key: row.next_offset for key, row in self._claims.items()}

    def reset(self) -> None:
        self._linker = None

    def release(self) -> None:
        self.ahead.close()
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
            self._linker = Linker(self._rows, link_store.read_numbers(transaction), StoredPayloads(self._codec))
        return self._linker


def outgoing(encoder: BatchEncoder, messages: Sequence[LinkMessage]) -> list[OutgoingMessage]:
    """Link's messages in batches for each partition, in order; a pair or a heartbeat goes to every partition."""
    count = TOPICS[WORKER_RECORDS].partitions
    parts: list[list[LinkMessage]] = [[] for _ in range(count)]
    for message in messages:
        worker_no = message.worker_no
        if worker_no:
            parts[worker_no % count].append(message)
        else:
            for part in parts:
                part.append(message)
    return [
        OutgoingMessage(WORKER_RECORDS, number, None, value)
        for number, part in enumerate(parts)
        for value in encoder.batches(part)
    ]
