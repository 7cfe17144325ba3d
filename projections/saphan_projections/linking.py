"""Which worker each arriving record belongs to, and what must be said when that changes.

The partition of records into workers equals :func:`saphan_projections.identity.groups` over all present records,
whatever their order of arrival; only the workers that a change touches are looked at. Worker numbers are handles:
they depend on history, outside receivers key on record ids.
"""

from collections.abc import Mapping, Sequence
from itertools import compress, repeat

from saphan_projections.identity import Signature, only_adds
from saphan_projections.link_memory import Key
from saphan_projections.link_records import (
    FeedEvents,
    FeedRecord,
    LinkEffects,
    LinkMessage,
    RecordHead,
    Row,
    StoredRecord,
    message_of,
)
from saphan_projections.naming import named
from saphan_projections.regrouping import Regrouping
from saphan_schemas.topics import EMPLOYER_PAIRS

_link_message = named(LinkMessage)


class Linker(Regrouping):
    """Applies chunks. After a chunk that could not be committed, throw the linker away: its cache ran ahead."""

    def _begin(self) -> None:
        super()._begin()
        self._first_record_no = self.numbers.record_no

    def apply(self, events: FeedEvents) -> LinkEffects:
        """Fold a chunk in; the result is the same state however records are cut into chunks.

        Signatures first: once their workers are known, most records are simply added to those, all at once. What remains
        are the records that merge or divide workers, and those that belong to nobody.
        """
        self._begin()
        fresh, changed = self._read_ahead(events)
        self._settle(fresh)
        self._add([events.row(at) for at in changed])
        others = [(events.row(at), events.key_hash[at]) for at in self._place(events)]
        self._expect([event for event, _ in others])
        for event, key_hash in others:
            self._one(event, key_hash)
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

    def broadcast(self, event: FeedRecord) -> LinkMessage:
        """A heartbeat's message, for every partition of integrate."""
        return message_of("heartbeat", 0, self._next_sequence(), 0, event, event.received_at, event.kept)

    # -- all at once -----------------------------------------------------------------------------------------------

    def _settle(self, fresh: Mapping[int, Signature]) -> None:
        """Find the workers of the signatures that come with new records; what would merge workers is left for later."""
        owners, workers = self._owners, self._workers
        for signature_hash, signature in fresh.items():
            specific = self._specific(signature)
            # Without a specific identifier each record is a worker of its own.
            if not specific:
                continue
            found = {owners[identifier] for identifier in specific}
            found.discard(())
            numbers = found.pop() if len(found) == 1 else tuple(set().union(*found))
            if len(numbers) > 1:
                continue
            worker = workers[numbers[0]] if numbers else self._new_worker()
            if not self._makes_generic(worker, signature):
                self._learn(worker, signature, signature_hash)

    def _add(self, changed: Sequence[FeedRecord]) -> None:
        """Note the stored records whose new signature only adds to the old one: their worker learns it, nobody moves."""
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

    def _place(self, events: FeedEvents) -> list[int]:
        """Take in all records whose worker is known by now; returns the positions of the others, in order."""
        met = self._met
        others: list[int] = []
        new = bytearray(len(events.key_hash))
        new_owners: list[int] = []
        changed = bytearray(len(events.key_hash))
        changed_nos: list[int] = []
        owners: list[int] = []
        homes = map(self._homes.get, events.signature_hash)
        for at, (key_hash, home) in enumerate(zip(events.key_hash, homes, strict=True)):
            if key_hash in met:
                staying = self._staying(events, at)
                if staying is None:
                    others.append(at)
                else:
                    changed[at] = True
                    changed_nos.append(staying[0])
                    owners.append(staying[1])
            elif home is None or home.number is None:
                others.append(at)
            else:
                new[at] = True
                new_owners.append(home.number)
        first = self.numbers.record_no
        self.numbers.record_no += len(new_owners)
        self._put(events, new, range(first, self.numbers.record_no), new_owners)
        self._put(events, changed, changed_nos, owners)
        return others

    def _staying(self, events: FeedEvents, at: int) -> tuple[int, int] | None:
        """The number of a stored record and of its worker, if an event is its next version and it stays there."""
        if events.key_hash[at] in self._repeated:
            return None
        key = events.feed[at], events.record_id[at]
        head = self._known.get(key)
        if (
            head is not None
            and head.worker_no is not None
            and (head.signature_hash == events.signature_hash[at] or key in self._adding)
            and _is_newer(events.row(at), head)
        ):
            return head.record_no, head.worker_no
        return None

    def _put(self, events: FeedEvents, chosen: bytearray, record_nos: Sequence[int], owners: Sequence[int]) -> None:
        """Give the chosen records to their workers, column by column."""
        if not owners:
            return
        first = self.numbers.sequence
        sequences = range(first, first + len(owners))
        self.numbers.sequence = sequences.stop
        # The columns are chosen from twice, as each choice can be gone through once; lists of them would take longer.
        (
            feeds, record_ids, versions, changed_at, content_hashes, deleted, partitions, offsets, received_at,
            _, said, payloads, _, key_hashes,
        ) = (compress(column, chosen) for column in events)  # fmt: skip
        rows = zip(
            record_nos, key_hashes, owners, feeds, record_ids, versions, changed_at, content_hashes, deleted,
            partitions, offsets, received_at, sequences, said, payloads, strict=True,
        )  # fmt: skip
        self._placed.update(zip(record_nos, rows, strict=True))
        (
            feeds, record_ids, versions, changed_at, content_hashes, deleted, partitions, offsets, received_at,
            _, _, _, kept, _,
        ) = (compress(column, chosen) for column in events)  # fmt: skip
        messages = zip(
            repeat("record"), owners, sequences, record_nos, feeds, record_ids, versions, changed_at, deleted,
            content_hashes, partitions, offsets, received_at, kept,
        )  # fmt: skip
        self._effects.messages.extend(map(_link_message, messages))
        for worker_no, record_no in zip(owners, record_nos, strict=True):
            self._records_of[worker_no].append(record_no)

    # -- one by one ------------------------------------------------------------------------------------------------

    def _expect(self, events: Sequence[FeedRecord]) -> None:
        """Load at once what these will need; whatever else is needed is loaded one by one when it is met."""
        heads = [head for event in events if (head := self._known.get(_key_of(event))) is not None]
        self._load(self._rows.records_by_no({head.record_no for head in heads}))
        workers: set[int] = set()
        for event in events:
            head = self._known.get(_key_of(event))
            if head is not None and head.worker_no is not None and head.signature_hash != event.signature_hash:
                workers.add(head.worker_no)
            if event.signature is not None and not event.deleted:
                # The records of the largest one stay where they are; should they be needed, they are loaded then.
                workers.update(sorted(self._owners_of(event.signature), key=self._size)[:-1])
        self._load_whole(workers)
        known = [self._workers[number] for number in workers if number in self._workers]
        self._load_owners({identifier for worker in known for identifier in worker.identifiers})

    def _one(self, event: FeedRecord, key_hash: int) -> None:
        self._at_hand = event
        key = _key_of(event)
        head = self._known.get(key)
        record_no = self._new_record_nos.get(key) if head is None else head.record_no
        if record_no is None:
            self._new(event, key, key_hash)
            return
        stored = self._record(record_no)
        if _is_newer(event, stored):
            self._change(event, stored)
        else:
            self._effects.stale[event.feed] += 1

    def _new(self, event: FeedRecord, key: Key, key_hash: int) -> None:
        record_no = self._new_record_nos[key] = self.numbers.record_no
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
                message_of("pair", 0, sequence, record.record_no, event, event.received_at, event.kept)
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

    def _reattach(
        self, record: StoredRecord, worker_before: int, before: Signature, signature: Signature | None
    ) -> None:
        """Find the worker of a record whose signature is another one than before, or none any more."""
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


def _key_of(event: FeedRecord) -> Key:
    return event.feed, event.record_id


def _is_newer(event: FeedRecord, stored: StoredRecord | RecordHead) -> bool:
    """Whether this is a later version, or of two under one number the one that all choose."""
    before = stored.version, stored.changed_at, stored.content_hash
    return (event.version, event.changed_at, event.content_hash) > before
