"""What a chunk of worker records changes: the workers' states, the rows that people ask for, and the alerts to tell.

One partition's chunk at a time. Every read sees the last committed chunk of the same partition, so that the result is
a function of what this partition was sent, in order.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from saphan_projections.alert_notes import AlertChange, DeletedAlert, noted, withdrawn
from saphan_projections.alerts import Pair, RecordReference, alert_id, decide
from saphan_projections.law import Law
from saphan_projections.link_records import LinkMessage
from saphan_projections.naming import named
from saphan_projections.worker import Attributes, Member, WorkerState
from saphan_projections.worker_view import View, employments, insurances, is_eligible, view, worker_id
from saphan_schemas.topics import CONTRIBUTIONS, EMPLOYMENTS, INSURED_PERSONS
from saphan_schemas.values import bangkok_day

_member = named(Member)

#: Marks what was decided but not told, so that it differs from every decision.
_UNTOLD = "untold"


class WorkerRecord(NamedTuple):
    """A message of worker.records.v2 with what is handed on of the record (None when it moved away)."""

    message: LinkMessage
    kept: Attributes | None


class StoredPair(NamedTuple):
    """One row of a partition's copy of the employer pairs."""

    record_no: int
    sequence: int
    present: bool
    pair: Pair


class IntegrateRows(Protocol):
    """What the store answers for one partition."""

    def worker_states(self, worker_nos: Collection[int]) -> Iterable[tuple[int, bytes]]:
        """(worker number, packed state) of the known ones."""

    def workers_of_accounts(self, accounts: Collection[tuple[str, str]]) -> set[int]:
        """Workers with an insurance under one of these accounts and branches."""

    def workers_to_check(self, until_day: int) -> set[int]:
        """Workers with a waiting alert whose last day in time is before ``until_day``."""


@dataclass(slots=True)
class WorkerChange:
    """A worker whose state is to be written; ``integrated`` says whether the view is to be published, too.

    ``renamed`` is False only when the row is known to hold this worker id already.
    """

    state: WorkerState
    sequence: int
    worker_id: str
    view: View
    eligible: bool
    integrated: bool
    renamed: bool


@dataclass(slots=True)
class IntegrateEffects:
    """What one chunk changes."""

    workers: dict[int, WorkerChange] = field(default_factory=dict)
    employments: dict[tuple[int, int], Member | None] = field(default_factory=dict)
    enrolments: dict[tuple[int, int], Member | None] = field(default_factory=dict)
    contributions: dict[tuple[int, int], WorkerRecord] = field(default_factory=dict)
    pairs: dict[int, StoredPair] = field(default_factory=dict)
    watermarks: dict[str, int] = field(default_factory=dict)
    alerts: list[AlertChange] = field(default_factory=list)
    alerts_deleted: list[DeletedAlert] = field(default_factory=list)
    alerts_moved: set[tuple[str, int]] = field(default_factory=set)


