"""That link and integrate lose and double nothing when the database, the owner or the order of things plays tricks."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from in_process import (
    EMPLOYMENTS,
    INSURED_PERSONS,
    KEY,
    NOW_MS,
    WORK_PERMITS,
    InProcessPlatform,
    insured,
    job,
    messages_in,
    on_sqlite,
    permit,
    tell_small_story,
    told_by_link,
)

from saphan_projections.database import Database, DatabaseUnavailable, Transaction
from saphan_projections.law import default_law
from saphan_projections.offsets import Fenced
from saphan_schemas.codec import Codec
from saphan_schemas.topics import (
    DEAD_LETTERS,
    ENROLMENT_ALERTS,
    FEEDS,
    HEARTBEATS,
    MESSAGE_BYTES_MAX,
    TOPICS,
    WORKER_INTEGRATED,
    WORKER_RECORDS,
)
from saphan_streams.integrate import IntegrateProcessor, IntegrateSettings
from saphan_streams.link import LeaseHeld, LinkProcessor, LinkSettings
from saphan_streams.shell import Unsent
from saphan_streams.transport import Chunk

LEASE_MS = 15_000


class UncertainDatabase(Database):
    """Loses the answer to the next commit, or fails before it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.lose_answers = 0
        self.refuse_commits = 0

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with super().transaction() as transaction:
            yield transaction
            if self.refuse_commits:
                self.refuse_commits -= 1
                message = "away before the commit"
                raise DatabaseUnavailable(message)
        if self.lose_answers:
            self.lose_answers -= 1
            message = "away after the commit"
            raise DatabaseUnavailable(message)


@pytest.fixture
def uncertain(in_process_platform: InProcessPlatform) -> InProcessPlatform:
    """A platform whose databases can be told to fail around a commit."""
    in_process_platform.close()
    in_process_platform.link_database = UncertainDatabase(in_process_platform.link_url)
    in_process_platform.state_database = UncertainDatabase(in_process_platform.state_url)
    in_process_platform.restart()
    return in_process_platform


def chunks_of(platform: InProcessPlatform, topics: tuple[str, ...]) -> list[Chunk]:
    return [
        Chunk(topic, partition, rows[start : start + 2])
        for topic in topics
        for partition, rows in sorted(platform.log.get(topic, {}).items())
        for start in range(0, len(rows), 2)
    ]


def commit_stubbornly(
    platform: InProcessPlatform, app: str, chunk: Chunk, sent: set[int], prepare: Callable[[UncertainDatabase], None]
) -> Unsent:
    """As the shell does it: again and again, forgetting what was read ahead, until the database answers."""
    processor = platform.link if app == "link" else platform.integrate
    database = platform.link_database if app == "link" else platform.state_database
    assert isinstance(database, UncertainDatabase)
    prepare(database)
    while True:
        try:
            done = processor.commit((chunk,), sent, None)
        except DatabaseUnavailable:
            processor.reset()
            continue
        assert done is not None
        return done


def lose_the_answer(database: UncertainDatabase) -> None:
    database.lose_answers = 1


def fail_before_the_commit(database: UncertainDatabase) -> None:
    database.refuse_commits = 2


@pytest.mark.parametrize("trouble", [lose_the_answer, fail_before_the_commit])
def test_a_commit_whose_answer_was_lost_is_neither_repeated_nor_taken_for_another_owner(
    uncertain: InProcessPlatform, tmp_path_factory: pytest.TempPathFactory, trouble: Callable[[UncertainDatabase], None]
) -> None:
    """The position had moved, so every later chunk was dropped as if another owner had it, and its messages stayed unsent."""
    platform = uncertain
    tell_small_story(platform)
    platform.publish(EMPLOYMENTS, job(6), job(7))
    for app, topics in (("link", FEEDS), ("integrate", (WORKER_RECORDS,))):
        sent: set[int] = set()
        for chunk in chunks_of(platform, topics):
            done = commit_stubbornly(platform, app, chunk, sent, trouble)
            assert all(messages for _, messages in done)
            for message in messages_in(done):
                platform.publish_raw(message.topic, message.key, message.value, message.partition)
            sent = {number for number, _ in done} or sent
        database = platform.link_database if app == "link" else platform.state_database
        with database.reading() as transaction:
            left = {number for (number,) in transaction.rows("SELECT outbox_no FROM outbox WHERE app = ?", (app,))}
        assert left == sent, "what was sent before the last chunk is deleted, nothing is forgotten"
    calm = on_sqlite(tmp_path_factory.mktemp("calm"))
    tell_small_story(calm)
    calm.publish(EMPLOYMENTS, job(6), job(7))
    calm.run()
    assert platform.state() == calm.state()
    # What was read ahead of a commit that failed is not in the rows that a successor begins with.
    for one in (platform, calm):
        one.restart()
        one.publish(WORK_PERMITS, permit(6), permit(7))
        one.run()
    assert platform.state() == calm.state()
    calm.close()


