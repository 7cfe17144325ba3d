"""That integrate's rows and alerts depend on what it was sent and on nothing else: not chunks, repeats, partitions."""

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_process import (
    CONTRIBUTIONS,
    EMPLOYMENTS,
    INSURED_PERSONS,
    NON_THAI_IDS,
    PAIRS,
    WORK_PERMITS,
    Event,
    InProcessPlatform,
    contribution,
    insured,
    job,
    messages_in,
    on_sqlite,
    one_by_one,
    opened,
    pair,
    permit,
    person_number,
    told_by_link,
    versioned,
)
from log_record import LogRecord

from saphan_projections.integrating import Integrator, WorkerRecord
from saphan_projections.law import default_law
from saphan_projections.link_records import LinkMessage, MessageKind
from saphan_projections.settled import settled_alerts
from saphan_schemas.topics import ENROLMENT_ALERTS, FEEDS, TOPICS, WORKER_RECORDS
from saphan_streams.transport import Chunk

PARTITIONS = TOPICS[WORKER_RECORDS].partitions

FIXTURES_STAY = (HealthCheck.function_scoped_fixture,)


def _bridge(number: int, other: int) -> dict[str, Any]:
    """A registry record that makes one person of two, until it is corrected."""
    return {
        "record_id": f"D-{number}", "non_thai_id": person_number(number), "passport_number": f"MB{700000 + other}",
        "nationality": "MMR", "birth_date": "1990-05-17",
    }  # fmt: skip


def _event(kind: int, number: int, other: int, turn: int) -> Event:
    """One change about a person; ``turn`` makes it differ from the others of its kind."""
    accounts = ("7100000011", "7100000099")
    starts = ("2026-01-01", "2026-01-05", "2026-02-20")
    ends = (None, "2026-01-15", "2026-06-30")
    choices: list[Callable[[], Event]] = [
        lambda: (WORK_PERMITS, permit(number, passport_number=f"MB{700000 + other}")),
        lambda: (EMPLOYMENTS, job(number, f"EMP-{'AB'[other % 2]}", starts[turn % 3], end_date=ends[other % 3])),
        lambda: (EMPLOYMENTS, job(number, f"EMP-{'AB'[turn % 2]}", non_thai_id=person_number(other))),
        lambda: (INSURED_PERSONS, insured(number, accounts[turn % 2], starts[other % 3], end_date=ends[turn % 3])),
        lambda: (CONTRIBUTIONS, contribution(number, f"2026-0{1 + turn % 2}", amount_satang=100 * turn)),
        lambda: (NON_THAI_IDS, _bridge(number, other)),
        lambda: (PAIRS, pair(f"P-{turn % 2}", accounts[number % 2], f"EMP-{'AB'[other % 2]}")),
        lambda: _deleted(EMPLOYMENTS, f"E-{number}"),
        lambda: _deleted(NON_THAI_IDS, f"D-{number}"),
        lambda: _deleted(INSURED_PERSONS, f"I-{number}"),
        lambda: _deleted(PAIRS, f"P-{turn % 2}"),
    ]
    return choices[kind]()


def _deleted(feed: str, record_id: str) -> Event:
    return feed, {"record_id": record_id, "deleted": True}


changes = st.lists(
    st.builds(_event, st.integers(0, 10), st.integers(1, 3), st.integers(1, 3), st.integers(0, 5)),
    min_size=4,
    max_size=40,
)


def run_link(platform: InProcessPlatform, history: Sequence[Event], chunk_records_max: int = 5) -> None:
    """Publish a history with heartbeats in between and at its end, and let link read it."""
    for number, (feed, record) in enumerate(history):
        platform.publish(feed, record)
        if number % 7 == 3:
            _link(platform, chunk_records_max)
            platform.heartbeat(INSURED_PERSONS, f"2026-01-{10 + number % 18:02}T00:00:00Z")
    platform.heartbeat(INSURED_PERSONS, "2026-03-20T00:00:00Z")
    _link(platform, chunk_records_max)


def _link(platform: InProcessPlatform, chunk_records_max: int) -> None:
    for topic in FEEDS:
        for partition in range(TOPICS[topic].partitions):
            platform._run_partition("link", platform.link, (topic, partition), chunk_records_max)


