"""Supervised processes: they come up, come back, are ended in order and by identity, and nothing else is touched."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from saphan_infra.availability import BrokerUnavailable
from saphan_infra.kafka_admin import wait_for_broker
from saphan_infra.owned_process import OwnedProcess, read_json, wait_until, write_json
from saphan_infra.processes import Platform, PlatformRunning, RoleFailed, clear_data, take_down
from saphan_infra.roles import Role, announced, log_path, roles_of
from saphan_infra.service_watch import ServiceWatch
from saphan_infra.settings import Settings, SettingsError
from saphan_infra.supervisor import Supervisor, role_statuses, supervisor_process

COMMAND = (sys.executable, str(Path(__file__).with_name("role_for_test.py")))
DEADLINE_SECONDS = 30

Starter = Callable[..., Supervisor]


def _role(name: str, behaviour: str = "serve") -> Role:
    return Role(name, (behaviour, name))


def _environment(data_dir: Path) -> Mapping[str, str]:
    return {**os.environ, "SAPHAN_DATA_DIR": str(data_dir)}


@pytest.fixture
def said() -> list[str]:
    """What the supervisor reported."""
    return []


@pytest.fixture
def supervise(tmp_path: Path, said: list[str]) -> Iterator[Starter]:
    """Starts a supervisor of these roles; it is stopped at the end."""
    started: list[Supervisor] = []

    def start(*roles: Role) -> Supervisor:
        supervisor = Supervisor(tmp_path, roles, COMMAND, _environment(tmp_path), said.append)
        started.append(supervisor)
        supervisor.start()
        return supervisor

    yield start
    for supervisor in started:
        supervisor.stop()


def _up(supervisor: Supervisor) -> bool:
    return wait_until(lambda: not supervisor.pending(), DEADLINE_SECONDS)


def test_processes_come_up_and_are_stopped_in_reverse_order(tmp_path: Path, supervise: Starter) -> None:
    roles = (_role("first"), _role("second"), _role("third"))
    supervisor = supervise(*roles)
    assert _up(supervisor)
    assert [row.state for row in role_statuses(tmp_path, roles)] == ["running"] * 3
    supervisor.stop()
    assert (tmp_path / "order.txt").read_text().split() == ["third", "second", "first"]
    assert [row.state for row in role_statuses(tmp_path, roles)] == ["stopped"] * 3
    assert "first says hello" in log_path(tmp_path, "first").read_text()


def test_a_killed_process_comes_back_and_its_neighbour_is_not_touched(
    tmp_path: Path, supervise: Starter, said: list[str]
) -> None:
    roles = (_role("one"), _role("other"))
    supervisor = supervise(*roles)
    assert _up(supervisor)
    before = {row.role: row.pid for row in role_statuses(tmp_path, roles)}
    victim = announced(tmp_path, "one")
    assert victim is not None
    assert victim.send(signal.SIGKILL)
    assert wait_until(lambda: announced(tmp_path, "one") not in (None, victim), DEADLINE_SECONDS)
    after = {row.role: row for row in role_statuses(tmp_path, roles)}
    assert after["other"].pid == before["other"]
    assert (after["one"].restarts, after["other"].restarts) == (1, 0)
    assert any("one: killed by signal 9" in line and str(log_path(tmp_path, "one")) in line for line in said)


def test_a_process_that_keeps_failing_is_started_with_growing_pauses(supervise: Starter, said: list[str]) -> None:
    supervise(_role("weak", "exit1"))
    assert wait_until(lambda: len(said) >= 3, DEADLINE_SECONDS)
    assert ["0.5 s" in said[0], "1 s" in said[1], "2 s" in said[2]] == [True, True, True]


def test_a_process_that_keeps_failing_is_not_up_while_it_waits_for_its_next_start(tmp_path: Path) -> None:
    in_the_pause: list[tuple[list[str], list[str]]] = []
    supervisor = Supervisor(
        tmp_path,
        [_role("weak", "exit1")],
        COMMAND,
        _environment(tmp_path),
        lambda _: in_the_pause.append((supervisor.pending(), supervisor.given_up())),
    )
    supervisor.start()
    try:
        assert wait_until(lambda: bool(in_the_pause), DEADLINE_SECONDS)
    finally:
        supervisor.stop()
    assert in_the_pause[0] == (["weak"], [])


def _own_processes(data_dir: Path) -> int:
    """How many processes of this data directory's roles there are, wherever they are noted."""
    mark = f"SAPHAN_DATA_DIR={data_dir}".encode()
    found = 0
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            found += mark in environment.read_bytes().split(b"\0")
    return found


