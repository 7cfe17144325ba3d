"""When a platform has recovered: everything that was there when the fault ended has gone the whole way."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

Offsets = Mapping[tuple[str, int], int]


class Rows(NamedTuple):
    """Numbers of the oldest and the newest row of a table from which rows are taken when done; 0 and 0: it is empty."""

    first: int
    last: int


class Look(NamedTuple):
    """How far everything was at one moment (monotonic seconds).

    The outboxes hold what is committed and not seen to be acknowledged, ``waiting`` what the webhook has not taken.
    """

    at: float
    feed_ends: Offsets
    linked: Offsets
    link_outbox: Rows
    record_ends: Offsets
    integrated: Offsets
    integrate_outbox: Rows
    alert_ends: Offsets
    filed: Offsets
    posted: Offsets
    waiting: Rows

    def is_at_rest(self) -> bool:
        """Whether nothing at all is left to do."""
        return (
            _reached(self.feed_ends, self.linked)
            and _reached(self.record_ends, self.integrated)
            and _reached(self.alert_ends, self.filed)
            and _reached(self.alert_ends, self.posted)
            and not (self.link_outbox.first or self.integrate_outbox.first or self.waiting.first)
        )

    def lag(self) -> int:
        """Messages that link or integrate has still to process."""
        behind = _behind(self.feed_ends, self.linked) + _behind(self.record_ends, self.integrated)
        return sum(behind)


class Recovery(NamedTuple):
    """One fault's way back. ``goal`` is what the present stage waits for; ``over`` has the moment at which all is done."""

    healed_at: float
    with_webhook: bool
    stage: int = 0
    goal: Offsets | int | None = None
    over: float | None = None


class _Stage(NamedTuple):
    """A goal, taken from the look at which the stage begins, and where the platform stands with it."""

    goal: Callable[[Look], Offsets | int]
    position: Callable[[Look], Offsets | Rows]


_TO_THE_FILE = (
    _Stage(lambda look: look.feed_ends, lambda look: look.linked),
    _Stage(lambda look: look.link_outbox.last, lambda look: look.link_outbox),
    _Stage(lambda look: look.record_ends, lambda look: look.integrated),
    _Stage(lambda look: look.integrate_outbox.last, lambda look: look.integrate_outbox),
    _Stage(lambda look: look.alert_ends, lambda look: look.filed),
)
_TO_THE_RECEIVER = (
    *_TO_THE_FILE,
    _Stage(lambda look: look.alert_ends, lambda look: look.posted),
    _Stage(lambda look: look.waiting.last, lambda look: look.waiting),
)


def followed(recovery: Recovery, look: Look, *, is_back: bool = True) -> Recovery:
    """The recovery after one more look. A look from before the fault's end says nothing.

    ``is_back``: the process that was hurt runs again; without it nothing is over.
    """
    if look.at < recovery.healed_at or recovery.over is not None:
        return recovery
    stages = _TO_THE_RECEIVER if recovery.with_webhook else _TO_THE_FILE
    number, goal = recovery.stage, recovery.goal
    while number < len(stages):
        stage = stages[number]
        goal = stage.goal(look) if goal is None else goal
        if not _is_reached(goal, stage.position(look)):
            return recovery._replace(stage=number, goal=goal)
        number, goal = number + 1, None
    return recovery._replace(stage=number, goal=None, over=look.at if is_back else None)


def _is_reached(goal: Offsets | int, position: Offsets | Rows) -> bool:
    if isinstance(position, Rows):
        # Every row up to this number is gone.
        return isinstance(goal, int) and (not position.first or position.first > goal)
    return not isinstance(goal, int) and _reached(goal, position)


def _reached(goal: Offsets, position: Offsets) -> bool:
    return not any(_behind(goal, position))


def _behind(goal: Offsets, position: Offsets) -> list[int]:
    return [max(0, end - position.get(place, 0)) for place, end in goal.items()]
