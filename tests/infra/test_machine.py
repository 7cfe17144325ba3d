"""How many cores count: those that this process may use, not those that the machine has."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from saphan_cli.commands import test as test_command
from saphan_infra import machine


@pytest.fixture
def one_core() -> Iterator[None]:
    """This process may use one core only."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system binds no process to a core")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("one_core")
def test_a_process_that_is_bound_to_one_core_has_one() -> None:
    assert machine.usable_cores() <= 1
    assert machine.processes_at_once() == 1
    assert test_command._side_by_side() == ()


@pytest.mark.parametrize(("quota", "cores"), [("50000 100000\n", 0.5), ("max 100000\n", None), ("", None)])
def test_the_quota_of_a_container_limits_the_cores(
    quota: str, cores: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_CPU_QUOTA", tmp_path / "absent")
    without_quota = machine.usable_cores()
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(machine, "_CPU_QUOTA", tmp_path / "cpu.max")
    assert machine.usable_cores() == (cores or without_quota)
    assert machine.processes_at_once() >= 1


def test_where_no_process_is_bound_to_a_core_all_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(machine, "_CPU_QUOTA", tmp_path / "absent")
    assert machine.usable_cores() == os.cpu_count()
