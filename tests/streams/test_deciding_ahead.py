"""That integrate may decide before it takes the lock: what came between is noticed, and nothing stale is kept."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_process import KEY, NOW_MS, InProcessPlatform, on_sqlite, opened, tell_small_story
from sqlalchemy import event

from saphan_projections.canonical import StateHash
from saphan_projections.database import Database, Transaction
from saphan_projections.law import default_law
from saphan_projections.offsets import Fenced
from saphan_schemas.codec import Codec
from saphan_schemas.topics import TOPICS, WORKER_RECORDS
from saphan_streams.integrate import IntegrateProcessor, IntegrateSettings
from saphan_streams.transport import Chunk, Fetch

PLACES = [(WORKER_RECORDS, number) for number in range(TOPICS[WORKER_RECORDS].partitions)]
#: Long enough for any machine; nothing waits for it but a failure.
GIVE_UP_SECONDS = 60
CODEC = Codec()


def nothing() -> None:
    """Nobody comes between."""


class Interrupted(Database):
    """Lets something happen once: just before the next transaction that writes, or just before its commit."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.before_writing: Callable[[], object] = nothing
        self.before_commit: Callable[[], object] = nothing

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        comes_between, self.before_writing = self.before_writing, nothing
        comes_between()
        with super().transaction() as transaction:
            yield transaction
            comes_between, self.before_commit = self.before_commit, nothing
            comes_between()


def integrate_of(database: Database, owner: str) -> IntegrateProcessor:
    return IntegrateProcessor(
        database, CODEC, IntegrateSettings(owner, KEY, default_law(), lambda: NOW_MS, lambda _: None)
    )


class Two:
    """Two owners of one database, of whom the first may be interrupted."""

    def __init__(self, platform: InProcessPlatform) -> None:
        self.platform = platform
        self.database = Interrupted(platform.state_url)
        self.one = integrate_of(self.database, "one")
        self.two = integrate_of(platform.state_database, "two")

    def write(self, sql: str, parameters: tuple[object, ...] = ()) -> None:
        with self.platform.state_database.transaction() as transaction:
            transaction.execute(sql, parameters)


def take_over(owner: IntegrateProcessor, fetch: Fetch | None) -> None:
    """Claim everything, and commit what the former owner was about to."""
    owner.resume(PLACES)
    if fetch is not None:
        owner.commit(fetch, set(), None)


