"""Which processes the platform is made of, and where each one says that it is up."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from saphan_infra.clock import now_ms
from saphan_infra.owned_process import OwnedProcess, read_json, write_json
from saphan_infra.settings import Settings


class Role(NamedTuple):
    """One process: its name (unique), the arguments of `saphan` that run it, its metrics port (0: a free one)."""

    name: str
    arguments: tuple[str, ...]
    metrics_port: int = 0


@dataclass(frozen=True, slots=True)
class RoleStatus:
    """What is known of one role's process.

    ``state``: "running", "starting" (has not announced itself, or waits for its supervisor), "stopped". ``started_at`` is in ms since 1970.
    """

    role: str
    state: str
    pid: int | None
    started_at: int | None
    metrics_port: int | None
    restarts: int
    log: Path


def integrate_name(slot: int) -> str:
    """The name of one of the integrate processes; slots count from 0."""
    return f"integrate-{slot}"


LINK = Role("link", ("run", "link"))


def integrate_roles(settings: Settings) -> tuple[Role, ...]:
    """The integrate processes that the settings ask for."""
    return tuple(
        Role(integrate_name(slot), ("run", "integrate", "--slot", str(slot)))
        for slot in range(settings.integrate_workers)
    )


def roles_of(settings: Settings) -> tuple[Role, ...]:
    """The processes to start, in this order; they are stopped in the reverse order.

    With a fixed SAPHAN_METRICS_PORT the first gets that port and each next one the next port.
    """
    consumers = (Role("delivery", ("run", "delivery")), Role("metrics", ("run", "metrics")))
    rows = (LINK, *integrate_roles(settings), *consumers)
    first = settings.metrics_port
    return tuple(row._replace(metrics_port=first + index if first else 0) for index, row in enumerate(rows))


def announce(data_dir: Path, role: str, metrics_port: int) -> None:
    """Called by a role's process when it is up: who it is and where its metrics are."""
    process = OwnedProcess.of(os.getpid())
    values = {"pid": process.pid, "started": process.started, "started_at": now_ms(), "metrics_port": metrics_port}
    write_json(state_path(data_dir, role), values)


def state_path(data_dir: Path, role: str) -> Path:
    """Where a role announces itself."""
    return data_dir / "run" / f"{role}.json"


def log_path(data_dir: Path, role: str) -> Path:
    """Where a supervised role's stderr goes."""
    return data_dir / "logs" / f"{role}.log"


def announced(data_dir: Path, role: str) -> OwnedProcess | None:
    """The process that last announced itself in this role, if it still runs."""
    process = OwnedProcess.named_in(read_json(state_path(data_dir, role)))
    return process if process is not None and process.alive() else None
