"""Who becomes one person and who several when a signature connects workers or stops connecting a worker's records."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from saphan_projections.identity import (
    GENERIC_BIRTH_DATES_MIN,
    Signature,
    birth_days_of,
    generic_identifiers,
    groups,
    is_generic,
)
from saphan_projections.link_memory import LinkMemory, Worker
from saphan_projections.link_records import (
    FeedRecord,
    LinkEffects,
    LinkRows,
    Numbers,
    Payloads,
    StoredRecord,
    message_of,
)

#: Holders of a generic identifier that are looked at in one read when it may have become specific again.
_HOLDERS_PER_READ = 64


class Regrouping(LinkMemory):
    """Merges and divides workers, and notes for the store and for integrate what changes by that."""

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
        #: Workers of whom something new is known.
        self._learning: set[int] = set()

    #: The event that is being looked at by itself.
    _at_hand: FeedRecord

    # -- what a worker's records say -------------------------------------------------------------------------------

    def _learn(self, worker: Worker, signature: Signature, signature_hash: int) -> None:
        """Note the signature of a worker's record; the worker's records stay together."""
        number = self._number_of(worker)
        if self._specific(signature):
            self._homes[signature_hash] = worker
        if signature_hash in worker.signature_hashes:
            return
        self._learning.add(number)
        for identifier in signature.identifiers:
            # Of a generic identifier not all holders are known.
            if number not in self._owners[identifier] and (
                identifier not in self._generic or identifier not in worker.identifiers
            ):
                self._index(identifier, worker)
        worker.add(signature_hash, signature)

    def _learn_and_judge(self, worker: Worker, signature: Signature, signature_hash: int) -> None:
        """As :meth:`_learn`, and divide the worker's records if an identifier turns out to belong to too many people."""
        makes_generic = self._makes_generic(worker, signature)
        self._learn(worker, signature, signature_hash)
        if makes_generic:
            self._regroup({self._number_of(worker)}, None)

    def _makes_generic(self, worker: Worker, signature: Signature) -> bool:
        """Whether this signature and the worker's together show that an identifier has too many holders to join any."""
        birth_day = signature.birth_day
        if birth_day is None or len({*worker.birth_days, birth_day}) < GENERIC_BIRTH_DATES_MIN:
            return False
        signatures = [*worker.signatures, signature]
        return any(is_generic(identifier, signatures) for identifier in self._specific(signature))

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

    def _signatures_of(self, members: Sequence[StoredRecord], worker_nos: Iterable[int]) -> list[Signature]:
        """The signature of each record. A payload is decoded only where the record's worker does not know it."""
        known: dict[int, Signature] = {}
        for number in worker_nos:
            worker = self._workers.get(number)
            if worker is not None:
                known.update(zip(worker.signature_hashes, worker.signatures, strict=True))
        return [
            known.get(record.signature_hash) or self._payloads.signature(record.feed, record.payload)
            for record in members
        ]

    # -- joining and parting ---------------------------------------------------------------------------------------

    def _stay_one(self, worker_nos: Iterable[int], signature: Signature) -> bool:
        """Whether workers whom a signature joins are surely one person: too few birth dates to make anything generic."""
        birth_days = {signature.birth_day}.union(*(self._workers[number].birth_days for number in worker_nos))
        return len(birth_days - {None}) < GENERIC_BIRTH_DATES_MIN

    def _joined(self, worker_nos: Iterable[int]) -> Worker:
        """Merge several workers into one, whose records stay together from now on."""
        first, *others = sorted(worker_nos, key=self._size, reverse=True)
        worker = self._workers[first]
        for number in others:
            other = self._workers[number]
            members = sorted(self._members({number}))
            self._load_owners(other.identifiers)
            self._forget((number,))
            for signature_hash, signature in zip(other.signature_hashes, other.signatures, strict=True):
                self._learn(worker, signature, signature_hash)
            for record in members:
                self._move(record, first)
        return worker

    def _regroup(self, worker_nos: set[int], arrived: StoredRecord | None) -> None:
        """Divide the records of these workers anew. ``arrived``, which is new or changed, is told in any case."""
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
            worker = self._workers[number] = Worker(number, {members[at].signature_hash: signatures[at] for at in part})
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

    def _judge(self, signatures: Iterable[Signature]) -> None:
        """Mark what has become generic. A specific identifier's holders are all among these signatures."""
        for identifier in generic_identifiers(signatures) - self._generic:
            self._generic.add(identifier)
            self._effects.generic_removed.discard(identifier)
            self._effects.generic_added.add(identifier)

    def _numbers_for(
        self, parts: Sequence[Sequence[int]], members: Sequence[StoredRecord], worker_nos: set[int]
    ) -> list[int]:
        """Each part keeps the number that most of its records had, the largest part first; the rest get new ones."""
        claims = []
        for index, part in enumerate(parts):
            had = [members[at].worker_no for at in part]
            votes = Counter(number for number in had if number in worker_nos)
            claims += [(-count, number, index) for number, count in votes.items()]
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

    def _revive(self, before: Signature) -> None:
        """Let identifiers of a signature that is gone become specific again, where too few birth dates are left."""
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
        """All workers that hold a generic identifier, or None while their birth dates still make it generic."""
        number = self._hash_of(identifier)
        candidates = {worker_no for _, worker_no in self._rows.workers_by_identifier([number])}
        candidates |= {worker_no for held, worker_no in self._effects.identifiers_added if held == number}
        candidates -= {worker_no for held, worker_no in self._effects.identifiers_removed if held == number}
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

    # -- what changes by it ----------------------------------------------------------------------------------------

    def _forget(self, worker_nos: Iterable[int]) -> None:
        for number in worker_nos:
            worker = self._workers.pop(number, None)
            self._gone.add(number)
            self._learning.discard(number)
            if worker is not None:
                worker.number = None
                for identifier in worker.identifiers:
                    self._unindex(identifier, number)

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

    def _give(self, record: StoredRecord, worker_no: int) -> StoredRecord:
        given = record._replace(worker_no=worker_no)
        self._keep(given)
        self._records_of[worker_no].append(record.record_no)
        return given

    def _move(self, record: StoredRecord, worker_no: int) -> None:
        """Take a record from its worker, if it has one, and give it to another."""
        if record.worker_no is not None:
            self._say("moved", record.worker_no, record)
        self._say("record", worker_no, self._give(record, worker_no))

    def _say(self, kind: Literal["record", "moved"], worker_no: int, record: StoredRecord) -> StoredRecord:
        """Tell integrate that this record is now, or no longer, the worker's; the record with the message's sequence."""
        sequence, event = self._next_sequence(), self._at_hand
        if kind == "moved":
            kept = b""
        elif record.payload is event.payload:
            kept = event.kept
        else:
            kept = self._payloads.kept(record.feed, record.payload)
        # A record that moves was received long ago; what moves it is the event at hand.
        message = message_of(kind, worker_no, sequence, record.record_no, record, event.received_at, kept)
        self._effects.messages.append(message)
        said = record._replace(sequence=sequence)
        self._keep(said)
        return said

    def _next_sequence(self) -> int:
        sequence = self.numbers.sequence
        self.numbers.sequence += 1
        return sequence
