"""What the consumers' tests share: sample alerts, and messages as the broker would hand them over."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from saphan_consumers.chunks import Chunk, LogMessage
from saphan_consumers.ledger import Place
from saphan_schemas.codec import Codec
from saphan_schemas.topics import ENROLMENT_ALERTS

APPENDED_MS = 1_700_000_000_250


def sample_alert(alert_id: str = "A-abc", version: int = 1, state: str = "due", **fields: Any) -> dict[str, Any]:
    reference = {"feed": "doe.employments.v1", "record_id": "E1", "version": 1, "partition": 0, "offset": 7}
    return {
        "alert_id": alert_id,
        "version": version,
        "kind": "enrolment_missing",
        "state": state,
        "reason": "no_insurance",
        "hold": None,
        "employment_record_id": "E1",
        "worker_id": "W-1",
        "employer_id": "EMP-1",
        "due_on": 20_000,
        "state_since": 19_970,
        "rule_version": "1",
        "evidence": [{**reference, "role": "employment"}],
        "sso_complete_until": None,
        "caused_at": 1_700_000_000_000,
        **fields,
    }


class Log:
    """One partition of the alert topic, held in memory."""

    def __init__(self) -> None:
        self.place = Place(ENROLMENT_ALERTS, 0)
        self._codec = Codec()
        self.messages: list[LogMessage] = []

    def append(self, *alerts: dict[str, Any] | bytes | None) -> None:
        for alert in alerts:
            value = self._codec.encode(ENROLMENT_ALERTS, alert) if isinstance(alert, dict) else alert
            self.messages.append(LogMessage(self.place, len(self.messages), b"k", value, APPENDED_MS))

    def chunks(self, start: int, size: int) -> Sequence[Chunk]:
        return [
            Chunk(self.messages[at : at + size], {self.place: min(at + size, len(self.messages))})
            for at in range(start, len(self.messages), size)
        ]


@pytest.fixture
def make_alert() -> Callable[..., dict[str, Any]]:
    """A function that makes one alert in wire form: alert_id, version, state, and any other field by name."""
    return sample_alert


@pytest.fixture
def alert_log() -> Log:
    """An empty alert log with one partition."""
    return Log()


@pytest.fixture
def make_log() -> Callable[[], Log]:
    """A function that makes an empty alert log, for properties."""
    return Log
