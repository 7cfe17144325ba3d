"""How alert states go from the log to each sink: one thread, one reader and one ledger per sink, none waits for another."""

import asyncio
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from saphan_consumers import pending, watching
from saphan_consumers.addresses import Target
from saphan_consumers.chunks import Chunk, Start
from saphan_consumers.file_sink import FileSink
from saphan_consumers.intake import alerts_of, conclude, decide, start_of, tell_refused
from saphan_consumers.ledger import Ledger
from saphan_consumers.reading import Source, follow
from saphan_consumers.retrying import RetryPolicy
from saphan_consumers.sending import Pace, WebhookSender
from saphan_consumers.told import open_ledger
from saphan_consumers.webhook import WebhookClient
from saphan_infra.clock import now_ms
from saphan_infra.logs import get_logger
from saphan_schemas.codec import Codec

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookPlan:
    """Where and how to post. ``keys`` sign, newest first."""

    target: Target
    keys: tuple[bytes, ...]
    timeout_seconds: float
    connections: int
    policy: RetryPolicy


@dataclass(frozen=True, slots=True)
class DeliveryPlan:
    """Which sinks get the alerts. ``source`` makes the source of one sink from its group name."""

    source: Callable[[str], Source]
    data_dir: Path
    alerts_file: Path | None
    webhook: WebhookPlan | None


class FileDelivery:
    """The file's side of a chunk: append, then write down."""

    def __init__(self, ledger: Ledger, sink: FileSink) -> None:
        self._ledger = ledger
        self._sink = sink
        self._codec = Codec()

    def begin(self) -> Start:
        """File and ledger agree again, whatever ended the last run. Raises OSError, sqlite3.Error."""
        found = self._sink.recover()
        if found:
            log.warning("The file had lines that the ledger did not know; they count as delivered", lines=found)
        return start_of(self._ledger)

    def take(self, chunk: Chunk, topic_ids: Mapping[str, str]) -> None:
        """Deliver a chunk. Raises OSError, sqlite3.Error: then none of it counts as done, and `begin` puts file and ledger right."""
        alerts, refused = alerts_of(self._codec, chunk.messages)
        decision = decide(self._ledger, alerts)
        self._sink.append(decision.deliveries)
        with self._ledger.transaction():
            conclude(self._ledger, decision, refused, chunk, topic_ids)
            self._sink.remember()
        watching.taken("file", decision, len(refused))
        watching.file_delivered(len(decision.deliveries))
        tell_refused("file", refused)

    def close(self) -> None:
        """Close the file."""
        self._sink.close()


class WebhookDelivery:
    """The webhook's side of a chunk: into the waiting list, from which the sender works on its own."""

    def __init__(self, ledger: Ledger, sender: WebhookSender) -> None:
        self._ledger = ledger
        self._sender = sender
        self._codec = Codec()

    async def begin(self) -> Start:
        """Where to read on."""
        return start_of(self._ledger)

    async def take(self, chunk: Chunk, topic_ids: Mapping[str, str]) -> None:
        """Put a chunk's states on the waiting list. Raises sqlite3.Error: then none of it counts as done."""
        alerts, refused = alerts_of(self._codec, chunk.messages)
        decision = decide(self._ledger, alerts)
        with self._ledger.transaction():
            conclude(self._ledger, decision, refused, chunk, topic_ids)
            pending.enqueue(self._ledger, decision.deliveries, now_ms())
        self._sender.wake()
        watching.taken("webhook", decision, len(refused))
        tell_refused("webhook", refused)


def deliver(plan: DeliveryPlan, stop: threading.Event) -> None:
    """Deliver to every sink until ``stop``. Raises LedgerUnusable, LogReplaced; an outage is waited for."""
    works: list[Callable[[], None]] = []
    ledgers: list[Ledger] = []
    try:
        if plan.alerts_file is not None:
            ledgers.append(open_ledger(plan.data_dir, "file"))
            works.append(_file_work(plan, plan.alerts_file, ledgers[-1], stop))
        if plan.webhook is not None:
            ledgers.append(open_ledger(plan.data_dir, "webhook"))
            works.append(_webhook_work(plan, plan.webhook, ledgers[-1], stop))
        _run_all(works, stop)
    finally:
        for ledger in ledgers:
            ledger.close()


def _run_all(works: list[Callable[[], None]], stop: threading.Event) -> None:
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below, in the main thread
            failures.append(error)
            stop.set()

    threads = [threading.Thread(target=guarded, args=(work,), name=f"sink-{n}") for n, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _file_work(plan: DeliveryPlan, path: Path, ledger: Ledger, stop: threading.Event) -> Callable[[], None]:
    def work() -> None:
        delivery = FileDelivery(ledger, FileSink(path, ledger))
        source = plan.source("saphan-delivery-file")
        try:
            follow(source, delivery.begin, delivery.take, stop, lambda lag: watching.lag("delivery-file", lag))
        finally:
            delivery.close()

    return work


def _webhook_work(
    plan: DeliveryPlan, webhook: WebhookPlan, ledger: Ledger, stop: threading.Event
) -> Callable[[], None]:
    mark = blake2b(webhook.target.url.encode(), digest_size=8).hexdigest()
    if pending.use_endpoint(ledger, mark):
        log.info("The webhook's address is another one than before; it starts switched on")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        async with WebhookClient(webhook.target, webhook.keys, webhook.timeout_seconds, webhook.connections) as client:
            pace = Pace(webhook.connections, webhook.policy, random.SystemRandom().random)
            sender = WebhookSender(ledger, client, pace)
            delivery = WebhookDelivery(ledger, sender)
            sending = asyncio.create_task(sender.run(ended))
            try:
                reading = asyncio.create_task(asyncio.to_thread(_read_into, plan, delivery, loop, stop))
                await asyncio.wait([reading, sending], return_when=asyncio.FIRST_COMPLETED)
                stop.set()
                await reading
            finally:
                ended.set()
                await sending

    return lambda: asyncio.run(main())


def _read_into(
    plan: DeliveryPlan, delivery: WebhookDelivery, loop: asyncio.AbstractEventLoop, stop: threading.Event
) -> None:
    """Read in a thread of its own, as kafka-python blocks; ledger work happens in the event loop."""

    def begin() -> Start:
        return asyncio.run_coroutine_threadsafe(delivery.begin(), loop).result()

    def take(chunk: Chunk, topic_ids: Mapping[str, str]) -> None:
        asyncio.run_coroutine_threadsafe(delivery.take(chunk, topic_ids), loop).result()

    follow(plan.source("saphan-delivery-webhook"), begin, take, stop, lambda lag: watching.lag("delivery-webhook", lag))
