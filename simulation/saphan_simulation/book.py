"""What the agencies' records about one worker or employer say after each change, and which versions get published.

The owner's story is told in any order; the versions come out in order of change. Versions from before the start
are folded into one, because an agency that begins to publish sends its registry as it stands.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple

from saphan_schemas.identifiers import is_placeholder, normalise_passport
from saphan_schemas.topics import DAY_MS, EMPLOYMENTS, NON_THAI_IDS, RECORD_FEEDS, STAYS
from saphan_simulation.agencies import HOUR_MS, Agencies
from saphan_simulation.dates import buddhist
from saphan_simulation.identifiers import (
    OFFICE_PASSPORTS,
    OFFICE_PERSON_NUMBERS,
    PLACEHOLDER_PASSPORT,
    PLACEHOLDER_PERSON_NUMBER,
    RECORDS_MAX,
    mistyped,
    record_id,
    reformatted,
)
from saphan_simulation.parameters import Parameters

Record = dict[str, Any]
#: (moment of publication in ms UTC, feed, record in wire form)
Event = tuple[int, str, Record]

_PREFIXES = ("WP", "EM", "ER", "NT", "ST", "IP", "CO", "SE", "HC", "IN", "PR")
#: What an agency's record ids look like: prefix and shift of their numbers.
NUMBERING = {feed: (_PREFIXES[place], place + 1) for place, feed in enumerate(RECORD_FEEDS)}
#: Feeds whose records carry no number but those of the worker's papers.
_NEED_A_NUMBER = frozenset((EMPLOYMENTS, NON_THAI_IDS, STAYS))
#: Faults that may keep a record from its owner's other records, as the expected alerts name them.
TYPO = "typo"
PLACEHOLDER = "placeholder"
OFFICE_NUMBER = "office_number"
SSO_NUMBER_ONLY = "sso_number_only"
NEW_IDENTITY = "returned_under_new_passport"


class Final(NamedTuple):
    """The newest published version of one record; ``fault`` is what is wrong with its identifiers, or ""."""

    feed: str
    record: Record
    fault: str


class Book:
    """Used for one owner after another: :meth:`begin`, tell the story, :meth:`publish`."""

    def __init__(self, agencies: Agencies, parameters: Parameters) -> None:
        self._publish_ms = agencies.publishers()
        self._start_ms = agencies.window.start_ms
        self._end_ms = agencies.window.end_ms
        self._duplicate_share: float = parameters["agencies.duplicate_share"]
        self._straggler_from = 1.0 - parameters["agencies.straggler_share"]
        self._straggler_ms = parameters["agencies.straggler_hours_max"] * HOUR_MS
        self._typo_share: float = parameters["faults.typo_share"]
        self._placeholder_below = self._typo_share + parameters["faults.placeholder_share"]
        self._office_below = self._placeholder_below + parameters["faults.office_number_share"]
        self._fault_below = self._office_below + parameters["faults.reformatted_share"]
        self._repair_share: float = parameters["faults.typo_corrected_share"]
        self._buddhist_share: float = parameters["faults.buddhist_year_share"]
        self.begin(0, Random(0))

    def begin(self, owner: int, random: Random) -> None:
        """Forget the last owner; ``random`` decides everything about this one."""
        self._owner = owner
        self.random = random.random
        self._changes: list[tuple[int, int, int, Record]] = []
        self._feeds: list[str] = []
        self._opened: list[int] = []
        self._openings: list[int] = []
        self._faults: dict[int, str] = {}
        self._repairs: dict[int, int] = {}
        self._misread: str = ""
        self._ordinal = 0
        #: Whether any record carries a number that other people's records may carry too.
        self.shares_a_number = False

    def open(self, feed: str, changed_ms: int, numbers: Mapping[str, str | None], fields: Record) -> int:
        """A new record; returns its place. ``numbers`` are written by a clerk, who may err; ``fields`` as they are."""
        self._misread = ""
        slot = len(self._feeds)
        written = {name: number and self.written(number) for name, number in numbers.items()}
        if self._misread == PLACEHOLDER and feed in _NEED_A_NUMBER and not _has_a_number(written):
            # Without any number the platform refuses the record; the clerk had to write one.
            written, self._misread = dict(numbers), ""
        self._feeds.append(feed)
        self._opened.append(changed_ms)
        self._openings.append(len(self._changes))
        if "record_id" not in fields:
            written["record_id"] = self.next_id(feed)
        self._changes.append((changed_ms, len(self._changes), slot, {**written, **fields}))
        if self._misread:
            self._faults[slot] = self._misread
            if self.random() < self._repair_share:
                self._repairs[len(self._changes)] = slot
                self.change(slot, changed_ms + int((1 + self.random() * 60) * DAY_MS), **numbers)
        return slot

    def next_id(self, feed: str) -> str:
        """The next record id that the agency gives out for this owner. Raises OverflowError beyond RECORDS_MAX."""
        ordinal = self._ordinal
        if ordinal >= RECORDS_MAX:
            message = f"owner {self._owner} has more than {RECORDS_MAX} records; simulate fewer months"
            raise OverflowError(message)
        self._ordinal = ordinal + 1
        prefix, shift = NUMBERING[feed]
        return record_id(prefix, shift, self._owner * RECORDS_MAX + ordinal)

    def change(self, slot: int, changed_ms: int, **fields: Any) -> None:
        """A later version of a record, at the earliest just after it was opened."""
        opened_ms = self._opened[slot]
        self._changes.append((max(changed_ms, opened_ms + 1000), len(self._changes), slot, fields))

    def amend(self, slot: int, **fields: Any) -> None:
        """What the record said in its first version, instead of what it was opened with."""
        self._changes[self._openings[slot]][3].update(fields)

    def delete(self, slot: int, changed_ms: int) -> None:
        """The agency takes the record out."""
        self.change(slot, changed_ms, deleted=True)

    def mark(self, slot: int, fault: str) -> None:
        """Say why a record may not be joined to its owner's others."""
        self._faults.setdefault(slot, fault)

    def written(self, number: str) -> str:
        """A number as a clerk writes it."""
        u = self.random()
        return number if u >= self._fault_below else self._miswritten(number, u)

    def rewritten(self, number: str) -> str:
        """A number as a clerk writes it who cannot leave it out."""
        text = self.written(number)
        return text if _is_a_number(text) else number

    def publish(self, events: list[Event]) -> list[Final]:
        """Append what gets published before the end to ``events`` and return the newest published versions."""
        latest: dict[int, Record] = {}
        finals: dict[int, Record] = {}
        pending: dict[int, tuple[int, Record]] = {}
        for changed_ms, place, slot, fields in sorted(self._changes, key=_by_moment):
            before = latest.get(slot)
            if before is not None and before["deleted"]:
                continue  # Nobody corrects what was taken out.
            record = latest[slot] = _next_version(before, changed_ms, fields)
            if changed_ms < self._start_ms:
                pending[slot] = (changed_ms, record)
                self._repaired(place, slot)
                continue
            if pending and slot in pending:
                self._send(events, finals, slot, *pending.pop(slot))
            if self._send(events, finals, slot, changed_ms, record):
                self._repaired(place, slot)
        for slot, (changed_ms, record) in pending.items():
            self._send(events, finals, slot, changed_ms, record)
        faults = self._faults
        return [Final(self._feeds[slot], record, faults.get(slot, "")) for slot, record in finals.items()]

    def _repaired(self, place: int, slot: int) -> None:
        if self._repairs and self._repairs.get(place) == slot:
            self._faults.pop(slot, None)

    def _send(self, events: list[Event], finals: dict[int, Record], slot: int, changed_ms: int, record: Record) -> bool:
        random = self.random
        feed = self._feeds[slot]
        when_ms = self._publish_ms[feed](changed_ms, random())
        luck = random()
        if luck >= self._straggler_from and changed_ms >= self._start_ms:
            when_ms += int(random() * self._straggler_ms)
        if when_ms >= self._end_ms:
            return False
        if self._buddhist_share and self._misdated(record):
            # Rejected downstream: as if this version had never been published.
            events.append((when_ms, feed, {**record, "birth_date": buddhist(record["birth_date"])}))
            return False
        events.append((when_ms, feed, record))
        if luck < self._duplicate_share:
            again_ms = when_ms + int(random() * 3 * DAY_MS)
            if again_ms < self._end_ms:
                events.append((again_ms, feed, record))
        known = finals.get(slot)
        if known is None or known["version"] < record["version"]:
            finals[slot] = record
        return True

    def _misdated(self, record: Record) -> bool:
        return record.get("birth_date") is not None and self.random() < self._buddhist_share

    def _miswritten(self, number: str, u: float) -> str:
        is_person_number = len(number) == 13
        if u < self._typo_share:
            self._misread = TYPO
            return mistyped(number, self.random(), self.random())
        if u < self._placeholder_below:
            self._misread = PLACEHOLDER
            return PLACEHOLDER_PERSON_NUMBER if is_person_number else PLACEHOLDER_PASSPORT
        if u >= self._office_below or len(number) == 12:
            return reformatted(number)
        self._misread = OFFICE_NUMBER
        self.shares_a_number = True
        office = OFFICE_PERSON_NUMBERS if is_person_number else OFFICE_PASSPORTS
        return office[int(self.random() * len(office))]


