"""That a simulated province settles exactly as its simulation expects, in any order of arrival, on both databases."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from in_process import InProcessPlatform, on_sqlite, opened

from saphan_projections.canonical import StateHash, state_hash
from saphan_projections.law import default_law
from saphan_projections.settled import SettledAlert, settled_alerts
from saphan_schemas.topics import DEAD_LETTERS, HEARTBEATS, RECORD_FEEDS
from saphan_schemas.values import days_to_date, parse_time_ms
from saphan_simulation.parameters import load_parameters
from saphan_simulation.world import DEFAULT_START, World
from saphan_simulation.writing import write_world

Events = list[tuple[str, dict[str, Any]]]
Outcome = tuple[dict[str, tuple[Any, ...]], StateHash]
WORKERS, SEED, MONTHS = 300, 11, 9


@pytest.fixture(scope="module")
def province(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("province")
    write_world(World(load_parameters(), SEED, WORKERS, MONTHS, DEFAULT_START), folder)
    return folder


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def records(province: Path) -> Events:
    return [(feed, record) for feed in RECORD_FEEDS for record in lines(province / f"{feed}.jsonl")]


def expected(province: Path) -> dict[str, tuple[Any, ...]]:
    names = ("alert_id", "kind", "state", "reason", "hold", "hold_as_of", "due_on", "state_since")
    return {
        row["employment_record_id"]: tuple(row[name] for name in names)
        for row in lines(province / "expected-alerts.jsonl")
    }


def as_expected(alert: SettledAlert) -> tuple[Any, ...]:
    days = days_to_date(alert.due_day).isoformat(), days_to_date(alert.since_day).isoformat()
    return (alert.alert_id, alert.kind, alert.state, alert.reason, alert.hold, alert.hold_as_of, *days)


def outcome(platform: InProcessPlatform, province: Path, events: Events, chunk_records_max: int) -> Outcome:
    for feed, record in events:
        platform.publish(feed, record)
    platform.run(chunk_records_max)
    for heartbeat in lines(province / f"{HEARTBEATS}.jsonl"):
        platform.heartbeat(heartbeat["feed"], heartbeat["complete_until"])
    platform.run(chunk_records_max)
    assert platform.sent(DEAD_LETTERS) == []
    as_of_ms = parse_time_ms(json.loads((province / "report.json").read_text(encoding="utf-8"))["as_of"])
    with platform.state_database.reading() as transaction:
        alerts = {a.employment_record_id: as_expected(a) for a in settled_alerts(transaction, default_law(), as_of_ms)}
        return alerts, state_hash(transaction, default_law(), as_of_ms)


@pytest.fixture(scope="module")
def in_order(province: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    with opened(lambda: on_sqlite(tmp_path_factory.mktemp("in-order"))) as platform:
        return outcome(platform, province, records(province), 4000)


def test_the_province_settles_as_its_simulation_expects(province: Path, in_order: Outcome) -> None:
    alerts, hashes = in_order
    assert alerts == expected(province)
    assert hashes.alerts == len(alerts)
    assert {row[2] for row in alerts.values()} >= {"due", "overdue", "resolved", "withdrawn"}


def test_another_order_with_everything_twice_settles_the_same(
    province: Path, in_order: Outcome, in_process_platform: InProcessPlatform
) -> None:
    events = records(province) * 2
    random.Random(SEED).shuffle(events)
    assert outcome(in_process_platform, province, events, 257) == in_order


@pytest.mark.postgres
def test_postgresql_settles_the_same(province: Path, in_order: Outcome, postgres_url: str) -> None:
    with opened(lambda: InProcessPlatform(postgres_url, postgres_url)) as platform:
        assert outcome(platform, province, records(province)[::-1], 1000) == in_order
