"""What is known of one worker: a fold over the newest state of each record, whatever the order of arrival."""

from collections.abc import Callable, Mapping
from itertools import starmap
from operator import itemgetter
from typing import Any, NamedTuple

import msgpack

from saphan_projections.packing import array_head, pack
from saphan_schemas.topics import EMPLOYMENTS, HEALTH_COVER, INSURED_PERSONS, NON_THAI_IDS, STAYS, WORK_PERMITS

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

#: How a packed state names the feeds. Rows that were written hold these places, so that new feeds come last.
_FEEDS = (WORK_PERMITS, EMPLOYMENTS, NON_THAI_IDS, STAYS, INSURED_PERSONS, HEALTH_COVER)
_PLACES = {feed: place for place, feed in enumerate(_FEEDS)}
_STATE_HEAD = b"\x94\x02"  # an array of four in msgpack: this form's number, members, gone, alerts
_NOTHING_GONE_OR_TOLD = b"\x80\x90"  # an empty map, an empty array


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


_FEED_AND_ID: Callable[[Member], tuple[str, str]] = itemgetter(*map(Member._fields.index, ("feed", "record_id")))


class Person(NamedTuple):
    """What all of a worker's members but the employments say together: a part of :class:`View`."""

    nationality: str | None
    sex: str | None
    birth_year: int | None
    enrolled: bool
    permit_valid_until: int | None
    health_cover_until: int | None


class KnownAlert(NamedTuple):
    """What was last decided for one employment: enough to see whether anything is new."""

    version: int
    told: tuple[Any, ...]
    evidence_hash: int
    employment_record_id: str
    employer_id: str
    rule_version: str


