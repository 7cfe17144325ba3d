"""That a history ends in one state whatever its way through the real processors, and that all of it can be taken back.

Histories make and undo merges, divide people whom a shared number had joined, and let an office's number become
nobody's and somebody's again. They reach link and integrate shuffled, repeated, cut anywhere, partition by partition
in any interleaving, with heartbeats and restarts anywhere in between.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_process import (
    CONTRIBUTIONS,
    EMPLOYMENTS,
    INSURED_PERSONS,
    KEY,
    NON_THAI_IDS,
    PAIRS,
    WORK_PERMITS,
    Event,
    InProcessPlatform,
    contribution,
    insured,
    job,
    opened,
    pair,
    permit,
    person_number,
    versioned,
)
from oracle.arrivals import arrive, migrated, platform_in

from saphan_projections.canonical import StateHash, state_hash
from saphan_projections.database import Database, create_tables
from saphan_projections.law import default_law
from saphan_projections.settled import settled_alerts
from saphan_schemas.codec import Codec
from saphan_schemas.topics import FEEDS, HEARTBEATS, MESSAGE_BYTES_MAX
from saphan_streams.replay import Replay
from saphan_streams.transport import Chunk

Platforms = Callable[[], AbstractContextManager[InProcessPlatform]]

PEOPLE = 9
OFFICE = "OFF9900900"
HEARTBEAT_EVENTS: list[Event] = [
    (HEARTBEATS, {"feed": INSURED_PERSONS, "complete_until": until})
    for until in ("2026-01-20T00:00:00Z", "2026-02-10T00:00:00Z", "2026-03-20T00:00:00Z")
]


def _born(number: int) -> str:
    return f"19{80 + number}-05-17"


def _event(kind: int, number: int, other: int, turn: int) -> Event:
    """One change about a person; ``other`` is somebody else, whose numbers may be written in its place."""
    own = {"non_thai_id": person_number(number), "nationality": "MMR", "birth_date": _born(number)}
    passport = {"passport_number": f"MB{700000 + other}"}
    ends = (None, "2026-01-15", "2026-06-30")
    choices: list[Event] = [
        (WORK_PERMITS, permit(number, birth_date=_born(number), permit_number=OFFICE)),
        (WORK_PERMITS, permit(number, birth_date=_born(number))),
        (WORK_PERMITS, permit(number, birth_date=_born(number), **passport)),
        (NON_THAI_IDS, {**own, "record_id": f"D-{number}", **passport}),
        (NON_THAI_IDS, {**own, "record_id": f"D-{number}"}),
        (EMPLOYMENTS, job(number, f"EMP-{'AB'[turn % 2]}", end_date=ends[other % 3])),
        (EMPLOYMENTS, job(number, non_thai_id=person_number(other), permit_number=(OFFICE, None)[turn % 2])),
        (INSURED_PERSONS, insured(number, ("7100000011", "7100000099")[turn % 2], end_date=ends[other % 3])),
        (CONTRIBUTIONS, contribution(number, f"2026-0{1 + turn % 2}", amount_satang=100 * turn)),
        (PAIRS, pair(f"P-{turn % 2}", ("7100000011", "7100000099")[number % 2], f"EMP-{'AB'[other % 2]}")),
        *[
            (feed, {"record_id": record_id, "deleted": True})
            for feed, record_id in (
                (WORK_PERMITS, f"WP-{number}"),
                (NON_THAI_IDS, f"D-{number}"),
                (EMPLOYMENTS, f"E-{number}"),
                (INSURED_PERSONS, f"I-{number}"),
                (PAIRS, f"P-{turn % 2}"),
            )
        ],
    ]
    return choices[kind % len(choices)]


_people = st.integers(1, PEOPLE)
_one = st.builds(_event, st.integers(0, 14), _people, _people, st.integers(0, 5))


#: Of any length alike, as short ones make and undo little. At first the office's number may be on nearly eight
#: permits, or on more.
histories = st.builds(
    lambda permits, changes: versioned([*(_event(0, number, 1, 0) for number in range(1, permits + 1)), *changes]),
    st.sampled_from([0, 7, 8, 9]),
    st.integers(5, 50).flatmap(lambda length: st.lists(_one, min_size=length, max_size=length)),
)
shapes = st.randoms(use_true_random=False)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Platforms:
    """A function that opens a new empty platform."""
    template = migrated(tmp_path_factory.mktemp("template"))

    @contextmanager
    def platform() -> Iterator[InProcessPlatform]:
        with opened(lambda: platform_in(tmp_path_factory.mktemp("platform"), template)) as made:
            yield made

    return platform


def told_calmly(platform: InProcessPlatform, history: Sequence[Event]) -> None:
    """Everything in its order, read at once."""
    for feed, record in history:
        platform.publish(feed, record)
    for _, beat in HEARTBEAT_EVENTS:
        platform.heartbeat(beat["feed"], beat["complete_until"])
    platform.run()


def alerts_of(platform: InProcessPlatform) -> tuple[dict[str, tuple[Any, ...]], dict[str, tuple[Any, ...]]]:
    """The alerts as they are stored, and as they are settled anew."""
    with platform.state_database.reading() as transaction:
        rows = transaction.rows(
            "SELECT alert_id, worker_id, state, reason, hold, due_day, since_day, employer_id, version FROM alert"
            " WHERE reason <> 'employment_deleted'"
        )
        settled = {
            a.alert_id: (a.worker_id, a.state, a.reason, a.hold, a.due_day, a.since_day, a.employer_id, a.version)
            for a in settled_alerts(transaction, default_law())
        }
    return {row[0]: row[1:] for row in rows}, settled


def replayed(platform: InProcessPlatform, folder: Path, shape: random.Random) -> StateHash:
    """The state of a replay that reads the partitions of the feeds in any interleaving."""
    database = Database(f"sqlite:///{folder / 'replay.db'}")
    create_tables(database)
    replay = Replay(database, database, Codec(), default_law(), KEY, MESSAGE_BYTES_MAX)
    waiting = {
        (topic, partition): list(rows) for topic in FEEDS for partition, rows in platform.log.get(topic, {}).items()
    }
    while waiting:
        places = shape.sample(sorted(waiting), shape.randint(1, min(3, len(waiting))))
        size = shape.choice([1, 3, 100])
        replay.apply(tuple(Chunk(*place, waiting[place][:size]) for place in places))
        for place in places:
            del waiting[place][:size]
            if not waiting[place]:
                del waiting[place]
    replay.finish()
    with database.reading() as transaction:
        found = state_hash(transaction, default_law())
    database.close()
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories, shape=shapes)
def test_shuffled_repeated_cut_and_interleaved_a_history_ends_in_the_same_state_and_alerts(
    fresh: Platforms, history: list[Event], shape: random.Random
) -> None:
    with fresh() as calm, fresh() as wild:
        told_calmly(calm, history)
        arrive(wild, list(history), list(HEARTBEAT_EVENTS), shape)
        assert wild.state() == calm.state()
        stored, settled = alerts_of(wild)
        assert stored == settled
        assert {key: row[:-1] for key, row in stored.items()} == {
            key: row[:-1] for key, row in alerts_of(calm)[0].items()
        }


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories, shape=shapes)
def test_only_the_newest_version_of_each_record_counts(
    fresh: Platforms, history: list[Event], shape: random.Random
) -> None:
    """What a record said before leaves no trace: neither in who is one person nor in any alert."""
    newest = {(feed, record["record_id"]): (feed, record) for feed, record in history}
    with fresh() as long, fresh() as short:
        told_calmly(long, history)
        told_calmly(short, shape.sample(list(newest.values()), len(newest)))
        assert long.state() == short.state()
        assert alerts_of(long)[1].keys() == alerts_of(short)[1].keys()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories, extra=histories, shape=shapes)
def test_whatever_others_join_split_or_poison_all_is_as_before_once_they_are_taken_back(
    fresh: Platforms, history: list[Event], extra: list[Event], shape: random.Random
) -> None:
    others = [(feed, {**record, "record_id": f"X-{record['record_id']}"}) for feed, record in extra]
    versions = {(feed, record["record_id"]): record["version"] for feed, record in others}
    gone: list[Event] = [
        (feed, {"record_id": record_id, "version": version + 1, "deleted": True})
        for (feed, record_id), version in versions.items()
    ]
    with fresh() as calm, fresh() as wild:
        told_calmly(calm, history)
        arrive(wild, [*history, *others], list(HEARTBEAT_EVENTS), shape)
        arrive(wild, gone, [], shape)
        assert wild.state() == calm.state()
        stored, settled = alerts_of(wild)
        assert stored == settled


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories, shape=shapes)
def test_a_replay_in_any_interleaving_ends_where_any_live_way_ended(
    fresh: Platforms, tmp_path_factory: pytest.TempPathFactory, history: list[Event], shape: random.Random
) -> None:
    with fresh() as wild:
        arrive(wild, list(history), list(HEARTBEAT_EVENTS), shape)
        assert replayed(wild, tmp_path_factory.mktemp("replay"), shape) == wild.state()


def test_the_histories_merge_divide_and_let_the_offices_number_come_and_go(fresh: Platforms) -> None:
    """Histories in which nothing happens would prove nothing."""
    met = dict.fromkeys(("merged", "divided", "nobody's", "somebody's again"), 0)

    @settings(max_examples=15, deadline=None, derandomize=True, database=None)
    @given(histories)
    def look(history: list[Event]) -> None:
        seen: set[str] = set()
        workers, generic = 0, False
        with fresh() as platform:
            for feed, record in history:
                platform.publish(feed, record)
                platform.run(topics=(feed,))
                with platform.link_database.reading() as transaction:
                    ((count,),) = transaction.rows("SELECT count(*) FROM link_worker")
                    is_generic = bool(transaction.rows("SELECT 1 FROM generic_identifier"))
                seen |= {"merged"} if count < workers and not record.get("deleted") else set()
                seen |= {"divided"} if count > workers + 1 else set()
                seen |= {"nobody's"} if is_generic else set()
                seen |= {"somebody's again"} if generic and not is_generic else set()
                workers, generic = count, is_generic
        for one in seen:
            met[one] += 1

    look()
    assert min(met.values()) >= 2, met
