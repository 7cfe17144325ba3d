"""A shell around a processor that commits to a list, and a producer that takes everything at once."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple

from faust.types import TP

from saphan_infra.producer import BatchProducer, Sendable
from saphan_projections.offsets import Claim, OutgoingMessage
from saphan_schemas.topics import WORKER_RECORDS
from saphan_streams.relay import Relay
from saphan_streams.shell import Resumed, Shell, Unsent
from saphan_streams.transport import Bounds, Chunk, Fetch

TOPIC = "a-topic"


class LogRecord(NamedTuple):
    offset: int
    value: str


class Producer(BatchProducer):
    """Takes everything at once."""

    def __init__(self) -> None:
        super().__init__("nowhere:1", "test")
        self.sent: list[bytes | None] = []

    async def send(self, topic: str, messages: Sequence[Sendable], partition_count: int) -> None:  # noqa: ARG002
        self.sent += [message.value for message in messages]

    async def stop(self) -> None:
        return


class Processor:
    """Commits fetches to a list; ``trouble`` is asked before each commit and may raise."""

    def __init__(self, trouble: Callable[[list[str], str | None], None] = lambda *_: None) -> None:
        self.trouble = trouble
        self.committed: list[str] = []
        self.commits = 0
        self.refused: list[str] = []
        self.outbox: dict[int, list[OutgoingMessage]] = {}
        self.claims = [Claim(TOPIC, 0, 0, 1)]
        self.resets = 0
        self.released = False
        self.is_ours = True

    def resume(self, partitions: Sequence[tuple[str, int]]) -> Resumed:  # noqa: ARG002
        self.trouble([], None)
        return Resumed(self.claims, sorted(self.outbox.items()))

    def commit(self, fetch: Fetch, sent: set[int], poison: str | None) -> Unsent | None:
        values = [record.value for chunk in fetch for record in chunk.records]
        self.trouble(values, poison)
        if not self.is_ours:
            return None
        self.commits += 1
        for number in sent:
            self.outbox.pop(number, None)
        if poison is None:
            self.committed += values
        else:
            self.refused += [f"{value}: {poison}" for value in values]
        number = 1 + len(self.committed) + len(self.refused)
        self.outbox[number] = [OutgoingMessage(WORKER_RECORDS, 0, b"k", value.encode()) for value in values]
        return [(number, self.outbox[number])]

    def positions(self) -> Mapping[tuple[str, int], int]:
        return {}

    def reset(self) -> None:
        self.resets += 1

    def tidy(self, sent: set[int]) -> None:  # noqa: ARG002
        return

    def release(self) -> None:
        self.released = True


def fetch(*chunks: Sequence[str]) -> Fetch:
    """Chunks of the partitions 0, 1, …"""
    return tuple(
        Chunk(TOPIC, number, [LogRecord(offset, value) for offset, value in enumerate(values)])
        for number, values in enumerate(chunks)
    )


def log_of(first: int, end: int) -> Bounds:
    """A log that holds these offsets."""

    async def bounds() -> Mapping[TP, tuple[int, int]]:
        return {TP(TOPIC, 0): (first, end)}

    return bounds


def run(
    processor: Processor,
    work: Callable[[Shell], Coroutine[Any, Any, None]],
    on_ready: Callable[[], None] = lambda: None,
) -> Producer:
    """Do the work with a shell around the processor, wait until everything is sent, stop."""
    producer = Producer()

    async def main() -> None:
        relay = Relay(producer)
        shell = Shell("test", processor, relay, on_ready)
        relay.start()
        await work(shell)
        await relay.drain()
        await shell.stop()

    asyncio.run(main())
    return producer


def failing(times: int, error: Exception) -> Callable[[list[str], str | None], None]:
    """Trouble for the first so many tries."""
    left = [times]

    def trouble(_: list[str], __: str | None) -> None:
        if left[0]:
            left[0] -= 1
            raise error

    return trouble
