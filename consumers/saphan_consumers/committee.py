"""The committee's numbers: who is known, employed and enrolled, which alerts are open, what could not be read."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from saphan_projections.coverage import Coverage


class Standing(NamedTuple):
    """What counts about one worker. A worker without records is one that was merged into another: not known."""

    known: bool
    employed: bool
    eligible: bool
    enrolled: bool


NOBODY = Standing(known=False, employed=False, eligible=False, enrolled=False)


@dataclass(slots=True)
class Numbers:
    """All counts. Each worker, alert and dead letter is in here once, with its newest state."""

    standings: Counter[Standing] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[tuple[str, str]] = field(default_factory=Counter)

    def coverage(self) -> Coverage:
        """The workers' counts, added up."""
        rows = [(standing, count) for standing, count in self.standings.items() if standing.known]
        return Coverage(
            workers=sum(count for _, count in rows),
            employed=sum(count for standing, count in rows if standing.employed),
            enrolled=sum(count for standing, count in rows if standing.enrolled),
            eligible=sum(count for standing, count in rows if standing.eligible),
            eligible_enrolled=sum(count for standing, count in rows if standing.eligible and standing.enrolled),
        )

    def apply(self, changes: "Changes") -> None:
        """Add what a chunk changed."""
        self.standings.update(changes.standings)
        self.alerts.update(changes.alerts)
        self.dead_letters.update(changes.dead_letters)


@dataclass(slots=True)
class Changes(Numbers):
    """What a chunk changes: the newest rows, and by how much each count moves (down as well as up)."""

    worker_rows: dict[int, tuple[int, Standing] | None] = field(default_factory=dict)
    alert_rows: dict[str, tuple[int, str]] = field(default_factory=dict)
    dead_letter_rows: dict[str, tuple[str, str]] = field(default_factory=dict)
    latencies_seconds: list[float] = field(default_factory=list)


class WorkerSeen(NamedTuple):
    """A message of worker.integrated.v1; ``record`` None takes the worker out."""

    worker_no: int
    record: Mapping[str, Any] | None


class AlertSeen(NamedTuple):
    """A message of alerts.enrolment.v1 and when the broker got it (ms UTC)."""

    record: Mapping[str, Any]
    appended_ms: int


class DeadLetterSeen(NamedTuple):
    """A message of dead-letters.v1."""

    record: Mapping[str, Any]

    @property
    def identity(self) -> str:
        """The refused message, wherever and however often it was refused by this stage."""
        row = self.record
        return f"{row['stage']}|{row['topic']}|{row['partition']}|{row['offset']}"


Seen = WorkerSeen | AlertSeen | DeadLetterSeen


@dataclass(frozen=True, slots=True)
class Kept:
    """What the ledger has about those that a chunk mentions."""

    workers: Mapping[int, tuple[int, Standing]]
    alerts: Mapping[str, tuple[int, str]]
    dead_letters: frozenset[str]


def changes_for(seen: Iterable[Seen], kept: Kept) -> Changes:
    """Decide what a chunk, in the order of the log, changes. A repeat or an older state changes nothing."""
    changes = Changes()
    for message in seen:
        match message:
            case WorkerSeen():
                _worker(changes, message, kept)
            case AlertSeen():
                _alert(changes, message, kept)
            case DeadLetterSeen():
                _dead_letter(changes, message, kept)
    return changes


def _worker(changes: Changes, message: WorkerSeen, kept: Kept) -> None:
    number, record = message.worker_no, message.record
    before = changes.worker_rows[number] if number in changes.worker_rows else kept.workers.get(number)
    if record is None:
        after = None
    else:
        if before is not None and record["sequence"] <= before[0]:
            return
        known = bool(record["records"])
        after = (
            record["sequence"],
            Standing(known, record["employed"], record["eligible"], record["enrolled"]) if known else NOBODY,
        )
    changes.worker_rows[number] = after
    changes.standings[before[1] if before else NOBODY] -= 1
    changes.standings[after[1] if after else NOBODY] += 1


def _alert(changes: Changes, message: AlertSeen, kept: Kept) -> None:
    alert_id, version = message.record["alert_id"], message.record["version"]
    before = changes.alert_rows.get(alert_id) or kept.alerts.get(alert_id)
    if before is not None and version <= before[0]:
        return
    changes.alert_rows[alert_id] = (version, message.record["state"])
    if before is not None:
        changes.alerts[before[1]] -= 1
    changes.alerts[message.record["state"]] += 1
    changes.latencies_seconds.append(max(0, message.appended_ms - message.record["caused_at"]) / 1000)


def _dead_letter(changes: Changes, message: DeadLetterSeen, kept: Kept) -> None:
    record, identity = message.record, message.identity
    if identity in kept.dead_letters or identity in changes.dead_letter_rows:
        return
    kind = (record["stage"], record["reason"])
    changes.dead_letter_rows[identity] = kind
    changes.dead_letters[kind] += 1
