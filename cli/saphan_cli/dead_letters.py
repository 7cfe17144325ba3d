"""What lies in the dead letters, whether it was tried again, and whether it would be taken now."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from saphan_infra.settings import Settings
    from saphan_streams.reading import Refusal

RETRY_OF = "saphan_retry_of"
RETRIED_AT = "saphan_retried_at"
_POLL_MS = 500
_IDLE_SECONDS_MAX = 15.0


class DeadLetter(NamedTuple):
    """One refused message. ``retried_at`` and ``refused_at`` are ms UTC; key and value are None where not asked for."""

    letter_id: str
    stage: str
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    refused_at: int
    key: bytes | None
    value: bytes | None
    key_bytes: int | None
    value_bytes: int | None
    retried_at: int | None = None


class Candidate(NamedTuple):
    """A message as the feeds' reader sees it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def read_all(
    settings: "Settings", *, with_content: Callable[[str], bool], newest: int | None = None
) -> list[DeadLetter]:
    """Every dead letter once, oldest first, each with the time of its last retry.

    ``with_content`` says of which ids key and value are wanted: some are large. ``newest``: look only at about so many
    of the last messages. Raises BrokerUnavailable.
    """
    from saphan_schemas.codec import Codec
    from saphan_schemas.topics import DEAD_LETTERS

    codec = Codec()
    letters: dict[str, DeadLetter] = {}
    retried: dict[str, int] = {}
    for record in _records(settings, newest):
        name = (record.key or b"").decode("utf-8", "replace")
        headers = dict(record.headers or ())
        if RETRIED_AT in headers:
            retried[name] = int(headers[RETRIED_AT])
        elif name not in letters:
            fields = codec.decode(DEAD_LETTERS, record.value)
            sizes: dict[str, Any] = {
                f"{part}_bytes": None if fields[part] is None else len(fields[part]) for part in ("key", "value")
            }
            if not with_content(name):
                fields |= {"key": None, "value": None}
            letters[name] = DeadLetter(letter_id=name, **fields, **sizes)
    return [letter._replace(retried_at=retried.get(name)) for name, letter in letters.items()]


def _records(settings: "Settings", newest: int | None) -> Iterator[Any]:
    from kafka import TopicPartition

    from saphan_infra.availability import BrokerUnavailable
    from saphan_infra.clock import monotonic_seconds
    from saphan_infra.kafka_client import broker_errors, consumer
    from saphan_infra.kafka_security import kafka_python_security
    from saphan_schemas.topics import DEAD_LETTERS

    bootstrap = settings.bootstrap
    reader = consumer(bootstrap, None, security=kafka_python_security(settings))
    try:
        with broker_errors(bootstrap):
            numbers = sorted(reader.partitions_for_topic(DEAD_LETTERS) or ()) if DEAD_LETTERS in reader.topics() else []
            partitions = [TopicPartition(DEAD_LETTERS, number) for number in numbers]
            starts, ends = reader.beginning_offsets(partitions), reader.end_offsets(partitions)
            reader.assign(partitions)
            for partition in partitions:
                reader.seek(partition, max(starts[partition], ends[partition] - newest if newest is not None else 0))
        heard_at = monotonic_seconds()
        while any(reader.position(partition) < ends[partition] for partition in partitions):
            with broker_errors(bootstrap):
                found = reader.poll(timeout_ms=_POLL_MS)
            for rows in found.values():
                yield from rows
            if found:
                heard_at = monotonic_seconds()
            elif monotonic_seconds() - heard_at > _IDLE_SECONDS_MAX:
                message = f"Kafka at {bootstrap} stopped answering while the dead letters were read. Try again."
                raise BrokerUnavailable(message)
    finally:
        reader.close(autocommit=False)


def still_refused(letter: DeadLetter, key: bytes | None, value: bytes | None, settings: "Settings") -> "Refusal | None":
    """Why link would refuse this message now; None: it would take it, or link is not who judges it."""
    from saphan_schemas.codec import Codec
    from saphan_schemas.topics import FEEDS
    from saphan_streams.feed_chunks import read_feed_chunk
    from saphan_streams.transport import Chunk

    if letter.topic not in FEEDS:
        return None
    candidate = Candidate(letter.offset, letter.refused_at, key, value)
    chunk = Chunk(letter.topic, letter.partition, [candidate])
    refusals = read_feed_chunk(Codec(), chunk, settings.message_bytes_max).refusals
    return refusals[0] if refusals else None


def key_for(letter: DeadLetter, value: bytes | None) -> bytes | None:
    """The key that belongs to the value: the record's id, or a heartbeat's feed; else the key as it came."""
    from saphan_schemas.codec import Codec, UndecodableMessage
    from saphan_schemas.topics import FEEDS, HEARTBEATS

    if letter.topic not in FEEDS:
        return letter.key
    try:
        record = Codec().decode(letter.topic, value)
    except UndecodableMessage:
        return letter.key
    return str(record["feed" if letter.topic == HEARTBEATS else "record_id"]).encode()


def encoded(letter: DeadLetter, content: bytes) -> bytes:
    """A repaired value: bytes in the wire format as they are, plain JSON by the topic's newest schema.

    Fields that the JSON leaves out get the schema's default. Raises ValueError with what was found and expected.
    """
    import json

    from saphan_schemas.codec import Codec
    from saphan_schemas.values import to_wire

    if content[:1] == b"\x00":
        return content
    try:
        record = json.loads(content)
    except ValueError as error:
        message = f"found neither Avro in the wire format (it starts with a zero byte) nor JSON ({error})"
        raise ValueError(message) from None
    if not isinstance(record, dict):
        message = f"found JSON of type {type(record).__name__}, expected one record as an object"
        raise ValueError(message)  # noqa: TRY004 - a value in a file, not a type in the code
    codec = Codec()
    fields = codec.catalogue.latest(letter.topic).parsed()["fields"]
    unknown = sorted(set(record) - {row["name"] for row in fields})
    if unknown:
        message = f"found unknown fields {', '.join(unknown)}; expected those of {letter.topic}"
        raise ValueError(message)
    defaults = {row["name"]: row["default"] for row in fields if "default" in row}
    missing = sorted({row["name"] for row in fields} - set(record) - set(defaults))
    if missing:
        message = f"expected values for {', '.join(missing)}, found none"
        raise ValueError(message)
    try:
        return codec.encode(letter.topic, to_wire(codec.catalogue.kinds(letter.topic), {**defaults, **record}))
    except (ValueError, TypeError, OverflowError) as error:
        message = f"the record does not fit the schema of {letter.topic}: {error}"
        raise ValueError(message) from None
