"""How many workers are insured under section 33: the five counts, and the two shares that follow from them."""

from typing import NamedTuple


class Coverage(NamedTuple):
    """How many workers there are and how many of them are insured under section 33.

    ``workers``: all registered anywhere. ``eligible``: those with an employment that section 33 asks to be insured,
    as far as the feeds can tell; ``eligible_enrolled`` of them.
    """

    workers: int
    employed: int
    enrolled: int
    eligible: int
    eligible_enrolled: int

    @property
    def of_registered(self) -> float | None:
        """Share of all registered workers, 0 to 1; None where there are none."""
        return self.enrolled / self.workers if self.workers else None

    @property
    def of_eligible(self) -> float | None:
        """Share of the eligible employed, 0 to 1; None where there are none."""
        return self.eligible_enrolled / self.eligible if self.eligible else None
