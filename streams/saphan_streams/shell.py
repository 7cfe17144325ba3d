"""What happens around a fetch: commit, send, and what to do when the database, the broker or a message fails.

Nothing here decides what a record means. An agent never raises, because Faust acknowledges an event whose agent
raised, and that would lose the whole fetch.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, TypeVar

from faust.types import TP

from saphan_infra.logs import get_logger
from saphan_infra.metrics import TRANSACTION_SECONDS
from saphan_infra.waiting_metrics import Wait
from saphan_projections.database import DatabaseUnavailable
from saphan_projections.offsets import Claim, Fenced, OutgoingMessage
from saphan_projections.outages import DATABASE_ERRORS, first_line, may_blame_a_message
from saphan_streams.relay import Relay
from saphan_streams.transport import Bounds, Chunk, Fetch

_RETRY_SECONDS_MIN = 0.25
_RETRY_SECONDS_MAX = 10.0

Result = TypeVar("Result")
#: Outbox rows: their numbers and messages.
Unsent = Sequence[tuple[int, Sequence[OutgoingMessage]]]

log = get_logger("saphan.shell")


class PositionLost(RuntimeError):
    """The log no longer holds what the database says comes next."""


class _Leaving(Exception):
    """The process is on its way out: what was to be done is left for the next start."""


class Resumed(NamedTuple):
    """What an application holds after an assignment: its claims and what its predecessor left unsent."""

    claims: Sequence[Claim]
    unsent: Unsent


class Processor(Protocol):
    """One application's work on fetches; synchronous, called from one thread at a time."""

    def resume(self, partitions: Sequence[tuple[str, int]]) -> Resumed:
        """Claim exactly these partitions. Raises DatabaseUnavailable."""

    def commit(self, fetch: Fetch, sent: set[int], poison: str | None) -> Unsent | None:
        """A fetch in one transaction, deleting the outbox rows that were sent; the rows that are to be sent.

        ``poison`` refuses every message with this detail instead of processing it. Chunks of partitions that are not
        ours are left out; None: none of them is. Raises DatabaseUnavailable, Fenced when one of the partitions was
        taken over, or anything else when a message breaks the code; nothing is written then.
        """

    def positions(self) -> Mapping[tuple[str, int], int]:
        """The next offset of each partition that it holds."""

    def reset(self) -> None:
        """Drop what was read ahead of a transaction that did not commit."""

    def tidy(self, sent: set[int]) -> None:
        """Between chunks: delete the outbox rows that were sent, keep what must be renewed."""

    def release(self) -> None:
        """Give up what only one process may hold. Raises DatabaseUnavailable."""


