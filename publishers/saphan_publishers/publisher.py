"""How a program of an agency publishes its changes one by one: validated at once, sent in batches, acknowledged."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from saphan_infra.clock import now_ms
from saphan_infra.producer import Message
from saphan_publishers.dates import iso_time_ms
from saphan_publishers.delivery import Broker, Delivery
from saphan_publishers.heartbeats import completed, refused_claim
from saphan_publishers.kafka_broker import KafkaBroker
from saphan_publishers.messages import MessageMaker, NotEncodable, heartbeat_maker
from saphan_publishers.record_form import record_form
from saphan_publishers.rows import Unreadable, row_error
from saphan_publishers.validation import is_rejected, publishing_problems
from saphan_schemas.rules import Problem
from saphan_schemas.topics import HEARTBEATS, RECORD_FEEDS
from saphan_schemas.values import time_to_ms

_Answer = TypeVar("_Answer")


class InvalidRecord(ValueError):
    """A record that was not published. ``problems`` tells each field, what was found and what was expected.

    The text names fields and codes only: it may go into a log. What was found is in ``problems`` alone.
    """

    def __init__(self, problems: list[Problem]) -> None:
        said = "; ".join(f"{problem.field or 'record'}: {problem.code}" for problem in problems)
        super().__init__(f"the record was not published ({said}); see .problems for what was found and expected")
        self.problems = problems


class FeedIncomplete(RuntimeError):
    """A heartbeat that was not sent, because records were refused: an alert could accuse somebody wrongly.

    ``refused`` is how many of them nobody has published since in a form that the feed takes.
    """

    def __init__(self, feed: str, refused: int) -> None:
        super().__init__(
            f"no heartbeat for {feed}: it is not complete, records that this publisher refused: {refused}; expected each "
            "of them published in a valid form, under the same record_id. Correct and publish them, then send the "
            "heartbeat again, or say heartbeat(..., anyway=True)"
        )
        self.refused = refused


class Publisher:
    """Publishes the records of one feed.

    ``with Publisher("kafka:9092", "doe.employments.v1") as publisher: publisher.publish({...})``

    A record is a mapping of the schema's field names to plain values: text; whole numbers; True or False; dates as
    ``datetime.date`` or "YYYY-MM-DD" (common era); times as aware ``datetime`` or ISO 8601 with an offset. It is the
    whole record after the change, with ``record_id``, ``version`` (rises with each change) and ``changed_at``.

    The feed's topic must be there: ``saphan up`` makes it, with as many copies as the platform's settings say.

    Calls come from one thread. Records leave in batches of ``batch_records_max`` and at :meth:`flush`; leaving the
    ``with`` block flushes. While Kafka is away calls wait up to ``wait_seconds_max`` (None: for ever), then raise
    BrokerUnavailable; what was not acknowledged is kept and goes with the next call.
    """

    def __init__(
        self,
        bootstrap: str | Broker,
        feed: str,
        *,
        batch_records_max: int = 2000,
        wait_seconds_max: float | None = 300,
        on_wait: Callable[[str], None] | None = None,
        security: Mapping[str, Any] | None = None,
    ) -> None:
        if feed not in RECORD_FEEDS:
            message = f"there is no feed {feed!r}; expected one of {', '.join(RECORD_FEEDS)}"
            raise ValueError(message)
        self.feed = feed
        self._form = record_form(feed)
        self._maker = MessageMaker(feed)
        self._waiting: list[Message] = []
        self._refused_ids: set[str] = set()
        self._refused_without_id = 0
        self._batch_records_max = batch_records_max
        broker = KafkaBroker(bootstrap, security=security) if isinstance(bootstrap, str) else bootstrap
        self._delivery = Delivery(broker, on_wait or (lambda _sentence: None), wait_seconds_max)
        self._running: _Running | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Connect. Raises BrokerUnavailable, then it may be opened again, and DeliveryRefused where a topic is missing."""
        if self._running is not None:
            message = f"the publisher of {self.feed} is open already"
            raise RuntimeError(message)
        self._running = _Running(f"publish-{self.feed}")
        try:
            self._run(self._delivery.open([self.feed, HEARTBEATS]))
        except BaseException:
            self._stop()
            raise

    def close(self) -> None:
        """Flush and disconnect; nothing is done where it is not open and no record waits.

        Raises BrokerUnavailable when the last records could not be sent, RuntimeError when it is not open for them.
        """
        try:
            self.flush()
        finally:
            if self._running is not None:
                self._run(self._delivery.close())
                self._stop()

    def publish(self, record: Mapping[str, Any]) -> list[Problem]:
        """Validate the record and take it into the batch; the warnings about it.

        Raises InvalidRecord; and, when the batch is full, what :meth:`flush` raises. A refused record withholds
        heartbeats until it was published in a valid form.
        """
        wire, found = self._form.to_wire(record)
        problems = publishing_problems(self.feed, wire, now_ms(), found)
        if problems and is_rejected(problems):
            raise self._refused(wire, problems)
        try:
            message = self._maker.message(wire)
        except NotEncodable as refused:
            told = [*problems, row_error(refused.code, "", "the record", refused.expected)]
            raise self._refused(wire, told) from None
        self._refused_ids.discard(wire["record_id"])
        self._waiting.append(message)
        if len(self._waiting) >= self._batch_records_max:
            self.flush()
        return problems

    def flush(self) -> None:
        """Send what is in the batch and return when Kafka has acknowledged all. Raises BrokerUnavailable."""
        if self._waiting:
            self._run(self._delivery.send(self.feed, self._waiting))
            self._waiting = []

    def heartbeat(self, complete_until: datetime | str, *, anyway: bool = False) -> None:
        """Say that every change made before ``complete_until`` is published, after flushing all records.

        Raises FeedIncomplete, with the records flushed, while records that this publisher refused are still missing:
        an insured person among them would make an employer look guilty. ``anyway`` sends it all the same.
        Raises ValueError for a time without an offset, and for one that is yet to come or of another era: it would
        make employers look late before their day, and cannot be taken back. Raises BrokerUnavailable.
        """
        until_ms = _moment_ms(complete_until)
        refused = refused_claim(until_ms, now_ms())
        if refused is not None:
            message = f"complete_until: found {refused.found}, expected {refused.expected}"
            raise ValueError(message)
        self.flush()
        refused_records = len(self._refused_ids) + self._refused_without_id
        if refused_records and not anyway:
            raise FeedIncomplete(self.feed, refused_records)
        self._run(self._beat(until_ms))

    def _refused(self, wire: Mapping[str, Any], problems: list[Problem]) -> InvalidRecord:
        record_id = wire.get("record_id")
        if isinstance(record_id, str):
            self._refused_ids.add(record_id)
        else:
            self._refused_without_id += 1
        return InvalidRecord(problems)

    async def _beat(self, until_ms: int) -> None:
        record = {"feed": self.feed, "complete_until": until_ms, "end_offsets": None, "sent_at": None}
        ends = await self._delivery.end_offsets(self.feed)
        await self._delivery.send(HEARTBEATS, [heartbeat_maker().heartbeat(completed(record, ends, now_ms()))])

    def _run(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        if self._running is None:
            work.close()
            message = f"the publisher of {self.feed} is not open: use it in a with block, or call open() first"
            raise RuntimeError(message)
        return self._running.run(work)

    def _stop(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.stop()


class _Running:
    """An event loop on a thread of its own, from the beginning until it is stopped."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        """Do the work there and wait for its answer here."""
        doing: Future[_Answer] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return doing.result()
        except BaseException:
            doing.cancel()
            raise

    def stop(self) -> None:
        """End the thread and close the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


def _moment_ms(moment: datetime | str) -> int:
    if isinstance(moment, str):
        try:
            return iso_time_ms(moment)
        except Unreadable as refused:
            message = f"complete_until: expected {refused.expected}"
            raise ValueError(message) from None
    if moment.tzinfo is None:
        message = "complete_until: expected a datetime with a time zone"
        raise ValueError(message)
    return time_to_ms(moment)
