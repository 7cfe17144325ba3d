"""Who may enter a data directory, and what it says about its local services, whether they run or not."""

import os
from pathlib import Path

from saphan_infra.other_user import ROOT, let_other_enter
from saphan_infra.owned_process import read_json


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


def local_bootstrap(kafka_dir: Path) -> str | None:
    """Address that the local broker of a directory listens on; None before its first start."""
    address = read_json(kafka_dir / "broker.json").get("bootstrap")
    return None if address is None else str(address)


def local_database_url(postgres_dir: Path) -> str | None:
    """SQLAlchemy URL of the local PostgreSQL of a directory; None before its first start."""
    port = read_json(postgres_dir / "postgres.json").get("port")
    try:
        password = (postgres_dir / "password").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    if port is None:
        return None
    return f"postgresql+psycopg://saphan:{password}@127.0.0.1:{port}/saphan"


def checkout_cache_dir() -> Path | None:
    """The download directory of the checkout that this program runs from; None when it is installed."""
    checkout = Path(__file__).parents[2]
    return checkout / ".saphan" / "cache" if (checkout / "pyproject.toml").is_file() else None
