"""That a broker that is away is asked in growing pauses and not thousands of times a second."""

import asyncio

import pytest
from structlog.testing import capture_logs

from saphan_infra import broker_patience
from saphan_infra.broker_patience import pause_between_tries
from saphan_infra.waiting_metrics import Wait


class Client:
    """As much of aiokafka's client as is asked; answers as told."""

    def __init__(self, answers: list[bool]) -> None:
        self.answers = answers
        self.forced = 0

    async def _metadata_update(self, cluster: object, topics: object) -> bool:  # noqa: ARG002
        return self.answers.pop(0)

    def force_metadata_update(self) -> None:
        self.forced += 1


class Clock:
    """Time passes by sleeping only."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that only sleeping moves."""
    made = Clock()
    monkeypatch.setattr(broker_patience, "monotonic_seconds", made)
    monkeypatch.setattr("asyncio.sleep", made.sleep)
    return made


def ask(answers: list[bool], client: Client | None = None, wait: Wait | None = None) -> list[bool]:
    client = client or Client(list(answers))
    pause_between_tries(client, "nowhere:1", wait)

    async def all_of_them() -> list[bool]:
        return [await client._metadata_update(None, None) for _ in answers]

    return asyncio.run(all_of_them())


def test_the_pauses_grow_while_nobody_answers_and_start_anew_after_an_answer(clock: Clock) -> None:
    assert ask([False] * 7 + [True, False, False]) == [False] * 7 + [True, False, False]
    assert clock.slept == [0, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0, 0.1, 0.2]


def test_it_is_told_now_and_then_while_nobody_answers(clock: Clock) -> None:
    with capture_logs() as said:
        ask([False] * 30)
    assert {row["event"] for row in said} == {"waiting for the broker"}
    assert sum(clock.slept) / 10 - 1 <= len(said) <= sum(clock.slept) / 10 + 1


def test_how_long_nobody_has_answered_is_shown_and_is_asked_again_until_somebody_does(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saphan_infra.waiting_metrics.monotonic_seconds", clock)
    wait = Wait("patience", "broker")
    shown = []

    class Shown(Client):
        async def _metadata_update(self, cluster: object, topics: object) -> bool:
            shown.append(round(wait.seconds(), 3))
            return await super()._metadata_update(cluster, topics)

    answers = [True, False, False, False, True, True]
    client = Shown(list(answers))
    assert ask(answers, client, wait) == answers
    assert shown == [0, 0, 0.2, 0.6, 1.4, 0]
    assert client.forced == 3
