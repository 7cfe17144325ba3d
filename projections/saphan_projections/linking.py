"""Which worker each arriving record belongs to, and what must be said when that changes.

The partition of records into workers equals :func:`saphan_projections.identity.groups` over all present records,
whatever their order of arrival; only the workers that a change touches are looked at. Worker numbers are handles:
they depend on history, outside receivers key on record ids.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Literal

from saphan_projections.identity import (
    GENERIC_BIRTH_DATES_MIN,
    Signature,
    birth_days_of,
    groups,
    identifier_hash,
    is_generic,
    only_adds,
    signature_hash,
    signature_order,
)
from saphan_projections.link_records import (
    FeedRecord,
    LinkEffects,
    LinkMessage,
    LinkRows,
    Numbers,
    StoredRecord,
    record_key_hashes,
)
from saphan_schemas.topics import EMPLOYER_PAIRS

#: Holders of a generic identifier that are looked at in one read when it may have become specific again.
_HOLDERS_PER_READ = 64

#: A record's feed and id.
_Key = tuple[str, str]
#: The owners of each identifier of a signature, in its order: the very lists that the linker keeps.
_Holders = list[list[int]]
_KEY = attrgetter("feed", "record_id")


class _Worker:
    """One worker's different signatures and all identifiers in them."""

    __slots__ = ("identifiers", "signatures")

    def __init__(self, signatures: Iterable[Signature]) -> None:
        self.signatures = set(signatures)
        self.identifiers = {identifier for s in self.signatures for identifier in s.identifiers}