def test_a_disk_that_takes_nothing_for_a_while_does_not_end_the_watch(
    tmp_path: Path, supervise: Starter, said: list[str]
) -> None:
    supervisor = supervise(_role("one"))
    assert _up(supervisor)
    victim = announced(tmp_path, "one")
    assert victim is not None
    state = tmp_path / "run" / "supervisor.json"
    state.unlink()
    # A file cannot replace a directory: it fails as with a full disk.
    state.mkdir()
    victim.send(signal.SIGKILL)
    assert wait_until(lambda: any("could not be started" in line for line in said), DEADLINE_SECONDS)
    assert supervisor.pending() == ["one"]
    state.rmdir()
    assert wait_until(lambda: announced(tmp_path, "one") not in (None, victim), DEADLINE_SECONDS)
    if Path("/proc/self/environ").exists():
        assert _own_processes(tmp_path) == 1


def test_a_supervisor_whose_report_goes_nowhere_still_starts_what_ended(tmp_path: Path) -> None:
    def full(_line: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    supervisor = Supervisor(tmp_path, [_role("one")], COMMAND, _environment(tmp_path), full)
    supervisor.start()
    try:
        assert _up(supervisor)
        victim = announced(tmp_path, "one")
        assert victim is not None
        victim.send(signal.SIGKILL)
        assert wait_until(lambda: announced(tmp_path, "one") not in (None, victim), DEADLINE_SECONDS)
    finally:
        supervisor.stop()


def test_a_process_that_ends_for_no_reason_comes_back_too(supervise: Starter, said: list[str]) -> None:
    supervise(_role("polite", "exit0"))
    assert wait_until(lambda: len(said) >= 2, DEADLINE_SECONDS)
    assert "ended with exit code 0; starting again" in said[0]


def test_unusable_settings_are_not_tried_again(supervise: Starter, said: list[str]) -> None:
    supervisor = supervise(_role("mistaken", "exit2"))
    assert wait_until(lambda: supervisor.given_up() == ["mistaken"], DEADLINE_SECONDS)
    assert "its settings or its database cannot be used" in said[0]
    assert "mistaken says hello" in said[0]


def test_what_a_killed_supervisor_left_behind_is_ended_by_the_next_one(tmp_path: Path, supervise: Starter) -> None:
    script = (
        "import os, sys, time; from pathlib import Path; from saphan_infra.roles import Role; "
        "from saphan_infra.supervisor import Supervisor; d = Path(sys.argv[1]); "
        "s = Supervisor(d, (Role('left', ('serve', 'left')),), sys.argv[2:], {**os.environ, 'SAPHAN_DATA_DIR': str(d)}); "
        "s.start(); time.sleep(600)"
    )
    doomed = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), *COMMAND])
    assert wait_until(lambda: announced(tmp_path, "left") is not None, DEADLINE_SECONDS)
    orphan = announced(tmp_path, "left")
    doomed.kill()
    doomed.wait()
    assert orphan is not None
    assert orphan.alive()
    assert supervisor_process(tmp_path) is None
    assert _up(supervise(_role("left")))
    assert not orphan.alive()
    assert announced(tmp_path, "left") not in (None, orphan)


