"""How integrate works through a fetch: fold the records of its workers, decide their alerts, tell what changed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from saphan_projections import integrate_store
from saphan_projections.alerts import EMPLOYMENT_DELETED, KIND
from saphan_projections.database import Database, DatabaseUnavailable, Transaction
from saphan_projections.integrate_store import IntegrateRowsOf
from saphan_projections.integrating import IntegrateEffects, Integrator, WorkerRecord
from saphan_projections.law import Law
from saphan_projections.naming import named
from saphan_projections.offsets import (
    AlreadyCommitted,
    Claim,
    Fenced,
    OutgoingMessage,
    advance,
    all_stand,
    claim,
    delete_outbox,
    lost_claims,
    pending_outbox,
    put_outbox,
)
from saphan_projections.outages import may_blame_a_message
from saphan_schemas.codec import Codec
from saphan_schemas.topics import ENROLMENT_ALERTS, INSURED_PERSONS, TOPICS, WORKER_INTEGRATED
from saphan_streams.integrated_workers import IntegratedEncoder
from saphan_streams.reading import Refusal, dead_letters, read_worker_chunk
from saphan_streams.shell import Resumed, Unsent
from saphan_streams.told_alerts import AlertEncoder
from saphan_streams.transport import Chunk, Fetch
from saphan_streams.worker_batches import parts_of

APP = "integrate"

_message = named(OutgoingMessage)

_Read = tuple[list[WorkerRecord], list[Refusal]]


class IntegrateCounts(NamedTuple):
    """What one chunk counted, for the metrics; ``events`` are link's messages, of which a batch holds many."""

    topic: str
    events: int
    alerts_told: Sequence[str]
    refusals: list[Refusal]


class _Folded(NamedTuple):
    """What came of some messages of one partition."""

    messages: list[OutgoingMessage]
    counts: IntegrateCounts

    def with_more(self, other: "_Folded") -> "_Folded":
        one, two = self.counts, other.counts
        counts = IntegrateCounts(
            one.topic,
            one.events + two.events,
            [*one.alerts_told, *two.alerts_told],
            [*one.refusals, *two.refusals],
        )
        return _Folded(self.messages + other.messages, counts)


@dataclass(frozen=True)
class IntegrateSettings:
    """What integrate needs to know of its surroundings. ``on_counts`` is told of each chunk that was committed."""

    owner: str
    worker_id_key: bytes
    law: Law
    now_ms: Callable[[], int]
    on_counts: Callable[[IntegrateCounts], None]


class _Partition:
    """What one owned partition keeps between chunks."""

    def __init__(self, held: Claim) -> None:
        self.held = held
        self.rows = IntegrateRowsOf(held.partition)
        self.integrator: Integrator | None = None


