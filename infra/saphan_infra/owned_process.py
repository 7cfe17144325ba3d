"""Whether a process on this machine is still the one that we started, and how it is ended."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from saphan_infra.clock import monotonic_seconds, wait_seconds
from saphan_infra.private_dirs import make_private

_POLL_SECONDS = 0.05
#: Below what systems give to outgoing connections: a client that retries a dead port there could meet itself.
_PORTS = range(20_000, 30_000)


@dataclass(frozen=True, slots=True)
class OwnedProcess:
    """A process by its id and its start, so that another process with a reused id is never touched."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """The process that has this id now. Raises ProcessLookupError."""
        started = start_mark(pid)
        if started is None:
            message = f"process {pid} is gone"
            raise ProcessLookupError(message)
        return cls(pid, started)

    @classmethod
    def named_in(cls, values: Mapping[str, Any]) -> Self | None:
        """The process that a state file names; None when it names none."""
        if "pid" not in values or "started" not in values:
            return None
        return cls(int(values["pid"]), str(values["started"]))

    def alive(self) -> bool:
        """Whether it still runs (a zombie does not)."""
        return start_mark(self.pid) == self.started

    def send(self, number: signal.Signals) -> bool:
        """Send a signal, only if it is still ours. Whether it was sent."""
        if not self.alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def end(self, patience_seconds: float, first: signal.Signals = signal.SIGTERM) -> bool:
        """Ask it to stop, wait, then kill it. Whether it stopped by itself."""
        if not self.send(first) or self.wait(patience_seconds):
            return True
        self.send(signal.SIGKILL)
        self.wait(patience_seconds)
        return False

    def wait(self, seconds: float) -> bool:
        """Wait until it is gone; whether it is."""
        gone = wait_until(lambda: not self.alive(), seconds)
        if gone:
            self.bury()
        return gone

    def bury(self) -> None:
        """Let go of a dead child of ours, which keeps its id until then. Not for children of a Popen that is still asked."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again until it holds or the time is over; whether it holds."""
    deadline = monotonic_seconds() + seconds
    while not condition():
        if monotonic_seconds() > deadline:
            return False
        wait_seconds(_POLL_SECONDS)
    return True


def start_mark(pid: int) -> str | None:
    """Something that stays the same as long as the process lives and differs for the next one with its id."""
    if Path("/proc/self/stat").exists():
        return _mark_from_proc(pid)
    return _mark_from_ps(pid)


def _mark_from_proc(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the program's name in brackets and may hold anything.
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in "ZX" else str(rest[18])


def _mark_from_ps(pid: int) -> str | None:
    ps = ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)]
    shown = subprocess.run(ps, capture_output=True, text=True, check=False, env={"LC_ALL": "C"})  # noqa: S603
    state, _, started = shown.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def free_port(preferred: int | None = None, avoid: frozenset[int] = frozenset()) -> int:
    """A port of 127.0.0.1 that nobody listens on: the preferred one if it is free. Raises OSError when all are taken."""
    first = secrets.randbelow(len(_PORTS))
    candidates: list[int] = [] if preferred is None else [preferred]
    candidates += [*_PORTS[first:], *_PORTS[:first]]
    for port in candidates:
        if port not in avoid and port_is_free(port):
            return port
    message = f"every port from {_PORTS.start} to {_PORTS.stop} of 127.0.0.1 is taken"
    raise OSError(message)


def port_is_free(port: int) -> bool:
    """Whether nobody listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        # Without it, connections that a killed server left behind would look like a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def read_json(path: Path) -> dict[str, Any]:
    """A state file; empty when it is absent or half-written."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Replace a state file in one step, so that nobody reads half of it."""
    make_private(path.parent)
    incoming = path.with_name(f".{path.name}.{os.getpid()}")
    incoming.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    incoming.replace(path)


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message; "(empty)" when there is nothing."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    return "\n".join(text.rstrip().splitlines()[-lines:]) or "(empty)"