def told(platform: InProcessPlatform) -> list[Fetch]:
    """What link said of the small story, in two fetches of all partitions."""
    tell_small_story(platform)
    platform.run_link(3)
    log = platform.log[WORKER_RECORDS]
    return [
        tuple(Chunk(WORKER_RECORDS, number, rows[: len(rows) // 2]) for number, rows in sorted(log.items())),
        tuple(Chunk(WORKER_RECORDS, number, rows[len(rows) // 2 :]) for number, rows in sorted(log.items())),
    ]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Two]:
    """Two owners on a database of each kind."""

    def build() -> InProcessPlatform:
        if request.param == "sqlite":
            return on_sqlite(tmp_path)
        url = request.getfixturevalue("postgres_url")
        return InProcessPlatform(url, url)

    with opened(build) as platform:
        made = Two(platform)
        yield made
        made.database.close()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> StateHash:
    """The state where nobody comes between."""
    with opened(lambda: on_sqlite(tmp_path_factory.mktemp("calm"))) as platform:
        tell_small_story(platform)
        platform.run()
        return platform.state()


def test_what_was_decided_before_another_owner_took_over_is_not_written(both: Two, calm: StateHash) -> None:
    first, second = told(both.platform)
    both.one.resume(PLACES)
    written = []

    def overtake() -> None:
        both.two.resume(PLACES)
        written.append(both.two.commit(first, set(), None))

    both.database.before_writing = overtake
    with pytest.raises(Fenced):
        both.one.commit(first, set(), None)
    both.one.reset()
    (by_two,) = written
    assert by_two is not None
    assert both.one.resume(PLACES).unsent == by_two, "nothing but what the other one decided"
    assert both.one.commit(second, set(), None) is not None
    assert both.platform.state() == calm


def test_the_partitions_that_stay_are_decided_anew_when_a_fetch_loses_one_of_them(both: Two, calm: StateHash) -> None:
    """What was decided is in the owner's memory and in no row; decided upon that, the chunk would change nothing."""
    first, second = told(both.platform)
    both.one.resume(PLACES)
    lost = first[0].place
    both.database.before_writing = lambda: both.two.resume([lost])
    with pytest.raises(Fenced):
        both.one.commit(first, set(), None)
    both.one.reset()
    with pytest.raises(Fenced):
        both.one.commit(first[:1], set(), None)
    both.one.reset()
    for fetch in (first[1:], second[1:]):
        assert both.one.commit(fetch, set(), None) is not None
    for fetch in (first[:1], second[:1]):
        assert both.two.commit(fetch, set(), None) is not None
    assert both.platform.state() == calm


def test_a_commit_that_is_answered_late_is_found_between_deciding_and_writing(both: Two, calm: StateHash) -> None:
    """PostgreSQL may still be at it while its client, whose connection broke, begins again."""
    first, second = told(both.platform)
    both.one.resume(PLACES)
    arrived = []

    def arrive() -> None:
        both.two.resume(PLACES)
        arrived.append(both.two.commit(first, set(), None))
        both.write("UPDATE source_offset SET owner_epoch = owner_epoch - 1 WHERE app = 'integrate'")

    both.database.before_writing = arrive
    unsent = both.one.commit(first, set(), None)
    assert unsent == arrived[0]
    assert unsent is not None
    assert both.one.commit(second, {number for number, _ in unsent}, None) is not None
    assert both.platform.state() == calm


def test_a_former_owner_does_not_read_what_its_successor_wrote(both: Two) -> None:
    """The successor may be of a newer release and write what this one cannot even unpack."""
    first, _ = told(both.platform)
    both.one.resume(PLACES)
    both.two.resume(PLACES)
    assert both.two.commit(first, set(), None) is not None
    both.write("UPDATE worker SET state = ?", (b"\xc1",))
    with pytest.raises(Fenced):
        both.one.commit(first, set(), None)


def test_one_process_decides_while_another_is_in_its_transaction(tmp_path: Path, calm: StateHash) -> None:
    """With SQLite the second one would have waited for the whole fold of the first."""
    with opened(lambda: on_sqlite(tmp_path)) as platform:
        first, second = told(platform)
        held, waiting = Two(platform), Interrupted(platform.state_url)
        one, two = held.one, integrate_of(waiting, "two")
        one.resume(PLACES[:2])
        two.resume(PLACES[2:])
        said: queue.Queue[str] = queue.Queue()
        event.listen(waiting.engine, "before_cursor_execute", lambda *row: said.put(row[2]))
        ended: list[object] = []
        other = threading.Thread(target=lambda: ended.append(two.commit(first[2:], set(), None)))

        def decide_beside() -> None:
            other.start()
            until_it_writes = list(iter(lambda: said.get(timeout=GIVE_UP_SECONDS), "BEGIN IMMEDIATE"))
            assert any("FROM worker " in sql for sql in until_it_writes), "it reads what it decides on"
            assert ended == [], "it waits for the lock"

        held.database.before_commit = decide_beside
        assert one.commit(first[:2], set(), None) is not None
        other.join(GIVE_UP_SECONDS)
        assert len(ended) == 1
        assert one.commit(second[:2], set(), None) is not None
        assert two.commit(second[2:], set(), None) is not None
        assert platform.state() == calm
        held.database.close()
        waiting.close()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(takeovers=st.lists(st.booleans(), min_size=8, max_size=8), early=st.lists(st.booleans(), min_size=8, max_size=8))
def test_any_takeovers_between_deciding_and_writing_give_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, calm: StateHash, takeovers: list[bool], early: list[bool]
) -> None:
    with opened(lambda: on_sqlite(tmp_path_factory.mktemp("race"))) as platform:
        chunks = [chunk for fetch in told(platform) for chunk in fetch]
        databases = [Interrupted(platform.state_url), Interrupted(platform.state_url)]
        owner, other = (integrate_of(database, str(number)) for number, database in enumerate(databases))
        owner.resume(PLACES)
        for chunk, is_taken, is_committed in zip(chunks, takeovers, early, strict=True):
            if is_taken:
                databases[0].before_writing = partial(take_over, other, (chunk,) if is_committed else None)
                with pytest.raises(Fenced):
                    owner.commit((chunk,), set(), None)
                owner.reset()
                owner, other = other, owner
                databases.reverse()
            if not (is_taken and is_committed):
                owner.commit((chunk,), set(), None)
        assert platform.state() == calm
        for database in databases:
            database.close()