def _next_version(before: Record | None, changed_ms: int, fields: Record) -> Record:
    if before is None:
        return {"version": 1, "changed_at": changed_ms, "deleted": False, **fields}
    record = before.copy() if "deleted" not in fields else dict.fromkeys(before)
    record.update(fields)
    record["record_id"] = before["record_id"]
    record["version"] = before["version"] + 1
    record["changed_at"] = changed_ms
    return record


def _has_a_number(written: Mapping[str, str | None]) -> bool:
    return any(text and _is_a_number(text) for name, text in written.items() if name != "previous_passport_number")


def _is_a_number(text: str) -> bool:
    return not is_placeholder(normalise_passport(text))


def _by_moment(change: tuple[int, int, int, Record]) -> tuple[int, int]:
    return change[0], change[1]


class BirthDates:
    """Birth dates as registries have them: sometimes some days or a year off."""

    def __init__(self, parameters: Parameters) -> None:
        self._wrong_share: float = parameters["faults.birth_date_wrong_share"]
        self._days_off_share: float = parameters["faults.birth_date_days_off_share"]

    def noted(self, random: Callable[[], float], day: int) -> int:
        """What one registry notes of somebody born on ``day``."""
        if random() >= self._wrong_share:
            return day
        return day + int(random() * 27) + 1 if random() < self._days_off_share else day - 365
