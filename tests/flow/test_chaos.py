"""That `saphan chaos` breaks a real platform, heals it and finds nothing lost, and that it would find a loss."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from saphan_cli.chaos import comparing
from saphan_projections.database import Database

pytestmark = pytest.mark.broker

#: One process, the disk, the receiver and the producers: what a run of a minute has room for.
FAULTS = ("kill:link", "disk_full:integrate", "answer_lost:webhook", "poison:producers")


def chaos(directory: Path, java_cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAPHAN_")}
    return subprocess.run(
        [sys.executable, "-m", "saphan_cli", "chaos", *arguments],
        env={**kept, "SAPHAN_DATA_DIR": str(directory), "SAPHAN_CACHE_DIR": str(java_cache)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, java_cache: Path) -> dict[str, Any]:
    """The report of a short run, whose files were kept."""
    only = [word for fault in FAULTS for word in ("--only", fault)]
    words = ["--seed", "1", "--minutes", "1", "--rate", "20", "--keep", "--json", *only]
    ended = chaos(tmp_path_factory.mktemp("chaos"), java_cache, *words)
    assert ended.returncode == 0, ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    return report


def test_every_fault_bites_and_heals_and_nothing_is_lost(ran: dict[str, Any]) -> None:
    assert {f"{row['kind']}:{row['target']}" for row in ran["faults"]} == set(FAULTS)
    assert all(row["bitten"] and row["recovery_seconds"] is not None for row in ran["faults"])
    assert {row["what"]: row["differences"] for row in ran["comparisons"]} == {
        "oracle": 0,
        "expected alerts": 0,
        "rebuild": 0,
        "webhook": 0,
        "file": 0,
        "dead letters": 0,
    }
    assert ran["passed"]
    assert ran["published"]["poison"] > 0


def test_a_loss_would_be_found(ran: dict[str, Any], tmp_path: Path) -> None:
    kept = Path(ran["kept"])
    state = tmp_path / "state.db"
    for end in ("", "-wal"):
        if (kept / f"state.db{end}").exists():
            shutil.copy2(kept / f"state.db{end}", f"{state}{end}")
    (scratch,) = kept.glob("saphan-chaos-*")
    url = f"sqlite:///{state}"
    assert comparing.with_oracle(scratch / "province", url).differences == 0
    lines = comparing.lines_of(kept / "alerts.jsonl")
    database = Database(url)
    try:
        with database.reading() as transaction:
            stored = comparing.stored_states(transaction)
            settled = comparing.settled_rows(transaction)
        told = {row["data"]["alert_id"] for row in lines}
        victim = next(name for name in stored if name in told)
        with database.transaction() as transaction:
            transaction.execute("DELETE FROM alert WHERE alert_id = ?", (victim,))
    finally:
        database.close()
    (difference,) = comparing.with_oracle(scratch / "province", url).shown
    assert "settles none" in difference
    fewer = [row for row in lines if row["data"]["alert_id"] != victim]
    assert comparing.with_receiver("file", stored, fewer).differences >= stored[victim].startswith("overdue")
    assert comparing.with_simulation(settled, settled[1:]).differences == 1


@pytest.mark.parametrize("arguments", [("--only", "earthquake"), ("--only", "database", "--seed", "3")])
def test_a_fault_that_there_is_not_is_told(arguments: tuple[str, ...], tmp_path: Path, java_cache: Path) -> None:
    ended = chaos(tmp_path, java_cache, *arguments)
    assert ended.returncode == 2
    assert "there are: kill:link" in ended.stderr


def test_a_plan_can_be_looked_at_before(tmp_path: Path, java_cache: Path) -> None:
    ended = chaos(tmp_path, java_cache, "--plan", "--json", "--minutes", "10", "--postgres")
    assert ended.returncode == 0
    kinds = {(row["kind"], row["target"]) for row in json.loads(ended.stdout)}
    assert {("pause", "database"), ("kill", "broker"), ("poison", "producers")} <= kinds
    assert list(tmp_path.iterdir()) == []
