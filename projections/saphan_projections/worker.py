"""What is known of one worker: a fold over the newest state of each record, whatever the order of arrival."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import msgpack

from saphan_projections.alerts import Employment, Insurance, RecordReference
from saphan_schemas.topics import EMPLOYMENTS, HEALTH_COVER, INSURED_PERSONS, NON_THAI_IDS, STAYS, WORK_PERMITS
from saphan_schemas.values import days_to_date

Attributes = tuple[Any, ...]

#: What integrate keeps of a record, by feed: enough for the integrated view and the alerts, no names, no numbers.
KEPT: dict[str, tuple[str, ...]] = {
    WORK_PERMITS: ("nationality", "sex", "birth_date", "valid_until"),
    EMPLOYMENTS: ("employer_id", "start_date", "end_date", "workplace_district", "sector", "contract_months"),
    NON_THAI_IDS: ("nationality", "sex", "birth_date", "address_district"),
    STAYS: ("nationality", "sex", "birth_date", "exit_date"),
    INSURED_PERSONS: (
        "nationality", "sex", "birth_date", "section", "sso_account", "sso_branch", "start_date", "end_date",
    ),
    HEALTH_COVER: ("nationality", "sex", "birth_date", "valid_until"),
}  # fmt: skip

#: One packer for all: a new one for each value costs as much as a small value itself.
_pack: Callable[[Any], bytes] = msgpack.Packer().pack
_STATE_HEAD = b"\x93"  # an array of three in msgpack: members, gone, alerts
_NOTHING = b"\x80"  # an empty map

#: Which registry is believed first for nationality, sex and birth date.
_PRECEDENCE = (NON_THAI_IDS, STAYS, WORK_PERMITS, INSURED_PERSONS, HEALTH_COVER)


class Member(NamedTuple):
    """The newest state of one record of a worker. ``kept`` is in the order of :data:`KEPT`."""

    sequence: int
    feed: str
    record_id: str
    version: int
    changed_at: int
    content_hash: int
    partition: int
    offset: int
    kept: Attributes


class KnownAlert(NamedTuple):
    """What was last decided for one employment: enough to see whether anything is new."""

    alert_id: str
    version: int
    told: tuple[Any, ...]
    evidence_hash: int
    employment_record_id: str
    employer_id: str
    rule_version: str


class WorkerState:
    """One worker as integrate keeps it in memory and, packed, in the row ``worker.state``.

    ``written_id`` is the opaque id that the row is known to hold, "" when it is not known. ``encoded`` keeps what
    integrate made of single members for its messages, by record number; a member that changes drops it. ``eligible`` is
    what the law says of the employments, None until it is asked, and again when one of them changes. ``_packed`` keeps
    each member's part of :meth:`pack`, for most members of a worker are as they were at the last chunk.
    """

    __slots__ = ("_first", "_packed", "alerts", "eligible", "encoded", "gone", "members", "worker_no", "written_id")

    def __init__(
        self,
        worker_no: int,
        members: dict[int, Member] | None = None,
        gone: dict[int, int] | None = None,
        alerts: dict[int, KnownAlert] | None = None,
    ) -> None:
        self.worker_no = worker_no
        self.members = members if members is not None else {}
        self.gone = gone if gone is not None else {}
        self.alerts = alerts if alerts is not None else {}
        self.written_id = ""
        self.encoded: dict[int, bytes] = {}
        self.eligible: bool | None = None
        self._first: tuple[str, str] | None = None
        self._packed: dict[int, bytes] = {}

    def pack(self) -> bytes:
        """The state as msgpack's bytes of (members, gone, alerts); :meth:`unpack` is its inverse."""
        parts = [_STATE_HEAD, _map_head(len(self.members))]
        packed = self._packed
        for number, member in self.members.items():
            part = packed.get(number)
            if part is None:
                part = packed[number] = _pack(number) + _pack(member)
            parts.append(part)
        parts += (_pack(self.gone) if self.gone else _NOTHING, _pack(self.alerts) if self.alerts else _NOTHING)
        return b"".join(parts)

    @classmethod
    def unpack(cls, worker_no: int, packed: bytes) -> "WorkerState":
        """The state from the row's bytes."""
        members, gone, alerts = msgpack.unpackb(packed, strict_map_key=False, use_list=False)
        return cls(
            worker_no,
            {number: Member._make(row) for number, row in members.items()},
            gone,
            {number: KnownAlert._make(row) for number, row in alerts.items()},
        )

    def put(self, record_no: int, member: Member) -> bool:
        """Take a record's newer state; False when it is a repeat or an older one."""
        if not self._is_news(record_no, member.sequence):
            return False
        self.gone.pop(record_no, None)
        self.members[record_no] = member
        self.encoded.pop(record_no, None)
        self._packed.pop(record_no, None)
        if member.feed == EMPLOYMENTS:
            self.eligible = None
        if self._first is not None:
            self._first = min(self._first, (member.feed, member.record_id))
        return True

    def remove(self, record_no: int, sequence: int) -> bool:
        """Take a record away; a late repeat of it stays away. False when this is a repeat itself."""
        if not self._is_news(record_no, sequence):
            return False
        self.members.pop(record_no, None)
        self.gone[record_no] = sequence
        self.encoded.pop(record_no, None)
        self._packed.pop(record_no, None)
        self.eligible = None
        self._first = None
        return True

    def first(self) -> tuple[str, str]:
        """The smallest (feed, record id) of the members. Raises ValueError when there is none."""
        if self._first is None:
            self._first = min((member.feed, member.record_id) for member in self.members.values())
        return self._first

    def _is_news(self, record_no: int, sequence: int) -> bool:
        member = self.members.get(record_no)
        known = member.sequence if member is not None else self.gone.get(record_no, -1)
        return sequence > known