class Shell:
    """Runs one processor: the positions that the transport asks for and the agent's work on each chunk.

    ``on_ready`` is called once, when it first knows where to read.
    """

    def __init__(self, name: str, processor: Processor, relay: Relay, on_ready: Callable[[], None]) -> None:
        self.name = name
        self._on_ready = on_ready
        self._is_ready = False
        self._processor = processor
        self._relay = relay
        self._stopping = False
        self._database = Wait(name, "database")
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="saphan-commit")

    async def resume(self, partitions: Collection[TP], bounds: Bounds) -> Mapping[TP, int]:
        """Claim the assigned partitions and say where to read on (see :class:`saphan_streams.transport.Positions`)."""
        self._relay.start()
        wanted = [(tp.topic, tp.partition) for tp in partitions]
        try:
            resumed = await self._when_available(lambda: self._processor.resume(wanted))
        except _Leaving:
            # A rebalance that a stop overtakes: whatever is fetched without a position is passed over.
            return {}
        for outbox_no, messages in resumed.unsent:
            await self._relay.submit(outbox_no, messages)
        # After the claim: before it, a former owner may read on, and its position would be past an end seen earlier.
        found = await bounds() if resumed.claims else {}
        positions = {
            TP(claim.topic, claim.partition): _position(claim, *found[TP(claim.topic, claim.partition)])
            for claim in resumed.claims
        }
        # Once: each rebalance comes here, and since when the process is up would be since the last one.
        if not self._is_ready:
            self._is_ready = True
            self._on_ready()
        return positions

    async def handle(self, fetch: Fetch) -> None:
        """Process a fetch whatever happens; returns when it is committed and handed to the relay, or is not ours."""
        await self._pass(fetch)

    async def _pass(self, fetch: Fetch) -> bool:
        """:meth:`handle`; of a fetch of one partition: whether its position has moved behind it."""
        pause_seconds = _RETRY_SECONDS_MIN
        while True:
            try:
                return await self._commit(fetch, None)
            except Fenced as fenced:
                self._processor.reset()
                return await self._fenced(fetch, fenced)
            except _Leaving:
                return False
            except Exception as error:  # noqa: BLE001 - whatever a message does to the code, the next one must be read
                self._processor.reset()
                if not may_blame_a_message(error):
                    pause_seconds = await self._pause(
                        "the database refuses, trying again", fetch[0], error, pause_seconds
                    )
                    continue
                return not self._stopping and await self._isolate(fetch, error)

    async def tidy(self) -> None:
        """Between chunks: delete what was sent and keep what must be renewed. Raises Fenced: another one is active."""
        sent = self._relay.take_sent()
        try:
            await self._in_thread(lambda: self._processor.tidy(sent))
            self._relay.forget(sent)
        except _Leaving:
            return
        except Exception as error:
            self._relay.put_back(sent)
            if not isinstance(error, (DatabaseUnavailable, *DATABASE_ERRORS)):
                raise
            # The next chunk says it louder; whoever leaves here comes back to the same database.
            log.warning("waiting for the database", why=first_line(error))
            self._database.note(is_answered=False, question="tidy")
        else:
            self._database.note(is_answered=True, question="tidy")

    async def stop(self) -> None:
        """Stop sending and give up what only one process may hold; what comes later is left for the next start."""
        if self._stopping:
            return
        self._stopping = True
        await self._relay.stop()
        try:
            await asyncio.get_running_loop().run_in_executor(self.thread, self._processor.release)
        except (DatabaseUnavailable, Fenced, *DATABASE_ERRORS) as error:
            log.warning("stopped without giving up the lease", why=first_line(error))
        self.thread.shutdown(wait=True)

    async def _commit(self, fetch: Fetch, poison: str | None) -> bool:
        """False: nothing of it is ours."""

        def commit() -> Unsent | None:
            with TRANSACTION_SECONDS.labels(self.name).time():
                return self._processor.commit(fetch, sent, poison)

        # Taken here, not in the thread of the commit: the relay notes what is sent in this one.
        sent = self._relay.take_sent()
        try:
            unsent = await self._when_available(commit)
        except BaseException:
            self._relay.put_back(sent)
            raise
        if unsent is None:
            # Not ours any more: nothing was written, and so nothing was deleted.
            self._relay.put_back(sent)
            return False
        self._relay.forget(sent)
        for outbox_no, messages in unsent:
            await self._relay.submit(outbox_no, messages)
        return True

    async def _fenced(self, fetch: Fetch, fenced: Fenced) -> bool:
        """Some of the partitions belong to somebody else; those that do not must not be passed over."""
        self._database.note(is_answered=True)
        if len(fetch) == 1:
            log.warning("dropped a chunk that another owner processes", why=str(fenced))
            return False
        return all([await self._pass((chunk,)) for chunk in fetch])

    async def _isolate(self, fetch: Fetch, error: Exception) -> bool:
        """Halve a fetch that breaks the code until the message that does it stands alone, and refuse that one."""
        first, *others = fetch
        where = {"topic": first.topic, "partition": first.partition, "offset": first.records[0].offset}
        if not others and len(first.records) == 1:
            log.error("a message breaks the processing, it goes to the dead letters", error=repr(type(error)), **where)
            return await self._refuse(first, f"processing raised {type(error).__name__}")
        log.error("a fetch failed, looking for the message that does it", error=repr(type(error)), **where)
        before, after = _halves(fetch)
        is_passed = await self._pass(before)
        if not is_passed and not others:
            # Not ours just then. The partition may be ours again by now, and what follows would pass over what is before.
            return False
        return await self._pass(after) and is_passed

    async def _refuse(self, chunk: Chunk, poison: str) -> bool:
        """Put a message into the dead letters. When even that fails, wait: to go on would lose the message."""
        pause_seconds = _RETRY_SECONDS_MIN
        while True:
            try:
                return await self._commit((chunk,), poison)
            except Fenced as fenced:
                self._processor.reset()
                return await self._fenced((chunk,), fenced)
            except _Leaving:
                return False
            except Exception as error:  # noqa: BLE001 - see the docstring
                self._processor.reset()
                what = "a message can neither be processed nor refused, trying again"
                pause_seconds = await self._pause(what, chunk, error, pause_seconds)

    async def _pause(self, what: str, chunk: Chunk, error: Exception, pause_seconds: float) -> float:
        """Wait for an operator; how long to wait the next time."""
        log.critical(
            what,
            topic=chunk.topic,
            partition=chunk.partition,
            offset=chunk.records[0].offset,
            error=repr(type(error)),
            why=first_line(error) if isinstance(error, DATABASE_ERRORS) else None,
            pause_seconds=pause_seconds,
        )
        # Not only of the database: whatever holds a partition for long calls for an operator.
        self._database.note(is_answered=False)
        await asyncio.sleep(pause_seconds)
        return min(pause_seconds * 2, _RETRY_SECONDS_MAX)

    async def _when_available(self, work: Callable[[], Result]) -> Result:
        pause_seconds = _RETRY_SECONDS_MIN
        with self._database.under_way():
            while True:
                try:
                    result = await self._in_thread(work)
                except DatabaseUnavailable as away:
                    self._processor.reset()
                    log.warning("waiting for the database", why=str(away), pause_seconds=pause_seconds)
                    await asyncio.sleep(pause_seconds)
                    pause_seconds = min(pause_seconds * 2, _RETRY_SECONDS_MAX)
                else:
                    self._database.note(is_answered=True)
                    return result

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        """Raises _Leaving after a stop: what was given up must not be taken again, and nobody sends any more."""
        if self._stopping:
            raise _Leaving
        result = await asyncio.get_running_loop().run_in_executor(self.thread, work)
        if self._stopping:
            raise _Leaving
        return result


def _halves(fetch: Fetch) -> tuple[Fetch, Fetch]:
    """A fetch of more than one message in two: by partitions, a single one's by messages."""
    if len(fetch) > 1:
        middle = len(fetch) // 2
        return fetch[:middle], fetch[middle:]
    (chunk,) = fetch
    middle = len(chunk.records) // 2
    return (chunk._replace(records=chunk.records[:middle]),), (chunk._replace(records=chunk.records[middle:]),)


def _position(claim: Claim, first: int, end: int) -> int:
    """Where to read on. Raises PositionLost when the log lost what was to come, or what was already read."""
    if claim.next_offset > end or 0 < claim.next_offset < first:
        message = (
            f"{claim.topic}[{claim.partition}]: the database has read up to {claim.next_offset}, the log holds"
            f" {first} to {end}. Messages are missing from the log: restore it, or run 'saphan rebuild' and compare."
        )
        raise PositionLost(message)
    return max(claim.next_offset, first)
