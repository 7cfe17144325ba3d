"""How a running process comes to have a full disk: no file may grow any more, whosever process it is."""

import resource
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

#: A small disk of its own would need the right to mount it; a limit needs no rights but those of the process's own user.
#: PostgreSQL that root started runs as another user, who may not be able to reach Python: it becomes that one on the way.
_PROGRAM = """
import os, resource, sys
size, user, group, *pids = map(int, sys.argv[1:])
if (user, group) != (os.geteuid(), os.getegid()):
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
for pid in pids:
    try:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    except ProcessLookupError:
        pass
"""


def fill(pids: Iterable[int]) -> None:
    """These processes may write nothing to any file: they get the error that the system has for a file too large."""
    _limit(pids, 0)


def empty(pids: Iterable[int]) -> None:
    """Take that back."""
    _limit(pids, resource.RLIM_INFINITY)


def _limit(pids: Iterable[int], size_bytes: int) -> None:
    """Set the soft limit; the hard one stays, so that it can be taken back.

    Raises CalledProcessError when the system does not allow it.
    """
    by_owner: dict[tuple[int, int], list[int]] = {}
    for pid in pids:
        try:
            owner = Path(f"/proc/{pid}").stat()
        except FileNotFoundError:
            continue
        by_owner.setdefault((owner.st_uid, owner.st_gid), []).append(pid)
    for (user, group), theirs in by_owner.items():
        words = [sys.executable, "-I", "-S", "-c", _PROGRAM, *map(str, (size_bytes, user, group, *theirs))]
        subprocess.run(words, check=True, capture_output=True)  # noqa: S603
