"""Who may enter a directory that the platform makes: its owner alone, and the user that PostgreSQL must run as."""

import os
from pathlib import Path

from saphan_infra.other_user import ROOT, let_other_enter


def make_private(directory: Path) -> None:
    """Make a directory, and what is missing above it, for its owner alone; what is there keeps its rights.

    The local broker's log and link's database hold names and numbers. PostgreSQL, which refuses to be root, must
    pass through what root makes: as the one user that it then runs as.
    """
    missing = [part for part in (directory, *directory.parents) if not part.exists()]
    for part in reversed(missing):
        part.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == ROOT:
            let_other_enter(part)
    # Says what is wrong when something else stands there.
    directory.mkdir(exist_ok=True)
