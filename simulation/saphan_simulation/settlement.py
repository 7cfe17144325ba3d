"""What the settled enrolment alerts are at the end: the rules in plain steps, apart from the platform's own code.

All days are Bangkok calendar days since 1970-01-01. Where identifiers do not tell the truth, a row holds both what
they give (``state``) and what is true (``true_state``).
"""

from base64 import b32encode
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from saphan_schemas.topics import EMPLOYMENTS, INSURED_PERSONS
from saphan_schemas.values import bangkok_midnight_ms
from saphan_simulation.book import Final, Record
from saphan_simulation.dates import iso_day, iso_time
from saphan_simulation.joining import Identifier, components, identifiers_of
from saphan_simulation.pairs import Pairs

KIND = "enrolment_missing"
_NEVER = 10**9


class Settled(NamedTuple):
    """The settled alert of one employment."""

    state: str
    reason: str
    hold: str | None
    due_day: int
    since_day: int


class Settlement:
    """The facts that all employments share.

    ``heartbeats`` are those of the SSO feed, (sent, complete until), both rising; ``as_of_ms`` is the end of the
    simulation.
    """

    def __init__(self, pairs: Pairs, heartbeats: Sequence[tuple[int, int]], as_of_ms: int, deadline_days: int) -> None:
        self._pairs = pairs
        self._sent_ms = [sent_ms for sent_ms, _ in heartbeats]
        self._complete_ms = [complete_until_ms for _, complete_until_ms in heartbeats]
        self.as_of_ms = as_of_ms
        self._deadline_days = deadline_days

    def complete_until_ms(self, at_ms: int) -> int | None:
        """What the newest heartbeat says that was sent by then; None: there was none."""
        place = bisect_right(self._sent_ms, at_ms)
        return self._complete_ms[place - 1] if place else None

    def settle(self, employment: Record, insured: Sequence[Record], at_ms: int) -> Settled:
        """The alert of one employment at a moment, given the worker's insurances (none of them deleted)."""
        complete_ms = self.complete_until_ms(at_ms)
        overlapping = [record for record in insured if _is_overlapping(record, employment)]
        matching, unpaired = self._roles(employment, overlapping, at_ms)
        settled = self._settle(employment, matching, complete_ms)
        if not matching and settled.state in {"due", "overdue"}:
            if unpaired:
                settled = settled._replace(reason="employer_unpaired")
            elif overlapping:
                settled = settled._replace(reason="enrolled_elsewhere")
        if settled.state == "overdue" and unpaired:
            at_best = self._settle(employment, matching + unpaired, complete_ms)
            if at_best.state != "overdue":
                before = "reopened" if matching else "due"
                since = settled.due_day - self._deadline_days
                return settled._replace(state=before, hold="employer_unpaired", since_day=since)
        return settled

    def overdue_from_ms(self, employment: Record, insured: Sequence[Record], at_ms: int) -> set[int]:
        """When heartbeats alone may make the alert overdue, if nothing else is published after ``at_ms``."""
        overlapping = [record for record in insured if _is_overlapping(record, employment)]
        matching, unpaired = self._roles(employment, overlapping, at_ms)
        found = set()
        for cover in (matching, matching + unpaired):
            deadline_ms = bangkok_midnight_ms(self._settle(employment, cover, None).due_day + 1)
            place = bisect_left(self._complete_ms, deadline_ms)
            if place < len(self._sent_ms) and self._sent_ms[place] > at_ms:
                found.add(self._sent_ms[place])
        return found

    def pair_moments_ms(self, insurance: Record) -> list[int]:
        """When what is said about the insurance's account changes."""
        account, branch = insurance["sso_account"], insurance["sso_branch"]
        return [] if account is None else [step.since_ms for step in self._pairs.steps(account, branch)]

    def _roles(
        self, employment: Record, overlapping: Sequence[Record], at_ms: int
    ) -> tuple[list[Record], list[Record]]:
        matching, unpaired = [], []
        for record in overlapping:
            employer = self._pairs.employer(record["sso_account"], record["sso_branch"], at_ms)
            if employer is None:
                unpaired.append(record)
            elif employment["employer_id"] == employer:
                matching.append(record)
        return matching, unpaired

    def _settle(self, employment: Record, matching: Sequence[Record], complete_ms: int | None) -> Settled:
        start, end = employment["start_date"], employment["end_date"]
        gap = start
        if matching:
            cover_end = max(_end(record) for record in matching)
            if cover_end == _NEVER or (end is not None and cover_end >= end):
                reaching = [record["start_date"] for record in matching if _end(record) == cover_end]
                return Settled("resolved", "enrolled", None, start + self._deadline_days, max(start, min(reaching)))
            gap = cover_end + 1
        due = gap + self._deadline_days
        reason = "insurance_ended_early" if matching else "no_insurance"
        if end is not None and end <= due:
            return Settled("withdrawn", "left_before_deadline", None, due, end)
        if complete_ms is not None and complete_ms >= bangkok_midnight_ms(due + 1):
            return Settled("overdue", reason, None, due, due + 1)
        return Settled("reopened" if matching else "due", reason, None, due, gap)

    def hold_when_read(self, settled: Settled) -> str | None:
        """The hold as of the end: the stored one, or that the SSO feed has not come so far yet."""
        if settled.hold is not None or settled.state not in {"due", "reopened"}:
            return settled.hold
        deadline_ms = bangkok_midnight_ms(settled.due_day + 1)
        known_ms = self.complete_until_ms(self.as_of_ms)
        is_behind = known_ms is None or known_ms < deadline_ms
        return "sso_feed_behind" if is_behind and self.as_of_ms >= deadline_ms else None

    def expected(
        self, finals: Sequence[Final], owners: Sequence[int], generic: set[Identifier]
    ) -> list[dict[str, Any]]:
        """The rows of all employments among the newest records of one or more workers.

        ``owners`` says for each record whose it truly is.
        """
        has_insurance = any(final.feed == INSURED_PERSONS for final in finals)
        labels = [0] * len(finals)
        if has_insurance:
            labels = components([identifiers_of(final.record) for final in finals], generic)
        insured = [
            place for place, final in enumerate(finals) if final.feed == INSURED_PERSONS and not final.record["deleted"]
        ]
        rows = []
        for place, final in enumerate(finals):
            if final.feed != EMPLOYMENTS or final.record["deleted"]:
                continue
            joined = [other for other in insured if labels[other] == labels[place]]
            true = [other for other in insured if owners[other] == owners[place]]
            rows.append(self._row(finals, place, joined, true))
        return rows

    def _row(self, finals: Sequence[Final], place: int, joined: list[int], true: list[int]) -> dict[str, Any]:
        final = finals[place]
        settled = self.settle(final.record, [finals[other].record for other in joined], self.as_of_ms)
        row = {
            "employment_record_id": final.record["record_id"],
            "alert_id": alert_id(final.record["record_id"]),
            "kind": KIND,
            "state": settled.state,
            "reason": settled.reason,
            "hold": settled.hold,
            "hold_as_of": self.hold_when_read(settled),
            "due_on": iso_day(settled.due_day),
            "state_since": iso_day(settled.since_day),
            "as_of": iso_time(self.as_of_ms),
            "joinable": joined == true,
        }
        if joined != true:
            really = self.settle(final.record, [finals[other].record for other in true], self.as_of_ms)
            row["not_joinable_because"] = _why(finals, place, joined, true)
            row["true_state"] = really.state
        return row


def alert_id(employment_record_id: str) -> str:
    """The alert's id: a hash of the employment record's id, the rule and the episode."""
    digest = blake2b(f"{EMPLOYMENTS}|{employment_record_id}|{KIND}|1".encode(), digest_size=10).digest()
    return "A-" + b32encode(digest).decode().rstrip("=").lower()


def _end(record: Record) -> int:
    return _NEVER if record["end_date"] is None else int(record["end_date"])


def _is_overlapping(insurance: Record, employment: Record) -> bool:
    if insurance["section"] != "33" or insurance["start_date"] > _end(employment):
        return False
    return _end(insurance) >= int(employment["start_date"])


def _why(finals: Sequence[Final], place: int, joined: list[int], true: list[int]) -> str:
    """Which accident keeps the records apart, as far as one record shows it."""
    if set(joined) - set(true):
        return "joined_with_another_worker"
    apart = [place, *sorted(set(true) - set(joined))]
    faults = [finals[other].fault for other in apart if finals[other].fault]
    if faults:
        return faults[0]
    passports = {finals[other].record["passport_number"] for other in apart} - {None}
    return "passport_renewed_without_previous" if len(passports) > 1 else "no_shared_identifier"
