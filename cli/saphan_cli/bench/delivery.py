"""How fast link is when Faust brings it single messages as it does by default, and when it brings whole fetches.

A program of its own: ``python -m saphan_cli.bench.delivery WAY EVENTS`` with the settings in the environment. Every way
takes the whole log, which has so many events, commits with the same LinkProcessor and publishes with the same relay.
Events, seconds and CPU seconds are left in a file of the data directory.
"""

import asyncio
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import faust
from faust.types import TP

from saphan_infra import logs
from saphan_infra.clock import monotonic_seconds, now_ms
from saphan_infra.kafka_admin import end_offsets
from saphan_infra.owned_process import write_json
from saphan_infra.producer import BatchProducer
from saphan_infra.settings import Settings, load_settings
from saphan_projections.database import Database
from saphan_projections.migrate import migrate
from saphan_schemas.codec import Codec
from saphan_schemas.topics import FEEDS, partition_count
from saphan_streams.app import add_agent, create_app
from saphan_streams.collecting import collecting_seldom
from saphan_streams.link import LinkCounts, LinkProcessor, LinkSettings
from saphan_streams.relay import Relay
from saphan_streams.shell import Shell
from saphan_streams.transport import Chunk, Fetch

#: Where the result is left, in the data directory.
RESULT_FILE = "result.json"


class _Record(NamedTuple):
    """A message as link gets it, as far as it looks at it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Iterable[tuple[str, bytes]]


class Tally:
    """Counts committed events from the first that the agent gets to the last of the log."""

    def __init__(self, events_max: int) -> None:
        self._events_max = events_max
        self._began: float | None = None
        self._cpu_began = 0.0
        self.events = 0
        self.at = 0.0
        self.cpu = 0.0

    def begin(self) -> None:
        """The agent has got something."""
        if self._began is None:
            self._began = monotonic_seconds()
            self._cpu_began = _cpu_seconds()

    def committed(self, counts: LinkCounts) -> None:
        """A fetch is committed."""
        self.events += sum(read.events for read in counts.reads)
        self.at, self.cpu = monotonic_seconds(), _cpu_seconds()

    def is_complete(self, waiting: int = 0) -> bool:
        """Whether the whole log has come, ``waiting`` events of it not yet committed."""
        return self.events + waiting >= self._events_max

    def report(self) -> dict[str, Any]:
        """Events, seconds and CPU seconds up to the last commit."""
        began = self._began if self._began is not None else self.at
        return {"events": self.events, "seconds": self.at - began, "cpu_seconds": self.cpu - self._cpu_began}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _leave(shell: Shell) -> None:
    """End the process; Faust itself would go on for ever."""
    await shell.stop()
    os.kill(os.getpid(), signal.SIGTERM)


def fetches_app(settings: Settings, shell: Shell, tally: Tally) -> faust.App:
    """Link's own way: one Faust event for all that a fetch brought."""
    app = create_app(
        "bench-fetches",
        partitions=partition_count(FEEDS),
        bootstrap=settings.bootstrap,
        data_dir=str(settings.data_dir),
        positions=shell,
        chunk_records_max=settings.chunk_records_max,
        chunk_bytes_max=settings.chunk_bytes_max,
    )

    async def handle(fetch: Fetch) -> None:
        tally.begin()
        await shell.handle(fetch)
        if tally.is_complete():
            await _leave(shell)

    add_agent(app, "fetches", FEEDS, handle)
    return app


def stock_app(settings: Settings, shell: Shell, tally: Tally) -> faust.App:
    """Faust as it comes: its own transport, one event for each message; the agent collects what it commits together."""
    return _stock_app(settings, shell, tally, settings.chunk_records_max)


def stock_single_app(settings: Settings, shell: Shell, tally: Tally) -> faust.App:
    """Faust as it comes and as its agents are mostly written: each message by itself."""
    return _stock_app(settings, shell, tally, 1)


def _stock_app(settings: Settings, shell: Shell, tally: Tally, collected_max: int) -> faust.App:
    app = faust.App(
        f"saphan-bench-stock-{collected_max}",
        broker=[f"kafka://{server}" for server in settings.bootstrap.split(",")],
        datadir=str(settings.data_dir),
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
    )
    topic = app.topic(*FEEDS, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def work(stream: Any) -> None:
        bounds = await _bounds(settings)
        await shell.resume(bounds, partial(_bounds, settings))
        waiting: dict[tuple[str, int], list[_Record]] = {}
        count = 0
        async for event in stream.events():
            tally.begin()
            message = event.message
            waiting.setdefault((message.topic, message.partition), []).append(_as_fetched(message))
            count += 1
            if count >= collected_max or tally.is_complete(count):
                await shell.handle(tuple(Chunk(*place, rows) for place, rows in waiting.items()))
                waiting, count = {}, 0
            if tally.is_complete():
                await _leave(shell)

    app.agent(topic, name="stock", concurrency=1)(work)
    return app


def _as_fetched(message: Any) -> _Record:
    key, value = message.key, message.value
    timestamp_ms = round(message.timestamp * 1000)
    return _Record(message.offset, timestamp_ms, key, value, message.headers)


async def _bounds(settings: Settings) -> dict[TP, tuple[int, int]]:
    return {
        TP(name, partition): (0, end)
        for name in FEEDS
        for partition, end in (await asyncio.to_thread(end_offsets, settings.bootstrap, name)).items()
    }


WAYS: dict[str, Callable[[Settings, Shell, Tally], faust.App]] = {
    "fetches": fetches_app,
    "stock": stock_app,
    "stock_single": stock_single_app,
}


def main(way: str, events_max: int) -> None:
    """Measure one way and leave the result in the data directory."""
    settings = load_settings()
    logs.configure("WARNING", settings.log_format)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    migrate(settings.link_url)
    tally = Tally(events_max)
    processor = LinkProcessor(
        Database(settings.link_url),
        Codec(),
        LinkSettings(f"bench-{way}", settings.message_bytes_max, now_ms, tally.committed),
    )
    relay = Relay(BatchProducer(settings.bootstrap, f"saphan-bench-{way}"))
    shell = Shell(f"bench-{way}", processor, relay, lambda: None)
    app = WAYS[way](settings, shell, tally)
    worker = faust.Worker(app, override_logging=False, loglevel=logging.WARNING, quiet=True)
    try:
        with collecting_seldom():
            worker.execute_from_commandline()
    except SystemExit as leaving:
        if leaving.code:
            raise
    finally:
        write_json(settings.data_dir / RESULT_FILE, tally.report())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
