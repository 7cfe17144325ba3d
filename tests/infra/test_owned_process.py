"""Processes are ended by what they are, not by a number that another one may have by now."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from saphan_infra.owned_process import OwnedProcess, free_port, port_is_free, read_json, tail, wait_until, write_json

_SLEEPER = "import time; time.sleep(600)"
_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(600)"
)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", _SLEEPER])
    yield process
    process.kill()
    process.wait()


def test_a_process_is_recognised_while_it_lives(sleeper: subprocess.Popen[bytes]) -> None:
    process = OwnedProcess.of(sleeper.pid)
    assert process.alive()
    assert process.end(10)
    assert not process.alive()


def test_another_process_with_the_same_id_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    stranger = OwnedProcess(sleeper.pid, "another start")
    assert not stranger.alive()
    assert not stranger.send(signal.SIGKILL)
    assert stranger.end(1)
    assert sleeper.poll() is None


def test_one_that_will_not_stop_is_killed() -> None:
    stubborn = subprocess.Popen([sys.executable, "-c", _STUBBORN], stdout=subprocess.PIPE)
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    assert not OwnedProcess.of(stubborn.pid).end(0.3)
    stubborn.stdout.close()
    stubborn.wait()


def test_a_dead_child_that_nobody_waited_for_is_not_alive(sleeper: subprocess.Popen[bytes]) -> None:
    process = OwnedProcess.of(sleeper.pid)
    os.kill(sleeper.pid, signal.SIGKILL)
    assert wait_until(lambda: not process.alive(), 10)


def test_a_process_that_is_gone_cannot_be_owned(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    with pytest.raises(ProcessLookupError):
        OwnedProcess.of(sleeper.pid)


def test_a_free_port_is_one_that_nobody_listens_on() -> None:
    port = free_port()
    assert port_is_free(port)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        assert not port_is_free(port)
        assert free_port(port) != port
    assert free_port(port) == port
    assert free_port(port, avoid=frozenset({port})) != port


def test_ports_lie_below_those_of_outgoing_connections() -> None:
    assert 1024 < free_port() < 32_768


def test_a_state_file_that_is_absent_or_broken_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "run" / "x.json"
    assert read_json(path) == {}
    write_json(path, {"pid": 1})
    assert read_json(path) == {"pid": 1}
    path.write_text('{"pid": ')
    assert read_json(path) == {}
    assert [row.name for row in path.parent.iterdir()] == ["x.json"]


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert tail(log) == "(empty)"
    log.write_text("\n".join(str(number) for number in range(100)) + "\n")
    assert tail(log, 2) == "98\n99"
