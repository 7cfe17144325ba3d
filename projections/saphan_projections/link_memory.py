"""What link remembers of workers between chunks, and what it reads ahead of each so that few reads remain for later."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain, repeat
from types import MappingProxyType

from saphan_projections.hashing import signed_hashes
from saphan_projections.identity import (
    Signature,
    identifier_hash,
    pack_signature,
    signature_hashes,
    unpack_signature,
)
from saphan_projections.link_records import FeedEvents, LinkRows, RecordHead, Row, StoredRecord

#: A record's feed and id.
Key = tuple[str, str]


class Worker:
    """One worker and all distinct signatures of the worker's records.

    ``number`` is None once the worker has been merged into others or divided. ``packed`` are the signatures in msgpack,
    ``signature_hashes`` their hashes in the same order. Few are ever looked at again, and as objects those of a hundred
    thousand workers would fill the memory. A signature that no record has any more may stay, as long as some record's
    signature contains everything it says. ``birth_days`` are the distinct birth dates in the signatures; usually so few
    that they alone show no identifier is shared by too many people, without unpacking. ``alone`` is the tuple of this
    worker's number alone, made once for all identifiers of which this worker is the only owner.
    """

    __slots__ = ("alone", "birth_days", "number", "packed", "signature_hashes")

    def __init__(self, number: int, signatures: Mapping[int, Signature] = MappingProxyType({})) -> None:
        self.number: int | None = number
        self.alone = (number,)
        self.packed: list[bytes] = []
        self.signature_hashes: list[int] = []
        self.birth_days: tuple[int, ...] = ()
        for signature_hash, signature in signatures.items():
            self.add(signature_hash, signature)

    def add(self, signature_hash: int, signature: Signature) -> None:
        """Note a signature that is not there yet."""
        self.packed.append(pack_signature(signature))
        self.signature_hashes.append(signature_hash)
        birth_day = signature.birth_day
        if birth_day is not None and birth_day not in self.birth_days:
            self.birth_days += (birth_day,)

    @property
    def signatures(self) -> list[Signature]:
        """The different signatures."""
        return list(map(unpack_signature, self.packed))

    def signature(self, signature_hash: int) -> Signature | None:
        """The signature with this hash; None when it is not this worker's."""
        if signature_hash not in self.signature_hashes:
            return None
        return unpack_signature(self.packed[self.signature_hashes.index(signature_hash)])

    @property
    def identifiers(self) -> set[str]:
        """All identifiers in the signatures."""
        return {identifier for signature in self.signatures for identifier in signature.identifiers}


