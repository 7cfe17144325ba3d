"""That a person sees what comes up while a platform starts, and that a signal to stop is acknowledged at once."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from saphan_cli.starting import StopAsked, told_as_they_come_up
from saphan_infra.owned_process import wait_until
from saphan_infra.roles import Role, announce
from saphan_infra.supervisor import role_statuses

ROLES = (Role("link", ()), Role("delivery", ()))


@pytest.fixture
def asked() -> Iterator[StopAsked]:
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    stop = StopAsked()
    stop.catch()
    yield stop
    for number, handler in before:
        signal.signal(number, handler)


def test_each_process_is_told_once_as_it_comes_up(tmp_path: Path) -> None:
    said: list[str] = []
    with told_as_they_come_up(lambda: role_statuses(tmp_path, ROLES), said.append):
        announce(tmp_path, "link", 0)
        assert wait_until(lambda: said == ["link: running"], 30)
        announce(tmp_path, "delivery", 0)
    assert said == ["link: running", "delivery: running"]


def test_what_a_killed_supervisor_left_running_is_not_told_as_new(tmp_path: Path) -> None:
    said: list[str] = []
    announce(tmp_path, "link", 0)
    with told_as_they_come_up(lambda: role_statuses(tmp_path, ROLES), said.append):
        announce(tmp_path, "link", 0)
    assert said == []


def test_the_first_signal_is_acknowledged_at_once_and_once(asked: StopAsked, capfd: pytest.CaptureFixture[str]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), number)
    assert asked.event.is_set()
    assert capfd.readouterr().err == "Stopping ...\n"


def test_a_signal_while_a_picture_is_shown_is_acknowledged_below_it(
    asked: StopAsked, capfd: pytest.CaptureFixture[str]
) -> None:
    with asked.silently():
        signal.raise_signal(signal.SIGINT)
        assert asked.event.is_set()
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "Stopping ...\n"
