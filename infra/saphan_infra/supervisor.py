"""When a process is started, started again or given up: children of one supervisor, each with its log."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from saphan_infra.clock import monotonic_seconds
from saphan_infra.maven import Report, to_stderr, unfailing
from saphan_infra.owned_process import OwnedProcess, read_json, tail, write_json
from saphan_infra.private_dirs import make_private
from saphan_infra.roles import Role, RoleStatus, announced, log_path, state_path

STATE_FILE = "supervisor.json"
_LOG_BYTES_MAX = 20_000_000
_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 20
_PAUSE_SECONDS_FIRST = 0.5
_PAUSE_SECONDS_MAX = 30.0
#: After so long without trouble the next pause is short again.
_GOOD_SECONDS = 60
#: The exit code for settings or a database that cannot be used: starting again would not help.
_EXIT_UNUSABLE = 2


@dataclass(slots=True)
class _Child:
    role: Role
    process: subprocess.Popen[bytes] | None = None
    identity: OwnedProcess | None = None
    started_at: float = 0.0
    pause_seconds: float = _PAUSE_SECONDS_FIRST
    again_at: float | None = None
    restarts: int = 0


@dataclass
class Supervisor:
    """Keeps the processes of ``roles`` running until it is stopped; touches no process that it did not start.

    ``command`` is put before each role's arguments, ``environment`` holds the children's whole environment.
    """

    data_dir: Path
    roles: Sequence[Role]
    command: Sequence[str]
    environment: Mapping[str, str]
    report: Report = to_stderr
    _children: dict[str, _Child] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.report = unfailing(self.report)

    def take_charge(self) -> None:
        """End what a supervisor that was killed has left behind. From now on others find this one, which starts nothing yet."""
        self.end_leftovers()
        self._write_state()

    def start(self) -> None:
        """Take charge, start every role and watch them."""
        self.take_charge()
        make_private(self.data_dir / "logs")
        self._stopping.clear()
        with self._lock:
            self._children = {role.name: _Child(role) for role in self.roles}
            for child in self._children.values():
                self._spawn(child)
        self._thread = threading.Thread(target=self._watch, name="saphan-supervisor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop every role in reverse order, waiting for each; then nothing is watched any more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        for child in reversed(list(self._children.values())):
            _end(child)
            state_path(self.data_dir, child.role.name).unlink(missing_ok=True)
        self._children = {}
        (self.data_dir / "run" / STATE_FILE).unlink(missing_ok=True)

    def end_leftovers(self) -> list[str]:
        """End the processes that another supervisor of this directory started and did not end; their roles."""
        ended = []
        for name, values in reversed(read_json(self.data_dir / "run" / STATE_FILE).get("roles", {}).items()):
            process = OwnedProcess.named_in(values)
            if process is not None and process.alive():
                process.end(_PATIENCE_SECONDS)
                ended.append(name)
        return ended

    def pending(self) -> list[str]:
        """Roles whose process does not run or has not announced itself since it started."""
        with self._lock:
            return [
                name
                for name, child in self._children.items()
                if child.identity is None or announced(self.data_dir, name) != child.identity
            ]

    def given_up(self) -> list[str]:
        """Roles that ended because of their settings or their database and are not started again."""
        with self._lock:
            return [name for name, child in self._children.items() if child.process is None and child.again_at is None]

    def _watch(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            with self._lock:
                for child in self._children.values():
                    try:
                        self._look_after(child)
                    except OSError as error:
                        # No disk, no memory: this thread is all that would ever start anything again.
                        self._start_later(child, f"could not be started ({error})")

    def _look_after(self, child: _Child) -> None:
        now = monotonic_seconds()
        if child.process is None:
            if child.again_at is not None and now >= child.again_at:
                child.restarts += 1
                self._spawn(child)
            return
        code = child.process.poll()
        if code is None:
            return
        child.process = child.identity = None
        log = log_path(self.data_dir, child.role.name)
        what = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        if code == _EXIT_UNUSABLE:
            child.again_at = None
            self.report(
                f"{child.role.name}: {what}, its settings or its database cannot be used. From {log}:\n{tail(log, 3)}"
            )
            return
        if now - child.started_at > _GOOD_SECONDS:
            child.pause_seconds = _PAUSE_SECONDS_FIRST
        self._start_later(child, what)

    def _start_later(self, child: _Child, what: str) -> None:
        pause_seconds = child.pause_seconds
        child.again_at = monotonic_seconds() + pause_seconds
        child.pause_seconds = min(pause_seconds * 2, _PAUSE_SECONDS_MAX)
        log = log_path(self.data_dir, child.role.name)
        self.report(f"{child.role.name}: {what}; starting again in {pause_seconds:g} s. Its log: {log}")

    def _spawn(self, child: _Child) -> None:
        """Start its process and note it. Raises OSError; then no process of it runs."""
        log = log_path(self.data_dir, child.role.name)
        make_room(log)
        with log.open("ab") as output:
            # A session of its own: Ctrl-C reaches the supervisor, which stops its children in order.
            child.process = subprocess.Popen(  # noqa: S603
                [*self.command, *child.role.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**self.environment, "SAPHAN_METRICS_PORT": str(child.role.metrics_port)},
                start_new_session=True,
            )
        child.started_at = monotonic_seconds()
        child.again_at = None
        with contextlib.suppress(ProcessLookupError):
            child.identity = OwnedProcess.of(child.process.pid)
        try:
            self._write_state()
        except OSError:
            # One that is noted nowhere would outlive a supervisor that is killed. It has hardly begun.
            child.process.kill()
            child.process.wait()
            child.process = child.identity = None
            raise

    def _write_state(self) -> None:
        roles = {
            name: {"pid": child.identity.pid, "started": child.identity.started, "restarts": child.restarts}
            for name, child in self._children.items()
            if child.identity is not None
        }
        me = OwnedProcess.of(os.getpid())
        write_json(self.data_dir / "run" / STATE_FILE, {"pid": me.pid, "started": me.started, "roles": roles})


def is_full(log: Path) -> bool:
    """Whether a log is to be moved before its process is started again."""
    return log.exists() and log.stat().st_size > _LOG_BYTES_MAX


def make_room(log: Path) -> None:
    """Keep a full log as the one before."""
    if is_full(log):
        log.replace(log.with_suffix(".log.1"))


def _end(child: _Child) -> None:
    process = child.process
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def supervisor_process(data_dir: Path) -> OwnedProcess | None:
    """The running supervisor of a data directory; None when there is none."""
    process = OwnedProcess.named_in(read_json(data_dir / "run" / STATE_FILE))
    return process if process is not None and process.alive() else None


def preparing_process(data_dir: Path) -> OwnedProcess | None:
    """The running supervisor that has started no role yet, because Kafka or the database is not there; else None."""
    begun = read_json(data_dir / "run" / STATE_FILE).get("roles")
    return None if begun else supervisor_process(data_dir)


def role_statuses(data_dir: Path, roles: Sequence[Role]) -> list[RoleStatus]:
    """How each role is, read from the state files: by any process, also after the supervisor was killed."""
    supervised = read_json(data_dir / "run" / STATE_FILE).get("roles", {})
    names = list(dict.fromkeys([*(role.name for role in roles), *supervised]))
    not_yet = "stopped" if preparing_process(data_dir) is None else "starting"
    return [_status(data_dir, name, supervised.get(name, {}), not_yet) for name in names]


def _status(data_dir: Path, name: str, supervised: Mapping[str, int | str], not_yet: str) -> RoleStatus:
    values = read_json(state_path(data_dir, name))
    process = announced(data_dir, name)
    state = not_yet if process is None else "running"
    begun = OwnedProcess.named_in(supervised)
    if process is None and begun is not None and begun.alive():
        state, process = "starting", begun
    running = state == "running"
    return RoleStatus(
        name,
        state,
        None if process is None else process.pid,
        values.get("started_at") if running else None,
        values.get("metrics_port") if running else None,
        int(supervised.get("restarts", 0)),
        log_path(data_dir, name),
    )
