"""What agencies send while things go wrong: a simulated province spread over the run, some of it twice, late or broken."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from saphan_cli.chaos.poison import REASONS, Poison, poisoned
from saphan_cli.simulated_feeds import heartbeat_now
from saphan_infra.clock import monotonic_seconds
from saphan_infra.producer import Message
from saphan_publishers.delivery import Broker, Delivery
from saphan_publishers.messages import MessageMaker
from saphan_schemas.topics import FEEDS, HEARTBEATS, RECORD_FEEDS
from saphan_simulation.parameters import load_parameters
from saphan_simulation.simulating import live
from saphan_simulation.world import World
from saphan_simulation.writing import write_world

_STEP_SECONDS = 0.25
_HEARTBEAT_SECONDS = 3.0
_AGAIN_EVENTS = 25
_MONTHS = 12
#: What the simulation brings about one worker in a year, on average.
_EVENTS_PER_WORKER = 10.8
#: So much of what waits leaves at each step while producers are out of order.
_RELEASED_SHARE = 0.2


class Province(NamedTuple):
    """A simulated world: its files for the oracle, and its events in order of publication as (topic, record)."""

    folder: Path
    events: Sequence[tuple[str, dict[str, Any]]]
    workers: int


def province(folder: Path, seed: int, events: float) -> Province:
    """A province that brings about so many events."""
    workers = max(1, round(events / _EVENTS_PER_WORKER))
    parameters = load_parameters()
    write_world(World(parameters, seed, workers, _MONTHS), folder)
    rows = [(topic, record) for _, topic, record in live(parameters, seed, workers, _MONTHS, form="wire")]
    return Province(folder, rows, workers)


class Load:
    """Publishes the province within so many seconds, on a thread of its own, waiting for a broker that is away.

    ``broker`` gives the connection of a client's name. ``modes`` says how producers misbehave now: "duplicated", "reordered", "poison". ``counts`` tells what was sent,
    and how often a broker that is away was waited for.
    """

    def __init__(self, broker: Callable[[str], Broker], world: Province, seconds: float, seed: int) -> None:
        self._broker = broker
        self._world = world
        self._seconds = seconds
        self._random = Random(f"{seed} load")  # noqa: S311 - a run's choices must be the same again
        self._makers = {feed: MessageMaker(feed) for feed in RECORD_FEEDS}
        self._sent: list[tuple[str, Message]] = []
        self._held: list[tuple[str, Message]] = []
        self._heartbeats: dict[str, dict[str, Any]] = {}
        self._beat_at = 0.0
        self._thread = threading.Thread(target=self._run, name="saphan-chaos-load", daemon=True)
        self.modes: set[str] = set()
        self.counts = {"records": 0, "heartbeats": 0, "duplicated": 0, "reordered": 0, "poison": 0, "waits": 0}
        self.poisons: dict[bytes, Poison] = {}
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def join(self, seconds: float) -> bool:
        """Wait until everything is published and acknowledged; whether it is. Raises what went wrong."""
        self._thread.join(seconds)
        if self.failure is not None:
            raise self.failure
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._publish())
        except BaseException as error:  # noqa: BLE001 - raised again where the run is watched
            self.failure = error

    async def _publish(self) -> None:
        first, second = self._delivery("saphan-chaos-first"), self._delivery("saphan-chaos-second")
        for delivery in (first, second):
            await delivery.open(FEEDS)
        try:
            for events in self._steps_due():
                await self._step(first, second, await events)
            await self._send_new(first, self._released(1.0))
            await self._beat(first)
        finally:
            for delivery in (first, second):
                await delivery.close()

    def _delivery(self, client_id: str) -> Delivery:
        return Delivery(self._broker(client_id), self._note_wait)

    def _note_wait(self, _sentence: str) -> None:
        self.counts["waits"] += 1

    def _steps_due(self) -> "Iterator[Any]":
        """The events of each step, awaited when their time has come; after an outage all that is late at once."""
        began, done, count = monotonic_seconds(), 0, len(self._world.events)

        async def due() -> list[tuple[str, dict[str, Any]]]:
            nonlocal done
            await asyncio.sleep(_STEP_SECONDS)
            share = min(1.0, (monotonic_seconds() - began) / self._seconds)
            start, done = done, int(share * count)
            return list(self._world.events[start:done])

        while done < count:
            yield due()

    async def _step(self, first: Delivery, second: Delivery, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
        messages = []
        for topic, record in events:
            if topic == HEARTBEATS:
                self._keep_newest(record)
            else:
                messages.append((topic, self._makers[topic].message(record)))
        if "reordered" in self.modes:
            self._held += messages
            messages = self._released(_RELEASED_SHARE)
            self.counts["reordered"] += len(messages)
        else:
            messages = self._released(1.0) + messages
        again = []
        if "duplicated" in self.modes and self._sent:
            again = self._random.choices(self._sent, k=_AGAIN_EVENTS)
            self.counts["duplicated"] += len(again)
        await asyncio.gather(self._send_new(first, messages), self._send(second, again), self._send_poison(second))
        # An agency says that its feed is complete when it has sent everything, not while it holds something back.
        if not self._held and monotonic_seconds() - self._beat_at > _HEARTBEAT_SECONDS:
            await self._beat(first)

    def _keep_newest(self, heartbeat: dict[str, Any]) -> None:
        known = self._heartbeats.get(heartbeat["feed"])
        if known is None or known["complete_until"] <= heartbeat["complete_until"]:
            self._heartbeats[heartbeat["feed"]] = heartbeat

    def _released(self, share: float) -> list[tuple[str, Message]]:
        """Some of what is held back, in any order."""
        self._random.shuffle(self._held)
        count = max(1, int(share * len(self._held)))
        found, self._held = self._held[:count], self._held[count:]
        return found

    async def _send_poison(self, second: Delivery) -> None:
        if "poison" not in self.modes or not self._sent:
            return
        number = len(self.poisons) + 1
        feed, good = self._random.choice(self._sent)
        made = poisoned(number, REASONS[number % len(REASONS)], feed, good)
        if made.mark not in self.poisons:
            self.poisons[made.mark] = made
            self.counts["poison"] += 1
            await self._send(second, [(feed, made.message)])

    async def _send_new(self, delivery: Delivery, messages: Sequence[tuple[str, Message]]) -> None:
        await self._send(delivery, messages)
        self._sent += messages
        self.counts["records"] += len(messages)

    async def _send(self, delivery: Delivery, messages: Sequence[tuple[str, Message]]) -> None:
        by_topic: dict[str, list[Message]] = {}
        for topic, message in messages:
            by_topic.setdefault(topic, []).append(message)
        await asyncio.gather(*(delivery.send(topic, rows) for topic, rows in by_topic.items()))

    async def _beat(self, delivery: Delivery) -> None:
        """One heartbeat of each feed that had something to say, with the ends of its feed as they are now."""
        beats: Mapping[str, dict[str, Any]] = self._heartbeats
        self._heartbeats = {}
        self._beat_at = monotonic_seconds()
        for record in beats.values():
            await delivery.send(HEARTBEATS, [await heartbeat_now(delivery, record)])
            self.counts["heartbeats"] += 1
