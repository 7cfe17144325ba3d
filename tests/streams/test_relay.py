"""That committed messages leave in order, however often the broker fails, and that repeats are not made needlessly."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from saphan_infra.producer import BatchProducer, Sendable, SendFailed
from saphan_projections.offsets import OutgoingMessage
from saphan_schemas.topics import DEAD_LETTERS, TOPICS, WORKER_RECORDS
from saphan_streams import relay as relay_module
from saphan_streams.catching_up import Headers
from saphan_streams.relay import Relay


class Producer(BatchProducer):
    """Fails as told, and then takes a part of the batch with it, as a broker does that dies in between."""

    def __init__(self, errors: Sequence[Exception | None] = ()) -> None:
        super().__init__("nowhere:1", "test")
        self.errors = list(errors)
        self.log: list[tuple[str, bytes | None, int | None]] = []
        self.partition_counts: set[tuple[str, int]] = set()
        self.headers: list[Sequence[tuple[str, bytes]]] = []

    async def send(self, topic: str, messages: Sequence[Sendable], partition_count: int) -> None:
        self.partition_counts.add((topic, partition_count))
        error = self.errors.pop(0) if self.errors else None
        taken = messages if error is None else messages[: len(messages) // 2]
        self.headers += [message.headers for message in taken]
        self.log += [(topic, message.value, message.partition) for message in taken]
        await asyncio.sleep(0)
        if error is not None:
            raise error

    async def stop(self) -> None:
        return


def row(*values: str, topic: str = WORKER_RECORDS) -> list[OutgoingMessage]:
    return [OutgoingMessage(topic, 0, b"k", value.encode()) for value in values]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting with backoff takes no time here."""
    monkeypatch.setattr(relay_module, "_RETRY_SECONDS_MAX", 0.0)
    monkeypatch.setattr(relay_module, "_RETRY_SECONDS_MIN", 0.0)


def run(
    producer: Producer,
    work: Callable[[Relay], Coroutine[Any, Any, None]],
    headers: Callable[[], Headers] = tuple,
) -> None:
    async def main() -> None:
        relay = Relay(producer, headers)
        relay.start()
        relay.start()
        await work(relay)
        await relay.stop()

    asyncio.run(main())


def last_of_each(log: Sequence[tuple[str, bytes | None, int | None]]) -> list[str]:
    """The values in the order in which their last copy was sent."""
    values = [(value or b"").decode() for _, value, _ in log]
    return [value for index, value in enumerate(values) if value not in values[index + 1 :]]


@pytest.mark.parametrize("error", [SendFailed("away"), ValueError("nobody thought of this")])
def test_the_order_is_kept_while_the_broker_fails(error: Exception) -> None:
    """An error that nobody thought of ended the relay, and everything behind it waited for ever."""
    producer = Producer([error, None, error, error])

    async def work(relay: Relay) -> None:
        for number in range(6):
            await relay.submit(number, row(f"{number}a", f"{number}b"))
        await relay.drain()
        assert relay.take_sent() == set(range(6))
        assert relay.waiting == 0

    run(producer, work)
    assert last_of_each(producer.log) == [f"{number}{letter}" for number in range(6) for letter in "ab"]


def test_what_leaves_carries_what_is_to_be_said_at_that_moment_and_stays_the_same_message() -> None:
    producer = Producer([SendFailed("away")])
    said: list[Headers] = [(("a", b"1"),), (("a", b"2"),), ()]

    async def work(relay: Relay) -> None:
        await relay.submit(1, row("x", "y"))
        await relay.submit(2, row("z"))
        await relay.drain()

    run(producer, work, lambda: said.pop(0))
    assert producer.headers == [(("a", b"1"),), (("a", b"2"),), (("a", b"2"),), ()]
    assert producer.log == [(WORKER_RECORDS, value, 0) for value in (b"x", b"x", b"y", b"z")]


def test_an_error_that_nobody_thought_of_does_not_end_the_relay() -> None:
    producer = Producer([ValueError("nobody thought of this")])

    async def work(relay: Relay) -> None:
        await relay.submit(1, row("a"))
        await asyncio.wait({asyncio.create_task(relay.drain()), relay._task or asyncio.create_task(relay.drain())},
                           return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
        assert relay.take_sent() == {1}

    run(producer, work)


def test_a_row_counts_as_sent_only_when_the_broker_has_acknowledged_it() -> None:
    """Its deletion would be committed with the next chunk, and a crash before the broker took it would lose it."""
    producer = Producer()
    answers: asyncio.Queue[None] = asyncio.Queue()
    early: list[set[int]] = []

    async def work(relay: Relay) -> None:
        plain = producer.send

        async def slow(topic: str, messages: Sequence[Sendable], partition_count: int) -> None:
            early.append(set(relay._sent))
            await answers.get()
            await plain(topic, messages, partition_count)

        producer.send = slow  # type: ignore[method-assign]
        for number in (1, 2):
            await relay.submit(number, row(str(number)))
            answers.put_nowait(None)
        await relay.drain()
        assert relay.take_sent() == {1, 2}

    run(producer, work)
    assert early == [set(), {1}]


def test_a_row_with_several_topics_is_sent_to_each_of_them_with_its_number_of_partitions() -> None:
    producer = Producer([None, SendFailed("away")])

    async def work(relay: Relay) -> None:
        await relay.submit(1, [*row("a"), *row("bad", topic=DEAD_LETTERS), *row("b")])
        await relay.drain()

    run(producer, work)
    assert producer.partition_counts == {
        (WORKER_RECORDS, TOPICS[WORKER_RECORDS].partitions),
        (DEAD_LETTERS, TOPICS[DEAD_LETTERS].partitions),
    }
    assert last_of_each(producer.log) == ["a", "b", "bad"]


def test_a_row_that_was_handed_over_is_not_taken_again_until_its_deletion_is_committed() -> None:
    producer = Producer()

    async def work(relay: Relay) -> None:
        await relay.submit(1, row("a"))
        await relay.submit(1, row("a"))
        await relay.drain()
        taken = relay.take_sent()
        relay.put_back(taken)
        assert relay.take_sent() == taken == {1}
        await relay.submit(1, row("a"))
        relay.forget(taken)
        await relay.submit(1, row("again"))
        await relay.drain()

    run(producer, work)
    assert [value for _, value, _ in producer.log] == [b"a", b"again"]


def test_who_commits_waits_while_too_much_is_unsent() -> None:
    producer = Producer([SendFailed("away")] * 30)

    async def work(relay: Relay) -> None:
        submitted = 0

        async def submit_all() -> None:
            nonlocal submitted
            for number in range(20):
                await relay.submit(number, row(str(number)))
                submitted += 1

        task = asyncio.create_task(submit_all())
        for _ in range(20):
            await asyncio.sleep(0)
        assert submitted < 10
        await task
        await relay.drain()

    run(producer, work)
    assert last_of_each(producer.log) == [str(number) for number in range(20)]


def test_a_row_whose_handing_over_was_given_up_is_sent_when_it_is_handed_over_again() -> None:
    """A rebalance that came while a row waited for room left it known but unsent, until the next start."""
    producer = Producer([SendFailed("away")] * 30)

    async def work(relay: Relay) -> None:
        async def submit_all() -> None:
            for number in range(20):
                await relay.submit(number, row(str(number)))

        given_up = asyncio.create_task(submit_all())
        for _ in range(20):
            await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
        await submit_all()
        await relay.drain()
        assert relay.waiting == 0

    run(producer, work)
    assert set(last_of_each(producer.log)) == {str(number) for number in range(20)}
