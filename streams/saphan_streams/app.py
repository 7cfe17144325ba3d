"""How the Faust applications are set up: own transport, own positions, no tables, no web."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import faust

from saphan_infra.waiting_metrics import Wait
from saphan_streams.transport import Ahead, ChunkConsumer, ChunkSchema, Fetch, Positions, partition_bytes_max

#: Fetches that may wait for an agent; a fetch is up to thousands of messages, so few are enough to keep it busy.
_FETCHES_WAITING_MAX = 2


class ChunkApp(faust.App):
    """A Faust application whose events are fetches and whose positions lie in the application's database."""

    positions: Positions
    chunk_records_max: int
    chunk_bytes_max: int
    waits_for_senders: bool
    ahead: Ahead | None
    broker_wait: Wait | None


def create_app(  # noqa: PLR0913 - what an application is made of
    name: str,
    *,
    partitions: int,
    bootstrap: str,
    data_dir: str,
    positions: Positions,
    chunk_records_max: int,
    chunk_bytes_max: int,
    waits_for_senders: bool = False,
    ahead: Ahead | None = None,
    instance: str | None = None,
    broker_wait: Wait | None = None,
    security: Mapping[str, Any] | None = None,
) -> ChunkApp:
    """An application of the consumer group ``saphan-<name>``, which reads so many ``partitions``.

    With ``waits_for_senders`` an event waits for more while the senders of its messages say that they are behind
    (:mod:`saphan_streams.catching_up`). ``ahead`` is told what waits for the agent. ``instance`` makes the membership
    static: a restarted process gets its partitions back without a wait. ``broker_wait`` shows how long there has been
    no answer from the broker.
    """
    app = ChunkApp(
        f"saphan-{name}",
        broker=[f"saphan://{server}" for server in bootstrap.split(",")],
        datadir=data_dir,
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        topic_partitions=1,
        stream_buffer_maxsize=_FETCHES_WAITING_MAX,
        stream_wait_empty=False,
        broker_commit_interval=1.0,
        broker_max_poll_records=chunk_records_max,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=2.0,
        broker_request_timeout=30.0,
        consumer_max_fetch_size=partition_bytes_max(chunk_bytes_max, partitions),
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=instance,
        producer_threaded=False,
        **(security or {}),
    )
    app.positions = positions
    app.chunk_records_max = chunk_records_max
    app.chunk_bytes_max = chunk_bytes_max
    app.waits_for_senders = waits_for_senders
    app.ahead = ahead
    app.broker_wait = broker_wait
    return app


def add_agent(app: ChunkApp, name: str, topics: Sequence[str], handle: Callable[[Fetch], Awaitable[None]]) -> None:
    """Let ``handle`` work through everything that is fetched of these topics, one fetch after the other."""

    async def work(stream: Any) -> None:
        async for fetch in stream:
            await handle(fetch)
            cast(ChunkConsumer, app.consumer).finished(fetch)

    app.agent(app.topic(*topics, schema=ChunkSchema()), name=name, concurrency=1)(work)