class LinkMemory:
    """Owners of identifiers, workers and records, as they are at this point of a chunk."""

    def __init__(self, rows: LinkRows, cached_workers_max: int) -> None:
        self._rows = rows
        self._cached_workers_max = cached_workers_max
        self._workers: dict[int, Worker] = {}
        self._owners: dict[str, tuple[int, ...]] = {}
        self._generic: set[str] = set()
        #: The worker of each signature with a specific identifier, by the signature's hash; valid while the worker has a
        #: number.
        self._homes: dict[int, Worker] = {}
        self._begin()

    def _begin(self) -> None:
        """Forget the records of the chunk before, and everything once too many workers are remembered."""
        #: What the store knows of the chunk's records.
        self._known: dict[Key, RecordHead] = {}
        #: Hashes of keys that occur more than once in the chunk: the order of their events counts.
        self._repeated: set[int] = set()
        #: Those of _repeated, and the hashes of the keys of stored records.
        self._met: set[int] = set()
        #: Changed records whose new signature only adds to the old one, and that stay with their worker.
        self._adding: set[Key] = set()
        #: The numbers of new records that were looked at by themselves.
        self._new_record_nos: dict[Key, int] = {}
        #: Rows of records that were placed all at once.
        self._placed: dict[int, Row] = {}
        #: The present version of each record that was looked at by itself.
        self._records: dict[int, StoredRecord] = {}
        #: To whom the records that were looked at by themselves and changed belonged before.
        self._owner_before: dict[int, int | None] = {}
        #: Records by the workers that they have belonged to in this chunk.
        self._records_of: defaultdict[int, list[int]] = defaultdict(list)
        #: Workers all of whose records are loaded.
        self._whole: set[int] = set()
        #: Workers whose numbers were given up in this chunk: the store does not know it yet.
        self._gone: set[int] = set()
        self._identifier_hashes: dict[str, int] = {}
        if len(self._workers) > self._cached_workers_max:
            self._workers, self._owners, self._generic, self._homes = {}, {}, set(), {}

    def _read_ahead(self, events: FeedEvents) -> tuple[dict[int, Signature], list[int]]:
        """Load to whom the chunk's stored records belong, and who owns the identifiers that it names for the first time.

        Returns (a) the signatures, by hash, that come with new records and belong to no known worker, and (b) the
        positions of the events that change a stored record's signature. Both cover only records that occur once in the
        chunk.
        """
        key_hashes, hashes, packed_ones = events.key_hash, events.signature_hash, events.signature
        heads = list(self._rows.heads_by_key(key_hashes))
        known = self._known = {(head.feed, head.record_id): head for head in heads}
        if len(set(key_hashes)) < len(key_hashes):
            self._repeated = {number for number, times in Counter(key_hashes).items() if times > 1}
        repeated = self._repeated
        met = self._met = repeated.union([head.key_hash for head in heads])
        # 0: a record that belongs to nobody. A stored record whose signature is as before stays where it is.
        homes = self._homes
        packed_fresh = {
            number: packed
            for key_hash, number, home, packed in zip(
                key_hashes, hashes, map(homes.get, hashes), packed_ones, strict=True
            )
            if number and (home is None or home.number is None) and key_hash not in met and packed
        }
        fresh = {number: unpack_signature(packed) for number, packed in packed_fresh.items()}
        named, changed = list(fresh.values()), []
        for at in [at for at, key_hash in enumerate(key_hashes) if key_hash in met and hashes[at]] if met else ():
            head = known.get((events.feed[at], events.record_id[at]))
            if packed_ones[at] and (head is None or head.signature_hash != hashes[at]):
                named.append(unpack_signature(packed_ones[at]))
                if head is not None and key_hashes[at] not in repeated:
                    changed.append(at)
        self._load_owners(set(chain.from_iterable([signature.identifiers for signature in named])))
        return fresh, changed

    def _record(self, record_no: int) -> StoredRecord:
        """The present version of a record that was read, placed or made."""
        record = self._records.get(record_no)
        return StoredRecord._make(self._placed[record_no]) if record is None else record

    def _keep(self, record: StoredRecord) -> None:
        """Let this be the record from now on."""
        number = record.record_no
        if number not in self._owner_before:
            is_there = number in self._records or number in self._placed
            self._owner_before[number] = self._record(number).worker_no if is_there else None
        self._records[number] = record

    def _load(self, records: Iterable[StoredRecord]) -> None:
        for record in records:
            number = record.record_no
            if number not in self._records and number not in self._placed:
                self._records[number] = record
                if record.worker_no is not None:
                    self._records_of[record.worker_no].append(number)

    def _load_whole(self, worker_nos: Collection[int]) -> None:
        """Load all records of these workers."""
        missing = [number for number in worker_nos if number not in self._whole]
        if missing:
            self._load(self._rows.records_of_workers(missing))
            self._whole.update(missing)

    def _load_owners(self, identifiers: Collection[str]) -> None:
        wanted = [identifier for identifier in identifiers if identifier not in self._owners]
        if not wanted:
            return
        hashes = dict(zip(wanted, signed_hashes([identifier.encode() for identifier in wanted]), strict=True))
        self._identifier_hashes.update(hashes)
        self._owners.update(zip(wanted, repeat(())))
        generic = self._rows.generic_among(hashes.values()).intersection(wanted)
        self._generic |= generic
        # A generic identifier may have very many holders, who are looked up only when it might become specific again.
        for identifier in generic:
            del hashes[identifier]
        held = list(self._rows.workers_by_identifier(hashes.values()))
        self._load_workers({worker_no for _, worker_no in held})
        holders: defaultdict[int, list[int]] = defaultdict(list)
        for number, worker_no in held:
            holders[number].append(worker_no)
        workers = {worker_no: worker for _, worker_no in held if (worker := self._workers.get(worker_no)) is not None}
        # What a worker holds is packed: it is looked at once, not once for each of the identifiers.
        identifiers_of = {worker_no: worker.identifiers for worker_no, worker in workers.items()}
        for identifier, number in hashes.items() if held else ():
            for worker_no in holders.get(number, ()):
                if identifier in identifiers_of.get(worker_no, ()):
                    before = self._owners[identifier]
                    self._owners[identifier] = (*before, worker_no) if before else workers[worker_no].alone

    def _hash_of(self, identifier: str) -> int:
        known = self._identifier_hashes.get(identifier)
        return identifier_hash(identifier) if known is None else known

    def _load_workers(self, worker_nos: Collection[int]) -> None:
        missing = [number for number in worker_nos if number not in self._workers and number not in self._gone]
        if missing:
            for number, signatures in self._rows.signatures_of_workers(missing):
                self._workers[number] = Worker(number, dict(zip(signature_hashes(signatures), signatures, strict=True)))

    @staticmethod
    def _number_of(worker: Worker) -> int:
        if worker.number is None:
            message = "a worker that was merged or divided gets no records any more"
            raise RuntimeError(message)
        return worker.number

    def _size(self, worker_no: int) -> tuple[int, int]:
        """A sort key: how much is known of the worker."""
        return len(self._workers[worker_no].signature_hashes), -worker_no

    def _members(self, worker_nos: set[int]) -> list[StoredRecord]:
        self._load_whole(worker_nos)
        # A record may have come to a worker, left and come back: it is there once.
        found = {record_no for number in worker_nos for record_no in self._records_of.get(number, ())}
        members = map(self._record, found)
        return [record for record in members if record.worker_no in worker_nos]

    def _specific(self, signature: Signature) -> Sequence[str]:
        """The identifiers of a signature that can join it to others."""
        identifiers = signature.identifiers
        if self._generic.isdisjoint(identifiers):
            return identifiers
        return [identifier for identifier in identifiers if identifier not in self._generic]

    def _owners_of(self, signature: Signature) -> set[int]:
        """Who holds the signature's specific identifiers."""
        self._load_owners(signature.identifiers)
        return {number for identifier in self._specific(signature) for number in self._owners[identifier]}
