"""By what one sees that a fault has bitten: logs that tell of it, positions that stand still, numbers that rise."""

from collections.abc import Callable
from pathlib import Path

from saphan_cli.chaos.observing import Observer
from saphan_cli.chaos.place import Place
from saphan_cli.chaos.recovering import Look, Offsets
from saphan_infra.clock import monotonic_seconds

#: Asked again and again while the fault lasts: what shows that it has bitten; None: nothing yet.
Seen = Callable[[], str | None]

_STALLED_SECONDS_MIN = 1.5


def counting(place: Place, *sentences: str) -> Callable[[], str]:
    """How often the logs have told one of these things since now."""

    def told() -> int:
        texts = place.log_texts()
        return sum(texts.count(sentence) for sentence in sentences)

    before = told()
    return lambda: f"told {told() - before} times in the logs"


def stalled(observer: Observer, target: str) -> Seen:
    """Whether from now on some partition of a target stands still while messages come."""
    since = monotonic_seconds()

    def seen() -> str | None:
        found = observer.stalled(since + 1.0, _POSITIONS[target])
        if found is None or found[0] < _STALLED_SECONDS_MIN:
            return None
        return f"nothing moved for {found[0]:.1f} s while {found[1]} messages came"

    return seen


def taken_over(observer: Observer, target: str) -> Callable[[], str]:
    """Whether since now another process does the work of one that stands still.

    One that stands still in a transaction keeps SQLite's write lock, and nobody can.
    """
    owner, epochs = observer.lease.owner, observer.epochs

    def told() -> str:
        if target == "link" and observer.lease.owner != owner:
            return ", the other link took the lease"
        if target == "integrate" and observer.epochs > epochs:
            return ", another one took its partitions"
        return ""

    return told


def is_stopped(pid: int) -> bool:
    """Whether a process stands still, by a signal."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] == "T"
        )
    except OSError:
        return False


def some(number: int, what: str, at_least: int = 1) -> str | None:
    """The number in words once it is large enough."""
    return f"{number:,} {what}" if number >= at_least else None


def _linked(look: Look) -> tuple[Offsets, Offsets]:
    return look.linked, look.feed_ends


def _integrated(look: Look) -> tuple[Offsets, Offsets]:
    return look.integrated, look.record_ends


def _filed(look: Look) -> tuple[Offsets, Offsets]:
    return look.filed, look.alert_ends


_POSITIONS: dict[str, Callable[[Look], tuple[Offsets, Offsets]]] = {
    "link": _linked,
    "integrate": _integrated,
    "delivery": _filed,
}