class Linker:
    """Applies chunks. After a chunk that could not be committed, throw the linker away: its cache ran ahead."""

    def __init__(
        self,
        rows: LinkRows,
        numbers: Numbers,
        signature_of_payload: Callable[[str, bytes], Signature],
        cached_workers_max: int = 250_000,
    ) -> None:
        self.numbers = numbers
        self._rows = rows
        self._signature_of_payload = signature_of_payload
        self._cached_workers_max = cached_workers_max
        self._workers: dict[int, _Worker] = {}
        self._owners: dict[str, list[int]] = {}
        self._generic: set[str] = set()
        self._effects = LinkEffects()
        self._caused_at = 0
        self._loaded: dict[int, StoredRecord] = {}
        #: Loaded records by the workers that they have belonged to in this chunk.
        self._loaded_of: dict[int, list[StoredRecord]] = {}
        #: Workers all of whose records are loaded.
        self._whole: set[int] = set()
        self._by_key: dict[_Key, StoredRecord] = {}
        self._key_hashes: dict[_Key, int] = {}

    def apply(self, chunk: Sequence[FeedRecord]) -> LinkEffects:
        """Fold a chunk in; the result is the same state however records are cut into chunks."""
        self._effects = LinkEffects()
        self._loaded, self._loaded_of, self._whole = {}, {}, set()
        if len(self._workers) > self._cached_workers_max:
            self._workers, self._owners, self._generic = {}, {}, set()
        for event, key, holders in zip(chunk, *self._read_ahead(chunk), strict=True):
            self._one(event, key, holders)
        effects = self._effects
        effects.workers = {
            number: sorted(self._workers[number].signatures, key=signature_order)
            for number in effects.workers
            if number in self._workers
        }
        return effects

    def broadcast(self, kind: Literal["pair", "heartbeat"], event: FeedRecord, record_no: int = 0) -> LinkMessage:
        """A message for every partition of integrate."""
        return self._message(kind, 0, record_no, event, event.received_at)

    # -- reading ahead ---------------------------------------------------------------------------------------------

    def _read_ahead(self, chunk: Sequence[FeedRecord]) -> tuple[list[_Key], list[_Holders]]:
        """Load what the chunk is about; the key and the identifiers' owners of each event."""
        keys: list[_Key] = list(map(_KEY, chunk))
        self._key_hashes = dict(zip(keys, record_key_hashes(keys), strict=True))
        self._by_key = {}
        for record in self._rows.records_by_key(self._key_hashes.values()):
            self._load(record)
            self._by_key[record.feed, record.record_id] = record
        owners = self._owners
        named = [() if event.signature is None else event.signature.identifiers for event in chunk]
        self._load_owners(set(chain.from_iterable(named)).difference(owners))
        owners_of_one = owners.__getitem__
        holders: list[_Holders] = [list(map(owners_of_one, identifiers)) for identifiers in named]
        self._load_whole(self._meeting(chunk, keys, holders))
        return keys, holders

    def _meeting(self, chunk: Sequence[FeedRecord], keys: Sequence[_Key], holders: Sequence[_Holders]) -> set[int]:
        """Workers whom the chunk may bring together or take apart, as far as one can see before: read them at once."""
        found: set[int] = set()
        #: By the list of an identifier's owners, which is one and the same for all who bring the identifier.
        seen: dict[int, set[int]] = {}
        for index, (event, key, lists) in enumerate(zip(chunk, keys, holders, strict=True)):
            if event.signature is None:
                continue
            stored = self._by_key.get(key)
            if stored is not None:
                if stored.worker_no is not None and stored.signature_hash != event.signature_hash:
                    found.add(stored.worker_no)
                continue
            specific = self._specific(event.signature, lists)
            # A worker who is still to be made stands here as a negative number.
            met = set().union(*specific) or {~index}
            for owners in specific:
                before = seen.get(id(owners))
                if before is not None:
                    met |= before
                seen[id(owners)] = met
            if len(met) > 1:
                found |= met
        return {number for number in found if number > 0}

    def _load(self, record: StoredRecord) -> None:
        self._loaded[record.record_no] = record
        if record.worker_no is not None:
            self._loaded_of.setdefault(record.worker_no, []).append(record)

    def _load_whole(self, worker_nos: Collection[int]) -> None:
        """Load all records of these workers."""
        missing = [number for number in worker_nos if number not in self._whole]
        if missing:
            for record in self._rows.records_of_workers(missing):
                if record.record_no not in self._loaded:
                    self._load(record)
            self._whole.update(missing)

    def _load_owners(self, identifiers: Collection[str]) -> None:
        if not identifiers:
            return
        by_hash: dict[int, list[int]] = {}
        hashes = {identifier: identifier_hash(identifier) for identifier in identifiers}
        holders: set[int] = set()
        generic = self._rows.generic_among(hashes.values())
        self._generic.update(generic.intersection(identifiers))
        # A generic identifier may have very many holders, who are looked up only when it might become specific again.
        wanted = {number for identifier, number in hashes.items() if identifier not in self._generic}
        for number, worker_no in self._rows.workers_by_identifier(wanted):
            by_hash.setdefault(number, []).append(worker_no)
            holders.add(worker_no)
        self._load_workers(holders)
        for identifier, number in hashes.items():
            self._owners[identifier] = [
                worker_no
                for worker_no in by_hash.get(number, ())
                if worker_no in self._workers and identifier in self._workers[worker_no].identifiers
            ]

    def _load_workers(self, worker_nos: Collection[int]) -> None:
        gone = self._effects.workers_gone
        missing = [number for number in worker_nos if number not in self._workers and number not in gone]
        if missing:
            for number, signatures in self._rows.signatures_of_workers(missing):
                self._workers[number] = _Worker(signatures)

    # -- one event -------------------------------------------------------------------------------------------------

    def _one(self, event: FeedRecord, key: _Key, holders: _Holders) -> None:
        self._caused_at = event.received_at
        stored = self._by_key.get(key)
        if stored is None:
            self._new(event, key, holders)
            return
        if (event.version, event.changed_at, event.content_hash) <= (
            stored.version,
            stored.changed_at,
            stored.content_hash,
        ):
            self._effects.stale[event.feed] += 1
            return
        worker_before, signature_before = stored.worker_no, stored.signature_hash
        payload_before = stored.payload
        signature = None if event.deleted else event.signature
        stored.version, stored.changed_at, stored.content_hash = event.version, event.changed_at, event.content_hash
        stored.deleted, stored.partition, stored.offset = event.deleted, event.partition, event.offset
        stored.received_at, stored.payload = event.received_at, event.payload
        stored.signature_hash = event.signature_hash
        self._effects.records[stored.record_no] = stored
        if event.signature is None:
            self._unowned(event, stored)
        elif worker_before is None:
            if signature is not None:
                self._attach(stored, signature, holders)
        elif signature is not None and stored.signature_hash == signature_before:
            self._say("record", worker_before, stored)
        else:
            before = self._signature_of_payload(event.feed, payload_before)
            self._reattach(stored, worker_before, before, signature)

    def _new(self, event: FeedRecord, key: _Key, holders: _Holders) -> None:
        signature = None if event.deleted else event.signature
        record = StoredRecord(
            self.numbers.record_no,
            self._key_hashes[key],
            None,
            *event[:9],
            0,
            event.signature_hash,
            event.payload,
        )
        self.numbers.record_no += 1
        self._by_key[key] = record
        self._load(record)
        self._effects.records[record.record_no] = record
        if event.signature is None:
            self._unowned(event, record)
        elif signature is not None:
            self._attach(record, signature, holders)

    def _unowned(self, event: FeedRecord, record: StoredRecord) -> None:
        if event.feed == EMPLOYER_PAIRS:
            message = self.broadcast("pair", event, record.record_no)
            record.sequence = message.sequence
            self._effects.messages.append(message)

    def _attach(self, record: StoredRecord, signature: Signature, holders: _Holders) -> None:
        owners = self._owners_of(signature, holders)
        if len(owners) > 1:
            self._regroup(owners, record)
            return
        if owners:
            (number,) = owners
        else:
            number = self._new_number()
            self._workers[number] = _Worker(())
        self._give(record, number)
        self._say("record", number, record)
        self._learn(number, signature)

    def _learn(self, worker_no: int, signature: Signature) -> None:
        """Note what a worker's record says of whose it is; the worker's records stay together."""
        worker = self._workers[worker_no]
        if signature in worker.signatures:
            return
        worker.signatures.add(signature)
        self._effects.workers[worker_no] = []
        for identifier in signature.identifiers:
            if identifier not in worker.identifiers:
                worker.identifiers.add(identifier)
                self._index(identifier, worker_no)
        if signature.birth_day is not None and self._newly_generic(worker, signature):
            self._regroup({worker_no}, None)

    def _replace(self, worker_no: int, before: Signature, signature: Signature) -> None:
        """Note that a worker's record says more than before; the worker's records stay together."""
        self._load_workers((worker_no,))
        before_hash = signature_hash(before)
        if all(record.signature_hash != before_hash for record in self._members({worker_no})):
            self._workers[worker_no].signatures.discard(before)
            self._effects.workers[worker_no] = []
        self._learn(worker_no, signature)

    def _new_number(self) -> int:
        """The number of a new worker, whose records are all still to come."""
        number = self.numbers.worker_no
        self.numbers.worker_no += 1
        self._whole.add(number)
        return number

    def _give(self, record: StoredRecord, worker_no: int) -> None:
        record.worker_no = worker_no
        self._loaded_of.setdefault(worker_no, []).append(record)

    def _owners_of(self, signature: Signature, holders: _Holders) -> set[int]:
        """Who holds the signature's specific identifiers; ``holders`` are the lists of each one's owners."""
        return set().union(*self._specific(signature, holders))

    def _specific(self, signature: Signature, holders: _Holders) -> _Holders:
        """Of the lists of each identifier's owners those of the specific ones."""
        if self._generic.isdisjoint(signature.identifiers):
            return holders
        named = zip(signature.identifiers, holders, strict=True)
        return [owners for identifier, owners in named if identifier not in self._generic]

    def _newly_generic(self, worker: _Worker, signature: Signature) -> bool:
        if len(worker.signatures) < GENERIC_BIRTH_DATES_MIN:
            return False
        return any(
            identifier not in self._generic and is_generic(identifier, worker.signatures)
            for identifier in signature.identifiers
        )

    # -- regrouping ------------------------------------------------------------------------------------------------

    def _reattach(
        self, record: StoredRecord, worker_before: int, before: Signature, signature: Signature | None
    ) -> None:
        if signature is None:
            self._say("record", worker_before, record)
            record.worker_no = None
        # Only a known identifier can be seen to have become specific again.
        self._load_owners([identifier for identifier in before.identifiers if identifier not in self._owners])
        touched = {worker_before}
        if signature is not None:
            touched |= self._owners_of(signature, [self._owners[identifier] for identifier in signature.identifiers])
            if len(touched) == 1 and only_adds(before, signature):
                self._say("record", worker_before, record)
                self._replace(worker_before, before, signature)
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
                # The list itself: events that are still to come have it at hand.
                self._owners[identifier][:] = sorted(holders)
                if holders:
                    self._regroup(holders, None)

    def _holders(self, identifier: str) -> set[int] | None:
        """All workers that hold a generic identifier, or None while enough birth dates still disagree."""
        number = identifier_hash(identifier)
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
                if worker is None or identifier not in worker.identifiers:
                    continue
                holders.add(worker_no)
                birth_days |= birth_days_of(identifier, worker.signatures)
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
        self._load_owners({i for s in signatures for i in s.identifiers if i not in self._owners})
        self._judge(signatures)
        parts = groups(signatures, self._generic)
        numbers = self._numbers_for(parts, members, worker_nos)
        self._forget(worker_nos)
        moves: list[tuple[int, StoredRecord]] = []
        for part, number in zip(parts, numbers, strict=True):
            worker = self._workers[number] = _Worker(signatures[index] for index in part)
            self._effects.workers[number] = []
            self._effects.workers_gone.discard(number)
            for identifier in worker.identifiers:
                self._index(identifier, number)
            for index in part:
                record = members[index]
                if record.worker_no != number:
                    moves.append((number, record))
                elif record is arrived:
                    self._say("record", number, record)
        for number, record in moves:
            if record.worker_no is not None:
                self._say("moved", record.worker_no, record)
            self._give(record, number)
            self._effects.records[record.record_no] = record
            self._say("record", number, record)

    def _members(self, worker_nos: set[int]) -> list[StoredRecord]:
        self._load_whole(worker_nos)
        # A record may have come to a worker, left and come back: it is there once.
        found = {
            record.record_no: record
            for number in worker_nos
            for record in self._loaded_of.get(number, ())
            if record.worker_no == number
        }
        return list(found.values())

    def _signatures_of(self, members: Sequence[StoredRecord], worker_nos: Iterable[int]) -> list[Signature]:
        """The signature of each record: the workers know those of their own, a payload need not be decoded for them."""
        known = {
            signature_hash(signature): signature
            for number in worker_nos
            if number in self._workers
            for signature in self._workers[number].signatures
        }
        return [
            known.get(record.signature_hash) or self._signature_of_payload(record.feed, record.payload)
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
            self._effects.workers_gone.add(number)
            self._effects.workers.pop(number, None)
            for identifier in worker.identifiers if worker is not None else ():
                self._unindex(identifier, number)

    # -- small effects ---------------------------------------------------------------------------------------------

    def _index(self, identifier: str, worker_no: int) -> None:
        owners = self._owners.setdefault(identifier, [])
        if worker_no not in owners:
            owners.append(worker_no)
        row = identifier_hash(identifier), worker_no
        if row in self._effects.identifiers_removed:
            self._effects.identifiers_removed.discard(row)
        else:
            self._effects.identifiers_added.add(row)

    def _unindex(self, identifier: str, worker_no: int) -> None:
        owners = self._owners.get(identifier)
        if owners is not None and worker_no in owners:
            owners.remove(worker_no)
        row = identifier_hash(identifier), worker_no
        if row in self._effects.identifiers_added:
            self._effects.identifiers_added.discard(row)
        else:
            self._effects.identifiers_removed.add(row)

    def _say(self, kind: Literal["record", "moved"], worker_no: int, record: StoredRecord) -> None:
        # A record that moves was received long ago; what moves it is the event at hand.
        message = self._message(kind, worker_no, record.record_no, record, self._caused_at)
        record.sequence = message.sequence
        self._effects.messages.append(message)

    def _message(
        self,
        kind: Literal["record", "moved", "pair", "heartbeat"],
        worker_no: int,
        record_no: int,
        record: StoredRecord | FeedRecord,
        caused_at: int,
    ) -> LinkMessage:
        sequence = self.numbers.sequence
        self.numbers.sequence += 1
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
            b"" if kind == "moved" else record.payload,
        )