class IntegrateProcessor:
    """integrate's side of :class:`saphan_streams.shell.Processor`; many may run, each with its own partitions.

    What a fetch changes is decided in a view of the rows, before the transaction that writes it: SQLite has one writer,
    and deciding takes longer than writing. It is as good as deciding in the transaction. The view counts only when all
    positions stand in it as our claims say, so it shows what each partition's last chunk left; and ``advance`` comes
    first in the transaction, and finds them moved if anybody wrote there since.
    """

    def __init__(self, database: Database, codec: Codec, settings: IntegrateSettings) -> None:
        self._database = database
        self._codec = codec
        self._workers = IntegratedEncoder(codec)
        self._alerts = AlertEncoder(codec)
        self._settings = settings
        self._partitions: dict[int, _Partition] = {}
        #: (topic, partition, epoch) of the claims that were found lost between the last chunks.
        self._lost: set[tuple[str, int, int]] = set()

    def resume(self, partitions: Sequence[tuple[str, int]]) -> Resumed:
        settings = self._settings
        with self._database.transaction() as transaction:
            claims = claim(transaction, APP, partitions, settings.owner, settings.now_ms())
            unsent = pending_outbox(transaction, APP, partitions)
        self._partitions = {row.partition: _Partition(row) for row in claims}
        return Resumed(claims, unsent)

    def commit(self, fetch: Fetch, sent: set[int], poison: str | None) -> Unsent | None:
        ours = [(self._partitions[chunk.partition], chunk) for chunk in fetch if chunk.partition in self._partitions]
        if not ours:
            return None
        # What breaks the code is decided message by message, in the transaction whose savepoints take it back.
        decided = self._decide(ours) if poison is None else []
        steps = [(owned.held, chunk.next_offset) for owned, chunk in ours]
        unsent, counts = [], []
        with self._database.transaction() as transaction:
            try:
                moved = advance(transaction, APP, steps, self._settings.now_ms())
            except AlreadyCommitted:
                delete_outbox(transaction, sent)
                return self._committed_before(transaction, ours)
            for index, (owned, chunk) in enumerate(ours):
                if poison is None:
                    effects, done = decided[index]
                    integrate_store.write_effects(transaction, owned.held.partition, effects)
                else:
                    done = self._fold_one_by_one(owned, transaction, chunk, poison)
                messages = done.messages + dead_letters(self._codec, APP, chunk, done.counts.refusals)
                # A row each: the partitions may get different owners.
                outbox_no = put_outbox(transaction, APP, chunk.topic, chunk.partition, messages)
                if outbox_no is not None:
                    unsent.append((outbox_no, messages))
                counts.append(done.counts)
            delete_outbox(transaction, sent)
        for (owned, _), held in zip(ours, moved, strict=True):
            owned.held = held
        for row in counts:
            self._settings.on_counts(row)
        return unsent

    def _decide(self, ours: Sequence[tuple[_Partition, Chunk]]) -> list[tuple[IntegrateEffects, _Folded]]:
        """What each chunk changes and what is told of it; nothing when a position is not where we left it.

        Then the rows are another owner's, or ours of a commit whose answer was lost: ``advance`` says which.
        """
        reads = [self._read(chunk) for _, chunk in ours]
        with self._database.reading() as view:
            if not all_stand(view, APP, [owned.held for owned, _ in ours]):
                return []
            integrators = [self._integrator(owned, view) for owned, _ in ours]
            effects = [integrator.apply(events) for integrator, (events, _) in zip(integrators, reads, strict=True)]
        return [
            (changed, self._folded(integrator, chunk.topic, read, changed))
            for (_, chunk), integrator, read, changed in zip(ours, integrators, reads, effects, strict=True)
        ]

    def _read(self, chunk: Chunk) -> _Read:
        return read_worker_chunk(self._codec, chunk)

    def _folded(self, integrator: Integrator, topic: str, read: _Read, effects: IntegrateEffects) -> _Folded:
        events, refusals = read
        complete_until = integrator.watermarks.get(INSURED_PERSONS)
        messages = outgoing(self._codec, self._workers, self._alerts, effects, complete_until)
        told = [change.decision.state for change in effects.alerts if change.told]
        told += ["withdrawn"] * len(effects.alerts_deleted)
        return _Folded(messages, IntegrateCounts(topic, len(events) + len(refusals), told, refusals))

    def _fold_one_by_one(self, owned: _Partition, transaction: Transaction, chunk: Chunk, poison: str) -> _Folded:
        """A batch in which a message breaks the code: each alone, so that only those that do it are refused."""
        whole = _Folded([], IntegrateCounts(chunk.topic, 0, [], []))
        for part in (part for record in chunk.records for part in parts_of(self._codec, record)):
            try:
                with transaction.attempt():
                    read = self._read(chunk._replace(records=[part]))
                    integrator = self._integrator(owned, transaction)
                    effects = integrator.apply(read[0])
                    integrate_store.write_effects(transaction, owned.held.partition, effects)
                    done = self._folded(integrator, chunk.topic, read, effects)
            except DatabaseUnavailable:
                raise
            except Exception as error:
                # Whatever it does to the code, its neighbours must be folded.
                if not may_blame_a_message(error):
                    raise
                owned.integrator = None
                refusals = [Refusal(part, "processing_failed", poison)]
                done = _Folded([], IntegrateCounts(chunk.topic, 1, [], refusals))
            whole = whole.with_more(done)
        return whole

    def _committed_before(self, transaction: Transaction, ours: Sequence[tuple[_Partition, Chunk]]) -> Unsent:
        for owned, chunk in ours:
            owned.held = owned.held._replace(next_offset=max(owned.held.next_offset, chunk.next_offset))
            owned.integrator = None
        return pending_outbox(transaction, APP, [chunk.place for _, chunk in ours])

    def positions(self) -> Mapping[tuple[str, int], int]:
        return {(row.held.topic, row.held.partition): row.held.next_offset for row in self._partitions.values()}

    def reset(self) -> None:
        for owned in self._partitions.values():
            owned.integrator = None

    def release(self) -> None:
        self._partitions = {}

    def tidy(self, sent: set[int]) -> None:
        """Between chunks: delete the outbox rows that were sent. Raises Fenced when a claim was lost and stays lost."""
        if sent:
            with self._database.transaction() as transaction:
                delete_outbox(transaction, sent)
        with self._database.reading() as transaction:
            lost = lost_claims(transaction, APP, [row.held for row in self._partitions.values()])
        # In a rebalance a claim may be lost for a moment. One that stays lost while the group still gives us the
        # partition was taken by a claim that came late, and nobody would read the partition.
        still_lost, self._lost = self._lost & lost, lost
        if still_lost:
            topic, partition, epoch = min(still_lost)
            message = f"{APP}: {topic}[{partition}] is claimed by another owner (our epoch is {epoch})"
            raise Fenced(message)

    def _integrator(self, owned: _Partition, transaction: Transaction) -> Integrator:
        owned.rows.use(transaction)
        if owned.integrator is None:
            partition = owned.held.partition
            owned.integrator = Integrator(
                owned.rows,
                integrate_store.read_pairs(transaction, partition),
                integrate_store.read_watermarks(transaction, partition),
                self._settings.law,
                self._settings.worker_id_key,
            )
        return owned.integrator


