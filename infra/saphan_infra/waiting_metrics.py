"""Since when an application waits for a service that it cannot do without, as a metric that grows by itself."""

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


class Wait:
    """What one application waits for. It is shown while something is asked of the service, however often in vain.

    A service that hangs is shown like one that refuses: what counts is since when there is no answer. All parts of an
    application that ask one service share one Wait, as only the newest is shown.
    """

    def __init__(self, app: str, service: Literal["database", "broker", "disk"]) -> None:
        self._since: list[float] = []
        self._in_vain_since: dict[str, float] = {}
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

    def note(self, *, is_answered: bool, question: str = "") -> None:
        """What came of a question that is asked now and then: from one in vain on it is shown until one is answered."""
        if is_answered:
            if question in self._in_vain_since:
                self._since.remove(self._in_vain_since.pop(question))
        elif question not in self._in_vain_since:
            since = monotonic_seconds()
            self._in_vain_since[question] = since
            self._since.append(since)

    def seconds(self) -> float:
        """How long the longest question is without an answer; may be asked by any thread."""
        asked = self._since[:1]
        return monotonic_seconds() - asked[0] if asked else 0.0
