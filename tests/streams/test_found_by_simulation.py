"""Faults that the simulated shell found: each one lost messages or a partition, and only when two things met."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from in_process import EMPLOYMENTS, KEY, NOW_MS, InProcessPlatform, job, messages_in

from saphan_projections.database import Database, DatabaseUnavailable, Transaction
from saphan_projections.law import default_law
from saphan_projections.offsets import Fenced
from saphan_schemas.codec import Codec
from saphan_schemas.topics import FEEDS, TOPICS, WORKER_RECORDS
from saphan_streams.integrate import IntegrateProcessor, IntegrateSettings
from saphan_streams.shell import Processor
from saphan_streams.transport import Chunk


class ForgetfulDatabase(Database):
    """Commits, and loses the answers to the next commits."""

    lose_answers = 0

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with super().transaction() as transaction:
            yield transaction
        if self.lose_answers:
            self.lose_answers -= 1
            message = "away after the commit"
            raise DatabaseUnavailable(message)


@pytest.fixture
def forgetful(in_process_platform: InProcessPlatform) -> InProcessPlatform:
    """A platform whose databases can be told to lose answers."""
    in_process_platform.close()
    in_process_platform.link_database = ForgetfulDatabase(in_process_platform.link_url)
    in_process_platform.state_database = ForgetfulDatabase(in_process_platform.state_url)
    in_process_platform.restart()
    return in_process_platform


def first_chunk(platform: InProcessPlatform, topics: tuple[str, ...]) -> Chunk:
    return next(
        Chunk(topic, number, rows) for topic in topics for number, rows in sorted(platform.log.get(topic, {}).items())
    )


@pytest.mark.parametrize("app", ["link", "integrate"])
def test_a_chunk_whose_answer_was_lost_twice_is_not_taken_for_one_that_says_nothing_new(
    forgetful: InProcessPlatform, app: str
) -> None:
    """The second try moved the position in memory before its own commit failed; the third found nothing to send."""
    platform = forgetful
    platform.publish(EMPLOYMENTS, job(1))
    if app == "integrate":
        link_everything(platform)
    processor: Processor = platform.link if app == "link" else platform.integrate
    database = platform.link_database if app == "link" else platform.state_database
    assert isinstance(database, ForgetfulDatabase)
    chunk = first_chunk(platform, FEEDS if app == "link" else (WORKER_RECORDS,))
    database.lose_answers = 3
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            processor.commit((chunk,), set(), None)
        processor.reset()
    done = processor.commit((chunk,), set(), None)
    assert done
    assert messages_in(done)


def test_a_part_of_a_chunk_that_comes_again_does_not_put_the_position_back(
    in_process_platform: InProcessPlatform,
) -> None:
    """A chunk that was under way in a rebalance is committed after it, and its messages are then read once more."""
    platform = in_process_platform
    platform.publish(EMPLOYMENTS, *(job(number) for number in range(1, 9)))
    chunk = first_chunk(platform, (EMPLOYMENTS,))
    assert len(chunk.records) > 2
    platform.link.commit((chunk,), set(), None)
    platform.link.commit((chunk._replace(records=chunk.records[:1]),), set(), None)
    assert platform.link.positions()[chunk.topic, chunk.partition] == chunk.next_offset
    platform.link.commit((chunk._replace(records=chunk.records[1:]),), set(), None)
    assert platform.link.positions()[chunk.topic, chunk.partition] == chunk.next_offset


def integrate_of(platform: InProcessPlatform, owner: str) -> IntegrateProcessor:
    settings = IntegrateSettings(owner, KEY, default_law(), lambda: NOW_MS, lambda _: None)
    return IntegrateProcessor(platform.state_database, Codec(), settings)


def test_an_owner_whose_claim_was_taken_by_one_that_came_late_leaves_instead_of_dropping_everything(
    in_process_platform: InProcessPlatform,
) -> None:
    """The first owner's claim was under way when the next rebalance gave the partition away; nobody read it again."""
    rightful, late = integrate_of(in_process_platform, "one"), integrate_of(in_process_platform, "two")
    place = (WORKER_RECORDS, 0)
    rightful.resume([place])
    rightful.tidy(set())
    late.resume([place])
    late.resume([])
    rightful.tidy(set())  # in a rebalance this may be so for a moment
    with pytest.raises(Fenced, match=r"worker\.records\.v2\[0\] is claimed by another owner"):
        rightful.tidy(set())


def test_an_owner_that_gave_a_partition_away_in_a_rebalance_stays(in_process_platform: InProcessPlatform) -> None:
    one, two = integrate_of(in_process_platform, "one"), integrate_of(in_process_platform, "two")
    places = [(WORKER_RECORDS, number) for number in range(TOPICS[WORKER_RECORDS].partitions)]
    one.resume(places)
    for _ in range(3):
        two.resume(places[:2])
        one.tidy(set())
        one.resume(places[2:])
        one.tidy(set())
        two.tidy(set())
        one, two = two, one
        places.reverse()


def link_everything(platform: InProcessPlatform) -> None:
    for topic in FEEDS:
        for partition in range(TOPICS[topic].partitions):
            platform._run_partition("link", platform.link, (topic, partition), 4000)
