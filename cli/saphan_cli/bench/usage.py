"""How much CPU and memory processes have used, as Linux tells it."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from saphan_infra.machine import usable_cores

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class Usage(NamedTuple):
    """CPU seconds of a stage since its processes started, of each process and of each of their threads."""

    process_cpu_seconds: Mapping[int, float]
    thread_cpu_seconds: Mapping[int, float]

    @property
    def cpu_seconds(self) -> float:
        """Of all processes together."""
        return sum(self.process_cpu_seconds.values())


class Machine(NamedTuple):
    """Where figures were measured. ``cores`` are those that may be used, which may be a fraction in a container."""

    cores: float
    cpu_model: str
    memory_mib: int
    python: str
    system: str
    git_commit: str | None


def own_usage() -> Usage:
    """What this process has used, without its children."""
    return Usage({os.getpid(): _cpu_seconds(_PROC / "self" / "stat")}, {})


def usage(pids: Sequence[int]) -> Usage:
    """What these processes and their children have used; a process that is gone counts nothing."""
    processes: dict[int, float] = {}
    threads: dict[int, float] = {}
    for pid in with_children(pids):
        processes[pid] = _cpu_seconds(_PROC / str(pid) / "stat", waited_for=True)
        for task in _listed(_PROC / str(pid) / "task"):
            threads[int(task.name)] = _cpu_seconds(task / "stat")
    return Usage(processes, threads)


def own_peak_rss_mib() -> float:
    """The largest memory that this process ever held, MiB."""
    return _kib(os.getpid(), "VmHWM:") / 1024


def peak_rss_mib(pids: Sequence[int]) -> float:
    """The largest memory that each process ever held, added up, MiB. Shared pages count in each."""
    return sum(_kib(pid, "VmHWM:") for pid in with_children(pids)) / 1024


def busy_seconds() -> float:
    """CPU seconds that the whole machine has spent working since it started, for whomever."""
    first = (_PROC / "stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    user, nice, system, _idle, _iowait, irq, softirq = map(int, first[1:8])
    return (user + nice + system + irq + softirq) / _TICKS_PER_SECOND


def machine() -> Machine:
    """This machine."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024**2
    return Machine(
        usable_cores(),
        _cpu_model(),
        memory,
        platform.python_version(),
        f"{platform.system()} {platform.release()}",
        _commit(),
    )


def with_children(pids: Sequence[int]) -> list[int]:
    """These processes and all below them."""
    found: list[int] = []
    for pid in pids:
        children = []
        for task in _listed(_PROC / str(pid) / "task"):
            children += [int(word) for word in _text(task / "children").split()]
        found += [pid, *with_children(children)]
    return found


def _cpu_seconds(path: Path, *, waited_for: bool = False) -> float:
    # The second field is the program's name in brackets and may hold anything.
    fields = _text(path).rpartition(")")[2].split()
    if not fields:
        return 0.0
    # utime, stime; and of children that have ended and were waited for: cutime, cstime.
    return sum(map(int, fields[11 : 15 if waited_for else 13])) / _TICKS_PER_SECOND


def _kib(pid: int, name: str) -> int:
    for line in _text(_PROC / str(pid) / "status").splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0


def _listed(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _cpu_model() -> str:
    for line in _text(_PROC / "cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return ended.stdout.strip() or None
