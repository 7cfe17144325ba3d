"""Which worker each arriving record belongs to, and what must be said when that changes.

The partition of records into workers equals :func:`saphan_projections.identity.groups` over all present records,
whatever their order of arrival; only the workers that a change touches are looked at. Worker numbers are handles:
they depend on history, outside receivers key on record ids.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import repeat
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from saphan_projections.identity import (
    GENERIC_BIRTH_DATES_MIN,
    Signature,
    birth_days_of,
    groups,
    is_generic,
    only_adds,
)
from saphan_projections.link_memory import Key, LinkMemory, Worker, pack_signature
from saphan_projections.link_records import (
    FeedRecord,
    LinkEffects,
    LinkMessage,
    LinkRows,
    Numbers,
    Payloads,
    RecordHead,
    Row,
    StoredRecord,
    record_key_hashes,
)
from saphan_schemas.topics import EMPLOYER_PAIRS

#: Holders of a generic identifier that are looked at in one read when it may have become specific again.
_HOLDERS_PER_READ = 64

_FEED, _RECORD_ID = FeedRecord._fields.index("feed"), FeedRecord._fields.index("record_id")
_key_of: Callable[[FeedRecord], Key] = itemgetter(_FEED, _RECORD_ID)
_signature_in = itemgetter(FeedRecord._fields.index("signature"))
_hash_in = itemgetter(FeedRecord._fields.index("signature_hash"))
#: Makes a message of its values in order, at half the cost of naming them.
_LINK_MESSAGE: Callable[[tuple[Any, ...]], LinkMessage] = partial(tuple.__new__, LinkMessage)


class _Arrival(NamedTuple):
    """An event with its record's key and the key's hash."""

    event: FeedRecord
    key: Key
    key_hash: int


class Linker(LinkMemory):
    """Applies chunks. After a chunk that could not be committed, throw the linker away: its cache ran ahead."""

    def __init__(
        self,
        rows: LinkRows,
        numbers: Numbers,
        payloads: Payloads,
        cached_workers_max: int = 250_000,
    ) -> None:
        self.numbers = numbers
        self._payloads = payloads
        super().__init__(rows, cached_workers_max)

    def _begin(self) -> None:
        super()._begin()
        self._effects = LinkEffects()
        self._first_record_no = self.numbers.record_no
        #: Workers of whom something new is known.
        self._learning: set[int] = set()
        #: Of the records that were looked at by themselves and changed: whose they were before.
        self._owner_before: dict[int, int | None] = {}

    def apply(self, chunk: Sequence[FeedRecord]) -> LinkEffects:
        """Fold a chunk in; the result is the same state however records are cut into chunks.

        Signatures first: once it is known whose they are, most records need no more than to be put there, all at once.
        What remains are the records that bring workers together or take them apart, and those that nobody owns.
        """
        self._begin()
        keys = list(map(_key_of, chunk))
        key_hashes = record_key_hashes(keys)
        said = list(map(_hash_in, chunk))
        fresh, changed = self._read_ahead(keys, key_hashes, said, list(map(_signature_in, chunk)))
        self._settle(fresh)
        self._add([chunk[at] for at in changed])
        others = self._place(list(map(_Arrival, chunk, keys, key_hashes)), said)
        self._expect(others)
        for arrival in others:
            self._one(*arrival)
        return self._finish()

    def _finish(self) -> LinkEffects:
        effects, first = self._effects, self._first_record_no
        rows: dict[int, Row] = {
            **self._placed,
            **{number: tuple(self._records[number]) for number in self._owner_before},
        }
        moved = {number for number, owner in self._owner_before.items() if self._records[number].worker_no != owner}
        effects.records_new = [rows[number] for number in range(first, self.numbers.record_no)]
        stored = sorted(number for number in rows if number < first)
        effects.records_changed = [rows[number] for number in stored if number not in moved]
        effects.records_moved = [rows[number] for number in stored if number in moved]
        effects.workers_gone = self._gone
        effects.workers = {number: self._workers[number].packed for number in self._learning if number in self._workers}
        return effects

    def broadcast(self, kind: Literal["heartbeat"], event: FeedRecord) -> LinkMessage:
        """A message for every partition of integrate."""
        return _message(kind, 0, self._next_sequence(), 0, event, event.received_at, event.kept)

    # -- all at once -----------------------------------------------------------------------------------------------

    def _settle(self, fresh: Mapping[int, Signature]) -> None:
        """Find out whose the signatures are that new records bring; those that bring workers together are left."""
        owners, workers = self._owners, self._workers
        for said, signature in fresh.items():
            specific = self._specific(signature)
            # Without a specific identifier each record is somebody else's.
            if not specific:
                continue
            found = {owners[identifier] for identifier in specific}
            found.discard(())
            numbers = found.pop() if len(found) == 1 else tuple(set().union(*found))
            if len(numbers) > 1:
                continue
            worker = workers[numbers[0]] if numbers else self._new_worker()
            if not self._makes_generic(worker, signature):
                self._learn(worker, signature, said)

    def _add(self, changed: Sequence[FeedRecord]) -> None:
        """Note which stored records only say more than before, so that their worker learns it and nobody moves."""
        heads = [self._known[_key_of(event)] for event in changed]
        self._load_workers({head.worker_no for head in heads if head.worker_no is not None})
        for event, head in zip(changed, heads, strict=True):
            signature = event.signature
            worker = None if head.worker_no is None else self._workers.get(head.worker_no)
            before = None if worker is None else worker.signature(head.signature_hash)
            if worker is None or before is None or signature is None or not only_adds(before, signature):
                continue
            if not _is_newer(event, head) or self._makes_generic(worker, signature):
                continue
            if self._owners_of(signature) <= {worker.number}:
                self._learn(worker, signature, event.signature_hash)
                self._adding.add(_key_of(event))

    def _place(self, arrivals: Sequence[_Arrival], said: Iterable[int]) -> list[_Arrival]:
        """Take in all records whose owner is known beforehand; returns the others, in order."""
        known, homes, record_nos, repeated = self._known, self._homes, self._record_nos, self._repeated
        adding = self._adding
        others: list[_Arrival] = []
        new: list[_Arrival] = []
        new_owners: list[int] = []
        changed: list[_Arrival] = []
        heads: list[RecordHead] = []
        former_owners: list[int] = []
        next_no = self.numbers.record_no
        for arrival, number in zip(arrivals, said, strict=True):
            key = arrival[1]
            head = known.get(key)
            if key in repeated:
                others.append(arrival)
            elif head is None:
                home = homes.get(number)
                if home is None or home.number is None:
                    others.append(arrival)
                else:
                    record_nos[key] = next_no
                    next_no += 1
                    new.append(arrival)
                    new_owners.append(home.number)
            elif (
                head.worker_no is not None
                and (head.signature_hash == number or key in adding)
                and _is_newer(arrival[0], head)
            ):
                record_nos[key] = head.record_no
                changed.append(arrival)
                heads.append(head)
                former_owners.append(head.worker_no)
            else:
                others.append(arrival)
        self._put(new, range(self.numbers.record_no, next_no), new_owners)
        self.numbers.record_no = next_no
        self._put(changed, [head.record_no for head in heads], former_owners)
        return others

    def _put(self, arrivals: Sequence[_Arrival], record_nos: Sequence[int], owners: Sequence[int]) -> None:
        """Give records to their workers, column by column."""
        if not arrivals:
            return
        events, _, key_hashes = zip(*arrivals, strict=True)
        (
            feeds, record_ids, versions, changed_at, content_hashes, deleted, partitions, offsets, received_at,
            _, said, payloads, kept,
        ) = zip(*events, strict=True)  # fmt: skip
        first = self.numbers.sequence
        sequences = range(first, first + len(arrivals))
        self.numbers.sequence = sequences.stop
        rows = zip(
            record_nos, key_hashes, owners, feeds, record_ids, versions, changed_at, content_hashes, deleted,
            partitions, offsets, received_at, sequences, said, payloads, strict=True,
        )  # fmt: skip
        self._placed.update(zip(record_nos, rows, strict=True))
        messages = zip(
            repeat("record"), owners, sequences, record_nos, feeds, record_ids, versions, changed_at, deleted,
            content_hashes, partitions, offsets, received_at, kept,
        )  # fmt: skip
        self._effects.messages.extend(map(_LINK_MESSAGE, messages))
        for worker_no, record_no in zip(owners, record_nos, strict=True):
            self._records_of[worker_no].append(record_no)

    # -- one by one ------------------------------------------------------------------------------------------------

    def _expect(self, arrivals: Sequence[_Arrival]) -> None:
        """Load what these will need; what comes up besides is loaded when it is met, each read by itself."""
        heads = [head for arrival in arrivals if (head := self._known.get(arrival.key)) is not None]
        self._load(self._rows.records_by_no({head.record_no for head in heads} - self._placed.keys()))
        workers: set[int] = set()
        for event, key, _ in arrivals:
            head = self._known.get(key)
            if head is not None and head.worker_no is not None and head.signature_hash != event.signature_hash:
                workers.add(head.worker_no)
            if event.signature is not None and not event.deleted:
                # The largest one's records stay where they are, or are loaded later.
                workers.update(sorted(self._owners_of(event.signature), key=self._size)[:-1])
        self._load_whole(workers)
        known = [self._workers[number] for number in workers if number in self._workers]
        self._load_owners({identifier for worker in known for identifier in worker.identifiers})

    #: The event that is being looked at by itself.
    _at_hand: FeedRecord

    def _one(self, event: FeedRecord, key: Key, key_hash: int) -> None:
        self._at_hand = event
        record_no = self._record_nos.get(key)
        if record_no is None and (head := self._known.get(key)) is not None:
            record_no = head.record_no
        if record_no is None:
            self._new(event, key, key_hash)
            return
        stored = self._record(record_no)
        if _is_newer(event, stored):
            self._change(event, stored)
        else:
            self._effects.stale[event.feed] += 1

    def _new(self, event: FeedRecord, key: Key, key_hash: int) -> None:
        record_no = self._record_nos[key] = self.numbers.record_no
        self.numbers.record_no += 1
        record = StoredRecord(record_no, key_hash, None, *event[:9], 0, event.signature_hash, event.payload)
        self._keep(record)
        self._attach(event, record)

    def _change(self, event: FeedRecord, stored: StoredRecord) -> None:
        """Note a newer version of a record."""
        record = StoredRecord(
            stored.record_no,
            stored.key_hash,
            stored.worker_no,
            *event[:9],
            stored.sequence,
            event.signature_hash,
            event.payload,
        )
        self._keep(record)
        if stored.worker_no is None:
            self._attach(event, record)
        elif stored.signature_hash == event.signature_hash:
            self._say("record", stored.worker_no, record)
        else:
            (before,) = self._signatures_of([stored], {stored.worker_no})
            self._reattach(record, stored.worker_no, before, None if event.deleted else event.signature)

    def _attach(self, event: FeedRecord, record: StoredRecord) -> None:
        """Find the worker of a record that has none."""
        if event.feed == EMPLOYER_PAIRS:
            sequence = self._next_sequence()
            self._keep(record._replace(sequence=sequence))
            self._effects.messages.append(
                _message("pair", 0, sequence, record.record_no, event, event.received_at, event.kept)
            )
        if event.signature is None or event.deleted:
            return
        owners = self._owners_of(event.signature)
        if len(owners) > 1 and not self._stay_one(owners, event.signature):
            self._regroup(owners, record)
            return
        worker = self._joined(owners) if owners else self._new_worker()
        number = self._number_of(worker)
        self._say("record", number, self._give(record, number))
        self._learn_and_judge(worker, event.signature, event.signature_hash)

    def _learn_and_judge(self, worker: Worker, signature: Signature, said: int) -> None:
        """As :meth:`_learn`, and part the worker's records where an identifier turns out to be too many people's."""
        makes_generic = self._makes_generic(worker, signature)
        self._learn(worker, signature, said)
        if makes_generic:
            self._regroup({self._number_of(worker)}, None)

    def _learn(self, worker: Worker, signature: Signature, said: int) -> None:
        """Note what a worker's record says of whose it is; the worker's records stay together."""
        number = self._number_of(worker)
        if self._specific(signature):
            self._homes[said] = worker
        if said in worker.said:
            return
        self._learning.add(number)
        for identifier in signature.identifiers:
            # Of a generic identifier not all holders are known.
            if number not in self._owners[identifier] and (
                identifier not in self._generic or identifier not in worker.identifiers
            ):
                self._index(identifier, worker)
        worker.packed.append(pack_signature(signature))
        worker.said.append(said)

    def _makes_generic(self, worker: Worker, signature: Signature) -> bool:
        """Whether with this signature the worker's show that an identifier is too many people's to join anybody."""
        if signature.birth_day is None or len(worker.packed) + 1 < GENERIC_BIRTH_DATES_MIN:
            return False
        signatures = [*worker.signatures, signature]
        return any(is_generic(identifier, signatures) for identifier in self._specific(signature))

    @staticmethod
    def _number_of(worker: Worker) -> int:
        if worker.number is None:
            message = "a worker whose place others took gets no records any more"
            raise RuntimeError(message)
        return worker.number

    def _new_number(self) -> int:
        """The number of a new worker, whose records are all still to come."""
        number = self.numbers.worker_no
        self.numbers.worker_no += 1
        self._whole.add(number)
        return number

    def _new_worker(self) -> Worker:
        number = self._new_number()
        worker = self._workers[number] = Worker(number)
        return worker

    def _next_sequence(self) -> int:
        sequence = self.numbers.sequence
        self.numbers.sequence += 1
        return sequence

    def _keep(self, record: StoredRecord) -> None:
        """Let this be the record from now on."""
        number = record.record_no
        if number not in self._owner_before:
            is_there = number in self._records or number in self._placed
            self._owner_before[number] = self._record(number).worker_no if is_there else None
        self._records[number] = record

    def _give(self, record: StoredRecord, worker_no: int) -> StoredRecord:
        given = record._replace(worker_no=worker_no)
        self._keep(given)
        self._records_of[worker_no].append(record.record_no)
        return given

    # -- regrouping ------------------------------------------------------------------------------------------------

    def _reattach(
        self, record: StoredRecord, worker_before: int, before: Signature, signature: Signature | None
    ) -> None:
        if signature is None:
            record = self._say("record", worker_before, record)._replace(worker_no=None)
            self._keep(record)
        # Only a known identifier can be seen to have become specific again.
        self._load_owners(before.identifiers)
        touched = {worker_before}
        if signature is not None:
            touched |= self._owners_of(signature)
            if len(touched) == 1 and only_adds(before, signature):
                self._say("record", worker_before, record)
                self._load_workers((worker_before,))
                self._learn_and_judge(self._workers[worker_before], signature, record.signature_hash)
                return
        self._regroup(touched, record)
        self._revive(before)

    def _revive(self, before: Signature) -> None:
        """An identifier that a record no longer supports may have become specific again."""
        for identifier in before.identifiers:
            if identifier not in self._generic:
                continue
            holders = self._holders(identifier)
            if holders is not None:
                self._generic.discard(identifier)
                self._effects.generic_added.discard(identifier)
                self._effects.generic_removed.add(identifier)
                self._owners[identifier] = tuple(sorted(holders))
                if holders:
                    self._regroup(holders, None)

    def _holders(self, identifier: str) -> set[int] | None:
        """All workers that hold a generic identifier, or None while enough birth dates still disagree."""
        number = self._hash_of(identifier)
        candidates = {worker_no for _, worker_no in self._rows.workers_by_identifier([number])}
        candidates |= {worker_no for h, worker_no in self._effects.identifiers_added if h == number}
        candidates -= {worker_no for h, worker_no in self._effects.identifiers_removed if h == number}
        holders: set[int] = set()
        birth_days: set[int] = set()
        ordered = sorted(candidates)
        for start in range(0, len(ordered), _HOLDERS_PER_READ):
            part = ordered[start : start + _HOLDERS_PER_READ]
            self._load_workers(part)
            for worker_no in part:
                worker = self._workers.get(worker_no)
                signatures = [] if worker is None else worker.signatures
                if any(identifier in signature.identifiers for signature in signatures):
                    holders.add(worker_no)
                    birth_days |= birth_days_of(identifier, signatures)
            if len(birth_days) >= GENERIC_BIRTH_DATES_MIN:
                return None
        return holders

    def _regroup(self, worker_nos: set[int], arrived: StoredRecord | None) -> None:
        """Divide the records of these workers anew. ``arrived`` is new or changed and is said in any case."""
        members = self._members(worker_nos)
        if arrived is not None and arrived.worker_no not in worker_nos and not arrived.deleted:
            members.append(arrived)
        members.sort(key=lambda record: record.record_no)
        self._load_workers(worker_nos)
        signatures = self._signatures_of(members, worker_nos)
        self._load_owners({identifier for signature in signatures for identifier in signature.identifiers})
        self._judge(signatures)
        parts = groups(signatures, self._generic)
        numbers = self._numbers_for(parts, members, worker_nos)
        self._forget(worker_nos)
        moves: list[tuple[int, StoredRecord]] = []
        for part, number in zip(parts, numbers, strict=True):
            worker = self._workers[number] = Worker(number, {members[i].signature_hash: signatures[i] for i in part})
            self._learning.add(number)
            self._gone.discard(number)
            for identifier in worker.identifiers:
                self._index(identifier, worker)
            for index in part:
                record = members[index]
                if record.worker_no != number:
                    moves.append((number, record))
                elif record is arrived:
                    self._say("record", number, record)
        for number, record in moves:
            self._move(record, number)

    def _stay_one(self, worker_nos: Iterable[int], signature: Signature) -> bool:
        """Whether workers whom a signature joins are one person in any case: too few birth dates to doubt it."""
        workers = [self._workers[number] for number in worker_nos]
        birth_days = {said.birth_day for worker in workers for said in worker.signatures} | {signature.birth_day}
        return len(birth_days - {None}) < GENERIC_BIRTH_DATES_MIN

    def _joined(self, worker_nos: Iterable[int]) -> Worker:
        """One worker of several, all of whose records stay together from now on."""
        first, *others = sorted(worker_nos, key=self._size, reverse=True)
        worker = self._workers[first]
        for number in others:
            other = self._workers[number]
            members = sorted(self._members({number}))
            self._load_owners(other.identifiers)
            self._forget((number,))
            for said, signature in zip(other.said, other.signatures, strict=True):
                self._learn(worker, signature, said)
            for record in members:
                self._move(record, first)
        return worker

    def _move(self, record: StoredRecord, worker_no: int) -> None:
        """Take a record from its worker, if it has one, and give it to another."""
        if record.worker_no is not None:
            self._say("moved", record.worker_no, record)
        self._say("record", worker_no, self._give(record, worker_no))

    def _signatures_of(self, members: Sequence[StoredRecord], worker_nos: Iterable[int]) -> list[Signature]:
        """The signature of each record: the workers know those of their own, a payload need not be decoded for them."""
        known: dict[int, Signature] = {}
        for number in worker_nos:
            worker = self._workers.get(number)
            if worker is not None:
                known.update(zip(worker.said, worker.signatures, strict=True))
        return [
            known.get(record.signature_hash) or self._payloads.signature(record.feed, record.payload)
            for record in members
        ]

    def _judge(self, signatures: Iterable[Signature]) -> None:
        """Mark what has become generic. A specific identifier's holders are all among these signatures."""
        holders: dict[str, set[int]] = {}
        for signature in signatures:
            if signature.birth_day is not None:
                for identifier in signature.identifiers:
                    holders.setdefault(identifier, set()).add(signature.birth_day)
        for identifier, birth_days in holders.items():
            if len(birth_days) >= GENERIC_BIRTH_DATES_MIN and identifier not in self._generic:
                self._generic.add(identifier)
                self._effects.generic_removed.discard(identifier)
                self._effects.generic_added.add(identifier)

    def _numbers_for(
        self, parts: Sequence[Sequence[int]], members: Sequence[StoredRecord], worker_nos: set[int]
    ) -> list[int]:
        """Each part keeps the number that most of its records had, the largest part first; the rest get new ones."""
        claims = []
        for index, part in enumerate(parts):
            votes = Counter(members[i].worker_no for i in part if members[i].worker_no in worker_nos)
            claims += [(-count, number, index) for number, count in votes.items() if number is not None]
        numbers: dict[int, int] = {}
        taken: set[int] = set()
        for _, number, index in sorted(claims):
            if index not in numbers and number not in taken:
                numbers[index] = number
                taken.add(number)
        for index in range(len(parts)):
            if index not in numbers:
                numbers[index] = self._new_number()
        return [numbers[index] for index in range(len(parts))]

    def _forget(self, worker_nos: Iterable[int]) -> None:
        for number in worker_nos:
            worker = self._workers.pop(number, None)
            self._gone.add(number)
            self._learning.discard(number)
            if worker is not None:
                worker.number = None
                for identifier in worker.identifiers:
                    self._unindex(identifier, number)

    # -- small effects ---------------------------------------------------------------------------------------------

    def _index(self, identifier: str, worker: Worker) -> None:
        number = self._number_of(worker)
        held = self._owners.get(identifier, ())
        if number not in held:
            self._owners[identifier] = (*held, number) if held else worker.alone
        row = self._hash_of(identifier), number
        if row in self._effects.identifiers_removed:
            self._effects.identifiers_removed.discard(row)
        else:
            self._effects.identifiers_added.add(row)

    def _unindex(self, identifier: str, worker_no: int) -> None:
        held = self._owners.get(identifier)
        if held is not None:
            self._owners[identifier] = tuple(number for number in held if number != worker_no)
        row = self._hash_of(identifier), worker_no
        if row in self._effects.identifiers_added:
            self._effects.identifiers_added.discard(row)
        else:
            self._effects.identifiers_removed.add(row)

    def _say(self, kind: Literal["record", "moved"], worker_no: int, record: StoredRecord) -> StoredRecord:
        """Tell what this record is to a worker; the record with the number of what was told."""
        sequence, event = self._next_sequence(), self._at_hand
        if kind == "moved":
            kept = b""
        elif record.payload is event.payload:
            kept = event.kept
        else:
            kept = self._payloads.kept(record.feed, record.payload)
        # A record that moves was received long ago; what moves it is the event at hand.
        message = _message(kind, worker_no, sequence, record.record_no, record, event.received_at, kept)
        self._effects.messages.append(message)
        said = record._replace(sequence=sequence)
        self._keep(said)
        return said


def _is_newer(event: FeedRecord, stored: StoredRecord | RecordHead) -> bool:
    """Whether this is a later version, or of two under one number the one that all choose."""
    before = stored.version, stored.changed_at, stored.content_hash
    return (event.version, event.changed_at, event.content_hash) > before


def _message(
    kind: Literal["record", "moved", "pair", "heartbeat"],
    worker_no: int,
    sequence: int,
    record_no: int,
    record: StoredRecord | FeedRecord,
    caused_at: int,
    kept: bytes,
) -> LinkMessage:
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
