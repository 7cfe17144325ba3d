"""How a random number between 0 and 1 becomes a value: tables made once, so that a draw is one look-up.

Whole numbers come out, made with the same arithmetic everywhere, so that one seed gives the same bytes on any machine.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

#: Entries of a table; a draw is ``table[int(random() * SLOTS)]``.
SLOTS = 1024
YEAR_DAYS = 365
_SEED_BITS = 64


def quantile_table(points: Sequence[Sequence[float]]) -> list[int]:
    """Whole numbers along straight lines between ``points`` of [u, value]; u rises from 0 to 1."""
    table = []
    segment = 0
    for slot in range(SLOTS):
        u = (slot + 0.5) / SLOTS
        while u > points[segment + 1][0]:
            segment += 1
        (u_low, low), (u_high, high) = points[segment], points[segment + 1]
        table.append(int(low + (high - low) * (u - u_low) / (u_high - u_low) + 0.5))
    return table


def mix_table(shares: Mapping[str, float]) -> list[str]:
    """Names, each as often as its share asks; what rounding leaves goes to the largest remainders."""
    exact = {name: share * SLOTS for name, share in shares.items()}
    counts = {name: int(amount) for name, amount in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (counts[name] - exact[name], name))
    for name in by_remainder[: SLOTS - sum(counts.values())]:
        counts[name] += 1
    return [name for name, count in counts.items() for _ in range(count)]


def waiting_table(per_year: float) -> list[int]:
    """Days until something that happens ``per_year`` times a year; at least 1, very long when it never happens."""
    if per_year <= 0:
        return [10**6] * SLOTS
    days_mean = YEAR_DAYS / per_year
    table = []
    # The exponential distribution's quantiles by adding 1/(1-u) up: no logarithm, whose last digit may differ by machine.
    hazard = 0.0
    for slot in range(SLOTS):
        step = 1.0 / SLOTS
        hazard += step / (1.0 - (slot + 0.5) * step)
        table.append(max(1, int(days_mean * (hazard - step / (2.0 * (1.0 - (slot + 0.5) * step))))))
    return table


def share_per_draw(share_any: float, parts: int) -> float:
    """The chance q of a variant in each of ``parts`` so that two writings differ with ``share_any``.

    Two writings of one part differ with 2q(1-q).
    """
    low, high = 0.0, 0.5
    for _ in range(60):
        q = (low + high) / 2
        if 1 - (1 - 2 * q * (1 - q)) ** parts < share_any:
            low = q
        else:
            high = q
    return low


def seed_of(seed: int, *stream: int) -> int:
    """One whole number for one stream of random numbers: different for each seed and stream."""
    mixed = seed
    for part in stream:
        mixed = mixed << _SEED_BITS | part
    return mixed
