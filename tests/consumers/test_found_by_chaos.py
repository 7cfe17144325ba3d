"""What `saphan chaos` found in the delivery; each test is named after its fault."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from saphan_consumers.delivery import Delivery
from saphan_consumers.ledger import Ledger
from saphan_consumers.pending import backlog, enqueue, paused_until_ms
from saphan_consumers.retrying import Reply, RetryPolicy, went_back_ms
from saphan_consumers.sending import Pace, WebhookSender
from saphan_consumers.told import open_ledger
from saphan_infra.clock import monotonic_seconds, now_ms

POLICY = RetryPolicy(base_seconds=0.01, max_seconds=0.05, give_up_seconds=76 * 3600, pause_seconds_max=0.1)
DEADLINE_SECONDS = 15.0
AHEAD_SECONDS = 900


class Clock:
    """The wall clock, so many seconds off."""

    def __init__(self) -> None:
        self.seconds = 0
        self._real = time.time_ns

    def __call__(self) -> int:
        return self._real() + self.seconds * 1_000_000_000


class Receiver:
    """Takes a state only while its own clock and the sender's agree; ``reply`` is what it says otherwise."""

    def __init__(self, clock: Clock, reply: Reply) -> None:
        self.clock = clock
        self.reply = reply
        self.refused = 0

    async def post(self, delivery_id: str, body: bytes) -> Reply:
        del delivery_id, body
        await asyncio.sleep(0)
        if self.clock.seconds == 0:
            return Reply(204, "204")
        self.refused += 1
        return self.reply


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "time_ns", made)
    return made


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with ten alerts that wait."""
    with open_ledger(tmp_path, "webhook") as opened:
        with opened.transaction():
            enqueue(opened, [Delivery(f"A-{number}", 1, f"state-{number}", 1, b"{}") for number in range(10)], now_ms())
        yield opened


async def sent(ledger: Ledger, receiver: Receiver, *, restarted: bool) -> None:
    """Send with a clock that is ahead until everything was refused, then put it right and send the rest."""
    stop = asyncio.Event()
    sending = asyncio.create_task(WebhookSender(ledger, receiver, Pace(4, POLICY, lambda: 0.5)).run(stop))
    end = monotonic_seconds() + DEADLINE_SECONDS
    receiver.clock.seconds = AHEAD_SECONDS
    while receiver.refused < 5:
        assert monotonic_seconds() < end, "nothing was tried"
        await asyncio.sleep(0.005)
    if restarted:
        stop.set()
        await sending
        stop = asyncio.Event()
    receiver.clock.seconds = 0
    if restarted:
        sending = asyncio.create_task(WebhookSender(ledger, receiver, Pace(4, POLICY, lambda: 0.5)).run(stop))
    while backlog(ledger).waiting:
        assert monotonic_seconds() < end, f"{backlog(ledger).waiting} deliveries still wait"
        await asyncio.sleep(0.005)
    stop.set()
    await sending


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("reply", [Reply(401, "401"), Reply(503, "503", 0.2), Reply(None, "timeout")])
def test_a_clock_that_was_ahead_and_is_put_right_does_not_make_deliveries_wait_until_it_gets_there_again(
    ledger: Ledger, clock: Clock, reply: Reply, restarted: bool
) -> None:
    asyncio.run(sent(ledger, Receiver(clock, reply), restarted=restarted))
    assert backlog(ledger).waiting == 0
    assert paused_until_ms(ledger) <= now_ms()


def test_small_corrections_of_a_clock_are_no_step_back() -> None:
    assert went_back_ms(10_000, 9_500) == 0
    assert went_back_ms(10_000, 11_000) == 0
    assert went_back_ms(0, 11_000) == 0
    assert went_back_ms(900_000, 10_000) == 890_000
