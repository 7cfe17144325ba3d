"""Histories of a few records with short identifiers, a linker over a database of its own, and what it must say then."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgpack
from hypothesis import strategies as st

from saphan_projections import link_store
from saphan_projections.database import Database, create_tables
from saphan_projections.identity import (
    Signature,
    generic_identifiers,
    groups,
    identifier_hash,
    only_adds,
    pack_signature,
    signature_hashes,
)
from saphan_projections.link_records import FeedEvents, FeedRecord, LinkMessage, record_key_hashes
from saphan_projections.link_store import LinkRowsOf
from saphan_projections.linking import Linker
from saphan_schemas.topics import WORK_PERMITS


class Change(NamedTuple):
    """One change of one record: what it then says, or that it is gone."""

    record: int
    birth_day: int | None
    identifiers: str
    deleted: bool

    @property
    def signature(self) -> Signature:
        return Signature(self.birth_day, tuple(sorted(set(self.identifiers))))


_change = st.builds(
    Change,
    record=st.integers(0, 7),
    birth_day=st.sampled_from([None, 0, 1, 2, 3, 4]),
    # Short lists of letters would give histories in which nothing is ever shared by three people.
    identifiers=st.sampled_from(["", "a", "b", "e", "ab", "ac", "ad", "bc", "cd", "de", "abc", "acd"]),
    deleted=st.sampled_from([False, False, False, False, True]),
)


def _history(drawn: Sequence[tuple[Change, bool]]) -> list[Change]:
    """The changes; where it is drawn, one says all that its record said before and more."""
    found: list[Change] = []
    last: dict[int, Change] = {}
    for change, says_more in drawn:
        before = last.get(change.record)
        if says_more and before is not None and not before.deleted:
            birth_day = change.birth_day if before.birth_day is None else before.birth_day
            identifiers = "".join(sorted({*before.identifiers, *change.identifiers}))
            found.append(change._replace(birth_day=birth_day, identifiers=identifiers))
        else:
            found.append(change)
        last[change.record] = found[-1]
    return found


#: Of any length alike: left to itself Hypothesis makes short ones, in which no identifier ever becomes generic.
changes = st.integers(1, 40).flatmap(
    lambda length: st.lists(st.tuples(_change, st.booleans()), min_size=length, max_size=length).map(_history)
)


def feed_records(history: Sequence[Change]) -> list[FeedRecord]:
    """The history as a feed tells it: versions rise with each change of a record."""
    versions: dict[int, int] = {}
    found = []
    for offset, change in enumerate(history):
        version = versions[change.record] = versions.get(change.record, 0) + 1
        payload = msgpack.packb(change.signature)
        row = (WORK_PERMITS, f"R{change.record}", version, 0, 0, change.deleted, 0, offset, offset)
        hashed = 0 if change.deleted else signature_hashes((change.signature,))[0]
        found.append(FeedRecord(*row, change.signature, hashed, payload, payload))
    return found


def feed_events(rows: Sequence[FeedRecord]) -> FeedEvents:
    """The same records in columns."""
    if not rows:
        return FeedEvents()
    columns: dict[str, Sequence[Any]] = dict(zip(FeedRecord._fields, zip(*rows, strict=True), strict=True))
    columns["signature"] = [b"" if row.signature is None else pack_signature(row.signature) for row in rows]
    key_hashes = [number for row in rows for number in record_key_hashes(row.feed, (row.record_id,))]
    return FeedEvents(**columns, key_hash=key_hashes)


def present(history: Sequence[Change]) -> dict[str, Signature]:
    """What each record says in the end; records that are gone are absent."""
    last = {f"R{change.record}": change for change in history}
    return {record: change.signature for record, change in last.items() if not change.deleted}


class Payloads:
    """What the payloads of these tests say: a signature, and all of it is handed on."""

    def signature(self, _feed: str, payload: bytes) -> Signature:
        return Signature(*msgpack.unpackb(payload, use_list=False))

    def kept(self, _feed: str, payload: bytes) -> bytes:
        return payload


@dataclass
class Link:
    """A linker over a database of its own in memory."""

    cached_workers_max: int = 250_000
    rows: LinkRowsOf = field(default_factory=LinkRowsOf)
    linker: Linker | None = None
    messages: list[LinkMessage] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = Database("sqlite://")
        create_tables(self.database)

    def apply(self, chunk: Sequence[FeedRecord]) -> None:
        with self.database.transaction() as transaction:
            self.rows.use(transaction)
            if self.linker is None:
                numbers = link_store.read_numbers(transaction)
                self.linker = Linker(self.rows, numbers, Payloads(), self.cached_workers_max)
            effects = self.linker.apply(feed_events(chunk))
            link_store.write_effects(transaction, effects, self.linker.numbers)
        self.messages += effects.messages

    def restart(self) -> None:
        self.linker = None

    def query(self, sql: str) -> list[tuple[object, ...]]:
        with self.database.reading() as transaction:
            return transaction.rows(sql)

    def members(self) -> dict[object, set[str]]:
        found: dict[object, set[str]] = {}
        for worker_no, record_id in self.query("SELECT worker_no, record_id FROM record WHERE worker_no IS NOT NULL"):
            found.setdefault(worker_no, set()).add(str(record_id))
        return found


def told(messages: Sequence[LinkMessage]) -> dict[object, set[str]]:
    """Each worker's records when of what was said of (worker, record) only the highest sequence counts."""
    newest: dict[tuple[int, int], LinkMessage] = {}
    for message in messages:
        key = message.worker_no, message.record_no
        if key not in newest or newest[key].sequence < message.sequence:
            newest[key] = message
    found: dict[object, set[str]] = {}
    for message in newest.values():
        if message.kind == "record" and not message.deleted:
            found.setdefault(message.worker_no, set()).add(message.record_id)
    return found


def assert_as_defined(link: Link, world: dict[str, Signature]) -> None:
    """The rows and the messages say exactly what :func:`groups` says over the present records."""
    records = sorted(world)
    signatures = [world[record] for record in records]
    generic = generic_identifiers(signatures)
    members = link.members()
    defined = {frozenset(records[index] for index in group) for group in groups(signatures, generic)}
    assert {frozenset(group) for group in members.values()} == defined
    assert told(link.messages) == members
    assert {name for (name,) in link.query("SELECT identifier FROM generic_identifier")} == generic
    holders = {
        (identifier_hash(identifier), worker_no)
        for worker_no, group in members.items()
        for record in group
        for identifier in world[record].identifiers
    }
    assert set(link.query("SELECT identifier_hash, worker_no FROM link_identifier")) == holders
    kept = {
        worker_no: {Signature(*row) for row in msgpack.unpackb(packed, use_list=False)}
        for worker_no, packed in link.query("SELECT worker_no, signatures FROM link_worker")
    }
    borne = {worker_no: {world[record] for record in group} for worker_no, group in members.items()}
    assert kept.keys() == borne.keys()
    for worker_no, signatures_kept in kept.items():
        assert signatures_kept >= borne[worker_no]
        # What a record said before it said more may be kept, since it says nothing else.
        for former in signatures_kept - borne[worker_no]:
            assert any(only_adds(former, signature) for signature in borne[worker_no])
