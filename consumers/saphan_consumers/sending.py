"""When each waiting delivery goes to the webhook: many alerts at once, one state of an alert at a time."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from saphan_consumers import pending, watching
from saphan_consumers.ledger import Ledger
from saphan_consumers.pending import Attempt, Waiting
from saphan_consumers.retrying import Endpoint, Reply, RetryPolicy, endpoint_after, verdict, went_back_ms
from saphan_infra.clock import monotonic_seconds, now_ms
from saphan_infra.logs import get_logger

_LOOK_SECONDS_MAX = 1.0
_REPORT_SECONDS = 5.0
_LEDGER_SECONDS = 5.0

log = get_logger(__name__)


class Poster(Protocol):
    """Sends one body under one id and says what came back."""

    async def post(self, delivery_id: str, body: bytes) -> Reply: ...


class _Done(NamedTuple):
    row: Waiting
    started_ms: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class Pace:
    """How many posts may be under way, how patient we are, and a source of numbers from 0 to 1 for the jitter."""

    connections: int
    policy: RetryPolicy
    jitter: Callable[[], float]


class WebhookSender:
    """Empties the ledger's waiting list. Use it in the one event loop that uses the ledger."""

    def __init__(self, ledger: Ledger, client: Poster, pace: Pace) -> None:
        self._ledger = ledger
        self._client = client
        self._pace = pace
        self._under_way: dict[asyncio.Task[_Done], Waiting] = {}
        self._endpoint = Endpoint(pending.paused_until_ms(ledger))
        self._seen_ms = pending.clock_seen_ms(ledger)
        self._wake = asyncio.Event()
        self._report_at = 0.0

    def wake(self) -> None:
        """New deliveries wait."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until ``stop``, then let what is under way end (a post has a time limit)."""
        with self._ledger.transaction():
            pending.forget_far_times(self._ledger, now_ms(), self._pace.policy)
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                try:
                    await self._round(stopping)
                except sqlite3.OperationalError as error:
                    # What was delivered but not written down goes out again under the same id.
                    log.warning("The delivery ledger cannot be written; waiting", cause=str(error))
                    await asyncio.wait([stopping], timeout=_LEDGER_SECONDS)
            if self._under_way:
                await asyncio.wait(self._under_way)
                self._settle()
        finally:
            await _cancelled([stopping, *self._under_way])

    async def _round(self, stopping: asyncio.Task[Any]) -> None:
        self._mind_clock(now_ms())
        self._launch(now_ms())
        await self._wait(stopping)
        self._settle()
        self._report()

    def _mind_clock(self, now_ms: int) -> None:
        """A clock that was ahead and is put right must not make everything wait until it gets there again."""
        back_ms, self._seen_ms = went_back_ms(self._seen_ms, now_ms), now_ms
        if not back_ms:
            return
        with self._ledger.transaction():
            pending.bring_forward(self._ledger, back_ms, now_ms)
        self._endpoint = replace(self._endpoint, paused_until_ms=self._endpoint.paused_until_ms - back_ms)
        log.warning("The clock went back; what waits is tried as soon as it would have been", seconds=back_ms / 1000)

    def _room(self) -> int:
        """How many posts may start; after a pause one delivery finds out whether the endpoint is back."""
        if pending.switched_off_ms(self._ledger) is not None:
            return 0
        return (1 if self._endpoint.pauses else self._pace.connections) - len(self._under_way)

    def _launch(self, now_ms: int) -> None:
        room = self._room()
        if room <= 0 or now_ms < self._endpoint.paused_until_ms:
            return
        busy = {row.seq for row in self._under_way.values()}
        rows = [row for row in pending.due(self._ledger, now_ms, room + len(busy)) if row.seq not in busy]
        for row in rows[:room]:
            self._under_way[asyncio.create_task(self._attempt(row, now_ms))] = row

    async def _attempt(self, row: Waiting, started_ms: int) -> _Done:
        return _Done(row, started_ms, await self._client.post(row.delivery_id, row.body))

    async def _wait(self, stopping: asyncio.Task[Any]) -> None:
        """Until a post ends, a delivery arrives, a time comes, or we stop; at most a second, to see a switch."""
        seconds = _LOOK_SECONDS_MAX
        if self._room() > 0:
            due = pending.next_due_ms(self._ledger, {row.seq for row in self._under_way.values()})
            if due is not None:
                at = max(due, self._endpoint.paused_until_ms)
                seconds = min(seconds, max(0.0, (at - now_ms()) / 1000))
        waking = asyncio.create_task(self._wake.wait())
        await asyncio.wait([stopping, waking, *self._under_way], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        self._wake.clear()
        await _cancelled([waking])

    def _settle(self) -> None:
        ended = [task for task in self._under_way if task.done()]
        if not ended:
            return
        now = now_ms()
        attempts: list[Attempt] = []
        before = self._endpoint
        for task in ended:
            del self._under_way[task]
            row, started_ms, reply = task.result()
            waited_ms = now - (started_ms if row.first_attempt_ms is None else row.first_attempt_ms)
            outcome = verdict(self._pace.policy, reply, row.attempts + 1, waited_ms, now, self._pace.jitter())
            attempts.append(Attempt(row, started_ms, outcome, reply.cause))
            self._endpoint = endpoint_after(self._pace.policy, self._endpoint, row.alert_id, reply, now)
        gone = any(attempt.verdict.kind == "switch_off" for attempt in attempts)
        with self._ledger.transaction():
            pending.settle(self._ledger, attempts, now)
            if self._endpoint.paused_until_ms != before.paused_until_ms:
                pending.pause(self._ledger, self._endpoint.paused_until_ms)
            if gone and pending.switched_off_ms(self._ledger) is None:
                pending.switch(self._ledger, now)
        _tell(attempts, before, self._endpoint, now)

    def _report(self) -> None:
        if monotonic_seconds() >= self._report_at:
            self._report_at = monotonic_seconds() + _REPORT_SECONDS
            watching.webhook_backlog(
                pending.backlog(self._ledger), switched_off=pending.switched_off_ms(self._ledger) is not None
            )


def _tell(attempts: Sequence[Attempt], before: Endpoint, after: Endpoint, now: int) -> None:
    for attempt in attempts:
        watching.webhook_attempt(attempt.verdict.kind)
        kind = attempt.verdict.kind
        if kind == "parked":
            log.error(
                "A delivery was given up and parked; `saphan deliveries retry` sends it again",
                delivery_id=attempt.row.delivery_id,
                attempts=attempt.row.attempts + 1,
                cause=attempt.cause,
            )
        elif kind == "switch_off":
            log.error("The webhook says that it is gone (410): nothing is sent until `saphan deliveries enable`")
        elif kind == "retry":
            log.warning(
                "A delivery failed and is tried again",
                delivery_id=attempt.row.delivery_id,
                attempts=attempt.row.attempts + 1,
                cause=attempt.cause,
                again_in_seconds=round(((attempt.verdict.retry_at_ms or now) - now) / 1000, 1),
            )
    if after.paused_until_ms > max(now, before.paused_until_ms):
        seconds = round((after.paused_until_ms - now) / 1000, 1)
        log.warning("The webhook takes nothing now; all deliveries wait", again_in_seconds=seconds)


async def _cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
