"""Where an application stands in each partition, who may write there, and which messages are still to be sent.

The broker's committed offsets are a hint for monitoring; these rows decide. They change in the same transaction as
the effects of the messages, so that a crash at any moment neither loses nor repeats an effect.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgpack

from saphan_projections.database import Row, Transaction
from saphan_projections.tables import OutboxRow, SourceOffsetRow


class Fenced(RuntimeError):
    """Another owner has taken the partition over; this one must stop writing and drop what it holds."""


class AlreadyCommitted(RuntimeError):
    """The transaction that was tried again had been committed; only its answer was lost."""


class Claim(NamedTuple):
    """The right to write a partition: the next offset to read and the epoch that every write must name."""

    topic: str
    partition: int
    next_offset: int
    epoch: int


class OutgoingMessage(NamedTuple):
    """A message of the outbox. ``partition`` None means: by the key."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes
    timestamp_ms: int | None = None

    @property
    def headers(self) -> tuple[()]:
        """None: the producer asks for them."""
        return ()


def claim(
    transaction: Transaction, app: str, partitions: Iterable[tuple[str, int]], owner: str, now_ms: int
) -> list[Claim]:
    """Take partitions over: raises each one's epoch, which fences whoever wrote them before."""
    claims = []
    for topic, partition in sorted(partitions):
        # One statement: with PostgreSQL a step of the former owner may be under way, and this waits for its end.
        rows = transaction.rows(
            "INSERT INTO source_offset (app, topic, partition, next_offset, owner_epoch, owner, updated_at)"
            " VALUES (?, ?, ?, 0, 1, ?, ?) ON CONFLICT (app, topic, partition) DO UPDATE"
            " SET owner_epoch = source_offset.owner_epoch + 1, owner = excluded.owner, updated_at = excluded.updated_at"
            " RETURNING next_offset, owner_epoch",
            (app, topic, partition, owner, now_ms),
        )
        claims += [Claim(topic, partition, next_offset, epoch) for next_offset, epoch in rows]
    return claims


def advance(transaction: Transaction, app: str, steps: Sequence[tuple[Claim, int]], now_ms: int) -> list[Claim]:
    """Move the positions of different partitions, each to its new next offset; part of the transaction of the effects.

    Raises AlreadyCommitted when these very steps are done, or were before, and Fenced when a claim is no longer ours or
    only some of the steps are done: roll back, and try each alone.
    """
    forward = sorted((held, next_offset) for held, next_offset in steps if next_offset > held.next_offset)
    touched = transaction.execute_many(
        "UPDATE source_offset SET next_offset = ?, updated_at = ?"
        " WHERE app = ? AND topic = ? AND partition = ? AND owner_epoch = ? AND next_offset = ?",
        [
            (next_offset, now_ms, app, held.topic, held.partition, held.epoch, held.next_offset)
            for held, next_offset in forward
        ],
    )
    if touched == len(steps):
        return [held._replace(next_offset=next_offset) for held, next_offset in steps]
    found = transaction.rows(
        "SELECT topic, partition, owner_epoch, next_offset FROM source_offset WHERE app = ?", (app,)
    )
    standing = {(topic, partition): (epoch, next_offset) for topic, partition, epoch, next_offset in found}
    for held, next_offset in steps:
        reached = held.epoch, max(next_offset, held.next_offset)
        if touched or standing.get((held.topic, held.partition)) != reached:
            message = f"{app}: {held.topic}[{held.partition}] now belongs to another owner (our epoch is {held.epoch})"
            raise Fenced(message)
    message = f"{app}: had read on already, {', '.join(f'{row.topic}[{row.partition}]' for row, _ in steps)}"
    raise AlreadyCommitted(message)


def all_stand(transaction: Transaction, app: str, claims: Iterable[Claim]) -> bool:
    """Whether every position is as its claim says, so that the rows are what the last step before it left."""
    rows = transaction.rows(
        "SELECT topic, partition, next_offset, owner_epoch FROM source_offset WHERE app = ?", (app,)
    )
    return set(claims).issubset(rows)