def test_a_process_that_reused_an_id_is_never_ended(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "supervisor.json").write_text(
        f'{{"pid": {stranger.pid}, "started": "0", "roles": {{"link": {{"pid": {stranger.pid}, "started": "0"}}}}}}'
    )
    assert take_down(Settings(data_dir=tmp_path)) == []
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_fixed_metrics_ports_count_upwards() -> None:
    ports = [role.metrics_port for role in roles_of(Settings(metrics_port=9100, integrate_workers=2))]
    assert ports == [9100, 9101, 9102, 9103, 9104]
    assert {role.metrics_port for role in roles_of(Settings())} == {0}


def test_roles_are_link_integrators_and_consumers() -> None:
    names = [role.name for role in roles_of(Settings(integrate_workers=2))]
    assert names == ["link", "integrate-0", "integrate-1", "delivery", "metrics"]


@pytest.fixture
def settings(tmp_path: Path, kafka_bootstrap: str) -> Settings:
    """Settings of a data directory of its own with the session's broker."""
    return Settings(data_dir=tmp_path / "data", kafka_bootstrap=kafka_bootstrap)


@pytest.mark.broker
def test_a_platform_starts_once_and_can_be_taken_down(settings: Settings, said: list[str]) -> None:
    platform = Platform(settings, report=said.append, roles=[_role("link"), _role("metrics")], command=COMMAND)
    platform.start()
    try:
        assert {row.state for row in platform.status()} == {"running"}
        assert supervisor_process(settings.data_dir) == OwnedProcess.of(os.getpid())
        with pytest.raises(PlatformRunning, match="saphan down"):
            Platform(settings, report=said.append, roles=[_role("link")], command=COMMAND).start()
        with pytest.raises(PlatformRunning, match="saphan down"):
            clear_data(settings)
        assert {row.state for row in platform.status()} == {"running"}
    finally:
        platform.stop()
    assert {row.state for row in platform.status()} == {"stopped"}
    platform.start()
    platform.stop()


@pytest.mark.broker
def test_a_platform_that_does_not_come_up_says_why_and_leaves_nothing(settings: Settings, said: list[str]) -> None:
    roles = [_role("fine"), _role("mistaken", "exit2")]
    platform = Platform(settings, report=said.append, roles=roles, command=COMMAND)
    with pytest.raises(RoleFailed, match="mistaken says hello"):
        platform.start()
    assert {row.state for row in platform.status()} == {"stopped"}


@pytest.mark.broker
def test_stopping_while_it_starts_is_possible(settings: Settings, said: list[str]) -> None:
    platform = Platform(settings, report=said.append, roles=[_role("mute", "silent")], command=COMMAND)
    stop = threading.Event()

    def stop_once_it_runs() -> None:
        assert wait_until(log_path(settings.data_dir, "mute").exists, DEADLINE_SECONDS)
        stop.set()

    watch = threading.Thread(target=stop_once_it_runs)
    watch.start()
    platform.start(stop=stop)
    watch.join()
    assert stop.is_set()
    platform.run_until(stop)
    assert {row.state for row in platform.status()} == {"stopped"}


@pytest.mark.broker
def test_processes_get_every_setting_of_the_one_who_starts_them(
    settings: Settings, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAPHAN_INTEGRATE_WORKERS", "9")
    platform = Platform(settings, report=said.append, roles=[_role("link")], command=COMMAND)
    platform.start()
    try:
        values = read_json(settings.data_dir / "run" / "supervisor.json")
        environment = Path(f"/proc/{values['roles']['link']['pid']}/environ")
        if environment.exists():
            variables = dict(row.split("=", 1) for row in environment.read_text().split("\0") if "=" in row)
            assert variables["SAPHAN_KAFKA_BOOTSTRAP"] == settings.kafka_bootstrap
            assert "SAPHAN_INTEGRATE_WORKERS" not in variables  # set here after the settings were read
            assert Path(variables["SAPHAN_CONFIG"]).read_text().startswith("#")
    finally:
        platform.stop()


def test_starting_over_deletes_what_the_platform_keeps_and_nothing_else(tmp_path: Path) -> None:
    for name in ("kafka", "faust", "run", "logs", "cache", "reports", "mine"):
        (tmp_path / name).mkdir()
    for name in ("state.db", "state.db-wal", "link.db", "metrics.db", "delivery-webhook.db", "mine.db", "saphan.toml"):
        (tmp_path / name).touch()
    clear_data(Settings(data_dir=tmp_path))
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["cache", "mine", "mine.db", "reports", "saphan.toml"]


def _note(path: Path, process: OwnedProcess) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"pid": process.pid, "started": process.started})


