"""How link and integrate become running processes: application, agent, timers, signals."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import faust
from faust.types import TP

from saphan_infra import clock
from saphan_infra.kafka_admin import ensure_topics, wait_for_broker
from saphan_infra.kafka_security import aiokafka_security, kafka_python_security
from saphan_infra.logs import get_logger
from saphan_infra.metrics import OUTBOX
from saphan_infra.private_dirs import make_private
from saphan_infra.producer import BatchProducer
from saphan_infra.settings import Settings
from saphan_infra.waiting_metrics import Wait
from saphan_projections import queries
from saphan_projections.database import Database, DatabaseUnavailable
from saphan_projections.law import default_law
from saphan_projections.migrate import migrate
from saphan_projections.offsets import Fenced
from saphan_schemas.codec import Codec
from saphan_schemas.topics import FEEDS, TOPICS, WORKER_RECORDS, partition_count
from saphan_streams import counting
from saphan_streams.app import add_agent, create_app
from saphan_streams.catching_up import Headers, headers_of
from saphan_streams.collecting import collecting_seldom
from saphan_streams.integrate import IntegrateProcessor, IntegrateSettings
from saphan_streams.link import LeaseHeld, LinkProcessor, LinkSettings
from saphan_streams.relay import Relay
from saphan_streams.shell import Shell
from saphan_streams.transport import Ahead

_TIDY_SECONDS = 2.0
_WAIT_SECONDS_FIRST = 0.5
_WAIT_SECONDS_MAX = 10.0

log = get_logger("saphan.streams")


def owner_name(role: str, data_dir: str) -> str:
    """The place of a process: a restart in the same place takes over at once, another place waits for the lease."""
    return f"{role}@{socket.gethostname()}:{data_dir}"


class Role:
    """One role on this machine: a Faust application around a processor.

    With ``follows_link`` it waits for messages of a link that says how far it is behind; otherwise it says so itself.
    """

    def __init__(  # noqa: PLR0913 - what a role is made of
        self,
        name: str,
        topics: tuple[str, ...],
        processor: LinkProcessor | IntegrateProcessor,
        settings: Settings,
        instance: str,
        on_ready: Callable[[], None],
        *,
        follows_link: bool,
        ahead: Ahead | None = None,
    ) -> None:
        security = aiokafka_security(settings)
        faust_dir = settings.data_dir / "faust" / instance
        faust_dir.mkdir(parents=True, exist_ok=True)
        self.processor = processor
        producer = BatchProducer(settings.bootstrap, instance, security)
        broker = Wait(name, "broker")
        self.relay = Relay(producer, wait=broker) if follows_link else Relay(producer, self._behind, broker)
        self.shell = Shell(name, processor, self.relay, on_ready)
        self.app = create_app(
            name,
            partitions=partition_count(topics),
            bootstrap=settings.bootstrap,
            data_dir=str(faust_dir),
            positions=self.shell,
            chunk_records_max=settings.chunk_records_max,
            chunk_bytes_max=settings.chunk_bytes_max,
            waits_for_senders=follows_link,
            ahead=ahead,
            instance=instance,
            broker_wait=broker,
            security=_faust_security(settings),
        )
        add_agent(self.app, name, topics, self.shell.handle)
        self.app.task(self._tidy)
        self.app.on_partitions_assigned.connect(self._assigned, weak=False)
        self.app.on_before_shutdown.connect(self._stop, weak=False)

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; the exit code."""
        worker = faust.Worker(self.app, override_logging=False, loglevel=logging.getLogger().level, quiet=True)
        try:
            with collecting_seldom():
                worker.execute_from_commandline()
        except SystemExit as leaving:
            return int(leaving.code or 0)
        return 0

    async def _tidy(self) -> None:
        """Between chunks: delete what was sent, keep the lease, leave when it is lost."""
        while not self.app.should_stop:
            await asyncio.sleep(_TIDY_SECONDS)
            counting.lag(self.shell.name, self.app.consumer, self.processor.positions())
            OUTBOX.labels(self.shell.name).set(self.relay.waiting)
            try:
                await self.shell.tidy()
            except Fenced as fenced:
                log.error("another process is the active one, leaving", why=str(fenced))
                os.kill(os.getpid(), signal.SIGTERM)
                return

    def _behind(self) -> Headers:
        """What the messages of this role say of what it still has to read."""
        return headers_of(sum(counting.lag_of(self.app.consumer, self.processor.positions()).values()))

    async def _assigned(self, _app: Any, /, *assigned: Any, **_: Any) -> None:
        """A worker for whom no partition is left is up as well; Faust asks for positions only where there are some."""
        if not any(assigned):
            await self.shell.resume((), _no_bounds)

    async def _stop(self, *_: Any, **__: Any) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self.shell.stop()


