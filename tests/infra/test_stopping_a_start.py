"""A start that waits for Kafka can be stopped by a signal, is found by the other commands, and is ended by `down`."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from saphan_cli.commands import demo, doctor, status, up
from saphan_infra.kafka_admin import wait_for_broker
from saphan_infra.owned_process import OwnedProcess, wait_until, write_json
from saphan_infra.private_dirs import make_private
from saphan_infra.processes import Platform, _locked, make_room_in_log
from saphan_infra.roles import Role, log_path
from saphan_infra.settings import Settings
from saphan_infra.supervisor import role_statuses, supervisor_process

#: Nobody listens there: the discard port of this machine.
NO_BROKER = "127.0.0.1:9"
DEADLINE_SECONDS = 60


@pytest.fixture(autouse=True)
def _kafka_is_away(nothing_set: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAPHAN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRAP", NO_BROKER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


def saphan(*arguments: str) -> Result:
    app = typer.Typer()
    for command in (demo, doctor, status, up):
        command.register(app)
    return CliRunner().invoke(app, arguments)


@dataclass
class Started:
    """A `saphan` that waits for Kafka."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def end(self) -> tuple[int, list[str]]:
        """Its exit code and what it said last."""
        return self.process.wait(DEADLINE_SECONDS), self.log.read_text().splitlines()[-2:]


@pytest.fixture(params=[("up", "--foreground"), ("demo", "--json")], ids=" ".join)
def waiting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Started]:
    log = tmp_path / "said.txt"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "saphan_cli", *request.param], stdout=output, stderr=output)
    assert wait_until(lambda: "Trying again" in log.read_text(), DEADLINE_SECONDS)
    yield Started(process, log)
    process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_a_start_that_waits_for_kafka(waiting: Started, number: signal.Signals) -> None:
    waiting.process.send_signal(number)
    assert waiting.end() == (130, ["Stopping ...", "Everything is stopped."])


def test_a_start_that_waits_for_kafka_is_found_and_ended_by_down(waiting: Started) -> None:
    second = saphan("up")
    assert (second.exit_code, f"Process {waiting.process.pid} is starting it" in second.stderr) == (1, True)
    (row,) = (row for row in json.loads(saphan("doctor", "--json").stdout)["findings"] if row["subject"] == "processes")
    assert (row["level"], f"process {waiting.process.pid} is starting" in row["found"]) == ("warning", True)
    assert {row["state"] for row in json.loads(saphan("status", "--json").stdout)["processes"]} == {"starting"}
    assert json.loads(saphan("down", "--json").stdout) == {"ended": ["supervisor"]}
    assert waiting.end()[1] == ["Stopping ...", "Everything is stopped."]
    assert json.loads(saphan("down", "--json").stdout) == {"ended": []}


def test_up_gives_up_with_the_code_for_kafka_and_leaves_nothing_that_would_start_later(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(up, "_READY_SECONDS", 0.1)
    given_up = saphan("up")
    assert (given_up.exit_code, "did not come up within" in given_up.stderr) == (3, True)
    assert supervisor_process(tmp_path / "data") is None


def test_a_full_log_of_the_supervisor_is_moved_unless_a_platform_uses_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    log = log_path(settings.data_dir, "supervisor")
    make_private(log.parent)
    with log.open("wb") as full:
        full.truncate(20_000_001)
    with _locked(settings):
        make_room_in_log(settings)
        assert log.exists()
    make_room_in_log(settings)
    assert [path.name for path in log.parent.iterdir()] == ["supervisor.log.1"]


def test_waiting_for_a_broker_ends_when_it_is_told_to() -> None:
    stop = threading.Event()
    wait_for_broker(NO_BROKER, on_wait=lambda _: stop.set(), stop=stop)
    assert stop.is_set()


def test_a_stopped_start_starts_no_process(tmp_path: Path) -> None:
    stop = threading.Event()
    settings = Settings(data_dir=tmp_path / "data", kafka_bootstrap=NO_BROKER)
    platform = Platform(settings, report=lambda _: stop.set(), roles=[Role("link", ())], command=("false",))
    platform.start(stop=stop)
    assert [row.state for row in platform.status()] == ["starting"]
    platform.stop()
    assert [row.state for row in platform.status()] == ["stopped"]
    assert not log_path(settings.data_dir, "link").exists()


def test_what_a_killed_supervisor_left_is_ended_before_kafka_is_waited_for(tmp_path: Path) -> None:
    stop = threading.Event()
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        noted = OwnedProcess.of(orphan.pid)
        roles = {"link": {"pid": noted.pid, "started": noted.started}}
        write_json(tmp_path / "run" / "supervisor.json", {"pid": noted.pid, "started": "0", "roles": roles})
        settings = Settings(data_dir=tmp_path, kafka_bootstrap=NO_BROKER)
        platform = Platform(settings, report=lambda _: stop.set(), roles=[], command=("false",))
        platform.start(stop=stop)
        platform.stop()
        assert not noted.alive()
        assert role_statuses(tmp_path, ()) == []
    finally:
        orphan.kill()
        orphan.wait()
