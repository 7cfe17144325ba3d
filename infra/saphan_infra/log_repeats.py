"""Which lines of a library are left out because it has said the same often enough, and how that is told."""

import logging
from collections.abc import Collection
from typing import NamedTuple

from saphan_infra.clock import monotonic_seconds

#: So many lines made from one text are shown in so many seconds: a broker that is away for a day costs some hundred
#: lines, not a disk.
LINES_MAX = 5
WINDOW_SECONDS = 600.0
#: A library that makes its texts anew each time would fill the memory.
_TEXTS_MAX = 200


class Verdict(NamedTuple):
    """Whether a line is shown, and how many like it were left out until its window began."""

    is_shown: bool
    left_out_before: int


class Repeats:
    """Counts the lines that were made from one text. The clock may be any that only goes on."""

    def __init__(self) -> None:
        #: Text → when its window began, lines in it.
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def verdict(self, logger: str, text: str, now_seconds: float) -> Verdict:
        """What happens to a line that comes now."""
        key = logger, text
        if key not in self._windows and len(self._windows) >= _TEXTS_MAX:
            self._windows.clear()
        began, lines = self._windows.get(key, (now_seconds, 0))
        left_out = 0
        if now_seconds - began >= WINDOW_SECONDS:
            left_out = max(0, lines - LINES_MAX)
            began, lines = now_seconds, 0
        self._windows[key] = began, lines + 1
        return Verdict(lines < LINES_MAX, left_out)


class RepeatFilter(logging.Filter):
    """Leaves repeats of these libraries out; the first line of the next window follows one that counts them."""

    def __init__(self, libraries: Collection[str]) -> None:
        super().__init__()
        self._libraries = frozenset(libraries)
        self._repeats = Repeats()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in self._libraries:
            return True
        # The text before its parts are put in: addresses and numbers of a repeat differ.
        found = self._repeats.verdict(record.name, str(record.msg), monotonic_seconds())
        if found.left_out_before:
            logging.getLogger("saphan.logs").warning(
                "%s lines of %s were left out, they were like the next one", found.left_out_before, record.name
            )
        return found.is_shown