class WorkerState:
    """One worker as integrate keeps it in memory and, packed, in the row ``worker.state``.

    What is derived from the members is kept until one of those changes that it depends on, as most members of a worker
    are as they were at the last chunk: ``opaque`` is the opaque id, ``eligible`` what the law says of the employments,
    ``employers`` and ``person`` are the parts of :func:`view`; None until they are asked for. ``encoded`` holds what
    integrate made of each member for its messages, in the members' order, empty where it is still to be made.

    ``written_id`` is the opaque id that the row is known to hold, None when it is not known. :attr:`alerts` change by
    :meth:`know_alert` and :meth:`forget_alert` alone.
    """

    __slots__ = (
        "_first",
        "_packed",
        "_tail",
        "alerts",
        "eligible",
        "employers",
        "encoded",
        "gone",
        "members",
        "opaque",
        "person",
        "worker_no",
        "written_id",
    )

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
        self.written_id: str | None = None
        self.opaque: str | None = None
        self.eligible: bool | None = None
        self.employers: tuple[str, ...] | None = None
        self.person: Person | None = None
        self.encoded: dict[int, bytes] = dict.fromkeys(self.members, b"")
        self._first: tuple[str, str] | None = None
        self._packed: dict[int, bytes] | None = None
        self._tail: bytes | None = None

    def pack(self) -> bytes:
        """The state as bytes for the row; :meth:`unpack` is its inverse."""
        packed, tail = self._packed, self._tail
        if packed is None:
            packed = self._packed = dict(zip(self.members, starmap(_packed_member, self.members.items()), strict=True))
        if tail is None:
            tail = self._tail = self._packed_tail()
        return b"".join((_STATE_HEAD, array_head(len(packed)), *packed.values(), tail))

    def _packed_tail(self) -> bytes:
        if not self.gone and not self.alerts:
            return _NOTHING_GONE_OR_TOLD
        return pack(self.gone) + pack([self._alert_row(number, known) for number, known in self.alerts.items()])

    def _alert_row(self, number: int, known: KnownAlert) -> Attributes:
        version, told, evidence_hash, record_id, employer_id, rule_version = known
        member = self.members.get(number)
        if member is not None and (member.record_id, member.kept[0]) == (record_id, employer_id):
            # Nearly always: the employment itself says it.
            return number, version, told, evidence_hash, rule_version
        return number, version, told, evidence_hash, rule_version, record_id, employer_id

    @classmethod
    def unpack(cls, worker_no: int, packed: bytes) -> "WorkerState":
        """The state from the row's bytes."""
        form, *parts = msgpack.unpackb(packed, strict_map_key=False, use_list=False)
        if not isinstance(form, int):
            return cls._of_first_form(worker_no, form, *parts)
        rows, gone, alerts = parts
        members = {row[0]: Member._make((row[1], _FEEDS[row[2]], *row[3:9], row[9:])) for row in rows}
        return cls(worker_no, members, gone, {row[0]: _known_alert(row, members) for row in alerts})

    @classmethod
    def _of_first_form(
        cls, worker_no: int, members: dict[int, Attributes], gone: dict[int, int], alerts: dict[int, Attributes]
    ) -> "WorkerState":
        """What Saphan wrote before the packed state had a number: the tuples as they were."""
        return cls(
            worker_no,
            {number: Member._make(row) for number, row in members.items()},
            gone,
            # The alert's id was the first of the row; it follows from the employment's.
            {number: KnownAlert._make(row[1:]) for number, row in alerts.items()},
        )

    def put(self, record_no: int, member: Member) -> bool:
        """Take a record's newer state; False when it is a repeat or an older one."""
        if not self._is_news(record_no, member.sequence):
            return False
        if record_no in self.gone:
            del self.gone[record_no]
            self._tail = None
        self.members[record_no] = member
        self.encoded[record_no] = b""
        if self._packed is not None:
            self._packed[record_no] = _packed_member(record_no, member)
        self._forget_what_follows_from(member.feed)
        # A record keeps its feed and id for ever: one more record can only make the smallest of them smaller.
        if self._first is not None and (member.feed, member.record_id) < self._first:
            self._first = member.feed, member.record_id
            self.opaque = None
        return True

    def remove(self, record_no: int, sequence: int) -> bool:
        """Take a record away; a late repeat of it stays away. False when this is a repeat itself."""
        if not self._is_news(record_no, sequence):
            return False
        self.gone[record_no] = sequence
        self._tail = None
        member = self.members.pop(record_no, None)
        if member is not None:
            del self.encoded[record_no]
            if self._packed is not None:
                del self._packed[record_no]
            self._forget_what_follows_from(member.feed)
            self._first = self.opaque = None
        return True

    def know_alert(self, record_no: int, known: KnownAlert) -> None:
        """Keep what was decided for an employment."""
        self.alerts[record_no] = known
        self._tail = None

    def forget_alert(self, record_no: int) -> KnownAlert:
        """Forget what was decided for an employment, and return it. Raises KeyError."""
        self._tail = None
        return self.alerts.pop(record_no)

    def first(self) -> tuple[str, str]:
        """The smallest (feed, record id) of the members. Raises ValueError when there is none."""
        if self._first is None:
            self._first = min(map(_FEED_AND_ID, self.members.values()))
        return self._first

    def _is_news(self, record_no: int, sequence: int) -> bool:
        member = self.members.get(record_no)
        known = member.sequence if member is not None else self.gone.get(record_no, -1)
        return sequence > known

    def _forget_what_follows_from(self, feed: str) -> None:
        if feed == EMPLOYMENTS:
            self.employers = self.eligible = None
            # An alert is packed with what its employment does not say.
            self._tail = None
        else:
            self.person = None


def _packed_member(number: int, member: Member) -> bytes:
    sequence, feed, record_id, version, changed_at, content_hash, partition, offset, kept = member
    return pack(
        (number, sequence, _PLACES[feed], record_id, version, changed_at, content_hash, partition, offset, *kept)
    )


def _known_alert(row: Attributes, members: Mapping[int, Member]) -> KnownAlert:
    number, version, told, evidence_hash, rule_version, *own = row
    if own:
        record_id, employer_id = own
    else:
        employment = members[number]
        record_id, employer_id = employment.record_id, employment.kept[0]
    return KnownAlert(version, told, evidence_hash, record_id, employer_id, rule_version)
