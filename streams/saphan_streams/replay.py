"""How the log is folded again from its beginning: the same functions as live, without the topics between them."""

from collections.abc import Iterable

from saphan_projections import integrate_store, link_store
from saphan_projections.database import Database
from saphan_projections.integrate_store import IntegrateRowsOf
from saphan_projections.integrating import Integrator, WorkerRecord
from saphan_projections.kept import unpack_kept
from saphan_projections.law import Law
from saphan_projections.link_records import LinkMessage, Numbers, PendingHeartbeat, joined
from saphan_projections.link_store import LinkRowsOf
from saphan_projections.linking import Linker
from saphan_schemas.codec import Codec
from saphan_schemas.topics import TOPICS, WORKER_RECORDS
from saphan_streams.feed_chunks import StoredPayloads, feed_read, read_feed_chunk
from saphan_streams.passing import passing
from saphan_streams.transport import Fetch


class Replay:
    """Folds fetches of the feeds into two databases (which may be one): link's tables and integrate's.

    Heartbeats pass at :meth:`finish`, as live only those whose end offsets have been read.
    """

    def __init__(
        self, link: Database, state: Database, codec: Codec, law: Law, worker_id_key: bytes, message_bytes_max: int
    ) -> None:
        self._link = link
        self._state = state
        self._codec = codec
        self._message_bytes_max = message_bytes_max
        self._link_rows = LinkRowsOf()
        self._linker = Linker(self._link_rows, Numbers(), StoredPayloads(codec))
        count = TOPICS[WORKER_RECORDS].partitions
        self._rows = [IntegrateRowsOf(number) for number in range(count)]
        self._integrators = [Integrator(rows, (), {}, law, worker_id_key) for rows in self._rows]
        self._heartbeats: list[PendingHeartbeat] = []
        #: How far is read: (topic, partition) → the next offset.
        self.next_offsets: dict[tuple[str, int], int] = {}
        self.events = 0
        self.refused = 0

    def apply(self, fetch: Fetch) -> None:
        """Fold chunks of different feed partitions in."""
        reads = [(chunk, read_feed_chunk(self._codec, chunk, self._message_bytes_max)) for chunk in fetch]
        for chunk, read in reads:
            self.events += len(chunk.records)
            self.refused += len(read.refusals)
            self._heartbeats += read.heartbeats
            self.next_offsets[chunk.place] = chunk.next_offset
        with self._link.transaction() as transaction:
            self._link_rows.use(transaction)
            effects = self._linker.apply(joined([read.events for _, read in reads]))
            link_store.write_effects(transaction, effects, self._linker.numbers)
            link_store.write_freshness(transaction, [feed_read(chunk, read) for chunk, read in reads])
        self._integrate(effects.messages)

    def finish(self) -> None:
        """Let the newest heartbeat of each feed pass whose end offsets have been read: the log has no more."""
        passed = passing(self._codec, self._heartbeats, self.next_offsets)
        messages = [self._linker.broadcast(link_store.as_feed_record(row)) for row in passed]
        with self._link.transaction() as transaction:
            link_store.write_numbers(transaction, self._linker.numbers)
            for row in passed:
                link_store.write_complete_until(transaction, row.feed, row.complete_until)
        self._integrate(messages)

    def _integrate(self, messages: Iterable[LinkMessage]) -> None:
        count = len(self._integrators)
        parts: list[list[WorkerRecord]] = [[] for _ in range(count)]
        for message in messages:
            event = WorkerRecord(message, unpack_kept(message.payload))
            for part in (parts[message.worker_no % count],) if message.worker_no else parts:
                part.append(event)
        with self._state.transaction() as transaction:
            for number, part in enumerate(parts):
                if part:
                    self._rows[number].use(transaction)
                    effects = self._integrators[number].apply(part)
                    integrate_store.write_effects(transaction, number, effects)
