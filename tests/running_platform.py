"""The real platform in a throw-away directory: its own broker, real processes, a simulated world, and ways to hurt it.

A plain module for tests. Nothing here waits a fixed time: it polls with a deadline.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from log_record import LogRecord

from saphan_cli.chaos.comparing import settled_rows
from saphan_infra import kafka_admin
from saphan_infra.clock import monotonic_seconds
from saphan_infra.owned_process import OwnedProcess, tail, wait_until
from saphan_infra.processes import Platform
from saphan_infra.producer import BatchProducer, Message, SendFailed, partition_of
from saphan_infra.roles import log_path, roles_of
from saphan_infra.settings import Settings, environment_of
from saphan_projections.canonical import StateHash, state_hash
from saphan_projections.database import Database, DatabaseUnavailable, create_tables
from saphan_projections.law import default_law
from saphan_projections.offsets import positions
from saphan_schemas.codec import Codec
from saphan_schemas.topics import FEEDS, HEARTBEATS, MESSAGE_BYTES_MAX, RECORD_FEEDS, TOPICS, WORKER_RECORDS
from saphan_schemas.values import parse_time_ms, to_wire
from saphan_simulation.parameters import load_parameters
from saphan_simulation.world import DEFAULT_START, World
from saphan_simulation.writing import write_world
from saphan_streams.replay import Replay
from saphan_streams.run import worker_id_key
from saphan_streams.transport import Chunk

WAIT_SECONDS = 60.0
NO_SETTINGS = "# Tests hand every setting over in the environment.\n"


class Event(NamedTuple):
    """One message for a feed."""

    topic: str
    message: Message


@dataclasses.dataclass(frozen=True)
class SimulatedWorld:
    """The files of `saphan simulate` as events, and what must come of them."""

    directory: Path
    events: Sequence[Event]
    heartbeats: Sequence[dict[str, Any]]
    expected: Sequence[dict[str, Any]]

    @property
    def as_of_ms(self) -> int:
        """The moment that the expected alerts speak of."""
        return parse_time_ms(self.expected[0]["as_of"])

    def newest_heartbeats(self) -> list[dict[str, Any]]:
        """The last word of each feed on its completeness."""
        newest = {row["feed"]: row for row in sorted(self.heartbeats, key=lambda row: str(row["complete_until"]))}
        return list(newest.values())


def simulate(directory: Path, workers: int, seed: int, months: int = 12) -> SimulatedWorld:
    """Write a province's files and read them back."""
    world = World(load_parameters(None), seed, workers, months, DEFAULT_START)
    write_world(world, directory, force=True, progress=lambda *_: None)
    codec = Codec()
    events = [
        Event(feed, Message(row["record_id"].encode(), codec.encode(feed, to_wire(codec.catalogue.kinds(feed), row))))
        for feed in RECORD_FEEDS
        for row in _rows(directory / f"{feed}.jsonl")
    ]
    heartbeats = list(_rows(directory / f"{HEARTBEATS}.jsonl"))
    return SimulatedWorld(directory, events, heartbeats, list(_rows(directory / "expected-alerts.jsonl")))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def heartbeat(codec: Codec, row: dict[str, Any], ends: dict[int, int]) -> Event:
    """A heartbeat that names these end offsets."""
    value = {
        "feed": row["feed"],
        "complete_until": parse_time_ms(row["complete_until"]),
        "sent_at": parse_time_ms(row["sent_at"]),
        "end_offsets": [{"partition": number, "offset": offset} for number, offset in sorted(ends.items())],
    }
    return Event(HEARTBEATS, Message(row["feed"].encode(), codec.encode(HEARTBEATS, value)))


