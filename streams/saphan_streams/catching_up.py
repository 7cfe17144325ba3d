"""How long integrate lets more come while link works off a backlog: a worker is folded once for all that is there.

Link says with each message how far behind it is. Nothing waits where link is up to date, so that an alert is as fast as
it can be; nothing waits for a link that died, beyond a limit.
"""

from collections.abc import Iterable, Sequence
from typing import Any

_HEADER = "saphan-behind"
#: A smaller backlog is worked off before waiting for it has saved anything.
_BEHIND_MIN = 20_000
#: What waits that long is folded, whatever is still to come.
_WAIT_SECONDS_MAX = 20.0

Headers = tuple[tuple[str, bytes], ...]


def headers_of(behind: int) -> Headers:
    """What a message of link carries when so many messages of its feeds are still to be read."""
    return ((_HEADER, b"%d" % behind),) if behind >= _BEHIND_MIN else ()


def behind_in(record: Any) -> int:
    """How far behind its sender was when it sent this message; 0 when it does not say."""
    for name, value in record.headers or ():
        if name == _HEADER and value.isdigit():
            return int(value)
    return 0


class Patience:
    """Whether what waits is to be joined by more: until half of what was to come has come, or the limit is reached."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """What waited is on its way."""
        self._first: tuple[int, float] | None = None
        self._newest = 0

    def saw(self, fetched: Iterable[Sequence[Any]], now_seconds: float) -> None:
        """Note what came, a list of messages for each partition; the clock may be any that only goes on."""
        behind = [behind_in(records[-1]) for records in fetched if records]
        if not behind:
            return
        self._newest = min(behind)
        if self._first is None:
            self._first = max(behind), now_seconds

    def lets_more_come(self, now_seconds: float) -> bool:
        """Whether to wait for more before handing on what is there."""
        if self._first is None:
            return False
        behind, since_seconds = self._first
        return self._newest > behind / 2 and now_seconds - since_seconds < _WAIT_SECONDS_MAX
