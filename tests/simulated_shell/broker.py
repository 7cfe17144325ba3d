"""The broker of a simulated world: topics, what becomes of a sent batch, and who is given which partitions."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from faust.types import TP
from log_record import LogRecord
from simulated_shell.faults import Faults
from simulated_shell.loop import Process, SimulatedLoop

from saphan_infra.producer import BatchProducer, Sendable, SendFailed, partition_of
from saphan_schemas.topics import TOPICS

SESSION_SECONDS = 10.0
ACKNOWLEDGE_SECONDS = 20.0


class SimulatedBroker:
    """The log, by topic and partition."""

    def __init__(self, loop: SimulatedLoop, faults: Faults, now_ms: Callable[[], int]) -> None:
        self.loop = loop
        self.faults = faults
        self._now_ms = now_ms
        self.away_until = 0.0
        #: Batches that are still on their way, although nobody waits for them any more.
        self.under_way = 0
        self.log = {
            (topic.name, number): list[LogRecord]() for topic in TOPICS.values() for number in range(topic.partitions)
        }

    @property
    def is_away(self) -> bool:
        """Whether it answers nobody now."""
        return self.loop.time() < self.away_until

    def append(self, topic: str, partition: int | None, key: bytes | None, value: bytes | None) -> LogRecord:
        """Put a message at the end of its partition; None: the one of its key."""
        number = partition_of(key, TOPICS[topic].partitions) if partition is None else partition
        rows = self.log[topic, number]
        record = LogRecord(topic, number, len(rows), self._now_ms(), key, value)
        self.loop.tell(f"append {topic} {number} {record.offset} {key!r}")
        rows.append(record)
        return record

    def end(self, topic: str, partition: int) -> int:
        """The offset of the next message."""
        return len(self.log[topic, partition])

    def messages(self, topic: str) -> list[LogRecord]:
        """Everything in a topic, by partition and offset."""
        return [row for number in range(TOPICS[topic].partitions) for row in self.log[topic, number]]


class SimulatedProducer(BatchProducer):
    """A producer whose batches may be refused, arrive in part, late, or without an answer."""

    def __init__(self, broker: SimulatedBroker) -> None:
        super().__init__("nowhere:1", "simulated")
        self._broker = broker

    async def send(self, topic: str, messages: Sequence[Sendable], partition_count: int) -> None:
        broker, faults = self._broker, self._broker.faults
        await asyncio.sleep(faults.delay_seconds())
        if broker.is_away:
            await asyncio.sleep(faults.draw.random() * ACKNOWLEDGE_SECONDS)
            raise SendFailed("away")
        if faults.happens("send_refused"):
            raise SendFailed("refused")
        if faults.happens("send_arrives_late"):
            late = faults.draw.random() * 2 * ACKNOWLEDGE_SECONDS
            broker.under_way += 1
            broker.loop.call_later(late, self._append_late, topic, messages, context=broker.loop.world.context)
            await asyncio.sleep(ACKNOWLEDGE_SECONDS)
            raise SendFailed("no acknowledgement, and yet it comes")
        if faults.happens("send_partly"):
            self._append(topic, _part_of(messages, partition_count, faults))
            raise SendFailed("some partitions did not acknowledge")
        self._append(topic, messages)
        if faults.happens("send_answer_lost"):
            await asyncio.sleep(ACKNOWLEDGE_SECONDS)
            raise SendFailed("no acknowledgement")
        await asyncio.sleep(faults.delay_seconds())

    async def stop(self) -> None:
        return

    def _append_late(self, topic: str, messages: Sequence[Sendable]) -> None:
        self._broker.under_way -= 1
        self._append(topic, messages)

    def _append(self, topic: str, messages: Sequence[Sendable]) -> None:
        for message in messages:
            self._broker.append(topic, message.partition, message.key, message.value)


def _part_of(messages: Sequence[Sendable], partition_count: int, faults: Faults) -> list[Sendable]:
    """The first messages of each partition, as many as happen to arrive."""
    by_partition: dict[int, list[Sendable]] = {}
    for message in messages:
        number = partition_of(message.key, partition_count) if message.partition is None else message.partition
        by_partition.setdefault(number, []).append(message)
    return [row for rows in by_partition.values() for row in rows[: faults.draw.randrange(len(rows) + 1)]]


class Member(Protocol):
    """A consumer as its group knows it."""

    process: Process

    def revoke(self, generation: int) -> None:
        """Stop handing over, a rebalance is under way."""

    def assign(self, generation: int, partitions: set[TP]) -> None:
        """Read these partitions from now on."""


class Group:
    """One consumer group; each change of its members is a new generation in which everybody is asked to join again."""

    def __init__(self, broker: SimulatedBroker, topics: Sequence[str]) -> None:
        self._loop = broker.loop
        self._faults = broker.faults
        self._places = [TP(topic, number) for topic in topics for number in range(TOPICS[topic].partitions)]
        self._members: dict[str, Member] = {}
        self._awaited: set[str] = set()
        self._assigned_generation = 0
        self.generation = 0

    def join(self, instance: str, member: Member) -> None:
        """Join, or take over the membership of a predecessor of the same name."""
        self._members[instance] = member
        self._change()

    def leave(self, instance: str, member: Member) -> None:
        """Leave, or be thrown out."""
        if self.holds(instance, member):
            del self._members[instance]
            self._change()

    def holds(self, instance: str, member: Member) -> bool:
        """Whether it is a member (still)."""
        return self._members.get(instance) is member

    def has_rejoined(self, instance: str, generation: int) -> None:
        """A member has given its partitions back and waits for new ones."""
        self._later(self._note_rejoined, instance, generation)

    def watch(self) -> None:
        """Throw out who was not heard of for a session: dead, or standing still."""
        now = self._loop.time()
        for instance, member in list(self._members.items()):
            process = member.process
            if not process.alive or process.resumes_at - now > 0:
                self._loop.call_later(
                    SESSION_SECONDS, self._throw_out, instance, member, context=self._loop.world.context
                )
        self._loop.call_later(1.0, self.watch, context=self._loop.world.context)

    def _throw_out(self, instance: str, member: Member) -> None:
        if not member.process.alive or member.process.resumes_at > self._loop.time():
            self.leave(instance, member)

    def _later(self, call: Callable[..., None], *args: object) -> None:
        self._loop.call_later(self._faults.delay_seconds(), call, *args, context=self._loop.world.context)

    def _change(self) -> None:
        self.generation += 1
        self._awaited = set(self._members)
        self._loop.tell(f"generation {self.generation} of {sorted(self._members)}")
        for member in self._members.values():
            delay = self._faults.delay_seconds()
            self._loop.call_later(delay, member.revoke, self.generation, context=member.process.context)
        self._loop.call_later(SESSION_SECONDS, self._assign, self.generation, context=self._loop.world.context)

    def _note_rejoined(self, instance: str, generation: int) -> None:
        if generation == self.generation and instance in self._awaited:
            self._awaited.discard(instance)
            if not self._awaited:
                self._assign(generation)

    def _assign(self, generation: int) -> None:
        if generation != self.generation or generation == self._assigned_generation:
            return
        for instance in self._awaited:
            del self._members[instance]
        if self._awaited:
            # Who did not come in time is out; the others are asked anew.
            self._change()
            return
        self._assigned_generation = generation
        names = sorted(self._members)
        places = list(self._places)
        self._faults.draw.shuffle(places)
        for number, name in enumerate(names):
            member = self._members[name]
            part = set(places[number :: len(names)])
            delay = self._faults.delay_seconds()
            self._loop.call_later(delay, member.assign, generation, part, context=member.process.context)
