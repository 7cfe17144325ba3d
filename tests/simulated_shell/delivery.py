"""How the two sinks of delivery run in a simulated world, and what the receiver of the webhook keeps."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from simulated_shell.broker import SimulatedBroker
from simulated_shell.disk import SimulatedDisk
from simulated_shell.faults import Faults

from saphan_consumers import pending
from saphan_consumers.chunks import Chunk, LogMessage, Start
from saphan_consumers.delivering import FileDelivery, WebhookDelivery
from saphan_consumers.file_sink import FileSink
from saphan_consumers.ledger import Place
from saphan_consumers.reading import Source, follow
from saphan_consumers.retrying import Reply, RetryPolicy
from saphan_consumers.sending import Pace, WebhookSender
from saphan_infra.availability import BrokerUnavailable
from saphan_schemas.topics import ENROLMENT_ALERTS, TOPICS

POLICY = RetryPolicy(
    base_seconds=1.0, max_seconds=10.0, give_up_seconds=76 * 3600, pause_seconds_max=10.0, retry_after_seconds_max=10.0
)
_CONNECTIONS = 3
_TIMEOUT_SECONDS = 5.0
_IDLE_SECONDS = 2.0
_TOPIC_IDS = {ENROLMENT_ALERTS: "only"}


class SimulatedReceiver:
    """Takes posts: slowly, sometimes without an answer, sometimes not at all. ``bodies`` has each id once, in order."""

    def __init__(self, broker: SimulatedBroker) -> None:
        self._loop = broker.loop
        self._faults = broker.faults
        self.bodies: dict[str, bytes] = {}
        self.away_until = 0.0

    async def post(self, delivery_id: str, body: bytes) -> Reply:
        """One post, as :class:`saphan_consumers.sending.Poster` says."""
        faults = self._faults
        await asyncio.sleep(faults.delay_seconds())
        if self._loop.time() < self.away_until:
            return Reply(None, "unreachable")
        if faults.happens("receiver_throttles"):
            return Reply(503, "503", faults.draw.random() * 5)
        if faults.happens("post_fails"):
            return Reply(500, "500")
        self._loop.tell(f"receiver keeps {delivery_id}")
        self.bodies.setdefault(delivery_id, body)
        if faults.happens("post_answer_lost"):
            await asyncio.sleep(_TIMEOUT_SECONDS)
            return Reply(None, "timeout")
        await asyncio.sleep(faults.draw.random() * 4 if faults.happens("post_is_slow") else faults.delay_seconds())
        return Reply(200, "200")


class _Reader:
    """A source and its reader: a few polls, then it asks to stop, so that the others may run."""

    group_id = "simulated"
    topics = (ENROLMENT_ALERTS,)
    topic_ids: Mapping[str, str] = _TOPIC_IDS

    def __init__(self, broker: SimulatedBroker, faults: Faults) -> None:
        self._broker = broker
        self._faults = faults
        self._next: dict[Place, int] = {}
        self.stop = threading.Event()
        self._polls = faults.draw.choice((1, 1, 2, 4))

    @contextmanager
    def opened(self, start: Start) -> Iterator["_Reader"]:
        if self._broker.is_away:
            self.stop.set()
            raise BrokerUnavailable("away")
        for number in range(TOPICS[ENROLMENT_ALERTS].partitions):
            place = Place(ENROLMENT_ALERTS, number)
            self._next[place] = start.positions.get(place, 0)
        yield self

    def poll(self) -> Chunk:
        self._polls -= 1
        if self._polls <= 0:
            self.stop.set()
        messages: list[LogMessage] = []
        positions: dict[Place, int] = {}
        for place, at in self._next.items():
            if self._faults.happens("slow"):
                continue
            for row in self._broker.log[place.topic, place.partition][at : at + self._faults.draw.choice((1, 2, 10))]:
                messages.append(LogMessage(place, row.offset, row.key, row.value, row.timestamp))
                positions[place] = row.offset + 1
        self._next.update(positions)
        return Chunk(messages, positions)

    def lag(self) -> dict[Place, int]:
        return {}

    def hint(self) -> None:
        return

    last_hint = hint

    def has_new_partitions(self) -> bool:
        return False


class _Stop(threading.Event):
    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - as threading says
        self.set()
        return True


def _follow(
    broker: SimulatedBroker, begin: Callable[[], Start], take: Callable[[Chunk, Mapping[str, str]], None]
) -> None:
    """The platform's own reading loop, for a few polls."""
    reader = _Reader(broker, broker.faults)
    reader.stop = _Stop()
    follow(cast(Source, reader), begin, take, reader.stop, lambda _: None)


async def run_file(broker: SimulatedBroker, disk: SimulatedDisk, stop: asyncio.Event) -> None:
    """The file's delivery, until it is told to stop or dies."""
    ledger = disk.open_ledger("file")
    delivery = FileDelivery(ledger, FileSink(disk.folder / "alerts.jsonl", ledger))
    while not stop.is_set():
        _follow(broker, delivery.begin, delivery.take)
        await asyncio.sleep(_IDLE_SECONDS * broker.faults.draw.random())
    delivery.close()


async def run_webhook(
    broker: SimulatedBroker, disk: SimulatedDisk, receiver: SimulatedReceiver, stop: asyncio.Event
) -> None:
    """The webhook's delivery, until it is told to stop or dies."""
    ledger = disk.open_ledger("webhook")
    pending.use_endpoint(ledger, "only")
    sender = WebhookSender(ledger, receiver, Pace(_CONNECTIONS, POLICY, broker.faults.draw.random))
    delivery = WebhookDelivery(ledger, sender)
    sending = asyncio.ensure_future(sender.run(stop))
    while not (sending.done() or stop.is_set()):
        _follow(
            broker,
            lambda: _at_once(delivery.begin()),
            lambda chunk, topic_ids: _at_once(delivery.take(chunk, topic_ids)),
        )
        await asyncio.sleep(_IDLE_SECONDS * broker.faults.draw.random())
    await sending


def _at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("delivery waits for something while it takes a chunk")
