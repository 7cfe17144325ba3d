"""When an agency's change leaves the agency: at once or in batches, late, twice, or after days of silence."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from saphan_schemas.topics import DAY_MS, RECORD_FEEDS
from saphan_schemas.values import bangkok_midnight_ms
from saphan_simulation.dates import iso_day
from saphan_simulation.draws import SLOTS, quantile_table, seed_of
from saphan_simulation.parameters import Parameters

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
#: A batch begins at 20:00 in Bangkok, after every office hour.
_BATCH_HOUR = 20
_REAL_TIME_HEARTBEAT_HOUR = 23.5
_SILENCE_STREAM = 1
#: Batches are planned a little beyond the end, so that each change has one.
_DAYS_AFTER_END = 62


@dataclass(frozen=True, slots=True)
class Window:
    """The simulated days: from ``start_day`` to the day before ``end_day`` (days since 1970-01-01, Bangkok)."""

    start_day: int
    end_day: int

    @property
    def start_ms(self) -> int:
        return bangkok_midnight_ms(self.start_day)

    @property
    def end_ms(self) -> int:
        return bangkok_midnight_ms(self.end_day)


class Schedule:
    """One feed's times of publication. All moments are ms UTC."""

    def __init__(self, window: Window, cadence: str, parameters: Parameters, random: Random) -> None:
        self._start_ms = window.start_ms
        self._initial_ms = parameters["agencies.initial_load_hours"] * HOUR_MS
        self._latency_ms = parameters["agencies.real_time_seconds_max"] * 1000
        self._spread_ms = parameters["agencies.batch_minutes"] * MINUTE_MS
        self._is_real_time = cadence == "real_time"
        silent = _silent_days(window, parameters, random)
        wanted = _batch_days(window, cadence, parameters["agencies.monthly_batch_day"], silent)
        #: When the batch that holds a day's changes begins; 0: at once.
        self._batch_ms = self._batches(window, wanted, silent)
        self._heartbeats = self._beats(window, silent)

    def published_ms(self, changed_ms: int, u: float) -> int:
        """When a change made at ``changed_ms`` (in office hours) is published; ``u`` from 0 to 1 is the place in its batch."""
        since_start = changed_ms - self._start_ms
        if since_start < 0:
            return self._start_ms + int(u * self._initial_ms)
        batch_ms = self._batch_ms[since_start // DAY_MS] if since_start // DAY_MS < len(self._batch_ms) else changed_ms
        if batch_ms:
            return batch_ms + int(u * self._spread_ms)
        return changed_ms + int(u * self._latency_ms)

    def heartbeats(self) -> Iterator[tuple[int, int]]:
        """(sent, complete until), both rising: each batch says that the one before it is complete."""
        return iter(self._heartbeats)

    def _batches(self, window: Window, wanted: set[int], silent: set[int]) -> list[int]:
        begins: list[int] = []
        next_ms = 0
        for day in range(window.end_day + _DAYS_AFTER_END, window.start_day - 1, -1):
            if self._is_real_time:
                # A silent day's changes leave when the silence ends; on the other days at once.
                next_ms = (next_ms or bangkok_midnight_ms(day + 1)) if day in silent else 0
            elif day in wanted:
                next_ms = bangkok_midnight_ms(day) + _BATCH_HOUR * HOUR_MS
            begins.append(next_ms)
        begins.reverse()
        return begins

    def _beats(self, window: Window, silent: set[int]) -> list[tuple[int, int]]:
        if self._is_real_time:
            late = int(_REAL_TIME_HEARTBEAT_HOUR * HOUR_MS)
            return [
                (bangkok_midnight_ms(day) + late, bangkok_midnight_ms(day))
                for day in range(window.start_day, window.end_day)
                if day not in silent
            ]
        batches = sorted({begins for begins in self._batch_ms if begins})
        befores = [window.start_ms, *batches]
        return [
            (begins + self._spread_ms + 5 * MINUTE_MS, before) for before, begins in zip(befores, batches, strict=False)
        ]


class Agencies:
    """The schedules of all record feeds of one simulated province."""

    def __init__(self, window: Window, seed: int, parameters: Parameters) -> None:
        self.window = window
        self.schedules: dict[str, Schedule] = {}
        cadences = parameters["agencies.cadence"]
        for number, feed in enumerate(RECORD_FEEDS):
            random = Random(seed_of(seed, _SILENCE_STREAM, number))
            self.schedules[feed] = Schedule(window, cadences[feed], parameters, random)

    def publishers(self) -> dict[str, Callable[[int, float], int]]:
        """Each feed's :meth:`Schedule.published_ms`."""
        return {feed: schedule.published_ms for feed, schedule in self.schedules.items()}

    def heartbeats(self) -> Iterator[tuple[str, int, int]]:
        """(feed, sent, complete until) of every heartbeat sent before the end, by feed."""
        for feed, schedule in self.schedules.items():
            for sent_ms, complete_until_ms in schedule.heartbeats():
                if sent_ms < self.window.end_ms:
                    yield feed, sent_ms, complete_until_ms

    def newest_heartbeat(self, feed: str) -> tuple[int, int] | None:
        """(sent, complete until) of the feed's newest heartbeat before the end; None when there was none."""
        return max(((sent, until) for name, sent, until in self.heartbeats() if name == feed), default=None)


def _batch_days(window: Window, cadence: str, monthly_day: int, silent: set[int]) -> set[int]:
    days = range(window.start_day, window.end_day + _DAYS_AFTER_END + 1)
    if cadence == "weekly":
        planned = [day for day in days if (day + 3) % 7 == 6]  # Sundays: 1970-01-01 was a Thursday
    elif cadence == "monthly":
        planned = [day for day in days if int(iso_day(day)[8:]) == monthly_day]
    else:
        planned = list(days)
    return {_first_after(day, silent) for day in planned}


def _first_after(day: int, silent: set[int]) -> int:
    while day in silent:
        day += 1
    return day


def _silent_days(window: Window, parameters: Parameters, random: Random) -> set[int]:
    table = quantile_table(parameters["agencies.silence_days_quantiles"])
    share = parameters["agencies.silences_per_month"]
    silent: set[int] = set()
    for first in range(window.start_day, window.end_day, 30):
        happens, place, length = random.random(), random.random(), random.random()
        if happens < share:
            begins = first + 1 + int(place * 29)
            silent.update(range(begins, begins + table[int(length * SLOTS)]))
    return silent