def lost_claims(transaction: Transaction, app: str, claims: Iterable[Claim]) -> set[tuple[str, int, int]]:
    """(topic, partition, epoch) of those claims that somebody else's claim has followed."""
    rows = transaction.rows("SELECT topic, partition, owner_epoch FROM source_offset WHERE app = ?", (app,))
    return {(row.topic, row.partition, row.epoch) for row in claims} - set(rows)


def positions(transaction: Transaction, app: str) -> Mapping[tuple[str, int], int]:
    """The next offset of each partition that the application has read."""
    rows = transaction.rows("SELECT topic, partition, next_offset FROM source_offset WHERE app = ?", (app,))
    return {(topic, partition): next_offset for topic, partition, next_offset in rows}


def put_outbox(
    transaction: Transaction, app: str, topic: str, partition: int, messages: list[OutgoingMessage]
) -> int | None:
    """Keep messages until they are sent; the number of the row, None when there is nothing to send."""
    if not messages:
        return None
    rows = transaction.rows(
        "INSERT INTO outbox (app, topic, partition, messages) VALUES (?, ?, ?, ?) RETURNING outbox_no",
        (app, topic, partition, msgpack.packb(messages)),
    )
    return int(rows[0][0])


def pending_outbox(
    transaction: Transaction, app: str, partitions: Iterable[tuple[str, int]] | None = None
) -> list[tuple[int, list[OutgoingMessage]]]:
    """(number, messages) of every row not known to be sent, oldest first; of these source partitions, None: of all."""
    wanted = None if partitions is None else set(partitions)
    rows = transaction.rows("SELECT outbox_no, topic, partition, messages FROM outbox WHERE app = ?", (app,))
    found = [
        (number, [OutgoingMessage._make(row) for row in msgpack.unpackb(messages, use_list=False)])
        for number, topic, partition, messages in rows
        if wanted is None or (topic, partition) in wanted
    ]
    return sorted(found, key=lambda row: row[0])


def delete_outbox(transaction: Transaction, outbox_numbers: Iterable[int]) -> None:
    """Forget rows whose messages the broker has acknowledged."""
    transaction.delete(OutboxRow, [(number,) for number in outbox_numbers])


_LEASE_TOPIC = "*"


def take_lease(transaction: Transaction, app: str, owner: str, now_ms: int, lease_ms: int) -> int | None:
    """Become the only active process of an application; the epoch, or None while another owner's lease runs.

    The same owner (a restarted process of the same place) takes over at once and so fences its predecessor.
    """
    known = _standing_lease(transaction, app)
    if not known:
        # With PostgreSQL this waits, too, for another one's end that is the first to take the lease.
        transaction.execute(
            "INSERT INTO source_offset (app, topic, partition, next_offset, owner_epoch, owner, updated_at)"
            " VALUES (?, ?, 0, 0, 0, ?, 0) ON CONFLICT (app, topic, partition) DO NOTHING",
            (app, _LEASE_TOPIC, owner),
        )
        known = _standing_lease(transaction, app)
    ((holder, epoch, renewed_at),) = known
    if holder != owner and now_ms - renewed_at < lease_ms:
        return None
    transaction.upsert(SourceOffsetRow, [(app, _LEASE_TOPIC, 0, 0, epoch + 1, owner, now_ms)])
    return int(epoch) + 1


def _standing_lease(transaction: Transaction, app: str) -> list[Row]:
    """Owner, epoch and time of renewal; no row when nobody has had the lease yet."""
    # An update that changes nothing: with PostgreSQL it waits for another one's end that is taking the lease.
    return transaction.rows(
        "UPDATE source_offset SET owner = owner WHERE app = ? AND topic = ? AND partition = 0"
        " RETURNING owner, owner_epoch, updated_at",
        (app, _LEASE_TOPIC),
    )


def keep_lease(transaction: Transaction, app: str, epoch: int, now_ms: int) -> None:
    """Renew the lease; part of every write. ``now_ms`` 0 gives it up. Raises Fenced when another process took it."""
    touched = transaction.execute(
        "UPDATE source_offset SET updated_at = ? WHERE app = ? AND topic = ? AND partition = 0 AND owner_epoch = ?",
        (now_ms, app, _LEASE_TOPIC, epoch),
    )
    if touched != 1:
        message = f"{app}: another process is the active one now (our epoch is {epoch})"
        raise Fenced(message)
