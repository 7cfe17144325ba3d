"""When a committed chunk's messages leave: after the commit, in order, until the broker has acknowledged them."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from saphan_infra.logs import get_logger
from saphan_infra.producer import BatchProducer, Message, Sendable, SendFailed
from saphan_infra.waiting_metrics import Wait
from saphan_projections.offsets import OutgoingMessage
from saphan_schemas.topics import TOPICS
from saphan_streams.catching_up import Headers

_WAITING_MAX = 4
_RETRY_SECONDS_MIN = 0.25
_RETRY_SECONDS_MAX = 10.0

log = get_logger("saphan.relay")


class Relay:
    """Sends the outbox's rows one after the other; ``waiting`` counts the messages that are not acknowledged.

    A row may be sent twice (a crash after the send, before its row is deleted): every receiver drops repeats.
    ``headers`` says what each message carries besides, as of the moment when it leaves. ``wait`` shows how long the broker takes none.
    """

    def __init__(
        self, producer: BatchProducer, headers: Callable[[], Headers] = tuple, wait: Wait | None = None
    ) -> None:
        self._producer = producer
        self._broker = wait or Wait("relay", "broker")
        self._headers = headers
        self._queue: asyncio.Queue[tuple[int, Sequence[OutgoingMessage]]] = asyncio.Queue(_WAITING_MAX)
        self._known: set[int] = set()
        self._sent: set[int] = set()
        self._task: asyncio.Task[None] | None = None
        self.waiting = 0

    def start(self) -> None:
        """Begin to send; a second call changes nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def submit(self, outbox_no: int, messages: Sequence[OutgoingMessage]) -> None:
        """Hand over a committed row; waits while too many rows are unsent."""
        if outbox_no not in self._known:
            self._known.add(outbox_no)
            self.waiting += len(messages)
            try:
                await self._queue.put((outbox_no, messages))
            except asyncio.CancelledError:
                # The next rebalance came while it waited here. Whoever hands the row over again must be heard.
                self._known.discard(outbox_no)
                self.waiting -= len(messages)
                raise

    def take_sent(self) -> set[int]:
        """The rows that were acknowledged since the last call: delete them with the next chunk."""
        sent, self._sent = self._sent, set()
        return sent

    def put_back(self, outbox_numbers: Iterable[int]) -> None:
        """Rows taken by :meth:`take_sent` whose deletion was not committed."""
        self._sent.update(outbox_numbers)

    def forget(self, outbox_numbers: Collection[int]) -> None:
        """Rows whose deletion is committed."""
        self._known.difference_update(outbox_numbers)

    async def drain(self) -> None:
        """Wait until everything that was handed over is acknowledged."""
        await self._queue.join()

    async def stop(self) -> None:
        """Stop sending; what is unsent stays in the outbox and goes out after the next start."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self._producer.stop()

    async def _run(self) -> None:
        while True:
            outbox_no, messages = await self._queue.get()
            with self._broker.under_way():
                await self._send(messages)
            self.waiting -= len(messages)
            self._sent.add(outbox_no)
            self._queue.task_done()

    async def _send(self, messages: Sequence[OutgoingMessage]) -> None:
        pause_seconds = _RETRY_SECONDS_MIN
        for topic, rows in _by_topic(messages).items():
            while True:
                try:
                    await self._producer.send(topic, _with(self._headers(), rows), TOPICS[topic].partitions)
                    break
                except SendFailed as failure:
                    log.warning("waiting for the broker", topic=topic, why=str(failure), pause_seconds=pause_seconds)
                except Exception as error:  # noqa: BLE001 - a relay that ended would hold up everything in silence
                    what = repr(type(error))
                    log.critical("sending failed, trying again", topic=topic, error=what, pause_seconds=pause_seconds)
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(pause_seconds * 2, _RETRY_SECONDS_MAX)


def _with(headers: Headers, rows: Sequence[OutgoingMessage]) -> Sequence[Sendable]:
    if not headers:
        return rows
    return [Message(row.key, row.value, headers, row.timestamp_ms, row.partition) for row in rows]


def _by_topic(messages: Iterable[OutgoingMessage]) -> Mapping[str, list[OutgoingMessage]]:
    rows: defaultdict[str, list[OutgoingMessage]] = defaultdict(list)
    for message in messages:
        rows[message.topic].append(message)
    return rows
