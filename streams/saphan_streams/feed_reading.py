"""Which messages of a feed are records, which are heartbeats and which are refused, and why, in columns.

Columns can go from one process to another at little cost, so that :mod:`saphan_streams.reading_process` can read beside
link; :mod:`saphan_streams.feed_chunks` makes rows of them. What is imported here is loaded there as well.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from saphan_projections.hashing import signed_hashes
from saphan_projections.identity import Signature, pack_signature, signature_hashes, signature_of, signatures_of
from saphan_projections.kept import HANDED_ON, pack_kept
from saphan_projections.link_records import record_key_hashes
from saphan_schemas.codec import HEADER_BYTES, Codec, Record, UndecodableMessage
from saphan_schemas.column_screen import Column, Columns, columns_of, has_fields_of, screened, with_other_fields
from saphan_schemas.rules import problems
from saphan_schemas.topics import HEARTBEATS, TOPICS, WORKER_FEEDS

_WORKER_FEEDS = frozenset(WORKER_FEEDS)


class FeedColumns(NamedTuple):
    """What messages of one feed say. ``indexes`` tells which messages are records; the columns after it are of these.

    ``signatures``, packed, is None for a feed whose records belong to no worker. ``heartbeats`` are (index, feed, complete
    until), ``refusals`` (index, reason, detail), both in order; a detail carries no personal data.
    """

    indexes: Sequence[int] = ()
    record_ids: Sequence[str] = ()
    key_hashes: Sequence[int] = ()
    versions: Sequence[int] = ()
    changed_at: Sequence[int] = ()
    content_hashes: Sequence[int] = ()
    deleted: Sequence[bool] = ()
    signatures: Sequence[bytes] | None = None
    signature_hashes: Sequence[int] | None = None
    kept: Sequence[bytes] | None = None
    heartbeats: Sequence[tuple[int, str, int]] = ()
    refusals: Sequence[tuple[int, str, str]] = ()


class Messages(NamedTuple):
    """Keys and values of messages of one topic, in order."""

    topic: str
    keys: Sequence[bytes | None]
    payloads: Sequence[bytes | None]


class _Decoded(NamedTuple):
    """The records among some messages: which messages they are, and what they say field by field.

    ``record_at`` gives one of them whole. ``with_others`` are those with fields that the feed does not have.
    """

    indexes: Sequence[int]
    columns: Columns
    record_at: Callable[[int], Record]
    with_others: Sequence[int] = ()


def read_columns(codec: Codec, messages: Messages, message_bytes_max: int) -> FeedColumns:
    """Decode and check every message of a feed; none is lost, whatever is in it. Pure."""
    feed, payloads = messages.topic, messages.payloads
    if max([len(payload or b"") for payload in payloads], default=0) > message_bytes_max:
        payloads = [None if _too_large(payload, message_bytes_max) else payload for payload in payloads]
    refusals: list[tuple[int, str, str]] = []
    at_once = None if feed == HEARTBEATS else _at_once(codec, feed, payloads)
    if at_once is not None:
        read = _records(messages, at_once, refusals)
    else:
        indexes, values = _one_by_one(messages, codec.decode_many(feed, payloads), message_bytes_max, refusals)
        if feed == HEARTBEATS:
            read = FeedColumns(heartbeats=_heartbeats(messages, indexes, values, refusals))
        elif values:
            others = with_other_fields(feed, values)
            read = _records(messages, _Decoded(indexes, columns_of(feed, values), values.__getitem__, others), refusals)
        else:
            read = FeedColumns()
    return read._replace(refusals=sorted(refusals))


def _at_once(codec: Codec, feed: str, payloads: Sequence[bytes | None]) -> _Decoded | None:
    """Every message as a record, where that can be said of all of them at once."""
    columns = codec.decode_columns(feed, payloads)
    if columns is None or not has_fields_of(feed, columns):
        return None
    return _Decoded(range(len(payloads)), columns, lambda at: {name: column[at] for name, column in columns.items()})


def _one_by_one(
    messages: Messages,
    decoded: Sequence[Record | UndecodableMessage],
    message_bytes_max: int,
    refusals: list[tuple[int, str, str]],
) -> tuple[Sequence[int], list[Record]]:
    """Which messages can be read, and what they say."""
    if UndecodableMessage not in set(map(type, decoded)):
        return range(len(decoded)), decoded  # type: ignore[return-value]
    indexes, values = [], []
    for index, value in enumerate(decoded):
        if not isinstance(value, UndecodableMessage):
            indexes.append(index)
            values.append(value)
        elif _too_large(messages.payloads[index], message_bytes_max):
            size = len(messages.payloads[index] or b"")
            refusals.append((index, "too_large", f"{size} bytes, at most {message_bytes_max} are read"))
        else:
            refusals.append((index, value.reason, value.detail))
    return indexes, values


def _too_large(payload: bytes | None, message_bytes_max: int) -> bool:
    return len(payload or b"") > message_bytes_max


def _records(messages: Messages, decoded: _Decoded, refusals: list[tuple[int, str, str]]) -> FeedColumns:
    feed = messages.topic
    indexes, columns, record_at, with_others = decoded
    keys, payloads = (_picked(column, indexes) for column in (messages.keys, messages.payloads))
    suspects, numbers = screened(feed, columns)
    suspects.update(with_others, _under_another_key(keys, columns["record_id"]))
    wrong = {at: _wrong(feed, keys[at], record_at(at)) for at in sorted(suspects)}
    refused = {at: why for at, why in wrong.items() if why is not None}
    refusals.extend([(indexes[at], *why) for at, why in refused.items()])
    packed = hashes = None
    if feed in _WORKER_FEEDS:
        signatures = signatures_of(feed, columns, numbers)
        for at in suspects:
            signatures[at] = signature_of(feed, record_at(at))
        hashes = _hashes(signatures, columns)
        packed = list(map(pack_signature, signatures))
    read = FeedColumns(
        indexes,
        columns["record_id"],
        record_key_hashes(feed, columns["record_id"]),
        columns["version"],
        columns["changed_at"],
        signed_hashes([payload[HEADER_BYTES:] for payload in payloads]),
        columns["deleted"],
        packed,
        hashes,
        _kept(feed, columns),
    )
    return _without(read, refused) if refused else read


def _picked(column: Column, indexes: Sequence[int]) -> Column:
    return column if len(indexes) == len(column) else [column[index] for index in indexes]


def _without(read: FeedColumns, refused: Collection[int]) -> FeedColumns:
    """The columns of the records that are left when some are refused."""
    left = [at for at in range(len(read.indexes)) if at not in refused]
    return FeedColumns._make([column and [column[at] for at in left] for column in read])


def _kept(feed: str, columns: Columns) -> Sequence[bytes] | None:
    """What is handed on of each record."""
    names = HANDED_ON.get(feed)
    return None if names is None else list(map(pack_kept, zip(*[columns[name] for name in names], strict=True)))


def _under_another_key(keys: Sequence[bytes | None], record_ids: Sequence[str]) -> list[int]:
    expected = list(map(str.encode, record_ids))
    return [] if keys == expected else [at for at, key in enumerate(keys) if key != expected[at]]


def _hashes(signatures: Sequence[Signature], columns: Columns) -> Sequence[int]:
    hashes = signature_hashes(signatures)
    deleted = columns["deleted"]
    if True not in deleted:
        return hashes
    return [0 if gone else number for gone, number in zip(deleted, hashes, strict=True)]


def _wrong(feed: str, key: bytes | None, value: Record) -> tuple[str, str] | None:
    """Why a record that can be read is refused."""
    if key is None:
        return "no_key", "expected the record_id as the message key, found none"
    if key != value["record_id"].encode():
        return "wrong_key", "the message key is not the record's record_id"
    return _error(feed, value)


def _error(topic: str, value: Record) -> tuple[str, str] | None:
    for problem in problems(topic, value):
        if problem.severity == "error":
            return f"invalid_{problem.code}", f"field {problem.field}: expected {problem.expected}"
    return None


def _heartbeats(
    messages: Messages, indexes: Sequence[int], values: Sequence[Record], refusals: list[tuple[int, str, str]]
) -> list[tuple[int, str, int]]:
    heartbeats = []
    for index, value in zip(indexes, values, strict=True):
        wrong = _wrong_heartbeat(messages.keys[index], value)
        if wrong is None:
            heartbeats.append((index, value["feed"], value["complete_until"]))
        else:
            refusals.append((index, *wrong))
    return heartbeats


def _wrong_heartbeat(key: bytes | None, value: Record) -> tuple[str, str] | None:
    if key is None or key != value["feed"].encode():
        return "wrong_key", "the key of a heartbeat is the feed that it speaks of"
    return _error(HEARTBEATS, value) or _without_ends(value)


def _without_ends(value: Record) -> tuple[str, str] | None:
    # It would overtake what was published in the partition that it does not name, and an employer be accused.
    named = {end["partition"] for end in value["end_offsets"]}
    if named.issuperset(range(TOPICS[value["feed"]].partitions)):
        return None
    return "no_end_offsets", "expected the end offset of each partition of the feed"