def run_integrate(platform: InProcessPlatform, log: dict[int, list[LogRecord]], shape: random.Random) -> None:
    """Let integrate read its partitions in any interleaving and any chunks, with repeats of what it has read."""
    waiting = {partition: 0 for partition in range(PARTITIONS) if log.get(partition)}
    while waiting:
        partition = shape.choice(sorted(waiting))
        start, size = waiting[partition], shape.choice([1, 1, 2, 5, 40])
        rows = log[partition][start : start + size]
        if shape.random() < 0.2:  # a producer that did not hear of its success sends again
            back = shape.randint(0, start)
            again = log[partition][back : back + 3]
            rows = [row._replace(offset=rows[0].offset) for row in again] + list(rows)
        committed = platform.integrate.commit((Chunk(WORKER_RECORDS, partition, rows),), set(), None)
        assert committed is not None
        platform._append(messages_in(committed))
        if shape.random() < 0.1:
            platform.restart()
        waiting[partition] = start + size
        if waiting[partition] >= len(log[partition]):
            del waiting[partition]


def stored_alerts(platform: InProcessPlatform) -> dict[str, tuple[Any, ...]]:
    with platform.state_database.reading() as transaction:
        rows = transaction.rows(
            "SELECT alert_id, worker_id, state, reason, hold, due_day, since_day, employer_id FROM alert"
            " WHERE reason <> 'employment_deleted'"
        )
    return {row[0]: row[1:] for row in rows}


def recomputed_alerts(platform: InProcessPlatform) -> dict[str, tuple[Any, ...]]:
    with platform.state_database.reading() as transaction:
        return {
            a.alert_id: (a.worker_id, a.state, a.reason, a.hold, a.due_day, a.since_day, a.employer_id)
            for a in settled_alerts(transaction, default_law())
        }


def last_told(platform: InProcessPlatform) -> dict[str, str]:
    """What a receiver knows of each alert in the end: the state with the highest version."""
    newest: dict[str, dict[str, Any]] = {}
    for alert in platform.sent(ENROLMENT_ALERTS):
        known = newest.get(alert["alert_id"])
        if known is None or known["version"] < alert["version"]:
            newest[alert["alert_id"]] = alert
    return {alert_id: alert["state"] for alert_id, alert in newest.items()}


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Any]:
    """A function that opens a new empty platform."""
    numbers = iter(range(100_000))

    @contextmanager
    def platform() -> Iterator[InProcessPlatform]:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        with opened(lambda: on_sqlite(folder)) as made:
            yield made

    return platform


@settings(max_examples=30, deadline=None, suppress_health_check=FIXTURES_STAY)
@given(history=changes, shape=st.randoms(use_true_random=False))
def test_any_chunks_interleaving_of_partitions_repeats_and_restarts_give_the_same_rows_and_alerts(
    fresh: Callable[[], Any], history: list[Event], shape: random.Random
) -> None:
    with fresh() as calm, fresh() as wild:
        run_link(calm, versioned(history))
        log = {number: one_by_one(calm.codec, rows) for number, rows in calm.log.get(WORKER_RECORDS, {}).items()}
        run_integrate(wild, log, shape)
        calm.run()
        assert wild.state() == calm.state()
        assert stored_alerts(wild) == stored_alerts(calm) == recomputed_alerts(calm)


@settings(max_examples=30, deadline=None, suppress_health_check=FIXTURES_STAY)
@given(history=changes, shape=st.randoms(use_true_random=False))
def test_what_a_receiver_knows_in_the_end_is_what_is_settled(
    fresh: Callable[[], Any], history: list[Event], shape: random.Random
) -> None:
    """An alert whose employment is gone ends withdrawn for whoever heard of it, also when it had moved just before."""
    with fresh() as platform:
        run_link(platform, versioned(history))
        log = platform.log.get(WORKER_RECORDS, {})
        run_integrate(platform, {number: one_by_one(platform.codec, rows) for number, rows in log.items()}, shape)
        told, settled = last_told(platform), {key: row[1] for key, row in recomputed_alerts(platform).items()}
        assert {key: told.get(key) for key in settled} == settled
        assert {told[key] for key in told.keys() - settled.keys()} <= {"withdrawn"}


