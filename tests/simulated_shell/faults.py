"""What goes wrong in one world, how often, and where a planned crash falls."""

import random
from dataclasses import dataclass
from typing import Literal

#: Kind of fault → how often it comes at each opportunity when a world has it; each world has some of them.
RATES = {
    # the database
    "statement_fails": 0.004,
    "connection_drops": 0.004,
    "commit_fails": 0.03,
    "commit_answer_lost": 0.04,
    # processes
    "crash_at_statement": 0.002,
    "crash_at_step": 0.0006,
    "crash_after_commit": 0.01,
    "stops_around_a_job": 0.02,
    "overtaken": 0.2,
    # the broker
    "send_refused": 0.05,
    "send_partly": 0.05,
    "send_answer_lost": 0.05,
    "send_arrives_late": 0.03,
    "slow": 0.05,
    # delivery
    "ledger_fails": 0.01,
    "disk_fails": 0.02,
    "disk_writes_part": 0.2,
    "crash_at_disk": 0.02,
    "post_fails": 0.2,
    "post_answer_lost": 0.1,
    "post_is_slow": 0.2,
    "receiver_throttles": 0.03,
}


@dataclass(frozen=True)
class CrashPlan:
    """One crash of one process at its ``number``-th step (callback of the event loop) or statement, from 0."""

    process: str
    at: Literal["step", "statement"]
    number: int

    def __str__(self) -> str:
        return f"{self.process}:{self.at}:{self.number}"


def planned(text: str) -> CrashPlan:
    """The plan that is written so."""
    process, at, number = text.split(":")
    return CrashPlan(process, "step" if at == "step" else "statement", int(number))


class Faults:
    """Draws faults while they are on. ``happened`` counts them by kind."""

    def __init__(self, draw: random.Random, rates: dict[str, float]) -> None:
        self.draw = draw
        self._rates = {kind: rate for kind, rate in rates.items() if rate}
        self.are_on = True
        self.happened: dict[str, int] = {}

    def happens(self, kind: str) -> bool:
        """Whether this fault comes now."""
        rate = self._rates.get(kind)
        if rate is None or not self.are_on or self.draw.random() >= rate:
            return False
        self.note(kind)
        return True

    def note(self, kind: str) -> None:
        """Count a fault that came by plan."""
        self.happened[kind] = self.happened.get(kind, 0) + 1

    def delay_seconds(self) -> float:
        """How long a thread or the network takes for one thing."""
        if self.happens("slow"):
            return self.draw.random() * 3.0
        return self.draw.random() * 0.01


def some_rates(draw: random.Random) -> dict[str, float]:
    """The faults of one world: some kinds not at all, some seldom, some often, so that they meet in many mixtures."""
    return {kind: rate * draw.choice((0.0, 0.0, 0.5, 1.0, 3.0)) for kind, rate in RATES.items()}
