"""Whether a simulation is a function of its arguments, keeps its memory, and tells a user what went wrong."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from saphan_cli.commands.simulate import register
from saphan_simulation.blocks import simulated, tasks
from saphan_simulation.parameters import Parameters, load_parameters
from saphan_simulation.spool import Spool
from saphan_simulation.wording import spooled_wire
from saphan_simulation.world import World, WorldError
from saphan_simulation.writing import OutputError, write_world

RUN = """
import sys
from pathlib import Path
from saphan_simulation.parameters import load_parameters
from saphan_simulation.wording import spooled_wire
from saphan_simulation.world import World
from saphan_simulation.writing import write_world
write_world(World(load_parameters(), 7, 150, 8), Path(sys.argv[1]))
"""


def digests(directory: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(directory.iterdir())}


def cli() -> typer.Typer:
    app = typer.Typer()
    register(app)
    return app


def test_one_seed_gives_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    for hash_seed in ("1", "2"):
        out = tmp_path / hash_seed
        subprocess.run(
            [sys.executable, "-c", RUN, str(out)], check=True, env={**os.environ, "PYTHONHASHSEED": hash_seed}
        )
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def test_another_seed_gives_another_province(tmp_path: Path, parameters: Parameters) -> None:
    for seed in (1, 2):
        write_world(World(parameters, seed, 60, 6), tmp_path / str(seed))
    first, second = digests(tmp_path / "1"), digests(tmp_path / "2")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] == second[name]] == ["parameters.toml"]


def _sort_at_once(monkeypatch: pytest.MonkeyPatch, run_bytes_max: int) -> None:
    for module in ("blocks", "simulating"):
        monkeypatch.setattr(f"saphan_simulation.{module}.Spool", lambda directory: Spool(directory, run_bytes_max))


def test_the_bytes_do_not_depend_on_how_much_is_sorted_at_once(
    tmp_path: Path, parameters: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_world(World(parameters, 3, 200, 6), tmp_path / "whole")
    _sort_at_once(monkeypatch, 50_000)
    write_world(World(parameters, 3, 200, 6), tmp_path / "pieces")
    assert digests(tmp_path / "whole") == digests(tmp_path / "pieces")


def test_memory_does_not_grow_with_the_number_of_workers(
    tmp_path: Path, parameters: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sort_at_once(monkeypatch, 500_000)
    peaks = []
    for workers in (2000, 6000):
        world = World(parameters, 3, workers, 4)
        tracemalloc.start()
        write_world(world, tmp_path / str(workers))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_500_000


@given(st.lists(st.binary(max_size=30).filter(lambda text: b"\n" not in text)), st.integers(1, 200))
def test_a_spool_gives_back_all_lines_in_order(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], run_bytes_max: int
) -> None:
    directory = tmp_path_factory.mktemp("spool")
    spool = Spool(directory, run_bytes_max)
    lines = [text + b"\n" for text in texts]
    for line in lines:
        spool.add(line)
    assert list(spool.lines()) == sorted(lines)
    assert list(directory.iterdir()) == []


def test_a_spool_merges_more_runs_than_may_be_open_at_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1)
    for number in range(999, 0, -1):
        spool.add(b"%03d\n" % number)
    assert list(spool.lines()) == [b"%03d\n" % number for number in range(1, 1000)]


def test_the_bytes_do_not_depend_on_the_number_of_processes(tmp_path: Path, parameters: Parameters) -> None:
    messy = parameters.changed({"faults.office_number_share": 0.02, "faults.typo_share": 0.05})
    for jobs in (1, 2, 3):
        write_world(World(messy, 3, 300, 6), tmp_path / str(jobs), jobs=jobs)
    assert digests(tmp_path / "1") == digests(tmp_path / "2") == digests(tmp_path / "3")


def test_a_process_makes_its_world_once_however_many_blocks_it_simulates(
    tmp_path: Path, parameters: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each block's plan comes from another process, as a copy."""
    worlds: list[World] = []

    def made(*plan: Any) -> World:
        worlds.append(World(*plan))
        return worlds[-1]

    monkeypatch.setattr("saphan_simulation.blocks.World", made)
    plan = World(parameters, 83, 40, 2).plan
    for task in tasks(plan, 40, tmp_path, spooled_wire, jobs=1, has_results=False):
        copied = task._replace(plan=pickle.loads(pickle.dumps(task.plan)))  # noqa: S301
        with simulated([copied], 1) as blocks:
            assert [block.workers for block in blocks] == [10]
    assert len(worlds) == 1