def outgoing(
    codec: Codec,
    workers: IntegratedEncoder,
    alerts: AlertEncoder,
    effects: IntegrateEffects,
    complete_until: int | None,
) -> list[OutgoingMessage]:
    """What the receivers are told of a chunk: changed workers and alerts whose state is news."""
    partitions = TOPICS[WORKER_INTEGRATED].partitions
    encode_worker, encode_alert = workers.encode, alerts.encode
    rows = [
        _message((WORKER_INTEGRATED, number % partitions, b"%d" % number, encode_worker(change), None))
        for number, change in effects.workers.items()
        if change.integrated
    ]
    rows += [
        _message((ENROLMENT_ALERTS, None, change.alert_id.encode(), encode_alert(change, complete_until), None))
        for change in effects.alerts
        if change.told
    ]
    rows += [
        OutgoingMessage(ENROLMENT_ALERTS, None, alert["alert_id"].encode(), codec.encode(ENROLMENT_ALERTS, alert))
        for alert in _withdrawn(effects, complete_until)
    ]
    return rows


def _withdrawn(effects: IntegrateEffects, complete_until: int | None) -> list[dict[str, Any]]:
    return [
        {
            "alert_id": gone.alert_id,
            "version": gone.sequence,
            "kind": KIND,
            "state": "withdrawn",
            "reason": EMPLOYMENT_DELETED,
            "hold": None,
            "employment_record_id": gone.employment_record_id,
            "worker_id": gone.worker_id,
            "employer_id": gone.employer_id,
            "due_on": gone.due_day,
            "state_since": gone.since_day,
            "rule_version": gone.rule_version,
            "evidence": [],
            "sso_complete_until": complete_until,
            "caused_at": gone.caused_at,
        }
        for gone in effects.alerts_deleted
    ]
