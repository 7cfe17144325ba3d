"""Since when an application waits for a service that it cannot do without, as a metric that grows by itself."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from prometheus_client import Gauge

from saphan_infra.clock import monotonic_seconds
from saphan_infra.metrics import REGISTRY

_WAITING = Gauge(
    "saphan_waiting_seconds",
    "For how long an application has been waiting for an answer of the database, the broker or its ledger's disk; "
    "0 while it does not wait.",
    ["app", "service"],
    registry=REGISTRY,
)


#: Since when each question of an application to a service is without an answer, oldest first.
_ASKED: defaultdict[tuple[str, str], list[float]] = defaultdict(list)


class Wait:
    """What one application waits for. It is shown while something is asked of the service, however often in vain.

    A service that hangs is shown like one that refuses: what counts is since when there is no answer. Several parts of
    an application may wait for one service, each with a Wait of its own: the longest is shown.
    """

    def __init__(self, app: str, service: Literal["database", "broker", "disk"]) -> None:
        self._since = _ASKED[app, service]
        self._in_vain_since: float | None = None
        _WAITING.labels(app, service).set_function(self.seconds)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Within the block something is asked of the service."""
        since = monotonic_seconds()
        self._since.append(since)
        try:
            yield
        finally:
            self._since.remove(since)

    def note(self, *, is_answered: bool) -> None:
        """What came of a question that is asked now and then: from one in vain on it is shown until one is answered."""
        if is_answered and self._in_vain_since is not None:
            self._since.remove(self._in_vain_since)
            self._in_vain_since = None
        elif not is_answered and self._in_vain_since is None:
            self._in_vain_since = monotonic_seconds()
            self._since.append(self._in_vain_since)

    def seconds(self) -> float:
        """How long the longest question is without an answer; may be asked by any thread."""
        asked = self._since[:1]
        return monotonic_seconds() - asked[0] if asked else 0.0