def kinds_by_batch(platform: InProcessPlatform, done: Unsent) -> list[list[str]]:
    """What kinds of messages link sends, in each batch."""
    return [[said["kind"] for said in told_by_link(platform.codec, row.value)] for row in messages_in(done)]


def kinds_in(platform: InProcessPlatform, done: Unsent) -> list[str]:
    """What kinds of messages link sends."""
    return [kind for batch in kinds_by_batch(platform, done) for kind in batch]


def test_a_heartbeat_that_waits_is_still_known_after_an_answer_was_lost(uncertain: InProcessPlatform) -> None:
    platform = uncertain
    platform.publish(INSURED_PERSONS, insured(1), insured(2), insured(3), insured(4))
    platform.heartbeat(INSURED_PERSONS, "2026-03-01T00:00:00Z")
    (beat,) = chunks_of(platform, (HEARTBEATS,))
    assert commit_stubbornly(platform, "link", beat, set(), lose_the_answer) == []
    said, sent = list[list[str]](), set[int]()
    for chunk in chunks_of(platform, (INSURED_PERSONS,)):
        done = commit_stubbornly(platform, "link", chunk, sent, lose_the_answer)
        said += kinds_by_batch(platform, done)
        sent = {number for number, _ in done}
    assert Counter(kind for batch in said for kind in batch) == {
        "record": 4,
        "heartbeat": TOPICS[WORKER_RECORDS].partitions,
    }
    assert ["record", "heartbeat"] in said
    assert all("heartbeat" not in batch[:-1] for batch in said), "it comes behind every record of its partition"


def test_a_heartbeat_waits_for_every_partition_that_it_names(in_process_platform: InProcessPlatform) -> None:
    platform = in_process_platform
    platform.publish(INSURED_PERSONS, *(insured(number) for number in range(1, 9)))
    platform.heartbeat(INSURED_PERSONS, "2026-03-01T00:00:00Z")
    beats = chunks_of(platform, (HEARTBEATS,))
    records = chunks_of(platform, (INSURED_PERSONS,))
    assert {chunk.partition for chunk in records} == {0, 1}
    for chunk in [*beats, *records[:-1]]:
        done = platform.link.commit((chunk,), set(), None)
        assert done is not None
        assert "heartbeat" not in kinds_in(platform, done)
        platform.restart()  # what waits is in the database
    done = platform.link.commit((records[-1],), set(), None)
    assert done is not None
    last = told_by_link(platform.codec, messages_in(done)[-1].value)[-1]
    assert (last["kind"], last["record_id"]) == ("heartbeat", INSURED_PERSONS)


def test_a_heartbeat_passes_with_the_last_message_that_it_names_and_not_before(
    in_process_platform: InProcessPlatform,
) -> None:
    platform = in_process_platform
    platform.publish(INSURED_PERSONS, *(insured(number) for number in range(1, 9)))
    platform.heartbeat(INSURED_PERSONS, "2026-03-01T00:00:00Z")
    (beat,) = chunks_of(platform, (HEARTBEATS,))
    assert platform.link.commit((beat,), set(), None) is not None
    kinds: list[set[str]] = []
    for chunk in chunks_of(platform, (INSURED_PERSONS,)):
        for record in chunk.records:
            done = platform.link.commit((chunk._replace(records=[record]),), set(), None)
            assert done is not None
            kinds.append(set(kinds_in(platform, done)))
    assert kinds == [{"record"}] * 7 + [{"record", "heartbeat"}]


