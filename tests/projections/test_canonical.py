"""That the state hash depends on what is known and on nothing else: not on order, chunks, repeats or the database."""

import random
from collections.abc import Callable, Iterator
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
    InProcessPlatform,
    contribution,
    insured,
    job,
    on_sqlite,
    opened,
    pair,
    permit,
    person_number,
    tell_small_story,
)

from saphan_projections.canonical import Difference, StateHash, differences, state_hash
from saphan_projections.law import default_law
from saphan_schemas.values import parse_time_ms

Event = tuple[str, dict[str, Any]]

#: A history with versions, deletions, a merge of two persons by a passport, and a contribution that belongs to nobody.
HISTORY: list[Event] = [
    (WORK_PERMITS, permit(1)),
    (WORK_PERMITS, permit(2)),
    (WORK_PERMITS, permit(1, version=2, passport_number="MB999999", valid_until="2028-03-31")),
    (PAIRS, pair()),
    (PAIRS, pair("P-2", account="7100000099", employer="EMP-B")),
    (PAIRS, pair("P-2", account="7100000099", employer="EMP-A", version=2)),
    (EMPLOYMENTS, job(1)),
    (EMPLOYMENTS, job(2)),
    (EMPLOYMENTS, job(3, end_date="2026-01-15")),
    (EMPLOYMENTS, job(3, version=2)),
    (EMPLOYMENTS, {"record_id": "E-2", "version": 3, "deleted": True}),
    (INSURED_PERSONS, insured(1)),
    (INSURED_PERSONS, insured(3, account="7100000099")),
    (INSURED_PERSONS, insured(1, version=2, end_date="2026-02-10")),
    (CONTRIBUTIONS, contribution(1)),
    (CONTRIBUTIONS, contribution(1, "2026-02")),
    (CONTRIBUTIONS, contribution(1, "2026-02", version=2, amount_satang=60_000)),
    (CONTRIBUTIONS, contribution(8)),
    (NON_THAI_IDS, {
        "record_id": "D-3", "non_thai_id": person_number(3), "nationality": "LAO", "birth_date": "1990-05-17",
    }),
    (NON_THAI_IDS, {
        "record_id": "D-2", "non_thai_id": person_number(2), "passport_number": "MB999999", "nationality": "MMR",
        "birth_date": "1990-05-17",
    }),
]  # fmt: skip


def hashes(platform: InProcessPlatform, as_of: str | None = None) -> StateHash:
    with platform.state_database.reading() as transaction:
        return state_hash(transaction, default_law(), None if as_of is None else parse_time_ms(as_of))


def feed_in(platform: InProcessPlatform, history: list[Event], chunk_records_max: int = 4000) -> StateHash:
    for feed, record in history:
        platform.publish(feed, record)
    platform.run(chunk_records_max)
    platform.heartbeat(INSURED_PERSONS, "2026-03-20T00:00:00Z")
    platform.run(chunk_records_max)
    return hashes(platform)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> StateHash:
    with opened(lambda: on_sqlite(tmp_path_factory.mktemp("expected"))) as platform:
        return feed_in(platform, HISTORY)


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Any]:
    """A function that opens a new empty platform."""
    numbers = iter(range(10_000))

    @contextmanager
    def platform() -> Iterator[InProcessPlatform]:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        with opened(lambda: on_sqlite(folder)) as made:
            yield made

    return platform


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(), chunk_records_max=st.integers(1, 8), repeats=st.lists(st.sampled_from(HISTORY), max_size=6))
def test_any_order_with_any_repeats_in_any_chunks_gives_the_same_hash(
    fresh: Callable[[], Any], expected: StateHash, seed: int, chunk_records_max: int, repeats: list[Event]
) -> None:
    history = [*HISTORY, *repeats]
    random.Random(seed).shuffle(history)
    with fresh() as platform:
        assert feed_in(platform, history, chunk_records_max) == expected


def test_a_restart_between_any_two_chunks_changes_nothing(fresh: Callable[[], Any], expected: StateHash) -> None:
    with fresh() as platform:
        for feed, record in HISTORY:
            platform.publish(feed, record)
            platform.run()
            platform.restart()
        platform.heartbeat(INSURED_PERSONS, "2026-03-20T00:00:00Z")
        platform.run()
        assert hashes(platform) == expected


@pytest.mark.postgres
def test_postgresql_gives_the_same_hash_as_sqlite(postgres_url: str, expected: StateHash) -> None:
    with opened(lambda: InProcessPlatform(postgres_url, postgres_url)) as platform:
        assert feed_in(platform, HISTORY, 3) == expected


def test_the_history_is_worth_hashing(expected: StateHash) -> None:
    assert (
        expected.workers == 3
    )  # one and two are one person; the contribution that belongs to nobody counts for itself
    assert expected.alerts == 2
    assert len(expected.state_hash) == len(expected.workers_hash) == len(expected.alerts_hash) == 64


def test_an_empty_state_has_a_hash(in_process_platform: InProcessPlatform) -> None:
    found = hashes(in_process_platform)
    assert (found.workers, found.alerts) == (0, 0)
    assert found.state_hash == StateHash("0" * 64, 0, "0" * 64, 0).state_hash


