"""How the demo's province reaches the feeds: simulated days pass at a pace, and a second run goes on where it was."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from saphan_cli.simulated_feeds import SIMULATED_TOPICS, SimulatedFeeds
from saphan_infra.clock import monotonic_seconds
from saphan_infra.kafka_security import aiokafka_security
from saphan_infra.owned_process import read_json, write_json
from saphan_infra.settings import Settings
from saphan_publishers.delivery import Delivery
from saphan_publishers.kafka_broker import KafkaBroker
from saphan_schemas.topics import DAY_MS, TOPICS, WORKER_RECORDS
from saphan_simulation.parameters import load_parameters
from saphan_simulation.simulating import live

#: The simulated time that is sent at once; finer would only make more, smaller transactions.
_STEP_MS = 3_600_000
_ENDS_SECONDS = 0.25
#: Longer than closing the connection may take.
_STOP_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Province:
    """What makes one demo's world, kept in the data directory so that a second run finds the same one."""

    seed: int
    workers: int
    months: int


@dataclass(slots=True)
class Progress:
    """How far the world has been told. ``day_ms`` is the simulated moment."""

    sent: int = 0
    day_ms: int = 0


class DemoStream:
    """Publishes the province on a thread of its own until it is stopped or the province's time is over."""

    def __init__(self, settings: Settings, wanted: Province, days_per_second: float) -> None:
        self._settings = settings
        self._path = settings.data_dir / "demo.json"
        self.province, self.progress = _continued(self._path, wanted)
        self._step_seconds = _STEP_MS / DAY_MS / days_per_second
        self._pause = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="saphan-demo", daemon=True)
        self.failure: BaseException | None = None
        self._end_offsets: dict[str, dict[int, int]] = {}

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def pause(self) -> None:
        """Publish no more, but keep the end offsets fresh."""
        self._pause.set()

    def stop(self) -> None:
        """Stop; what was sent is acknowledged and noted, or ``failure`` says that Kafka did not answer in time."""
        self._pause.set()
        self._stop.set()
        self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive():
            # Publishing waits for Kafka for ever, but whoever stops the demo does not. The thread ends with the process.
            self.failure = TimeoutError(
                f"Kafka did not answer within {_STOP_SECONDS} s, the last messages may be missing"
            )

    def end_offsets(self) -> Mapping[str, Mapping[int, int]]:
        """The newest known end of each partition of the feeds and of worker.records.v2."""
        return self._end_offsets

    def _run(self) -> None:
        try:
            asyncio.run(self._publish())
        except Exception as error:  # noqa: BLE001 - told by the command, which watches this
            self.failure = error

    async def _publish(self) -> None:
        security = aiokafka_security(self._settings)
        delivery = Delivery(KafkaBroker(self._settings.bootstrap, security=security), lambda _sentence: None)
        await delivery.open(SIMULATED_TOPICS)
        consumer = AIOKafkaConsumer(bootstrap_servers=self._settings.bootstrap, **security)
        await consumer.start()
        feeds = SimulatedFeeds(delivery)
        due_at = monotonic_seconds()
        try:
            for when_ms, events in self._steps():
                if self._pause.is_set():
                    break
                await feeds.send(events)
                self._note(when_ms, len(events))
                await self._read_ends(consumer)
                due_at += self._step_seconds
                await self._rest(due_at)
            while not self._stop.is_set():
                await self._read_ends(consumer)
                await asyncio.sleep(_ENDS_SECONDS)
        finally:
            await consumer.stop()
            await delivery.close()

    async def _rest(self, until: float) -> None:
        left = until - monotonic_seconds()
        if left > 0:
            await asyncio.get_running_loop().run_in_executor(None, self._pause.wait, left)

    def _steps(self) -> Iterator[tuple[int, list[tuple[str, dict[str, Any]]]]]:
        """(end of the step, its events) for each simulated hour that has any."""
        world = self.province
        events = live(load_parameters(), world.seed, world.workers, world.months, skip=self.progress.sent, form="wire")
        for hour, rows in groupby(events, key=lambda event: event[0] // _STEP_MS):
            yield (hour + 1) * _STEP_MS, [(topic, record) for _, topic, record in rows]

    def _note(self, when_ms: int, events: int) -> None:
        self.progress.sent += events
        self.progress.day_ms = when_ms
        write_json(self._path, {**asdict(self.province), **asdict(self.progress)})

    async def _read_ends(self, consumer: AIOKafkaConsumer) -> None:
        names = [*SIMULATED_TOPICS, WORKER_RECORDS]
        partitions = [TopicPartition(name, number) for name in names for number in range(TOPICS[name].partitions)]
        ends = await consumer.end_offsets(partitions)
        found: dict[str, dict[int, int]] = {name: {} for name in names}
        for partition, offset in ends.items():
            found[partition.topic][partition.partition] = offset
        self._end_offsets = found


def _continued(path: Path, wanted: Province) -> tuple[Province, Progress]:
    """The province that the data directory already holds, else the wanted one at its beginning."""
    known = read_json(path)
    try:
        province = Province(known["seed"], known["workers"], known["months"])
        return province, Progress(known["sent"], known["day_ms"])
    except KeyError:
        return wanted, Progress()