@pytest.mark.parametrize(
    ("state_file", "name"),
    [("postgres/postgres.json", "Postgres"), ("kafka/broker.json", "Kafka"), ("run/link.json", "link")],
)
def test_starting_over_deletes_nothing_under_what_still_runs(tmp_path: Path, state_file: str, name: str) -> None:
    _note(tmp_path / state_file, OwnedProcess.of(os.getpid()))
    (tmp_path / "state.db").touch()
    with pytest.raises(PlatformRunning, match=f"{name}.*process {os.getpid()}"):
        clear_data(Settings(data_dir=tmp_path))
    assert (tmp_path / "state.db").exists()
    assert (tmp_path / state_file).exists()


def test_a_data_directory_keeps_its_kind_of_database(tmp_path: Path) -> None:
    (tmp_path / "state.db").touch()
    platform = Platform(Settings(data_dir=tmp_path, kafka_bootstrap="127.0.0.1:1"), roles=[], command=COMMAND)
    with pytest.raises(SettingsError, match="already keeps its state in SQLite"):
        platform.start(postgres=True)


@dataclass
class _Service:
    """A small stand-in for the broker: refuses to start as often as it is told."""

    refusals: int
    process: OwnedProcess | None = None
    starts: int = 0

    def start(self) -> str:
        self.starts += 1
        if self.starts <= self.refusals:
            raise BrokerUnavailable("not now")
        self.process = OwnedProcess.of(os.getpid())
        return "127.0.0.1:1"


def test_a_service_that_died_is_started_until_it_runs(said: list[str]) -> None:
    weak, fine = _Service(refusals=1), _Service(refusals=0, process=OwnedProcess.of(os.getpid()))
    watch = ServiceWatch({"Kafka": weak, "PostgreSQL": fine}, said.append)
    watch.start()
    try:
        assert wait_until(lambda: weak.process is not None, DEADLINE_SECONDS)
    finally:
        watch.stop()
    assert (weak.starts, fine.starts) == (2, 0)
    assert any("not now" in line and "Trying again" in line for line in said)


@pytest.mark.broker
def test_a_killed_broker_comes_back_while_the_platform_is_up(tmp_path: Path, said: list[str], java_cache: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", cache_dir=java_cache, kafka_heap_mb=256)
    platform = Platform(settings, report=said.append, roles=[_role("link")], command=COMMAND)
    platform.start()
    try:
        before, address = platform.broker.process, platform.broker.bootstrap
        assert before is not None
        before.send(signal.SIGKILL)
        assert wait_until(lambda: "Kafka runs again." in said, 90)
        assert platform.broker.process not in (None, before)
        assert platform.broker.bootstrap == address
        wait_for_broker(settings.bootstrap, DEADLINE_SECONDS)
    finally:
        platform.stop()
    assert platform.broker.process is None


@pytest.mark.broker
def test_taking_down_ends_broker_and_what_a_killed_supervisor_left(
    tmp_path: Path, java_cache: Path, said: list[str]
) -> None:
    settings = Settings(data_dir=tmp_path / "data", cache_dir=java_cache, kafka_heap_mb=256)
    broker = Platform(settings, report=said.append, roles=[]).broker
    broker.start()
    assert take_down(settings, said.append) == ["kafka"]
    assert broker.process is None
    assert take_down(settings, said.append) == []