def test_the_parameters_that_a_simulation_leaves_give_the_same_simulation(
    tmp_path: Path, parameters: Parameters
) -> None:
    own = parameters.changed({"people.male_share": 0.2, "province.cane_season_months": [6, 7]})
    write_world(World(own, 3, 60, 6), tmp_path / "one")
    again = load_parameters(tmp_path / "one" / "parameters.toml")
    write_world(World(again, 3, 60, 6), tmp_path / "two")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_a_directory_with_files_is_not_written_to_without_force(tmp_path: Path, parameters: Parameters) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    (tmp_path / ".spool-of-one-that-was-killed").mkdir()
    with pytest.raises(OutputError, match=r"not empty.*--force"):
        write_world(World(parameters, 1, 5, 1), tmp_path)
    write_world(World(parameters, 1, 5, 1), tmp_path, force=True)
    assert (tmp_path / "mine.txt").read_text() == "keep"
    assert (tmp_path / "report.json").exists()
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


@pytest.mark.parametrize(
    ("seed", "workers", "months"), [(-1, 10, 1), (1, 0, 1), (1, 8_000_000, 1), (1, 10, 0), (1, 10, 1000)]
)
def test_an_impossible_world_is_refused(parameters: Parameters, seed: int, workers: int, months: int) -> None:
    with pytest.raises(WorldError, match="expected"):
        World(parameters, seed, workers, months)


def test_the_command_prints_the_report_as_json_and_the_progress_apart(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli(), ["--workers", "50", "--months", "3", "--out", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert "workers simulated" in result.stderr
    assert all(("source" in row) != ("assumption" in row) for row in report["parameters"])


def test_the_command_explains_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    bad = tmp_path / "bad.toml"
    bad.write_text("[people]\nmale_shar = 0.5\n")
    cases = [
        (["--workers", "0", "--out", str(tmp_path / "a")], "0 workers, expected"),
        (["--workers", "5", "--out", str(tmp_path / "full")], "not empty"),
        (["--workers", "5", "--out", str(tmp_path / "b"), "--params", str(bad)], "did you mean people.male_share?"),
        (["--workers", "5", "--out", str(tmp_path / "c"), "--start", "2568-10-01"], "expected a day from 2010"),
        (["--workers", "5", "--out", str(tmp_path / "d"), "--start", "1/10/2025"], "YYYY-MM-DD"),
    ]
    for arguments, text in cases:
        result = CliRunner().invoke(cli(), arguments)
        assert result.exit_code == 2, arguments
        assert text in result.stderr.replace("\n", " "), result.stderr


def test_without_a_number_of_workers_the_province_has_those_that_the_parameters_say(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[province]\nregistered_migrants = 40\n")
    arguments = ["--out", str(tmp_path / "out"), "--params", str(own), "--months", "1", "--json"]
    assert json.loads(CliRunner().invoke(cli(), arguments).stdout)["workers"] == 40


def test_a_file_of_parameters_changes_the_province(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[people.male_share]\nvalue = 1.0\nsource = "a survey"\n[sso]\nfiled_share = { eligible = 0.0, exempt = 0.0 }\n'
    )
    arguments = ["--workers", "200", "--out", str(tmp_path / "out"), "--params", str(own), "--json"]
    report = json.loads(CliRunner().invoke(cli(), arguments).stdout)
    rows = {row["name"]: row for row in report["parameters"]}
    assert rows["people.male_share"] == {
        "name": "people.male_share",
        "value": 1.0,
        "unit": "share",
        "source": "a survey",
    }
    assert "own.toml" in rows["sso.filed_share"]["assumption"]
    assert '"sex":"F"' not in (tmp_path / "out" / "doe.work-permits.v1.jsonl").read_text()