def test_no_key_of_a_message_says_whose_record_it_is(in_process_platform: InProcessPlatform) -> None:
    """C6: keys are in every log and every tool; a worker's number means nothing outside."""
    platform = in_process_platform
    tell_small_story(platform)
    platform.publish_raw(EMPLOYMENTS, b"nobody", b"nonsense")
    platform.run()
    forms = {
        WORKER_INTEGRATED: r"\d{1,4}",
        ENROLMENT_ALERTS: r"A-[a-z2-7]{16}",
        DEAD_LETTERS: r"[a-z0-9.-]+-\d+-\d+",
    }
    for topic, form in forms.items():
        keys = [(record.key or b"").decode() for rows in platform.log[topic].values() for record in rows]
        assert keys
        assert [key for key in keys if not re.fullmatch(form, key)] == []
    assert {record.key for rows in platform.log[WORKER_RECORDS].values() for record in rows} == {None}


def test_of_several_heartbeats_the_newest_reached_passes_and_the_rest_wait(
    in_process_platform: InProcessPlatform,
) -> None:
    platform = in_process_platform
    for month in range(1, 4):
        platform.publish(INSURED_PERSONS, insured(month))
        platform.heartbeat(INSURED_PERSONS, f"2026-0{month}-01T00:00:00Z")
    for chunk in chunks_of(platform, (HEARTBEATS,)):
        platform.link.commit((chunk,), set(), None)
    passed = []
    for chunk in chunks_of(platform, (INSURED_PERSONS,)):
        for record in chunk.records:
            done = platform.link.commit((chunk._replace(records=[record]),), set(), None)
            assert done is not None
            for message in messages_in(done):
                values = told_by_link(platform.codec, message.value)
                passed += [value["changed_at"] for value in values if value["kind"] == "heartbeat"]
    assert passed == sorted(passed)
    with platform.link_database.reading() as transaction:
        assert transaction.rows("SELECT feed FROM pending_heartbeat") == []


def link_of(platform: InProcessPlatform, owner: str, now_ms: Callable[[], int] = lambda: NOW_MS) -> LinkProcessor:
    settings = LinkSettings(owner, MESSAGE_BYTES_MAX, now_ms, lambda _: None)
    return LinkProcessor(platform.link_database, Codec(), settings)


PLACES = [(EMPLOYMENTS, 0), (EMPLOYMENTS, 1)]


def test_a_standby_waits_for_the_lease_and_then_fences_who_held_it(in_process_platform: InProcessPlatform) -> None:
    now = [NOW_MS]
    active = link_of(in_process_platform, "one", lambda: now[0])
    standby = link_of(in_process_platform, "two", lambda: now[0])
    with in_process_platform.link_database.transaction() as transaction:
        transaction.execute("DELETE FROM source_offset")
    active.resume(PLACES)
    in_process_platform.publish(EMPLOYMENTS, job(1), job(2))
    chunk, *_ = chunks_of(in_process_platform, (EMPLOYMENTS,))
    for _ in range(3):
        with pytest.raises(LeaseHeld):
            standby.resume(PLACES)
        now[0] += LEASE_MS - 1
        active.tidy(set())
    now[0] += LEASE_MS
    standby.resume(PLACES)
    with pytest.raises(Fenced):
        active.commit((chunk,), set(), None)
    with pytest.raises(Fenced):
        active.tidy(set())
    assert standby.commit((chunk,), set(), None) is not None


def test_a_link_that_lost_its_lease_writes_nothing_although_no_partition_was_claimed_yet(
    in_process_platform: InProcessPlatform,
) -> None:
    """Between the lease and the partitions of its successor lies the joining of the consumer group: many seconds."""
    now = [NOW_MS]
    in_process_platform.publish(EMPLOYMENTS, job(1))
    (chunk,) = chunks_of(in_process_platform, (EMPLOYMENTS,))
    now[0] += LEASE_MS
    link_of(in_process_platform, "two", lambda: now[0]).become_active()
    with pytest.raises(Fenced):
        in_process_platform.link.commit((chunk,), set(), None)
    with in_process_platform.link_database.reading() as transaction:
        assert transaction.rows("SELECT * FROM record") == transaction.rows("SELECT * FROM outbox") == []


