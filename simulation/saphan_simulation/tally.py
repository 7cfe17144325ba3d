"""What a simulated province comes to: events, coverage, the share of late notices, and the alerts by state."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from saphan_schemas.topics import INSURED_PERSONS
from saphan_simulation.agencies import Window
from saphan_simulation.life import Job, Life


class Tally:
    """Counts while workers go by."""

    def __init__(self, window: Window) -> None:
        self._last_day = window.end_day - 1
        #: Branches of accounts at the SSO that the coordination ever paired: an account with two counts twice.
        self.branches_paired = 0
        self.by_feed: Counter[str] = Counter()
        self.people: Counter[str] = Counter()
        self.tracks: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.apart: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def worker(self, life: Life, finals: Iterable[Any]) -> None:
        """Count one worker; the share of the eligible is by what the law seems to ask, not by what is recorded."""
        last_day = self._last_day
        people = self.people
        self.tracks[life.track] += 1
        insured = False
        for final in finals:
            if final.fault:
                self.faults[final.fault] += 1
            if final.feed == INSURED_PERSONS and _is_open(final.record, last_day):
                insured = True
        if not life.is_present(last_day):
            people["left"] += 1
            return
        people["registered"] += 1
        people["insured"] += insured
        jobs = [job for job in life.jobs if _is_working(job, last_day)]
        if jobs:
            people["employed"] += 1
            people["employed_insured"] += insured
        if any(job.eligible for job in jobs):
            people["eligible"] += 1
            people["eligible_insured"] += insured

    def add(self, other: "Tally") -> None:
        """Count what another tally counted, too."""
        for mine, theirs in (
            (self.by_feed, other.by_feed), (self.people, other.people), (self.tracks, other.tracks),
            (self.states, other.states), (self.apart, other.apart), (self.faults, other.faults),
        ):  # fmt: skip
            mine.update(theirs)

    def alert(self, row: Mapping[str, Any]) -> None:
        """Count one expected alert."""
        self.states[row["state"]] += 1
        if row["hold"] is not None:
            self.states[f"held: {row['hold']}"] += 1
        if not row["joinable"]:
            self.apart[row["not_joinable_because"]] += 1
            if row["state"] != row["true_state"]:
                self.apart["state is not the true one"] += 1

    def report(self, workers: int) -> dict[str, Any]:
        """The figures; shares are 0 to 1, None where nobody is counted."""
        people = self.people
        return {
            "events": sum(self.by_feed.values()),
            "events_per_worker": round(sum(self.by_feed.values()) / workers, 2),
            "events_by_feed": dict(sorted(self.by_feed.items())),
            "workers_by_track": dict(sorted(self.tracks.items())),
            "coverage": {
                "registered": people["registered"],
                "employed": people["employed"],
                "eligible_employed": people["eligible"],
                "insured": people["insured"],
                "share_of_registered": _share(people["insured"], people["registered"]),
                "share_of_employed": _share(people["employed_insured"], people["employed"]),
                "share_of_eligible_employed": _share(people["eligible_insured"], people["eligible"]),
            },
            "left_the_province": people["left"],
            "alerts_by_state": dict(sorted(self.states.items())),
            "alerts_not_joinable": dict(sorted(self.apart.items())),
            "records_with_a_fault": dict(sorted(self.faults.items())),
        }


def _is_open(record: Mapping[str, Any], day: int) -> bool:
    if record["deleted"] or record["section"] != "33" or record["start_date"] > day:
        return False
    return record["end_date"] is None or bool(record["end_date"] >= day)


def _is_working(job: Job, day: int) -> bool:
    return job.start_day <= day and (job.end_day is None or job.end_day >= day)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
