"""How often a broker that is away is asked for its metadata: with pauses, and saying so once in a while."""

import asyncio
from typing import Any

from saphan_infra.clock import monotonic_seconds
from saphan_infra.logs import get_logger
from saphan_infra.waiting_metrics import Wait

_PAUSE_SECONDS_MIN = 0.1
_PAUSE_SECONDS_MAX = 2.0
_SAID_SECONDS = 10.0

log = get_logger("saphan.broker")


def pause_between_tries(client: Any, bootstrap: str, wait: Wait | None = None) -> None:
    """Make one aiokafka client wait between two tries to hear from its brokers; call it before the client starts.

    aiokafka asks again at once when a connection is refused or a partition has no leader: thousands of times a second,
    each with two lines in the log. ``wait`` shows how long there has been no answer; the client then asks until it has
    one.
    """
    ask = client._metadata_update  # noqa: SLF001 - aiokafka has no setting for it
    pace = _Pace(bootstrap)

    async def ask_patiently(cluster: Any, topics: Any) -> bool:
        await asyncio.sleep(pace.seconds_until_next())
        heard = bool(await ask(cluster, topics))
        pace.note(heard=heard)
        if wait is not None:
            wait.note(is_answered=heard)
            if not heard:
                # aiokafka may find the broker without asking this again for minutes, and the wait would seem to go on.
                asyncio.get_running_loop().call_soon(client.force_metadata_update)
        return heard

    client._metadata_update = ask_patiently  # noqa: SLF001 - as above


class _Pace:
    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._next_at = 0.0
        self._pause_seconds = _PAUSE_SECONDS_MIN
        self._say_at = 0.0

    def seconds_until_next(self) -> float:
        return max(0.0, self._next_at - monotonic_seconds())

    def note(self, *, heard: bool) -> None:
        now = monotonic_seconds()
        if heard:
            self._pause_seconds, self._say_at = _PAUSE_SECONDS_MIN, 0.0
        else:
            if now >= self._say_at:
                log.warning("waiting for the broker", why=f"no answer from Kafka at {self._bootstrap}")
                self._say_at = now + _SAID_SECONDS
            self._pause_seconds = min(self._pause_seconds * 2, _PAUSE_SECONDS_MAX)
        self._next_at = now + self._pause_seconds