def test_a_restart_at_the_same_place_takes_over_at_once_and_fences_the_zombie(
    in_process_platform: InProcessPlatform,
) -> None:
    zombie = in_process_platform.link
    in_process_platform.publish(EMPLOYMENTS, job(1))
    chunk, *_ = chunks_of(in_process_platform, (EMPLOYMENTS,))
    in_process_platform.restart()
    with pytest.raises(Fenced):
        zombie.commit((chunk,), set(), None)
    with pytest.raises(Fenced):
        zombie.tidy(set())
    assert in_process_platform.link.commit((chunk,), set(), None) is not None


def test_a_lease_that_was_given_up_is_free_at_once(in_process_platform: InProcessPlatform) -> None:
    in_process_platform.link.release()
    link_of(in_process_platform, "another place").resume(PLACES)
    # What its agent still holds is dropped, not written.
    in_process_platform.publish(EMPLOYMENTS, job(1))
    (chunk,) = chunks_of(in_process_platform, (EMPLOYMENTS,))
    assert in_process_platform.link.commit((chunk,), set(), None) is None


def integrate_of(platform: InProcessPlatform, owner: str) -> IntegrateProcessor:
    settings = IntegrateSettings(owner, KEY, default_law(), lambda: NOW_MS, lambda _: None)
    return IntegrateProcessor(platform.state_database, Codec(), settings)


def test_a_partition_that_moved_to_another_process_is_fenced_for_the_first_and_goes_on_without_a_gap(
    in_process_platform: InProcessPlatform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    platform = in_process_platform
    platform.publish(WORK_PERMITS, *(permit(number) for number in range(1, 9)))
    platform.publish(EMPLOYMENTS, *(job(number) for number in range(1, 9)))
    platform.heartbeat(INSURED_PERSONS, "2026-03-01T00:00:00Z")
    platform.run_link(3)
    one, two = integrate_of(platform, "one"), integrate_of(platform, "two")
    places = [(WORKER_RECORDS, number) for number in range(TOPICS[WORKER_RECORDS].partitions)]
    one.resume(places)
    for index, chunk in enumerate(chunks_of(platform, (WORKER_RECORDS,))):
        if index % 3 == 2:  # the other one joins or leaves: everything is assigned anew
            one, two = two, one
            one.resume(places)
            with pytest.raises(Fenced):
                two.commit((chunk,), set(), None)
        assert one.commit((chunk,), set(), None) is not None
    calm = on_sqlite(tmp_path_factory.mktemp("calm"))
    calm.log = {topic: rows for topic, rows in platform.log.items() if topic in FEEDS}
    calm.run()
    assert platform.state() == calm.state()
    calm.close()


def test_what_an_owner_did_not_send_is_sent_by_the_next_one(in_process_platform: InProcessPlatform) -> None:
    platform = in_process_platform
    platform.publish(EMPLOYMENTS, job(1))
    platform.run_link(3)
    (chunk,) = chunks_of(platform, (WORKER_RECORDS,))
    done = platform.integrate.commit((chunk,), set(), None)
    assert done is not None
    place = (WORKER_RECORDS, chunk.partition)
    other_place = (WORKER_RECORDS, (chunk.partition + 1) % 4)
    assert integrate_of(platform, "two").resume([other_place]).unsent == []
    assert integrate_of(platform, "two").resume([place]).unsent == done


def test_a_refused_chunk_moves_the_position_and_leaves_letters(in_process_platform: InProcessPlatform) -> None:
    platform = in_process_platform
    platform.publish(EMPLOYMENTS, job(1))
    (chunk,) = chunks_of(platform, (EMPLOYMENTS,))
    done = platform.link.commit((chunk,), set(), "processing raised KeyError")
    assert done is not None
    (letter,) = (platform.codec.decode(message.topic, message.value) for message in messages_in(done))
    assert (letter["reason"], letter["detail"]) == ("processing_failed", "processing raised KeyError")
    assert letter["value"] == chunk.records[0].value
    assert platform.link.positions()[chunk.topic, chunk.partition] == chunk.next_offset
