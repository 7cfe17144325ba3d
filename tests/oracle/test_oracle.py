"""That the oracle stands on its own feet, reads what the command line names, and agrees with a simulated world."""

import ast
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from in_process import on_sqlite, opened
from oracle.arrivals import arrive, said_by
from oracle.differences import PRESENCE, Difference, differences, printed
from oracle.histories import HEARTBEATS, heartbeats_of, records_of
from oracle.oracle_outcome import Outcome, compute
from oracle.oracle_records import RECORD_FEEDS, read_folder
from oracle.platform_side import as_told

from saphan_schemas.values import parse_time_ms
from saphan_simulation.parameters import load_parameters
from saphan_simulation.world import World
from saphan_simulation.writing import write_world

Spoilt = Callable[[Callable[[Outcome], object]], list[Difference]]

HERE = Path(__file__).parent
WORKERS, SEED, MONTHS = 300, 29, 8


@pytest.mark.parametrize("path", sorted(HERE.glob("oracle*.py")), ids=lambda path: path.name)
def test_the_oracle_shares_no_code_with_the_platform(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module or "")
        elif isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in {
                "__import__",
                "import_module",
                "importlib.import_module",
                "exec",
                "eval",
            }
    for module in imported:
        top, _, rest = module.partition(".")
        assert top in sys.stdlib_module_names or (top == "oracle" and rest.startswith("oracle_")), module


# -- a simulated world -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def province(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("province")
    write_world(World(load_parameters(), SEED, WORKERS, MONTHS, datetime(2025, 10, 1, tzinfo=UTC).date()), folder)
    return folder


@pytest.fixture(scope="module")
def as_of(province: Path) -> datetime:
    return datetime.fromisoformat(json.loads((province / "report.json").read_text(encoding="utf-8"))["as_of"])


@pytest.fixture(scope="module")
def outcome(province: Path, as_of: datetime) -> Outcome:
    return compute(read_folder(province), as_of)


def test_a_simulated_world_settles_as_its_simulation_expects(province: Path, outcome: Outcome) -> None:
    names = ("alert_id", "kind", "state", "reason", "hold", "hold_as_of", "due_on", "state_since")
    rows = [json.loads(line) for line in (province / "expected-alerts.jsonl").read_text(encoding="utf-8").splitlines()]
    expected = {row["employment_record_id"]: {name: row[name] for name in names} for row in rows}
    assert {name: {field: alert[field] for field in names} for name, alert in outcome.alerts.items()} == expected
    assert {row["state"] for row in rows} >= {"due", "overdue", "resolved", "withdrawn"}


def test_the_platform_says_of_a_simulated_world_what_the_oracle_says(
    province: Path, outcome: Outcome, as_of: datetime, tmp_path: Path
) -> None:
    events = [(feed, row) for feed, rows in read_folder(province).items() for row in rows]
    records = [(feed, row) for feed, row in events if feed in RECORD_FEEDS]
    heartbeats = [(feed, row) for feed, row in events if feed == HEARTBEATS]
    with opened(lambda: on_sqlite(tmp_path)) as platform:
        arrive(platform, records, heartbeats, random.Random(SEED))
        says, told = said_by(platform, parse_time_ms(as_of.isoformat()))
    found = [
        *differences(outcome, says.settled),
        *differences(outcome._replace(workers={}), says.stored),
        *differences(as_told(outcome), told),
    ]
    assert not found, printed(found)


def test_the_program_prints_each_worker_and_alert_of_a_folder(
    province: Path, outcome: Outcome, as_of: datetime
) -> None:
    done = subprocess.run(
        [sys.executable, HERE / "oracle.py", province, "--as-of", as_of.isoformat()],
        capture_output=True, check=True, encoding="utf-8",
    )  # fmt: skip
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["name"] for row in rows if row["what"] == "worker"} == outcome.workers.keys()
    assert {row["name"]: row["state"] for row in rows if row["what"] == "alert"} == {
        name: alert["state"] for name, alert in outcome.alerts.items()
    }