def test_a_moment_changes_the_alerts_and_not_the_workers(in_process_platform: InProcessPlatform) -> None:
    tell_small_story(in_process_platform)
    in_process_platform.run()
    now, before = hashes(in_process_platform), hashes(in_process_platform, "2026-01-31T00:00:00Z")
    assert now.workers_hash == before.workers_hash
    assert now.alerts_hash != before.alerts_hash
    assert now == hashes(in_process_platform, "2026-03-01T00:00:00Z")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE worker SET nationality = 'LAO' WHERE worker_no = 1",
        "UPDATE worker SET enrolled = NOT enrolled WHERE worker_no = 1",
        "DELETE FROM worker WHERE worker_no = 2",
        "UPDATE employment SET employer_id = 'EMP-X' WHERE record_id = 'E-1'",
        "DELETE FROM employment WHERE record_id = 'E-1'",
        "UPDATE enrolment SET end_day = 1 WHERE record_id = 'I-1'",
        "UPDATE contribution_month SET amount_satang = amount_satang + 1 WHERE record_id = 'C-1-2026-01'",
        "UPDATE contribution_month SET present = false WHERE record_id = 'C-9-2026-01'",
        "UPDATE contribution_month SET worker_no = 1 WHERE record_id = 'C-9-2026-01'",
        "UPDATE employer_pair SET present = false",
        "DELETE FROM watermark",
    ],
)
def test_each_planted_fault_shows(in_process_platform: InProcessPlatform, tmp_path: Path, statement: str) -> None:
    tell_small_story(in_process_platform)
    in_process_platform.run()
    before = hashes(in_process_platform)
    (tmp_path / "twin").mkdir()
    with opened(lambda: on_sqlite(tmp_path / "twin")) as twin:
        tell_small_story(twin)
        twin.run()
        assert difference_between(in_process_platform, twin) == []
        with twin.state_database.transaction() as transaction:
            assert transaction.execute(statement) >= 1
        assert hashes(twin) != before
        assert difference_between(in_process_platform, twin) != []


def test_what_numbers_a_record_got_on_its_way_does_not_show(in_process_platform: InProcessPlatform) -> None:
    tell_small_story(in_process_platform)
    in_process_platform.run()
    before = hashes(in_process_platform)
    with in_process_platform.state_database.transaction() as transaction:
        for table in ("worker", "employment", "enrolment", "contribution_month"):
            transaction.execute(f"UPDATE {table} SET worker_no = worker_no + 1000000")  # noqa: S608
        transaction.execute("UPDATE worker SET sequence = sequence + 7")
    assert hashes(in_process_platform) == before


def difference_between(one: InProcessPlatform, other: InProcessPlatform) -> list[Difference]:
    with one.state_database.reading() as left, other.state_database.reading() as right:
        return list(differences(left, right, default_law()))


def test_a_difference_names_the_worker_the_field_and_the_records(
    in_process_platform: InProcessPlatform, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with opened(lambda: on_sqlite(tmp_path / "other")) as other:
        for platform in (in_process_platform, other):
            tell_small_story(platform)
        other.publish(INSURED_PERSONS, insured(2))
        other.publish(CONTRIBUTIONS, contribution(1, version=2, amount_satang=1))
        other.publish(EMPLOYMENTS, job(7))
        for platform in (in_process_platform, other):
            platform.run()
        found = difference_between(in_process_platform, other)
    told = {(row.kind, row.field, row.records) for row in found}
    assert ("worker", "members", ("I-2",)) in told
    assert ("worker", "enrolments", ("I-2",)) in told
    assert ("worker", "contributions", ("C-1-2026-01",)) in told
    assert ("worker", "presence", ("E-7",)) in told
    assert ("alert", "presence", ("E-7",)) in told
    states = {(row.one, row.other) for row in found if (row.kind, row.field) == ("alert", "state")}
    assert states == {("overdue", "resolved")}
    assert [row.one for row in found if row.field == "contributions"] == [["C-1-2026-01 version 1"]]


def test_differences_do_not_hold_personal_data(in_process_platform: InProcessPlatform, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with opened(lambda: on_sqlite(tmp_path / "other")) as other:
        tell_small_story(in_process_platform)
        in_process_platform.run()
        text = repr(difference_between(in_process_platform, other))
    assert text != "[]"
    for number in range(1, 10):
        assert person_number(number) not in text
    assert "AUNG" not in text
    assert "MB7" not in text


def test_where_who_a_person_is_differs_only_the_names_of_the_parts_are_told(
    in_process_platform: InProcessPlatform, tmp_path: Path
) -> None:
    """A rebuild and a chaos run print differences: they showed nationality, sex and year of birth."""
    (tmp_path / "twin").mkdir()
    with opened(lambda: on_sqlite(tmp_path / "twin")) as twin:
        for platform in (in_process_platform, twin):
            tell_small_story(platform)
            platform.run()
        with twin.state_database.transaction() as transaction:
            transaction.execute("UPDATE worker SET nationality = 'XYZ', birth_year = 1907, enrolled = NOT enrolled")
        found = difference_between(in_process_platform, twin)
    assert {row.field for row in found} == {"view"}
    assert [(row.one, row.other) for row in found] == [(["nationality", "birth_year", "enrolled"],) * 2] * len(found)
    assert all(row.records for row in found)