async def _no_bounds() -> Mapping[TP, tuple[int, int]]:
    return {}


def _faust_security(settings: Settings) -> dict[str, Any]:
    """The same connection settings in Faust's words."""
    found = aiokafka_security(settings)
    context = found.get("ssl_context")
    if "sasl_mechanism" in found:
        credentials: Any = faust.SASLCredentials(
            username=found["sasl_plain_username"],
            password=found["sasl_plain_password"],
            mechanism=found["sasl_mechanism"],
            ssl_context=context,
        )
        return {"broker_credentials": credentials}
    return {"broker_credentials": faust.SSLCredentials(context=context)} if context is not None else {}


def run_link(settings: Settings, on_ready: Callable[[], None]) -> int:
    """Run link until it is told to stop; the exit code. ``on_ready`` is called once it owns its partitions."""
    _wait_for_services("link", settings, settings.link_url)
    database = Database(settings.link_url)
    processor = LinkProcessor(
        database,
        Codec(),
        LinkSettings(
            owner_name("link", str(settings.data_dir)), settings.message_bytes_max, clock.now_ms, counting.link_fetch
        ),
    )
    wait = Wait("link", "database")
    # Before the consumer group is joined: a standby that were given partitions would leave them unread.
    patiently("waiting to become the active link", processor.become_active, wait)
    patiently("waiting for the database", lambda: counting.link_started(feeds_known(database)), wait)
    # One name for whoever is the active one: a successor takes the membership over from a process that died.
    with database.checkpointed_beside():
        role = Role(
            "link", FEEDS, processor, settings, "saphan-link", on_ready, follows_link=False, ahead=processor.ahead
        )
        return role.run()


def feeds_known(database: Database) -> list[queries.FeedFreshness]:
    """How old each feed is that link has read of."""
    with database.reading() as transaction:
        return queries.feeds(transaction)


def run_integrate(settings: Settings, slot: int, on_ready: Callable[[], None]) -> int:
    """Run one of the integrate processes until it is told to stop; ``slot`` tells them apart."""
    _wait_for_services("integrate", settings, settings.state_url)
    owner = owner_name(f"integrate-{slot}", str(settings.data_dir))
    database = Database(settings.state_url)
    processor = IntegrateProcessor(
        database,
        Codec(),
        IntegrateSettings(
            owner,
            worker_id_key(settings),
            default_law(),
            clock.now_ms,
            counting.integrate_chunk,
        ),
    )
    # The same after a restart, another one on another machine.
    instance = f"saphan-integrate-{slot}-{blake2b(owner.encode(), digest_size=4).hexdigest()}"
    with database.checkpointed_beside():
        feeds = (WORKER_RECORDS,)
        return Role("integrate", feeds, processor, settings, instance, on_ready, follows_link=True).run()


def worker_id_key(settings: Settings) -> bytes:
    """The key of the workers' opaque ids: as long as the hash takes."""
    return settings.pseudonym_key.get_secret_value().encode()[:64]


def _wait_for_services(app: str, settings: Settings, database_url: str) -> None:
    """Return when database and broker answer, tables are up to date and topics are there. Raises SettingsError."""
    make_private(settings.data_dir)
    wait = Wait(app, "database")
    with wait.under_way():
        patiently("waiting for the database", lambda: migrate(database_url), wait)
    security = kafka_python_security(settings)
    with Wait(app, "broker").under_way():
        wait_for_broker(
            settings.bootstrap,
            timeout_seconds=None,
            on_wait=lambda text: log.warning("waiting for the broker", why=text),
            security=security,
        )
        ensure_topics(settings.bootstrap, TOPICS.values(), settings.replication_factor, security)


def patiently(what: str, attempt: Callable[[], None], wait: Wait) -> None:
    """Try until the database lets it happen, with growing pauses. A lease that another one holds is no outage."""
    pause_seconds = _WAIT_SECONDS_FIRST
    while True:
        try:
            attempt()
        except DatabaseUnavailable as away:
            wait.note(is_answered=isinstance(away, LeaseHeld))
            log.warning(what, why=str(away), pause_seconds=pause_seconds)
            clock.wait_seconds(pause_seconds)
            pause_seconds = min(pause_seconds * 2, _WAIT_SECONDS_MAX)
        else:
            wait.note(is_answered=True)
            return