@settings(max_examples=15, deadline=None, suppress_health_check=FIXTURES_STAY)
@given(history=changes, shape=st.randoms(use_true_random=False))
def test_any_order_of_arrival_in_the_feeds_gives_the_same_state(
    fresh: Callable[[], Any], history: list[Event], shape: random.Random
) -> None:
    events = versioned(history)
    shuffled = [*events, *shape.sample(events, len(events) // 3)]
    shape.shuffle(shuffled)
    with fresh() as one, fresh() as other:
        run_link(one, events)
        one.run()
        run_link(other, shuffled, shape.choice([1, 3, 50]))
        other.run()
        assert one.state() == other.state()


def test_a_worker_whose_opaque_id_changes_keeps_alerts_that_carry_it(in_process_platform: InProcessPlatform) -> None:
    platform = in_process_platform
    platform.publish(EMPLOYMENTS, job(2, non_thai_id=person_number(1)))
    platform.run()
    platform.publish(EMPLOYMENTS, job(1))
    platform.run()
    assert len({worker_id for worker_id, *_ in stored_alerts(platform).values()}) == 1
    assert stored_alerts(platform) == recomputed_alerts(platform)


@pytest.mark.parametrize("other", range(2, 6))
def test_an_alert_whose_employment_moves_and_is_deleted_at_once_ends_withdrawn_for_its_receivers(
    in_process_platform: InProcessPlatform, other: int
) -> None:
    """Its new worker had never decided it, so nobody said that it is over."""
    platform = in_process_platform
    platform.publish(WORK_PERMITS, *(permit(number) for number in range(1, 6)))
    platform.publish(EMPLOYMENTS, job(1))
    platform.heartbeat(INSURED_PERSONS, "2026-03-20T00:00:00Z")
    platform.run()
    (alert_id,) = recomputed_alerts(platform)
    assert last_told(platform) == {alert_id: "overdue"}
    platform.publish(EMPLOYMENTS, job(1, non_thai_id=person_number(other), version=2))
    platform.publish(EMPLOYMENTS, {"record_id": "E-1", "version": 3, "deleted": True})
    platform.run()
    assert recomputed_alerts(platform) == {}
    assert last_told(platform) == {alert_id: "withdrawn"}


@pytest.mark.parametrize("first", [0, 1])
def test_a_deletion_that_is_read_late_does_not_outvote_the_employment_that_came_back_elsewhere(
    in_process_platform: InProcessPlatform, first: int
) -> None:
    """The withdrawal bore the number of a heartbeat that its partition had read in the same chunk."""
    platform = in_process_platform
    platform.publish(WORK_PERMITS, *(permit(number) for number in range(1, 6)))
    platform.publish(EMPLOYMENTS, job(1))
    _link(platform, 50)
    platform.publish(EMPLOYMENTS, {"record_id": "E-1", "version": 2, "deleted": True})
    _link(platform, 50)
    platform.publish(EMPLOYMENTS, job(1, non_thai_id=person_number(2), version=3))
    _link(platform, 50)
    platform.heartbeat(INSURED_PERSONS, "2026-03-20T00:00:00Z")
    _link(platform, 50)
    log = platform.log[WORKER_RECORDS]
    holding = [
        partition
        for partition, rows in log.items()
        if any(said["record_id"] == "E-1" for row in rows for said in told_by_link(platform.codec, row.value))
    ]
    assert len(holding) == 2, "the two workers are in different partitions"
    for partition in holding if first else reversed(holding):
        committed = platform.integrate.commit((Chunk(WORKER_RECORDS, partition, log[partition]),), set(), None)
        assert committed is not None
        platform._append(messages_in(committed))
    (alert_id,) = recomputed_alerts(platform)
    assert stored_alerts(platform) == recomputed_alerts(platform)
    assert last_told(platform) == {alert_id: "overdue"}


class _NoRows:
    """The store of a partition that has read nothing yet."""

    def worker_states(self, _worker_nos: Collection[int]) -> list[tuple[int, bytes]]:
        return []

    def workers_of_accounts(self, _accounts: Collection[tuple[str, str]]) -> set[int]:
        return set()

    def workers_to_check(self, _until_day: int) -> set[int]:
        return set()


def test_a_worker_who_only_lost_a_record_gets_a_row_once_and_then_keeps_it() -> None:
    integrator = Integrator(_NoRows(), (), {}, default_law(), b"a key for tests only")
    for sequence, renamed in ((5, True), (6, False)):
        lost = LinkMessage("moved", 1, sequence, 7, WORK_PERMITS, "P-1", 1, 0, False, 0, 0, 0, 0, b"")
        assert integrator.apply([WorkerRecord(lost, None)]).workers[1].renamed == renamed


def test_a_worker_who_lost_every_record_has_an_id_again_with_the_next_one() -> None:
    """Found by seed 745 of the simulation: the id stayed empty, and so did the alerts' worker."""
    integrator = Integrator(_NoRows(), (), {}, default_law(), b"a key for tests only")
    ids = []
    kinds: list[MessageKind] = ["record", "moved", "record"]
    for sequence, kind in enumerate(kinds, 5):
        said = LinkMessage(kind, 1, sequence, 7, WORK_PERMITS, "P-1", 1, 0, False, 0, 0, 0, 0, b"")
        kept = ("MMR", "F", 0, 0) if kind == "record" else None
        ids.append(integrator.apply([WorkerRecord(said, kept)]).workers[1].worker_id)
    assert ids[0].startswith("W-")
    assert ids == [ids[0], "", ids[0]]
