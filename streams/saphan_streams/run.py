"""How link and integrate become running processes: application, agent, timers, signals."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import faust
from faust.types import TP

from saphan_infra import clock
from saphan_infra.logs import get_logger
from saphan_infra.producer import BatchProducer
from saphan_projections.database import Database, DatabaseUnavailable
from saphan_projections.offsets import Fenced
from saphan_schemas.topics import RECORD_FEEDS, HEARTBEATS, WORKER_RECORDS
from saphan_streams.app import ChunkApp, chunk_topic, create_app
from saphan_streams.integrate import IntegrateProcessor
from saphan_streams.link import LinkProcessor
from saphan_streams.relay import Relay
from saphan_streams.shell import Shell
from saphan_streams.transport import Chunk

_TIDY_SECONDS = 2.0

log = get_logger("saphan.streams")


def owner_name(role: str, data_dir: str) -> str:
    """The place of a process: a restart in the same place takes over at once, another place waits for the lease."""
    return f"{role}@{socket.gethostname()}:{data_dir}"


class Role:
    """One role on this machine: a Faust application around a processor."""

    def __init__(  # noqa: PLR0913 - the parts are independent
        self,
        name: str,
        topics: tuple[str, ...],
        processor: LinkProcessor | IntegrateProcessor,
        *,
        bootstrap: str,
        data_dir: str,
        chunk_records_max: int,
        chunk_bytes_max: int,
        instance: str | None,
        security: Mapping[str, Any],
        faust_security: Mapping[str, Any],
    ) -> None:
        self.processor = processor
        self.relay = Relay(BatchProducer(bootstrap, f"saphan-{name}", security))
        self.shell = Shell(processor, self.relay)
        self.app = create_app(
            name,
            bootstrap=bootstrap,
            data_dir=data_dir,
            positions=self.shell,
            chunk_records_max=chunk_records_max,
            chunk_bytes_max=chunk_bytes_max,
            instance=instance,
            security=faust_security,
        )
        _add_agent(self.app, name, topics, self.shell)
        self.app.task(self._tidy)
        self.app.on_before_shutdown.connect(self._stop, weak=False)

    async def _tidy(self) -> None:
        """Between chunks: delete what was sent, keep the lease, leave when it is lost."""
        loop = asyncio.get_running_loop()
        while not self.app.should_stop:
            await asyncio.sleep(_TIDY_SECONDS)
            sent = self.relay.take_sent()
            try:
                await loop.run_in_executor(self.shell.thread, self.processor.tidy, sent)
                self.relay.forget(sent)
            except DatabaseUnavailable as away:
                self.relay.put_back(sent)
                log.warning("waiting for the database", why=str(away))
            except Fenced as fenced:
                log.error("another process is the active one, leaving", why=str(fenced))
                os.kill(os.getpid(), signal.SIGTERM)
                return

    async def _stop(self, *_: Any, **__: Any) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self.shell.stop()


def _add_agent(app: ChunkApp, name: str, topics: tuple[str, ...], shell: Shell) -> None:
    async def work(stream: Any) -> None:
        async for chunk in stream:
            await shell.handle(chunk)

    app.agent(chunk_topic(app, *topics), name=name, concurrency=1)(work)