@pytest.mark.parametrize("program", ["oracle.py", "compare.py"])
@pytest.mark.parametrize(
    ("arguments", "hint"), [(["no-such-folder"], "is no folder"), ([".", "--as-of", "2026-01-01T00:00:00"], "needs Z")]
)
def test_a_program_says_what_is_wrong_with_its_arguments(program: str, arguments: list[str], hint: str) -> None:
    state = ["--state", "sqlite:///nothing.db"] if program == "compare.py" else []
    done = subprocess.run(
        [sys.executable, HERE / program, *arguments, *state], capture_output=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 2
    assert hint in done.stderr


# -- teeth -------------------------------------------------------------------------------------------------------------


class Seen(NamedTuple):
    """A small history as the oracle and as the platform see it."""

    oracle: Outcome
    platform: Outcome
    folder: Path
    state_url: str


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder = tmp_path_factory.mktemp("seen")
    records = records_of(3)
    heartbeats = heartbeats_of(3, records)
    for feed, row in records + heartbeats:
        with (folder / f"{feed}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    with opened(lambda: on_sqlite(folder)) as platform:
        arrive(platform, records, heartbeats, random.Random(3))
        says, _ = said_by(platform)
        return Seen(compute(read_folder(folder)), says.settled, folder, platform.state_url)


@pytest.fixture(scope="module")
def history(seen: Seen) -> Outcome:
    return seen.oracle


@pytest.fixture
def spoilt(seen: Seen) -> Spoilt:
    """What is found after a difference was planted in what the platform says."""

    def find(spoil: Callable[[Outcome], object]) -> list[Difference]:
        platform = deepcopy(seen.platform)
        spoil(platform)
        return differences(seen.oracle, platform)

    return find


def worker_with(history: Outcome, least: int) -> str:
    return next(name for name, fields in sorted(history.workers.items()) if len(fields["records"]) >= least)


def test_nothing_is_reported_where_nothing_differs(spoilt: Spoilt) -> None:
    assert spoilt(lambda _: None) == []


def test_a_dropped_record_is_reported_with_its_worker(history: Outcome, spoilt: Spoilt) -> None:
    name = worker_with(history, 2)
    record = max(history.workers[name]["records"])
    (found,) = spoilt(lambda platform: platform.workers[name]["records"].pop(record))
    assert (found.worker, found.field, found.records) == (name, "records", (record,))
    assert found.oracle == {record: history.workers[name]["records"][record]}
    assert found.platform == {record: None}


def test_a_dropped_first_record_is_reported_with_the_worker_that_lost_it(history: Outcome, spoilt: Spoilt) -> None:
    name = worker_with(history, 2)

    def drop(platform: Outcome) -> None:
        fields = platform.workers.pop(name)
        del fields["records"][name]
        platform.workers[min(fields["records"])] = fields

    (found,) = spoilt(drop)
    assert (found.worker, found.field, found.records) == (name, "records", (name,))


def test_a_changed_state_is_reported_with_its_worker_and_employment(history: Outcome, spoilt: Spoilt) -> None:
    record_id, alert = min(history.alerts.items())
    (found,) = spoilt(lambda platform: platform.alerts[record_id].update(state="resolved!"))
    assert found == (alert["worker"], "state", alert["state"], "resolved!", (f"doe.employments.v1/{record_id}",))


def test_a_record_moved_to_another_worker_is_reported_from_both_sides(history: Outcome, spoilt: Spoilt) -> None:
    giver = worker_with(history, 3)
    taker = next(name for name in sorted(history.workers) if name != giver and history.workers[name]["records"])
    record = max(history.workers[giver]["records"])

    def move(platform: Outcome) -> None:
        platform.workers[taker]["records"][record] = platform.workers[giver]["records"].pop(record)

    found = spoilt(move)
    assert {(one.worker, one.field, one.records) for one in found} == {
        (giver, "records", (record,)),
        (taker, "records", (record,)),
    }
    lines = printed(found)
    assert giver in lines
    assert taker in lines
    assert record in lines


def test_a_lost_worker_and_a_lost_alert_are_reported(history: Outcome, spoilt: Spoilt) -> None:
    record_id, alert = min(history.alerts.items())

    def lose(platform: Outcome) -> None:
        del platform.workers[alert["worker"]]
        del platform.alerts[record_id]

    found = spoilt(lose)
    assert {(one.worker, one.field) for one in found} == {(alert["worker"], PRESENCE)}
    assert {f"doe.employments.v1/{record_id}"} in [set(one.records) for one in found]
    assert any(history.workers[alert["worker"]]["records"].keys() <= set(one.records) for one in found)


@pytest.mark.parametrize("field", ["hold", "due_on", "state_since", "reason", "evidence", "employer", "worker"])
def test_every_field_of_an_alert_is_compared(history: Outcome, spoilt: Spoilt, field: str) -> None:
    record_id = min(history.alerts)
    changed = {"employment planted": 1} if field == "evidence" else "planted"
    found = spoilt(lambda platform: platform.alerts[record_id].update({field: changed}))
    assert [one.field for one in found] == [field]


# -- a state in tables -------------------------------------------------------------------------------------------------


def compared(seen: Seen, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, HERE / "compare.py", seen.folder, "--state", seen.state_url, *more],
        capture_output=True, check=False, encoding="utf-8",
    )  # fmt: skip


def test_the_tables_of_a_platform_are_compared_with_a_folder(seen: Seen) -> None:
    done = compared(seen)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert compared(seen, "--as-of", "2026-02-20T00:00:00Z").returncode == 0


def test_a_state_changed_in_the_table_is_found_there(seen: Seen) -> None:
    record_id, alert = min(seen.oracle.alerts.items())
    path = seen.state_url.removeprefix("sqlite:///")
    change = "UPDATE alert SET state = ? WHERE employment_record_id = ?"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(change, ("planted", record_id))
        connection.commit()
        done = compared(seen)
        connection.execute(change, (alert["state"], record_id))
        connection.commit()
    assert done.returncode == 1
    assert done.stdout == (
        f"worker {alert['worker']}: state: oracle {alert['state']}, platform planted; "
        f"records: doe.employments.v1/{record_id}\n"
    )
