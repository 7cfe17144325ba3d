"""How long an alert takes from the event that caused it, at a steady rate of events."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from saphan_cli.bench.figures import is_bounded, latency_report, per_second
from saphan_cli.bench.looking import Eye, looking_at
from saphan_cli.bench.province import Province, send_all
from saphan_cli.bench.stand import Stand
from saphan_infra.clock import monotonic_seconds, now_ms
from saphan_infra.producer import BatchProducer, Message
from saphan_schemas.codec import Codec
from saphan_schemas.topics import ENROLMENT_ALERTS, TOPICS

_TICK_SECONDS = 0.02
_LOOK_SECONDS = 0.5
_DRAIN_SECONDS_MAX = 30


class Pace:
    """Sends messages evenly: each tick what is due by now, with the moment of sending as their timestamp."""

    def __init__(self, producer: BatchProducer, messages: Iterable[tuple[str, Message]], per_second_wanted: float):
        self._producer = producer
        self._messages = iter(messages)
        self._per_second = per_second_wanted
        self.sent = 0
        self.seconds = 0.0
        self.behind_seconds_max = 0.0
        self.ended = False

    async def run(self, seconds: float, stop: asyncio.Event | None = None) -> None:
        """Send for so long, or until the messages end (``ended``) or ``stop`` is set. Raises SendFailed."""
        began = monotonic_seconds()
        while self.seconds < seconds and not self.ended and not (stop is not None and stop.is_set()):
            await asyncio.sleep(max(0.0, began + self.seconds + _TICK_SECONDS - monotonic_seconds()))
            elapsed = monotonic_seconds() - began
            self.behind_seconds_max = max(self.behind_seconds_max, elapsed - self.seconds - _TICK_SECONDS)
            self.seconds = elapsed
            await send_all(self._producer, self._due(min(elapsed, seconds)))

    def _due(self, elapsed: float) -> dict[str, list[Message]]:
        rows: dict[str, list[Message]] = {}
        sent_at = now_ms()
        while self.sent < int(elapsed * self._per_second):
            found = next(self._messages, None)
            if found is None:
                self.ended = True
                break
            feed, message = found
            rows.setdefault(feed, []).append(message._replace(timestamp_ms=sent_at))
            self.sent += 1
        return rows


class _Receiver:
    """Notes when each alert arrives and when its cause was sent."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        self._codec = Codec()
        self._partitions = [
            TopicPartition(ENROLMENT_ALERTS, number) for number in range(TOPICS[ENROLMENT_ALERTS].partitions)
        ]
        self.latencies_ms: list[float] = []

    async def __aenter__(self) -> "_Receiver":
        await self._consumer.start()
        self._consumer.assign(self._partitions)
        await self._consumer.seek_to_end(*self._partitions)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def run(self) -> None:
        """Receive until cancelled."""
        while True:
            fetched = await self._consumer.getmany(timeout_ms=1000)
            received_at = now_ms()
            for rows in fetched.values():
                for row in rows:
                    caused_at = self._codec.decode(ENROLMENT_ALERTS, row.value)["caused_at"]
                    self.latencies_ms.append(received_at - caused_at)


async def _lags_while(eye: Eye, wanted: Callable[[list[int]], bool]) -> list[int]:
    """The lag at each look as long as the lags so far are to be followed by more."""
    found: list[int] = []
    while wanted(found):
        await asyncio.sleep(_LOOK_SECONDS)
        found.append((await asyncio.to_thread(eye.look)).lag())
    return found


def _until_none() -> Callable[[list[int]], bool]:
    ends_at = monotonic_seconds() + _DRAIN_SECONDS_MAX
    # Two looks without lag: what integrate just committed has then been sent and received.
    return lambda lags: monotonic_seconds() < ends_at and (len(lags) < 2 or any(lags[-2:]))


async def _measure(stand: Stand, province: Province, rate: float, seconds: float, eye: Eye) -> dict[str, Any]:
    producer = BatchProducer(stand.settings.bootstrap, "saphan-bench-pace")
    await producer.start()
    newcomers = province.newcomers()
    try:
        async with _Receiver(stand.settings.bootstrap) as receiver:
            receiving = asyncio.create_task(receiver.run())
            pace = Pace(producer, newcomers, rate)
            sending = asyncio.create_task(pace.run(seconds))
            lags = await _lags_while(eye, lambda _lags: not sending.done())
            await sending
            lags_after = await _lags_while(eye, _until_none())
            receiving.cancel()
            if isinstance(failure := (await asyncio.gather(receiving, return_exceptions=True))[0], Exception):
                raise failure
    finally:
        await producer.stop()
    achieved = per_second(pace.sent, pace.seconds)
    return {
        **latency_report(receiver.latencies_ms),
        "events": pace.sent,
        "events_per_second_wanted": rate,
        "events_per_second": achieved,
        "sender_behind_ms_max": round(pace.behind_seconds_max * 1000),
        "lag_max": max(lags, default=0),
        "lag_at_end": lags_after[-1],
        "lag_bounded": is_bounded(lags, rate),
    }


def measured(stand: Stand, province: Province, rate: float, seconds: float) -> dict[str, Any]:
    """Send newcomers' records at this rate to the running platform; the latencies of the alerts that come out."""
    stand.report(f"Sending {rate:,.0f} events a second for {seconds:g} s, waiting for alerts …")
    with looking_at(stand) as eye:
        return asyncio.run(_measure(stand, province, rate, seconds, eye))