def undisturbed(world: SimulatedWorld, folder: Path, settings: Settings) -> StateHash:
    """The state hash of a replay of the world in this process, in the order of the files."""
    database = Database(f"sqlite:///{folder / 'replay.db'}")
    create_tables(database)
    codec = Codec()
    replay = Replay(database, database, codec, default_law(), worker_id_key(settings), MESSAGE_BYTES_MAX)
    log: dict[tuple[str, int], list[LogRecord]] = {}
    for topic, message in world.events:
        _append(log, topic, message)
    for row in world.newest_heartbeats():
        ends = {number: len(log.get((row["feed"], number), ())) for number in range(TOPICS[row["feed"]].partitions)}
        _append(log, *heartbeat(codec, row, ends))
    for (topic, partition), records in log.items():
        for start in range(0, len(records), 500):
            replay.apply((Chunk(topic, partition, records[start : start + 500]),))
    replay.finish()
    with database.reading() as transaction:
        found = state_hash(transaction, default_law())
    database.close()
    return found


def _append(log: dict[tuple[str, int], list[LogRecord]], topic: str, message: Message) -> None:
    partition = partition_of(message.key, TOPICS[topic].partitions)
    rows = log.setdefault((topic, partition), [])
    rows.append(LogRecord(topic, partition, len(rows), 0, message.key, message.value))


