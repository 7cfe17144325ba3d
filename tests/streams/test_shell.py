"""That a chunk is processed whatever happens around it: database away, a message that breaks the code, another owner."""

import asyncio
from collections.abc import Mapping, Sequence

import psycopg
import pytest
from faust.types import TP
from shell_runs import TOPIC, Processor, failing, fetch, log_of, run
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from saphan_projections.database import DatabaseUnavailable
from saphan_projections.offsets import Claim, Fenced, OutgoingMessage
from saphan_schemas.topics import WORKER_RECORDS
from saphan_streams import shell as shell_module
from saphan_streams.shell import PositionLost, Resumed, Shell


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting with backoff takes no time here."""
    monkeypatch.setattr(shell_module, "_RETRY_SECONDS_MIN", 0.0)


def test_a_chunk_waits_while_the_database_is_away_and_is_then_processed_once() -> None:
    processor = Processor(failing(5, DatabaseUnavailable("away")))
    producer = run(processor, lambda shell: shell.handle(fetch(["a", "b"])))
    assert processor.committed == ["a", "b"]
    assert processor.resets == 5
    assert producer.sent == [b"a", b"b"]


def test_a_database_that_refuses_for_want_of_rights_is_waited_for_and_no_message_is_blamed() -> None:
    processor = Processor(failing(5, DBAPIError("INSERT", None, psycopg.errors.InsufficientPrivilege())))
    producer = run(processor, lambda shell: shell.handle(fetch(["a", "b"], ["c"])))
    assert processor.committed == ["a", "b", "c"]
    assert processor.refused == []
    assert producer.sent == [b"a", b"b", b"c"]


def test_a_message_whose_data_the_database_refuses_is_refused() -> None:
    def trouble(found: list[str], poison: str | None) -> None:
        if poison is None and "bad" in found:
            raise DBAPIError("INSERT", None, psycopg.errors.NumericValueOutOfRange())

    processor = Processor(trouble)
    run(processor, lambda shell: shell.handle(fetch(["a", "bad"], ["c"])))
    assert processor.committed == ["a", "c"]
    assert processor.refused == ["bad: processing raised DBAPIError"]


def test_an_assignment_waits_while_the_database_is_away() -> None:
    processor = Processor(failing(3, DatabaseUnavailable("away")))
    found: dict[TP, int] = {}

    async def resume(shell: Shell) -> None:
        found.update(await shell.resume([TP(TOPIC, 0)], log_of(0, 10)))

    run(processor, resume)
    assert found == {TP(TOPIC, 0): 0}


def test_the_shell_is_ready_with_its_first_assignment_and_is_not_said_to_be_so_again() -> None:
    """`saphan status` showed the last rebalance as the moment since when a process is up."""
    times: list[int] = []
    processor = Processor(failing(2, DatabaseUnavailable("away")))

    async def work(shell: Shell) -> None:
        for number in range(3):
            await shell.resume([TP(TOPIC, 0)], log_of(0, 10))
            assert len(times) == 1, number

    run(processor, work, lambda: times.append(1))


def test_a_chunk_of_a_partition_that_another_owner_took_is_dropped_and_the_next_one_processed() -> None:
    processor = Processor(failing(1, Fenced("another owner")))

    async def work(shell: Shell) -> None:
        await shell.handle(fetch(["a"]))
        await shell.handle(fetch(["b"]))

    producer = run(processor, work)
    assert processor.committed == ["b"]
    assert processor.refused == []
    assert processor.resets == 1
    assert producer.sent == [b"b"]


def test_what_a_fetch_brought_of_several_partitions_is_one_commit() -> None:
    processor = Processor()
    producer = run(processor, lambda shell: shell.handle(fetch(["a"], ["b", "c"], ["d"])))
    assert (processor.commits, processor.committed) == (1, ["a", "b", "c", "d"])
    assert producer.sent == [b"a", b"b", b"c", b"d"]


def test_of_a_fetch_only_the_chunk_that_another_owner_took_is_dropped() -> None:
    """The rest would be passed over by the next fetch: the position of a partition that is ours may not leave a gap."""

    def trouble(found: list[str], _: str | None) -> None:
        if "taken" in found:
            raise Fenced("another owner")

    processor = Processor(trouble)
    producer = run(processor, lambda shell: shell.handle(fetch(["a"], ["taken"], ["b", "c"])))
    assert processor.committed == ["a", "b", "c"]
    assert processor.refused == []
    assert producer.sent == [b"a", b"b", b"c"]


def test_a_message_that_breaks_the_code_is_found_whichever_partition_it_came_from() -> None:
    for bad in ("a", "c", "e"):

        def trouble(found: list[str], poison: str | None, bad: str = bad) -> None:
            if poison is None and bad in found:
                raise ZeroDivisionError

        processor = Processor(trouble)
        run(processor, lambda shell: shell.handle(fetch(["a"], ["b", "c"], ["d", "e", "f"])))
        assert sorted(processor.committed) == [value for value in "abcdef" if value != bad]
        assert processor.refused == [f"{bad}: processing raised ZeroDivisionError"]


@pytest.mark.parametrize("count", [1, 2, 3, 8, 13])
def test_a_message_that_breaks_the_code_is_refused_and_all_others_processed(count: int) -> None:
    values = [f"m{number}" for number in range(count)]
    for bad in values:

        def trouble(found: list[str], poison: str | None, bad: str = bad) -> None:
            if poison is None and bad in found:
                message = "a name that must not be told"
                raise ZeroDivisionError(message)

        processor = Processor(trouble)
        producer = run(processor, lambda shell: shell.handle(fetch(values)))
        assert processor.committed == [value for value in values if value != bad]
        assert processor.refused == [f"{bad}: processing raised ZeroDivisionError"]
        assert sorted(value for value in producer.sent if value) == sorted(value.encode() for value in values)


@pytest.mark.parametrize("is_fenced", [False, True])
def test_what_follows_a_message_that_was_another_owners_just_then_is_left_to_be_read_again(is_fenced: bool) -> None:
    """While a bad message is looked for, rebalances take the partition away and bring it back."""
    tries = []

    def trouble(found: list[str], poison: str | None) -> None:
        tries.append(found)
        processor.is_ours = is_fenced or len(tries) != 2
        if len(tries) == 1:
            raise ZeroDivisionError
        if is_fenced and len(tries) == 2:
            message = "another owner"
            raise Fenced(message)

    processor = Processor(trouble)

    async def work(shell: Shell) -> None:
        await shell.handle(fetch(["a", "b"]))
        assert (tries, processor.committed) == ([["a", "b"], ["a"]], [])
        await shell.handle(fetch(["a", "b"]))

    run(processor, work)
    assert processor.committed == ["a", "b"]


def test_a_message_that_can_neither_be_processed_nor_refused_holds_the_partition_instead_of_being_lost() -> None:
    """Faust acknowledges an event whose agent raised; the next chunk would have passed over the message."""
    refusals_that_fail = [3]

    def trouble(found: list[str], poison: str | None) -> None:
        if "bad" not in found:
            return
        if poison is None:
            raise ZeroDivisionError
        if refusals_that_fail[0]:
            refusals_that_fail[0] -= 1
            raise RuntimeError

    processor = Processor(trouble)

    async def work(shell: Shell) -> None:
        await shell.handle(fetch(["good", "bad"]))
        await shell.handle(fetch(["later"]))

    run(processor, work)
    assert processor.committed == ["good", "later"]
    assert processor.refused == ["bad: processing raised ZeroDivisionError"]


def test_what_a_predecessor_left_unsent_goes_out_first_and_once() -> None:
    processor = Processor()
    processor.outbox = {
        4: [OutgoingMessage(WORKER_RECORDS, 0, b"k", b"second")],
        2: [OutgoingMessage(WORKER_RECORDS, 0, b"k", b"first")],
    }

    async def work(shell: Shell) -> None:
        await shell.resume([TP(TOPIC, 0)], log_of(0, 10))
        await shell.resume([TP(TOPIC, 0)], log_of(0, 10))
        await shell.handle(fetch(["third"]))

    assert run(processor, work).sent == [b"first", b"second", b"third"]


def test_rows_that_were_sent_are_deleted_with_the_next_chunk_and_not_before_its_commit() -> None:
    processor = Processor()

    async def work(shell: Shell) -> None:
        await shell.handle(fetch(["a"]))
        await shell._relay.drain()
        assert len(processor.outbox) == 1
        processor.trouble = failing(2, DatabaseUnavailable("away"))
        await shell.handle(fetch(["b"]))
        await shell._relay.drain()

    run(processor, work)
    assert [[message.value for message in row] for row in processor.outbox.values()] == [[b"b"]]


def test_rows_whose_deletion_failed_with_their_chunk_are_deleted_with_the_next_one() -> None:
    processor = Processor()

    async def work(shell: Shell) -> None:
        await shell.handle(fetch(["a"]))
        await shell._relay.drain()
        processor.trouble = failing(1, Fenced("another owner"))
        await shell.handle(fetch(["b"]))
        await shell.handle(fetch(["c"]))
        await shell._relay.drain()

    run(processor, work)
    assert [[message.value for message in row] for row in processor.outbox.values()] == [[b"c"]]


def test_rows_that_could_not_be_deleted_between_chunks_are_deleted_with_the_next_one() -> None:
    for error in (DatabaseUnavailable("away"), DBAPIError("DELETE", None, psycopg.errors.InsufficientPrivilege())):

        class Away(Processor):
            def tidy(self, sent: set[int], error: Exception = error) -> None:  # noqa: ARG002
                raise error

        processor = Away()

        async def work(shell: Shell) -> None:
            await shell.handle(fetch(["a"]))
            await shell._relay.drain()
            await shell.tidy()
            await shell.handle(fetch(["b"]))

        run(processor, work)
        assert [[message.value for message in row] for row in processor.outbox.values()] == [[b"b"]]


def test_rows_that_were_sent_are_deleted_later_when_the_next_chunk_is_not_ours() -> None:
    """They were forgotten, and stayed in the outbox until the partition had another owner."""
    processor = Processor()

    async def work(shell: Shell) -> None:
        await shell.handle(fetch(["a"]))
        await shell._relay.drain()
        processor.is_ours = False
        await shell.handle(fetch(["b"]))
        processor.is_ours = True
        await shell.handle(fetch(["c"]))

    run(processor, work)
    assert [[message.value for message in row] for row in processor.outbox.values()] == [[b"c"]]


def test_a_chunk_that_comes_after_the_stop_is_left_for_the_next_start() -> None:
    processor = Processor()

    async def work(shell: Shell) -> None:
        await shell.stop()
        await shell.handle(fetch(["late"]))

    run(processor, work)
    assert processor.released
    assert processor.committed == processor.refused == []


def test_what_is_due_between_chunks_after_the_stop_is_left_for_the_next_start() -> None:
    """A worker told to stop at that moment ended with exit code 1: its thread was gone."""
    tidied = []

    class Tidying(Processor):
        def tidy(self, sent: set[int]) -> None:
            tidied.append((self.released, sent))

    async def work(shell: Shell) -> None:
        await shell.tidy()
        await shell.stop()
        await shell.tidy()

    run(Tidying(), work)
    assert tidied == [(False, set())]


@pytest.mark.parametrize(("is_under_way", "away_times"), [(False, 0), (True, 0), (True, 3)])
def test_an_assignment_that_a_stop_overtakes_takes_nothing_that_was_given_up(
    is_under_way: bool, away_times: int
) -> None:
    """Neither one that begins after the stop nor one that waits for the database meanwhile."""
    claimed_after_release: list[bool] = []
    trouble = failing(away_times, DatabaseUnavailable("away"))

    class Claiming(Processor):
        def resume(self, partitions: Sequence[tuple[str, int]]) -> Resumed:
            found = super().resume(partitions)
            claimed_after_release.append(self.released)
            return found

    async def work(shell: Shell) -> None:
        assigned = asyncio.create_task(shell.resume([TP(TOPIC, 0)], log_of(0, 10)))
        if is_under_way:
            await asyncio.sleep(0)
        await shell.stop()
        assert await assigned == {}

    run(Claiming(trouble), work, lambda: pytest.fail("is not ready when it leaves"))
    assert claimed_after_release == ([False] if is_under_way and not away_times else [])


@pytest.mark.parametrize(
    "error",
    [
        DatabaseUnavailable("away"),
        Fenced("another owner"),
        DBAPIError("UPDATE", None, psycopg.errors.InsufficientPrivilege("no right\nDETAIL: of a person")),
    ],
)
def test_a_lease_that_cannot_be_given_up_holds_up_no_stop(error: Exception) -> None:
    class Keeping(Processor):
        def release(self) -> None:
            raise error

    async def work(shell: Shell) -> None:
        with capture_logs() as said:
            await shell.stop()
        assert [row["event"] for row in said] == ["stopped without giving up the lease"]
        assert "DETAIL" not in str(said)
        with pytest.raises(RuntimeError, match="after shutdown"):
            shell.thread.submit(shell.stop)

    run(Keeping(), work)


@pytest.mark.parametrize(
    ("next_offset", "first", "end", "expected"), [(0, 0, 0, 0), (0, 7, 9, 7), (7, 7, 9, 7), (8, 3, 9, 8), (9, 3, 9, 9)]
)
def test_a_partition_is_read_on_where_the_database_says(next_offset: int, first: int, end: int, expected: int) -> None:
    processor = Processor()
    processor.claims = [Claim(TOPIC, 0, next_offset, 1)]
    found: dict[TP, int] = {}

    async def resume(shell: Shell) -> None:
        found.update(await shell.resume([TP(TOPIC, 0)], log_of(first, end)))

    run(processor, resume)
    assert found == {TP(TOPIC, 0): expected}


@pytest.mark.parametrize(("next_offset", "first", "end"), [(10, 0, 9), (5, 6, 9), (1, 0, 0)])
def test_a_log_that_lost_messages_is_not_read_on_in_silence(next_offset: int, first: int, end: int) -> None:
    processor = Processor()
    processor.claims = [Claim(TOPIC, 0, next_offset, 1)]

    async def resume(shell: Shell) -> None:
        with pytest.raises(PositionLost, match=rf"read up to {next_offset}, the log holds {first} to {end}.*rebuild"):
            await shell.resume([TP(TOPIC, 0)], log_of(first, end))

    run(processor, resume)


def test_a_former_owner_that_read_on_until_the_claim_is_not_taken_for_a_log_that_lost_messages() -> None:
    """The end of the log was looked at before the claim; what the former owner read in between seemed to be missing."""
    log = [5]

    def read_on(_: list[str], __: str | None) -> None:
        log[0] = 6
        processor.claims = [Claim(TOPIC, 0, 6, 2)]

    processor = Processor(read_on)
    found: dict[TP, int] = {}

    async def resume(shell: Shell) -> None:
        async def bounds() -> Mapping[TP, tuple[int, int]]:
            return {TP(TOPIC, 0): (0, log[0])}

        found.update(await shell.resume([TP(TOPIC, 0)], bounds))

    run(processor, resume)
    assert found == {TP(TOPIC, 0): 6}
