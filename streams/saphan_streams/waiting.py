"""What came and is not handed on yet, and which of it the next event carries."""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from faust.types import TP

from saphan_streams.catching_up import Part, behind_in, due

#: So many events may wait while most of them are to be joined by more: all partitions grow, one at a time goes.
_EVENTS_WAITING_MAX = 4


def cut(
    fetched: Mapping[TP, Sequence[Any]], records_max: int, bytes_max: int
) -> Iterator[list[tuple[TP, Sequence[Any]]]]:
    """Groups of at most so many records and bytes, each with at least one record; each partition's stay in order."""
    group: list[tuple[TP, Sequence[Any]]] = []
    count = size = 0
    for tp, records in fetched.items():
        # The bytes before each message.
        before = list(accumulate(_value_bytes(records), initial=0))
        start = 0
        while start < len(records):
            fitting = bisect_right(before, bytes_max - size + before[start], start) - 1
            end = min(fitting, start + records_max - count)
            if end <= start and not count:
                end = start + 1
            if end > start:
                group.append((tp, records[start:end]))
                count += end - start
                size += before[end] - before[start]
                start = end
            if start < len(records):
                yield group
                group, count, size = [], 0, 0
    if group:
        yield group


class _Pile:
    """What waits of one partition, in order."""

    def __init__(self, since_seconds: float) -> None:
        self.since_seconds = since_seconds
        self.records: list[Any] = []
        self.bytes = 0
        self.behind = 0


class Waiting:
    """What was fetched while the agent was busy: the larger the next event, the less each of its messages costs.

    ``for_senders``: whether the messages' senders are waited for while they say that they are behind.
    """

    def __init__(self, records_max: int, bytes_max: int, *, for_senders: bool) -> None:
        self._records_max = records_max
        self._bytes_max = bytes_max
        self._for_senders = for_senders
        self.clear()

    def clear(self) -> None:
        """Forget everything: it comes again from the positions of the next assignment."""
        self._piles: dict[TP, _Pile] = {}
        self._newest: dict[TP, int] = {}

    @property
    def count(self) -> int:
        """How many messages wait."""
        return sum(len(pile.records) for pile in self._piles.values())

    @property
    def has_room(self) -> bool:
        """Whether more is to be fetched."""
        size = sum(pile.bytes for pile in self._piles.values())
        events_max = _EVENTS_WAITING_MAX if self._for_senders else 1
        return self.count < events_max * self._records_max and size < events_max * self._bytes_max

    def add(self, fetched: Mapping[TP, Sequence[Any]], now_seconds: float) -> None:
        """Put messages behind those of the same partitions; the clock may be any that only goes on."""
        for tp, records in fetched.items():
            if records:
                self._put(self._piles.setdefault(tp, _Pile(now_seconds)), records)
                self._newest[tp] = behind_in(records[-1]) if self._for_senders else 0

    def take(self, now_seconds: float) -> Sequence[tuple[TP, Sequence[Any]]]:
        """The next event's messages, which do not wait any more; none when all are to be joined by more."""
        chosen = {tp: self._piles[tp].records for tp in self._chosen(now_seconds)}
        group: list[tuple[TP, Sequence[Any]]] = next(cut(chosen, self._records_max, self._bytes_max), [])
        for tp, piece in group:
            pile = self._piles[tp]
            rest = _Pile(pile.since_seconds)  # At the latest: some of the rest may have come with what leaves.
            self._put(rest, pile.records[len(piece) :])
            if self._for_senders or not rest.records:
                del self._piles[tp]  # It is the others' turn.
            if rest.records:
                self._piles[tp] = rest
        return group

    def _chosen(self, now_seconds: float) -> Collection[TP]:
        parts = {tp: Part(pile.behind, pile.since_seconds, self._is_event(pile)) for tp, pile in self._piles.items()}
        # By the least that was said last: what one partition brings may have been sent before what another brought.
        chosen = due(parts, min(self._newest.values(), default=0), now_seconds)
        if not chosen and not self.has_room:
            return [max(self._piles, key=lambda tp: self._piles[tp].bytes)]
        return chosen

    def _is_event(self, pile: _Pile) -> bool:
        return len(pile.records) >= self._records_max or pile.bytes >= self._bytes_max

    def _put(self, pile: _Pile, records: Sequence[Any]) -> None:
        pile.records.extend(records)
        pile.bytes += sum(_value_bytes(records))
        if self._for_senders:
            pile.behind = max([pile.behind, *map(behind_in, records)])


def _value_bytes(records: Sequence[Any]) -> list[int]:
    return [len(record.value or b"") for record in records]
