"""Which employer the coordination said an SSO account and branch is, and since when: told by the employer's own story."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from saphan_schemas.topics import EMPLOYER_PAIRS
from saphan_simulation.book import Event
from saphan_simulation.identifiers import employer_of_account

#: Employers whose pairs are remembered; the others' stories are told again, so that memory does not grow.
_REMEMBERED = 20_000

Steps = tuple["PairStep", ...]


class PairStep(NamedTuple):
    """From ``since_ms`` on the published pairs name this employer; None: nobody."""

    since_ms: int
    employer_id: str | None


class Pairs:
    """``events_of`` tells everything that is published about one employer before the end."""

    def __init__(self, events_of: Callable[[int], list[Event]]) -> None:
        self._events_of = events_of
        self._steps_of = lru_cache(_REMEMBERED)(self._told)

    def steps(self, account: str, branch: str) -> Steps:
        """What was said of an account and branch, one after another; empty when it never was paired."""
        return self._steps_of(employer_of_account(account)).get((account, branch), ())

    def employer(self, account: str, branch: str, at_ms: int) -> str | None:
        """The employer whom the pairs name that were published by then."""
        named = None
        for step in self.steps(account, branch):
            if step.since_ms > at_ms:
                break
            named = step.employer_id
        return named

    def _told(self, employer: int) -> dict[tuple[str, str], Steps]:
        newest: dict[tuple[str, str], int] = {}
        accounts: dict[str, tuple[str, str]] = {}
        found: dict[tuple[str, str], Steps] = {}
        pairs = [event for event in self._events_of(employer) if event[1] == EMPLOYER_PAIRS]
        for _, _, record in pairs:
            if not record["deleted"]:
                accounts[record["record_id"]] = (record["sso_account"], record["sso_branch"])
        for since_ms, _, record in sorted(pairs, key=lambda event: event[0]):
            account = accounts.get(record["record_id"])
            if account is not None and newest.get(account, 0) < record["version"]:
                newest[account] = record["version"]
                found[account] = (*found.get(account, ()), PairStep(since_ms, record["employer_id"]))
        return found
