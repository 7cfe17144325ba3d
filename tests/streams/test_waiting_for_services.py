"""That a role which waits for its turn is not taken for one whose database is away."""

import pytest

from saphan_infra.metrics import REGISTRY
from saphan_infra.waiting_metrics import Wait
from saphan_projections.database import DatabaseUnavailable
from saphan_streams.link import LeaseHeld
from saphan_streams.run import patiently


def test_a_standby_shows_how_long_the_database_is_away_and_not_how_long_another_one_is_active(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]

    def wait_seconds(_: float) -> None:
        now[0] += 7

    monkeypatch.setattr("saphan_infra.waiting_metrics.monotonic_seconds", lambda: now[0])
    monkeypatch.setattr("saphan_infra.clock.wait_seconds", wait_seconds)
    held, away = LeaseHeld("another one"), DatabaseUnavailable("away")
    outcomes = [held, held, away, away, held, away, None]
    shown = []

    def attempt() -> None:
        shown.append(REGISTRY.get_sample_value("saphan_waiting_seconds", {"app": "standby", "service": "database"}))
        if outcome := outcomes[len(shown) - 1]:
            raise outcome

    wait = Wait("standby", "database")
    patiently("waiting", attempt, wait)
    assert shown == [0, 0, 0, 7, 14, 0, 7]
    assert wait.seconds() == 0