def _map_head(entries: int) -> bytes:
    """How msgpack begins a map of so many entries."""
    return bytes((0x80 | entries,)) if entries < 16 else msgpack.Packer(autoreset=True).pack_map_header(entries)


class View(NamedTuple):
    """What the members say together. Days count from 1970-01-01; None where no record says."""

    nationality: str | None
    sex: str | None
    birth_year: int | None
    employers: tuple[str, ...]
    employed: bool
    enrolled: bool
    permit_valid_until: int | None
    health_cover_until: int | None


def worker_id(state: WorkerState, key: bytes) -> str:
    """An opaque id, a function of the worker's records: a keyed hash of the first of them by feed and record id."""
    feed, record_id = state.first()
    return "W-" + blake2b(f"{feed}|{record_id}".encode(), digest_size=10, key=key).hexdigest()


def view(state: WorkerState) -> View:
    """Fold the members: registries by precedence for who the person is, all records for what holds now."""
    best: dict[str, Member] = {}
    employers: set[str] = set()
    enrolled = False
    until: dict[str, int | None] = {WORK_PERMITS: None, HEALTH_COVER: None}
    for member in state.members.values():
        feed, kept = member.feed, member.kept
        if feed == EMPLOYMENTS:
            if kept[2] is None and kept[0] is not None:
                employers.add(kept[0])
            continue
        if feed in until:
            until[feed] = _later(until[feed], kept[3])
        elif feed == INSURED_PERSONS and kept[3] == "33" and kept[7] is None:
            enrolled = True
        _keep_newest(best, member)
    person = _person(best)
    birth_day = _said(person, 2)
    return View(
        _said(person, 0),
        _said(person, 1),
        None if birth_day is None else days_to_date(birth_day).year,
        tuple(sorted(employers)),
        bool(employers),
        enrolled,
        until[WORK_PERMITS],
        until[HEALTH_COVER],
    )


def person_sources(state: WorkerState) -> dict[str, Member]:
    """Which record each attribute of the person in :func:`view` was taken from; an attribute that none says is absent.

    Keys: nationality, sex, birth_date.
    """
    best: dict[str, Member] = {}
    for member in state.members.values():
        _keep_newest(best, member)
    names = ("nationality", "sex", "birth_date")
    return {name: member for name, member in zip(names, _person(best), strict=True) if member is not None}


def _keep_newest(best: dict[str, Member], member: Member) -> None:
    known = best.get(member.feed)
    if known is None or _newness(member) > _newness(known):
        best[member.feed] = member


def _person(best: Mapping[str, Member]) -> list[Member | None]:
    """The member to believe for each of nationality, sex and birth date, which every such record keeps first."""
    found: list[Member | None] = [None, None, None]
    for feed in _PRECEDENCE:
        member = best.get(feed)
        if member is not None:
            for index in range(3):
                if found[index] is None and member.kept[index] is not None:
                    found[index] = member
    return found


def _said(person: Sequence[Member | None], index: int) -> Any:
    member = person[index]
    return None if member is None else member.kept[index]


def _later(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return max(one, other)


def _newness(member: Member) -> tuple[int, int, str]:
    return member.changed_at, member.version, member.record_id


def reference(member: Member) -> RecordReference:
    """Where the record stands in its feed."""
    return RecordReference(member.feed, member.record_id, member.version, member.partition, member.offset)


def employments(state: WorkerState) -> dict[int, Employment]:
    """The worker's employments that name an employer and a first day, by record number; link lets no others pass."""
    return {
        number: Employment(reference(m), m.kept[0], m.kept[1], m.kept[2])
        for number, m in state.members.items()
        if m.feed == EMPLOYMENTS and m.kept[0] is not None and m.kept[1] is not None
    }


def insurances(state: WorkerState) -> list[Insurance]:
    """The worker's insurances."""
    return [
        Insurance(reference(m), m.kept[3], m.kept[4], m.kept[5], m.kept[6], m.kept[7])
        for m in state.members.values()
        if m.feed == INSURED_PERSONS
    ]
