"""That a partition goes on where it was, that a fence and a lease hold, and that the outbox keeps its order."""

import queue
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import event

from saphan_projections.database import Database, Transaction
from saphan_projections.offsets import (
    AlreadyCommitted,
    Claim,
    Fenced,
    OutgoingMessage,
    advance,
    claim,
    delete_outbox,
    keep_lease,
    pending_outbox,
    positions,
    put_outbox,
    take_lease,
)

TOPIC = "a-topic"
#: Long enough for any machine; nothing waits for it but a failure.
GIVE_UP_SECONDS = 60


def claimed(database: Database, owner: str = "one") -> Claim:
    with database.transaction() as transaction:
        (found,) = claim(transaction, "app", [(TOPIC, 0)], owner, 1)
    return found


def move(database: Database, held: Claim, next_offset: int) -> Claim:
    with database.transaction() as transaction:
        (moved,) = advance(transaction, "app", [(held, next_offset)], 2)
    return moved


def beside(
    database: Database,
    work: Callable[[Transaction], object],
    other: Callable[[], object],
    writes: tuple[str, ...] = ("INSERT", "UPDATE"),
) -> object:
    """What the other work gives that comes to such a write while this one's transaction is not committed yet."""
    said: queue.Queue[str] = queue.Queue()
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(other()))
    with database.transaction() as transaction:
        work(transaction)
        event.listen(database.engine, "before_cursor_execute", lambda *row: said.put(row[2]))
        thread.start()
        while not said.get(timeout=GIVE_UP_SECONDS).startswith(("BEGIN IMMEDIATE", *writes)):
            pass
    thread.join(GIVE_UP_SECONDS)
    return found[0]


def test_a_partition_goes_on_where_it_was_whoever_claims_it(database: Database) -> None:
    held = claimed(database)
    assert held == Claim(TOPIC, 0, 0, 1)
    assert move(database, held, 7) == Claim(TOPIC, 0, 7, 1)
    assert claimed(database, "two") == Claim(TOPIC, 0, 7, 2)
    with database.reading() as transaction:
        assert positions(transaction, "app") == {(TOPIC, 0): 7}
        assert positions(transaction, "other") == {}


def test_an_owner_whose_partition_was_claimed_cannot_write_any_more(database: Database) -> None:
    held = move(database, claimed(database), 7)
    successor = claimed(database, "two")
    for next_offset in (7, 8):
        with pytest.raises(Fenced):
            move(database, held, next_offset)
    assert move(database, successor, 8).next_offset == 8
    with pytest.raises(Fenced):
        move(database, held, 8)


def test_a_claim_that_meets_a_step_under_way_goes_on_behind_it(database: Database) -> None:
    """With PostgreSQL it had read the position before, and put it back: the step's rows were there and came again."""
    held = claimed(database)
    found = beside(
        database,
        lambda transaction: advance(transaction, "app", [(held, 7)], 2),
        lambda: claimed(database, "two"),
    )
    assert found == Claim(TOPIC, 0, 7, 2)


@pytest.mark.parametrize(("former", "write"), [("gone", "UPDATE"), (None, "INSERT")])
def test_of_two_that_find_a_lease_over_or_never_taken_at_the_same_moment_one_gets_it(
    database: Database, former: str | None, write: str
) -> None:
    """With PostgreSQL both got it under one epoch, and neither was fenced."""

    def lease(owner: str) -> int | None:
        with database.transaction() as transaction:
            return take_lease(transaction, "app", owner, 100, 50)

    if former is not None:
        with database.transaction() as transaction:
            assert take_lease(transaction, "app", former, 1, 50) == 1
    found = beside(
        database, lambda transaction: take_lease(transaction, "app", "one", 100, 50), lambda: lease("two"), (write,)
    )
    assert found is None
    with database.transaction() as transaction:
        keep_lease(transaction, "app", 1 if former is None else 2, 101)


def test_a_step_that_was_committed_before_is_told_as_such(database: Database) -> None:
    held = claimed(database)
    move(database, held, 7)
    with pytest.raises(AlreadyCommitted):
        move(database, held, 7)
    with pytest.raises(Fenced):
        move(database, held, 9)


def test_several_partitions_move_together_or_none_of_them_does(database: Database) -> None:
    def move_all(*steps: tuple[Claim, int]) -> list[Claim]:
        with database.transaction() as transaction:
            return advance(transaction, "app", steps, 2)

    def reached() -> list[int]:
        with database.reading() as transaction:
            found = positions(transaction, "app")
        return [found[TOPIC, number] for number in range(3)]

    with database.transaction() as transaction:
        one, two, three = claim(transaction, "app", [(TOPIC, number) for number in range(3)], "one", 1)
    assert [row.next_offset for row in move_all((two, 4), (one, 2))] == [4, 2]
    assert reached() == [2, 4, 0]
    with pytest.raises(AlreadyCommitted):
        move_all((one, 2), (two, 4))
    # Some done before and some not: neither is right, each has to be tried alone.
    with pytest.raises(Fenced):
        move_all((one, 2), (three, 1))
    with pytest.raises(Fenced):
        move_all((one._replace(next_offset=2), 2), (three, 1))
    with database.transaction() as transaction:
        claim(transaction, "app", [(TOPIC, 1)], "two", 1)
    with pytest.raises(Fenced):
        move_all((one._replace(next_offset=2), 5), (two._replace(next_offset=4), 6))
    assert reached() == [2, 4, 0]


def test_the_outbox_keeps_messages_by_source_partition_in_order_until_they_are_deleted(database: Database) -> None:
    messages = [OutgoingMessage("t", None, b"k", b"\x00\xff", 5), OutgoingMessage("t", 3, None, b"")]
    with database.transaction() as transaction:
        assert put_outbox(transaction, "app", TOPIC, 0, []) is None
        numbers = [put_outbox(transaction, "app", TOPIC, partition, messages) for partition in (0, 1, 0)]
        assert [number for number, _ in pending_outbox(transaction, "app")] == numbers
        put_outbox(transaction, "other", TOPIC, 0, messages)
        assert pending_outbox(transaction, "app", [(TOPIC, 0)]) == [(numbers[0], messages), (numbers[2], messages)]
        assert numbers[0] is not None
        delete_outbox(transaction, [numbers[0]])
        assert [number for number, _ in pending_outbox(transaction, "app", [(TOPIC, 0), (TOPIC, 1)])] == numbers[1:]


def test_one_process_holds_the_lease_until_it_is_over_given_up_or_taken_by_its_own_successor(
    database: Database,
) -> None:
    def take(owner: str, now_ms: int) -> int | None:
        with database.transaction() as transaction:
            return take_lease(transaction, "app", owner, now_ms, 10)

    def keep(epoch: int, now_ms: int) -> None:
        with database.transaction() as transaction:
            keep_lease(transaction, "app", epoch, now_ms)

    assert take("one", 100) == 1
    assert take("two", 109) is None
    keep(1, 105)
    assert take("two", 114) is None
    assert take("two", 115) == 2
    with pytest.raises(Fenced):
        keep(1, 116)
    assert take("two", 116) == 3
    with pytest.raises(Fenced):
        keep(2, 117)
    keep(3, 0)
    assert take("one", 117) == 4
