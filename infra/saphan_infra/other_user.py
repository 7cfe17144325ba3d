"""As whom a service runs that refuses to be root, and which directories that user can enter."""

import os
import pwd
import stat
from pathlib import Path
from typing import Any

from saphan_infra.availability import DatabaseServerUnavailable

ROOT = 0
_NAME = "nobody"


def other_identity() -> dict[str, Any]:
    """What subprocess needs to run a program as ``nobody``; empty when this process is not root's."""
    if os.geteuid() != ROOT:
        return {}
    try:
        nobody = pwd.getpwnam(_NAME)
    except KeyError:
        message = "PostgreSQL does not run as root and there is no user `nobody` here. Run saphan as another user."
        raise DatabaseServerUnavailable(message) from None
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def other_may_enter(path: Path) -> bool:
    """Whether ``nobody`` can enter a directory and all above it; what does not exist yet is left out."""
    group = pwd.getpwnam(_NAME).pw_gid
    found = [part.stat() for part in (path, *path.parents) if part.exists()]
    return all(row.st_mode & (stat.S_IXGRP if row.st_gid == group else stat.S_IXOTH) for row in found)


def let_other_enter(directory: Path) -> None:
    """Let ``nobody`` pass through a directory of root's, and no other user: no list of it, no way for the rest."""
    try:
        group = pwd.getpwnam(_NAME).pw_gid
    except KeyError:
        return  # then nothing runs as that user
    os.chown(directory, -1, group)
    directory.chmod(0o710)
