"""How many messages leave at once: whole batches to each partition, in order, acknowledged by every in-sync replica."""

import asyncio
import contextlib
import struct
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from saphan_infra.broker_patience import pause_between_tries

_BATCH_BYTES_MAX = 1_000_000
_REQUEST_BYTES_MAX = 17_000_000
_ACKNOWLEDGE_SECONDS_MAX = 20
_CLOSE_SECONDS_MAX = 3
#: One list for all: aiokafka wants a list and only reads it.
_NO_HEADERS: list[tuple[str, bytes]] = []
_MASK = 0xFFFFFFFF
_SEED = 0x9747B28C
_MIX = 0x5BD1E995


class Message(NamedTuple):
    """One message to send. ``partition`` None means: by the key, as Kafka's own clients do."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp_ms: int | None = None
    partition: int | None = None


class Sendable(Protocol):
    """What :meth:`BatchProducer.send` takes: a :class:`Message`, or whatever has the same fields."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...
    @property
    def timestamp_ms(self) -> int | None: ...
    @property
    def partition(self) -> int | None: ...


class SendFailed(ConnectionError):
    """The broker did not acknowledge. Some messages may be in the log: send all again, receivers drop repeats."""


def murmur2(keys: Sequence[bytes]) -> tuple[int, ...]:
    """Kafka's hash of keys of one length, 32 bits unsigned: the same partitions as the Java client chooses.

    One large number holds what becomes of all keys, each in 64 bits of its own: a product of 32 bits by 32 stays
    within them, and what a shift brings from the next key is cut off.
    """
    length, count = len(keys[0]), len(keys)
    width = -(-length // 8)
    columns = array("Q", b"".join(key.ljust(width * 8, b"\0") for key in keys))
    ones = int.from_bytes(b"\1\0\0\0\0\0\0\0" * count, "little")
    low = ones * _MASK
    words: list[int] = []
    for at in range(width):
        column = int.from_bytes(columns[at::width].tobytes(), "little")
        words += (column & low, column >> 32 & low)
    h = ones * (_SEED ^ length)
    for word in words[: length // 4]:
        k = word * _MIX & low
        h = h * _MIX & low ^ (k ^ k >> 24 & low) * _MIX & low
    if length % 4:
        h = (h ^ words[length // 4]) * _MIX & low
    h = (h ^ h >> 13 & low) * _MIX & low
    h ^= h >> 15 & low
    return struct.unpack(f"<{count}Q", h.to_bytes(count * 8, "little"))


def partitions_of(keys: Iterable[bytes | None], partition_count: int) -> dict[bytes | None, int]:
    """The partition of each key; a message without a key goes to partition 0."""
    found: dict[bytes | None, int] = {}
    by_length: defaultdict[int, list[bytes]] = defaultdict(list)
    for key in keys:
        if key is None:
            found[key] = 0
        else:
            by_length[len(key)].append(key)
    for alike in by_length.values():
        for key, hashed in zip(alike, murmur2(alike), strict=True):
            found[key] = (hashed & 0x7FFFFFFF) % partition_count
    return found


def partition_of(key: bytes | None, partition_count: int) -> int:
    """The partition of one key."""
    return partitions_of([key], partition_count)[key]


class BatchProducer:
    """Sends messages in whole batches.

    A second batch for a partition leaves only when the first is acknowledged, so that nothing overtakes
    what failed. ``security`` holds aiokafka's connection settings; a call that is not acknowledged within
    ``acknowledge_seconds_max`` has failed.
    """

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        security: Mapping[str, Any] | None = None,
        acknowledge_seconds_max: float = _ACKNOWLEDGE_SECONDS_MAX,
    ) -> None:
        self._acknowledge_seconds_max = acknowledge_seconds_max
        self._settings: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            "client_id": client_id,
            "acks": "all",
            "enable_idempotence": True,
            "max_batch_size": _BATCH_BYTES_MAX,
            "max_request_size": _REQUEST_BYTES_MAX,
            "request_timeout_ms": 20_000,
            **(security or {}),
        }
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect. Raises aiokafka's KafkaError when no broker answers."""
        await self._started()

    async def _started(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(**self._settings)
        pause_between_tries(producer.client, self._settings["bootstrap_servers"])
        try:
            await producer.start()
        except BaseException:
            await _close(producer)
            raise
        self._producer = producer
        return producer

    async def stop(self) -> None:
        """Close the connection; what was sent is already acknowledged."""
        await self._discard()

    async def send(self, topic: str, messages: Sequence[Sendable], partition_count: int) -> None:
        """Send and wait for every acknowledgement; order is kept within a partition.

        Raises SendFailed; the next call connects anew, because a producer that lost a batch has lost its sequence.
        """
        producer = self._producer or await self._connect()
        by_partition: defaultdict[int, list[Sendable]] = defaultdict(list)
        by_key = partitions_of({message.key for message in messages if message.partition is None}, partition_count)
        for message in messages:
            partition = message.partition
            if partition is None:
                partition = by_key[message.key]
            by_partition[partition].append(message)
        sending = asyncio.gather(
            *(_send_in_order(producer, topic, partition, rows) for partition, rows in by_partition.items()),
            return_exceptions=True,
        )
        try:
            outcomes = await asyncio.wait_for(sending, self._acknowledge_seconds_max)
        except TimeoutError as late:
            # An idempotent aiokafka producer would try again for ever, without a word.
            await self._discard()
            message_text = f"{topic}: no acknowledgement within {self._acknowledge_seconds_max:g} s"
            raise SendFailed(message_text) from late
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if failures:
            await self._discard()
            if not isinstance(failures[0], (KafkaError, OSError, asyncio.TimeoutError)):
                raise failures[0]
            message_text = f"{topic}: the broker did not acknowledge ({type(failures[0]).__name__})"
            raise SendFailed(message_text) from failures[0]

    async def _connect(self) -> AIOKafkaProducer:
        try:
            return await self._started()
        except (KafkaError, OSError) as error:
            message = f"no broker answers at {self._settings['bootstrap_servers']} ({type(error).__name__})"
            raise SendFailed(message) from error

    async def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _close(producer)


async def _close(producer: AIOKafkaProducer) -> None:
    """Close, but do not wait for a broker that is gone: what is not acknowledged is sent again by whoever keeps it."""
    with contextlib.suppress(TimeoutError, KafkaError):
        await asyncio.wait_for(producer.stop(), _CLOSE_SECONDS_MAX)
        return
    # stop() first waits for every message to be acknowledged; there is no public way to give them up.
    await producer._sender.close()  # noqa: SLF001
    await producer.client.close()


async def _send_in_order(producer: AIOKafkaProducer, topic: str, partition: int, messages: Sequence[Sendable]) -> None:
    batch = producer.create_batch()
    for message in messages:
        if not _is_added(batch, message):
            await (await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            _is_added(batch, message)
    if batch.record_count():
        await (await producer.send_batch(batch, topic, partition=partition))


def _is_added(batch: Any, message: Sendable) -> bool:
    """Whether the batch had room for the message."""
    headers = list(message.headers) if message.headers else _NO_HEADERS
    added = batch.append(timestamp=message.timestamp_ms, key=message.key, value=message.value, headers=headers)
    return added is not None