class RunningPlatform:
    """The platform of one directory, with its processes supervised by this one."""

    def __init__(self, directory: Path, cache_dir: Path, **more: Any) -> None:
        self.settings = Settings(data_dir=directory, cache_dir=cache_dir, kafka_heap_mb=256, **more)
        wanted = [role for role in roles_of(self.settings) if role.name != "metrics"]
        self.said: list[str] = []
        self.platform = Platform(self.settings, report=self.said.append, roles=wanted)
        self._codec = Codec()

    # -- in --------------------------------------------------------------------------------------------------------

    def publish(self, events: Iterable[Event]) -> None:
        """Publish, waiting for a broker that is away; what was not acknowledged is sent again."""
        by_topic: dict[str, list[Message]] = {}
        for topic, message in events:
            by_topic.setdefault(topic, []).append(message)
        asyncio.run(self._publish(by_topic))

    async def _publish(self, by_topic: dict[str, list[Message]]) -> None:
        producer = BatchProducer(self.settings.bootstrap, "test")
        deadline = monotonic_seconds() + WAIT_SECONDS
        try:
            for topic, messages in by_topic.items():
                while True:
                    try:
                        await producer.send(topic, messages, TOPICS[topic].partitions)
                        break
                    except SendFailed:
                        assert monotonic_seconds() < deadline, "the broker did not come back"
                        await asyncio.sleep(0.2)
        finally:
            await producer.stop()

    def publish_heartbeats(self, rows: Iterable[dict[str, Any]]) -> None:
        """Publish heartbeats that name the feeds' end offsets of now."""
        chosen = list(rows)
        ends = {row["feed"]: kafka_admin.end_offsets(self.settings.bootstrap, row["feed"]) for row in chosen}
        self.publish([heartbeat(self._codec, row, ends[row["feed"]]) for row in chosen])

    def run_command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `saphan` with these settings."""
        nothing = self.settings.data_dir / "no-settings.toml"
        nothing.write_text(NO_SETTINGS, encoding="utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SAPHAN_")}
        return subprocess.run(
            [sys.executable, "-m", "saphan_cli", *arguments],
            env={**kept, **environment_of(self.settings), "SAPHAN_CONFIG": str(nothing)},
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_SECONDS,
        )

    @contextmanager
    def one_more(self, name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """`saphan run` with these arguments beside the supervised processes; killed at the end if it still runs.

        What it says is in ``<name>.log`` of the data directory.
        """
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SAPHAN_")}
        with (self.settings.data_dir / f"{name}.log").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "saphan_cli", "run", *arguments],
                env={**kept, **environment_of(self.settings)},
                cwd=self.settings.data_dir,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    # -- faults ----------------------------------------------------------------------------------------------------

    def kill(self, role: str) -> None:
        """`kill -9` a running role; waits until there is one to kill. The supervisor starts it again."""
        process = self.running(role)
        assert process.send(signal.SIGKILL)

    def running(self, role: str) -> OwnedProcess:
        """The process of a role once it has announced itself."""
        found: list[OwnedProcess] = []

        def up() -> bool:
            rows = [row for row in self.platform.status() if row.role == role and row.state == "running"]
            # It may have died since it announced itself, and the supervisor does not know it yet.
            with contextlib.suppress(ProcessLookupError):
                found[:] = [OwnedProcess.of(row.pid) for row in rows if row.pid is not None]
            return bool(found)

        assert wait_until(up, WAIT_SECONDS), f"{role} did not come up:\n{self.log(role, 20)}"
        return found[0]

    def kill_broker(self) -> None:
        """`kill -9` the broker."""
        broker = self.platform.broker.process
        assert broker is not None
        assert broker.send(signal.SIGKILL)
        assert broker.wait(WAIT_SECONDS)

    def start_broker(self) -> None:
        """Start the broker where it was."""
        self.platform.broker.start()

    # -- out -------------------------------------------------------------------------------------------------------

    def log(self, role: str, lines: int = 2_000) -> str:
        """The end of a role's log."""
        return tail(log_path(self.settings.data_dir, role), lines)

    @contextmanager
    def database(self, url: str | None = None) -> Iterator[Database]:
        """The state's database (or that of ``url``), closed at the end of the block."""
        database = Database(url or self.settings.state_url)
        try:
            yield database
        finally:
            database.close()

    def rows(self, sql: str, url: str | None = None) -> list[tuple[Any, ...]]:
        """The answer of a query."""
        with self.database(url) as database, database.reading() as transaction:
            return transaction.rows(sql)

    def hash(self) -> StateHash:
        """The state hash now."""
        with self.database() as database, database.reading() as transaction:
            return state_hash(transaction, default_law())

    def drained(self) -> bool:
        """Whether link and integrate have read everything that is in their topics and have nothing left to send."""
        for app, topics, url in (
            ("link", FEEDS, self.settings.link_url),
            ("integrate", (WORKER_RECORDS,), self.settings.state_url),
        ):
            with self.database(url) as database, database.reading() as transaction:
                read = positions(transaction, app)
                unsent = transaction.rows("SELECT count(*) FROM outbox WHERE app = ?", (app,))
            for topic in topics:
                for partition, end in kafka_admin.end_offsets(self.settings.bootstrap, topic).items():
                    if read.get((topic, partition), 0) < end:
                        return False
            if unsent != [(0,)]:
                return False
        return True

    def reaches(self, expected: StateHash, seconds: float = WAIT_SECONDS) -> bool:
        """Whether the state becomes this one."""
        return self.becomes(lambda: self.hash() == expected, seconds)

    @staticmethod
    def becomes(condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> bool:
        """Whether a question to the database is answered with yes in time; a database that is away answers no."""

        def asked() -> bool:
            try:
                return condition()
            except DatabaseUnavailable:
                return False

        return wait_until(asked, seconds)

    def settled(self, as_of_ms: int | None = None) -> list[dict[str, Any]]:
        """The settled alerts in the form of expected-alerts.jsonl, by employment."""
        with self.database() as database, database.reading() as transaction:
            return settled_rows(transaction, as_of_ms)


@contextmanager
def running(directory: Path, cache_dir: Path, **settings: Any) -> Iterator[RunningPlatform]:
    """A platform that runs within the block and is stopped with all its processes after it."""
    made = RunningPlatform(directory, cache_dir, **settings)
    made.platform.start(stop=threading.Event())
    try:
        yield made
    finally:
        made.platform.stop()


def slices(events: Sequence[Event], count: int, shape: random.Random) -> list[list[Event]]:
    """The events in a random order, cut into so many parts."""
    shuffled = list(events)
    shape.shuffle(shuffled)
    return [shuffled[number::count] for number in range(count)]
