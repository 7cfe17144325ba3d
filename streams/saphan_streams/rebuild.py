"""How the whole state is made anew beside the live one: from offset 0 into shadow databases."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from aiokafka.errors import KafkaError

from saphan_infra import clock
from saphan_infra.availability import BrokerUnavailable
from saphan_infra.kafka_security import aiokafka_security
from saphan_infra.settings import Settings
from saphan_projections.database import Database, create_tables
from saphan_projections.law import default_law
from saphan_schemas.codec import Codec
from saphan_streams.collecting import collecting_seldom
from saphan_streams.log_reader import LogReader
from saphan_streams.replay import Replay
from saphan_streams.run import worker_id_key

_SCHEMA = "saphan_shadow"
_PROGRESS_SECONDS = 1.0


class Shadow(NamedTuple):
    """The rebuilt databases; one and the same with PostgreSQL."""

    link: Database
    state: Database


class Rebuilt(NamedTuple):
    """What the rebuild read. ``ends`` is how far: (topic, partition) → the offset after the last message."""

    events: int
    refused: int
    seconds: float
    ends: dict[tuple[str, int], int]


@contextmanager
def shadow_databases(settings: Settings, *, keep: bool) -> Iterator[Shadow]:
    """Empty databases beside the live ones: files in data_dir/shadow, or the schema saphan_shadow of PostgreSQL.

    They are deleted at the end unless ``keep``; a kept one is replaced by the next rebuild.
    """
    if _in_files(settings):
        directory = settings.data_dir / "shadow"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        shadow = Shadow(Database(f"sqlite:///{directory / 'link.db'}"), Database(f"sqlite:///{directory / 'state.db'}"))
    else:
        _recreate_schema(settings.state_url)
        both = Database(settings.state_url, schema=_SCHEMA)
        shadow = Shadow(both, both)
    try:
        for database in set(shadow):
            create_tables(database)
        yield shadow
    finally:
        for database in set(shadow):
            database.close()
        if not keep:
            _delete(settings)


async def rebuild(settings: Settings, shadow: Shadow, on_progress: Callable[[int, int], None]) -> Rebuilt:
    """Fold the log from its beginning to where it ends now. ``on_progress`` gets (messages read, messages to read).

    Raises BrokerUnavailable, DatabaseUnavailable.
    """
    replay = Replay(
        shadow.link, shadow.state, Codec(), default_law(), worker_id_key(settings), settings.message_bytes_max
    )
    reader = LogReader(
        settings.bootstrap, aiokafka_security(settings), settings.chunk_records_max, settings.chunk_bytes_max
    )
    began = told_at = clock.monotonic_seconds()
    try:
        total = await reader.start()
        with collecting_seldom():
            async for fetch in reader.fetches():
                replay.apply(fetch)
                if clock.monotonic_seconds() - told_at >= _PROGRESS_SECONDS:
                    told_at = clock.monotonic_seconds()
                    on_progress(replay.events, total)
            replay.finish()
    except KafkaError as error:
        message = f"Kafka at {settings.bootstrap} did not answer while the log was read ({type(error).__name__})."
        raise BrokerUnavailable(message) from error
    finally:
        await reader.stop()
    return Rebuilt(replay.events, replay.refused, clock.monotonic_seconds() - began, replay.next_offsets)


def _in_files(settings: Settings) -> bool:
    # The local PostgreSQL of a data directory has no setting of its own: only the URL tells.
    return settings.state_url.startswith("sqlite")


def _recreate_schema(url: str) -> None:
    with closing(Database(url)) as database, database.transaction() as transaction:
        transaction.execute(f"DROP SCHEMA IF EXISTS {_SCHEMA} CASCADE")
        transaction.execute(f"CREATE SCHEMA {_SCHEMA}")


def _delete(settings: Settings) -> None:
    if _in_files(settings):
        shutil.rmtree(settings.data_dir / "shadow", ignore_errors=True)
        return
    with closing(Database(settings.state_url)) as database, database.transaction() as transaction:
        transaction.execute(f"DROP SCHEMA IF EXISTS {_SCHEMA} CASCADE")