class Integrator:
    """Applies one partition's chunks. After a chunk that could not be committed, throw it away."""

    def __init__(
        self,
        rows: IntegrateRows,
        pairs: Iterable[StoredPair],
        watermarks: Mapping[str, int],
        law: Law,
        worker_id_key: bytes,
        cached_workers_max: int = 100_000,
    ) -> None:
        self._rows = rows
        self._law = law
        self._key = worker_id_key
        self._cached_workers_max = cached_workers_max
        self._states: dict[int, WorkerState] = {}
        self._watermarks = dict(watermarks)
        self._pairs = {stored.record_no: stored for stored in pairs}
        self._by_account: dict[tuple[str, str], list[Pair]] = {}
        for stored in self._pairs.values():
            self._index_pair(stored)
        self._effects = IntegrateEffects()
        #: (sequence, received at) of what last changed each worker's records in this chunk.
        self._causes: dict[int, tuple[int, int]] = {}
        self._alerts_to_decide: set[int] = set()
        self._newest_look: tuple[int, int] = (0, 0)
        self._accounts_changed: set[tuple[str, str]] = set()

    def apply(self, chunk: Sequence[WorkerRecord]) -> IntegrateEffects:
        """Fold a chunk in and decide the alerts of every worker that it touches, once."""
        self._effects = IntegrateEffects()
        self._causes, self._alerts_to_decide = {}, set()
        self._newest_look, self._accounts_changed = (0, 0), set()
        if len(self._states) > self._cached_workers_max:
            self._states = {}
        self._load({message.worker_no for message, _ in chunk if message.feed != CONTRIBUTIONS})
        for event in chunk:
            self._one(event)
        # What this chunk adds is not in the rows yet, but its workers are looked at in any case.
        looked_at = self._workers_to_look_at()
        self._alerts_to_decide |= looked_at
        newest_look = self._newest_look
        for worker_no in looked_at - self._causes.keys():
            self._settle(worker_no, newest_look, changed=False)
        for worker_no, cause in self._causes.items():
            self._settle(worker_no, max(newest_look, cause), changed=True)
        return self._effects

    @property
    def watermarks(self) -> Mapping[str, int]:
        """Up to when each feed is known to be complete, ms UTC."""
        return self._watermarks

    def _load(self, worker_nos: Collection[int]) -> None:
        missing = [number for number in worker_nos if number not in self._states and number]
        if not missing:
            return
        for number, packed in self._rows.worker_states(missing):
            self._states[number] = WorkerState.unpack(number, packed)
        for number in missing:
            if number not in self._states:
                self._states[number] = WorkerState(number)

    # -- one event -------------------------------------------------------------------------------------------------

    def _one(self, event: WorkerRecord) -> None:
        message, kept = event
        kind = message.kind
        if kind == "heartbeat":
            self._heartbeat(message, kept)
        elif kind == "pair":
            self._pair(message, kept)
        elif message.feed == CONTRIBUTIONS:
            self._contribution(event)
        elif kind == "moved" or message.deleted:
            self._away(message)
        else:
            self._put(message, kept or ())

    def _put(self, message: LinkMessage, kept: Attributes) -> None:
        (
            _,
            worker_no,
            sequence,
            record_no,
            feed,
            record_id,
            version,
            changed_at,
            _,
            content_hash,
            partition,
            offset,
            _,
            _,
        ) = message
        if "" in kept:
            # Agencies are only warned of empty texts: they say nothing, and must not hide what another record says.
            kept = tuple([None if value == "" else value for value in kept])
        member = _member((sequence, feed, record_id, version, changed_at, content_hash, partition, offset, kept))
        if self._states[worker_no].put(record_no, member):
            self._touch(worker_no, record_no, feed, (sequence, message.received_at), member)

    def _away(self, message: LinkMessage) -> None:
        state = self._states[message.worker_no]
        if message.deleted and message.record_no in state.members and message.record_no not in state.alerts:
            self._decide_before_it_goes(state, message)
        if not state.remove(message.record_no, message.sequence):
            return
        if message.kind == "moved" and message.record_no in state.alerts:
            # The employment goes on under another worker, who tells its alert from now on.
            known = state.forget_alert(message.record_no)
            self._effects.alerts_moved.add((alert_id(known.employment_record_id), message.worker_no))
        cause = message.sequence, message.received_at
        self._touch(message.worker_no, message.record_no, message.feed, cause, None)

    def _decide_before_it_goes(self, state: WorkerState, message: LinkMessage) -> None:
        """An employment comes and goes in one chunk: before it came here, its alert may have been told elsewhere."""
        job = employments(state).get(message.record_no)
        if job is None:
            return
        decision = decide(job, insurances(state), self._by_account, self._watermarks.get(INSURED_PERSONS), self._law)
        record_no, sequence = message.record_no, state.members[message.record_no].sequence
        change = noted(state, worker_id(state, self._key), record_no, job, decision, sequence, message.received_at)
        # Only that it is over is to be told; if it comes back within the chunk, it is news.
        if change is not None:
            self._effects.alerts.append(change._replace(told=False))
        known = state.alerts[record_no]
        state.know_alert(record_no, known._replace(told=(*known.told, _UNTOLD)))

    def _touch(self, worker_no: int, record_no: int, feed: str, cause: tuple[int, int], member: Member | None) -> None:
        self._causes[worker_no] = cause
        if feed == EMPLOYMENTS:
            self._effects.employments[worker_no, record_no] = member
            self._alerts_to_decide.add(worker_no)
        elif feed == INSURED_PERSONS:
            self._effects.enrolments[worker_no, record_no] = member
            self._alerts_to_decide.add(worker_no)

    def _contribution(self, event: WorkerRecord) -> None:
        key = event.message.worker_no, event.message.record_no
        known = self._effects.contributions.get(key)
        if known is None or event.message.sequence > known.message.sequence:
            self._effects.contributions[key] = event

    def _heartbeat(self, message: LinkMessage, kept: Attributes | None) -> None:
        until = int(kept[0]) if kept is not None else 0
        if until <= self._watermarks.get(message.record_id, -1):
            return
        self._watermarks[message.record_id] = self._effects.watermarks[message.record_id] = until
        if message.record_id == INSURED_PERSONS:
            self._look_again(message)

    def _pair(self, message: LinkMessage, kept: Attributes | None) -> None:
        known = self._pairs.get(message.record_no)
        if (known is not None and message.sequence <= known.sequence) or kept is None:
            return
        reference = RecordReference(
            message.feed, message.record_id, message.version, message.source_partition, message.source_offset
        )
        account, branch, employer_id = kept
        pair = Pair(reference, account, branch, employer_id)
        stored = StoredPair(message.record_no, message.sequence, not message.deleted, pair)
        if known is not None:
            self._unindex_pair(known)
        self._index_pair(stored)
        self._pairs[message.record_no] = self._effects.pairs[message.record_no] = stored
        self._accounts_changed.update((row.pair.account, row.pair.branch) for row in (known, stored) if row is not None)
        self._look_again(message)

    def _look_again(self, message: LinkMessage) -> None:
        """Note that a pair or a heartbeat asks for another look at workers that this chunk may not name."""
        self._newest_look = max(self._newest_look, (message.sequence, message.received_at))

    def _workers_to_look_at(self) -> set[int]:
        workers: set[int] = set()
        if self._accounts_changed:
            workers |= self._rows.workers_of_accounts(self._accounts_changed)
        if INSURED_PERSONS in self._effects.watermarks:
            workers |= self._rows.workers_to_check(bangkok_day(self._watermarks[INSURED_PERSONS]))
        self._load(workers)
        return workers

    def _index_pair(self, stored: StoredPair) -> None:
        if stored.present:
            self._by_account.setdefault((stored.pair.account, stored.pair.branch), []).append(stored.pair)

    def _unindex_pair(self, stored: StoredPair) -> None:
        if stored.present:
            self._by_account[stored.pair.account, stored.pair.branch].remove(stored.pair)

    # -- after the last event --------------------------------------------------------------------------------------

    def _settle(self, worker_no: int, cause: tuple[int, int], *, changed: bool) -> None:
        sequence, caused_at = cause
        state = self._states[worker_no]
        opaque = state.opaque
        if opaque is None:
            opaque = ""
            # Without a record there is none, and that is not kept: with the next one there is again.
            if state.members:
                opaque = state.opaque = worker_id(state, self._key)
        renamed, state.written_id = opaque != state.written_id, opaque
        # No other record has a say in an alert; a new opaque id goes into its row and its evidence.
        if renamed or worker_no in self._alerts_to_decide:
            self._decide_alerts(state, opaque, sequence, caused_at)
        self._effects.workers[worker_no] = WorkerChange(
            state,
            sequence,
            opaque,
            view(state),
            is_eligible(state, self._law),
            integrated=changed,
            renamed=renamed,
        )

    def _decide_alerts(self, state: WorkerState, opaque: str, sequence: int, caused_at: int) -> None:
        jobs = employments(state)
        if not jobs and not state.alerts:
            return
        cover = insurances(state)
        complete_until = self._watermarks.get(INSURED_PERSONS)
        for record_no, job in jobs.items():
            decision = decide(job, cover, self._by_account, complete_until, self._law)
            change = noted(state, opaque, record_no, job, decision, sequence, caused_at)
            if change is not None:
                self._effects.alerts.append(change)
        for record_no in [number for number in state.alerts if number not in jobs]:
            # Not the chunk's newest look: the record may have come back under another worker since then.
            gone = withdrawn(state, opaque, record_no, state.gone.get(record_no, sequence), caused_at)
            self._effects.alerts_deleted.append(gone)
