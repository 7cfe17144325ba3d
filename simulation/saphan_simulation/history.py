"""When each expected alert becomes what it is: the settled alert after every message, read as soon as it is published."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from saphan_schemas.topics import CONTRIBUTIONS, EMPLOYMENTS, INSURED_PERSONS
from saphan_simulation.book import Event, Record
from saphan_simulation.dates import is_buddhist
from saphan_simulation.joining import Identifier, components, identifiers_of
from saphan_simulation.settlement import Settled, Settlement

_DECIDING = frozenset((EMPLOYMENTS, INSURED_PERSONS))
#: In place of a feed: something is said about an account of the worker's insurances.
_PAIR = "pair"
_moment_of = itemgetter(0)


class Change(NamedTuple):
    """From this moment (ms UTC) on the alert is so."""

    at_ms: int
    settled: Settled


def histories(settlement: Settlement, events: Sequence[Event], generic: set[Identifier]) -> dict[str, list[Change]]:
    """Each employment's changes, by its record id, from everything that is published about one worker.

    The worker's numbers are nobody else's but for those in ``generic``. A contribution decides nothing.
    """
    told = [event for event in events if event[1] != CONTRIBUTIONS and not _is_refused(event[2])]
    if all(feed != INSURED_PERSONS for _, feed, _ in told):
        told = [event for event in told if event[1] == EMPLOYMENTS]
    insured = [record for _, feed, record in told if feed == INSURED_PERSONS]
    pair_moments_ms = {moment_ms for record in insured for moment_ms in settlement.pair_moments_ms(record)}
    told.extend((moment_ms, _PAIR, {}) for moment_ms in pair_moments_ms)
    told.sort(key=_moment_of)
    story = _Story(settlement, generic)
    for at_ms, rows in groupby(told, key=_moment_of):
        story.read(at_ms, list(rows))
    story.pass_until(settlement.as_of_ms)
    return story.changes


class _Story:
    """What is known of one worker at a moment, and what followed so far."""

    def __init__(self, settlement: Settlement, generic: set[Identifier]) -> None:
        self._settlement = settlement
        self._generic = generic
        self._records: dict[str, tuple[str, Record, list[Identifier]]] = {}
        self._overdue_from_ms: set[int] = set()
        #: (employment, the insurances joined to it), as of the newest message.
        self._cases: list[tuple[Record, list[Record]]] = []
        self.changes: dict[str, list[Change]] = {}

    def read(self, at_ms: int, rows: Sequence[Event]) -> None:
        """Messages that are published at the same moment."""
        self.pass_until(at_ms)
        taken = [self._takes(feed, record) for _, feed, record in rows]
        if any(taken):
            self._cases = self._joined()
            self._overdue_from_ms = {
                moment_ms
                for employment, insured in self._cases
                for moment_ms in self._settlement.overdue_from_ms(employment, insured, at_ms)
            }
            self._look(at_ms)

    def pass_until(self, until_ms: int) -> None:
        """Time in which only heartbeats are published."""
        passed = [moment_ms for moment_ms in self._overdue_from_ms if moment_ms < until_ms]
        for moment_ms in sorted(passed):
            self._look(moment_ms)
        self._overdue_from_ms.difference_update(passed)

    def _look(self, at_ms: int) -> None:
        for employment, insured in self._cases:
            settled = self._settlement.settle(employment, insured, at_ms)
            changes = self.changes.setdefault(employment["record_id"], [])
            if not changes or changes[-1].settled != settled:
                changes.append(Change(at_ms, settled))

    def _takes(self, feed: str, record: Record) -> bool:
        """Whether the message may change an alert: a pair, or a new version that decides something."""
        if feed == _PAIR:
            return True
        before = self._records.get(record["record_id"])
        if before is not None and before[1]["version"] >= record["version"]:
            return False
        identifiers = identifiers_of(record)
        self._records[record["record_id"]] = (feed, record, identifiers)
        return feed in _DECIDING or before is None or before[2] != identifiers

    def _joined(self) -> list[tuple[Record, list[Record]]]:
        present = [row for row in self._records.values() if not row[1]["deleted"]]
        insured = [place for place, (feed, _, _) in enumerate(present) if feed == INSURED_PERSONS]
        labels = [0] * len(present)
        if insured:
            labels = components([identifiers for _, _, identifiers in present], self._generic)
        return [
            (record, [present[other][1] for other in insured if labels[other] == labels[place]])
            for place, (feed, record, _) in enumerate(present)
            if feed == EMPLOYMENTS
        ]


def _is_refused(record: Record) -> bool:
    """Whether the platform refuses the message, as if it had not been published."""
    birth_day = record.get("birth_date")
    return birth_day is not None and is_buddhist(birth_day)
