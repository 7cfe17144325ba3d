"""Which partitions integrate works on while link is behind: one at a time, so that a worker is folded once for much.

Link says with each message how far behind it is. Nothing waits where link is up to date, so that an alert is as fast as
it can be; nothing waits for a link that died, beyond a limit.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

_HEADER = "saphan-behind"
#: A smaller backlog is worked off before waiting for it has saved anything.
_BEHIND_MIN = 20_000
#: A partition's turn comes when what waits of it is this share of what is still to come. The larger the share, the
#: fewer visits a worker needs, and the longer integrate has nothing to do at the beginning of a backlog.
_SHARE = 0.5
#: What waits that long is folded, whatever is still to come.
_WAIT_SECONDS_MAX = 20.0

Headers = tuple[tuple[str, bytes], ...]
Place = TypeVar("Place")


def headers_of(behind: int) -> Headers:
    """What a message of link carries when so many messages of its feeds are still to be read."""
    return ((_HEADER, b"%d" % behind),) if behind >= _BEHIND_MIN else ()


def behind_in(record: Any) -> int:
    """How far behind its sender was when it sent this message; 0 when it does not say."""
    for name, value in record.headers or ():
        if name == _HEADER and value.isdigit():
            return int(value)
    return 0


class Part(NamedTuple):
    """What waits of one partition: how far behind its sender was at most, since when, and whether it fills an event."""

    behind: int
    since_seconds: float
    fills_an_event: bool


def due(parts: Mapping[Place, Part], behind: int, now_seconds: float) -> list[Place]:
    """The partitions of the next event, the sender being so far behind now; none when all wait for more messages.

    While the sender is behind it is one: the first that is due, in the order of ``parts``. With the one in front that
    has waited longest, each gets its turn.
    """
    if not behind:
        return list(parts)
    for place, part in parts.items():
        if (
            part.fills_an_event
            or now_seconds - part.since_seconds >= _WAIT_SECONDS_MAX
            or behind * (1 + _SHARE) <= part.behind
        ):
            return [place]
    return []
