"""Which processes a chaos run hurts and how they are kept running: a stand with supervisors, as `saphan up` would."""

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from saphan_cli.bench.stand import ProcessFailed, Stand
from saphan_cli.chaos import clock
from saphan_cli.chaos.clock.sitecustomize import OFFSET_FILE_VARIABLE
from saphan_infra.local_postgres import LocalPostgres
from saphan_infra.maven import Report
from saphan_infra.owned_process import OwnedProcess, wait_until
from saphan_infra.processes import local_postgres
from saphan_infra.roles import LINK, Role, announced, integrate_name, roles_of
from saphan_infra.settings import Settings, environment_of
from saphan_infra.supervisor import Supervisor, role_statuses

_READY_SECONDS = 90
_STANDBY = "standby"
_PROCESSES = frozenset({"link", "link-standby", "integrate", "delivery", "metrics", "broker", "database"})
_SECONDS = struct.Struct("<d")
#: Integrate processes that come and go in a storm have numbers of their own.
_EXTRA_SLOT = 90


class Clock:
    """How far the wall clock of a group of processes is off; they read it from a file at every look at the time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(_SECONDS.pack(0.0))

    def set(self, seconds: float) -> None:
        """So many seconds ahead, or behind when negative. In place: the processes have the file in memory."""
        with self._path.open("r+b") as file:
            file.write(_SECONDS.pack(seconds))

    def environment(self) -> dict[str, str]:
        """What a process needs to follow this clock."""
        return {OFFSET_FILE_VARIABLE: str(self._path), "PYTHONPATH": str(Path(clock.__file__).parent)}


class Place:
    """A running platform with a second link that stands by, as if on another machine with a clock of its own.

    ``lease_owner`` tells who the active link is, as the database has it.
    """

    def __init__(self, stand: Stand, report: Report, lease_owner: Callable[[], str]) -> None:
        self._lease_owner = lease_owner
        self.stand = stand
        self.settings = stand.settings
        self.clocks = {name: Clock(self.settings.data_dir / f"clock-{name}") for name in ("all", _STANDBY)}
        self._standby_dir = self.settings.data_dir / _STANDBY
        self._report = report
        self._extra = 0

    @property
    def postgres(self) -> LocalPostgres | None:
        """The local server; None when the state is in SQLite."""
        return local_postgres(self.settings, self._report) if self.settings.postgres_dir.exists() else None

    def roles(self) -> tuple[Role, ...]:
        """The processes of the first machine."""
        return roles_of(self.settings)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within the block both machines' processes run and are started again when they end. Raises ProcessFailed."""
        self._prepare_standby()
        with ExitStack() as stack:
            first = Supervisor(
                self.settings.data_dir, self.roles(), Stand.COMMAND, self._environment("all"), self._report
            )
            stack.callback(first.stop)
            first.start()
            if not wait_until(lambda: not first.pending(), _READY_SECONDS):
                message = f"these did not come up: {', '.join(first.pending())}; their logs are in {self.logs()}"
                raise ProcessFailed(message)
            second = Supervisor(self._standby_dir, (LINK,), Stand.COMMAND, self._environment(_STANDBY), self._report)
            stack.callback(second.stop)
            second.start()
            yield

    def process(self, target: str) -> OwnedProcess | None:
        """The running process of a target; None for the moment between its end and its next start."""
        match target:
            case "broker":
                return self.stand.kafka.process
            case "database":
                return self.postgres.process if self.postgres is not None else None
            case "link" | "link-standby":
                wanted = self._active_link_dir() if target == "link" else self._passive_link_dir()
                return _supervised(wanted, LINK.name)
            case "integrate":
                return _supervised(self.settings.data_dir, integrate_name(0))
            case _:
                return _supervised(self.settings.data_dir, target)

    def is_up(self, target: str) -> bool:
        """Whether a target's process runs and, if it has anything to announce, has announced itself.

        The link that stands by announces itself only when it becomes the active one.
        """
        if target not in {"integrate", "link", "delivery", "metrics"}:
            return target not in _PROCESSES or self.process(target) is not None
        directory = self._active_link_dir() if target == "link" else self.settings.data_dir
        name = integrate_name(0) if target == "integrate" else target
        return any(row.role == name and row.state == "running" for row in role_statuses(directory, ()))

    def logs(self) -> Path:
        """The folder of the first machine's logs."""
        return self.settings.data_dir / "logs"

    def log_texts(self) -> str:
        """Everything that any process has said."""
        paths = sorted([*self.logs().glob("*.log"), *(self._standby_dir / "logs").glob("*.log")])
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in paths)

    @contextmanager
    def one_more_integrate(self) -> Iterator[OwnedProcess]:
        """One more integrate process, ended in order at the end of the block if it still runs."""
        self._extra += 1
        name = f"{integrate_name(_EXTRA_SLOT)}-{self._extra}"
        slot = str(_EXTRA_SLOT + self._extra % 2)
        clock_of_all = self.clocks["all"].environment()
        self.stand.launch(name, [*Stand.COMMAND, "run", "integrate", "--slot", slot], clock_of_all)
        try:
            yield self.stand.process(name)
        finally:
            self.stand.stop(name)

    def has_joined(self, extra: OwnedProcess) -> bool:
        """Whether a process of :meth:`one_more_integrate` has got its partitions."""
        slots = (_EXTRA_SLOT, _EXTRA_SLOT + 1)
        return extra in [announced(self.settings.data_dir, integrate_name(slot)) for slot in slots]

    def set_clocks(self, target: str, seconds: float) -> None:
        """Step the clock of everything, or of the machine of the link that stands by."""
        chosen = list(self.clocks) if target == "all" else [self._clock_of_passive()]
        for name in chosen:
            self.clocks[name].set(seconds)

    def _clock_of_passive(self) -> str:
        return _STANDBY if self._passive_link_dir() == self._standby_dir else "all"

    def _active_link_dir(self) -> Path:
        return self._standby_dir if self._lease_owner().endswith(str(self._standby_dir)) else self.settings.data_dir

    def _passive_link_dir(self) -> Path:
        return self.settings.data_dir if self._active_link_dir() == self._standby_dir else self._standby_dir

    def _environment(self, machine: str) -> dict[str, str]:
        found = {**self.stand.environment(), **self.clocks[machine].environment()}
        if machine == _STANDBY:
            own: dict[str, Any] = {"data_dir": self._standby_dir, "kafka_bootstrap": self.settings.bootstrap}
            if self.postgres is not None:
                own["database_url"] = self.postgres.url()
            found |= environment_of(self.settings.model_copy(update=own))
        return found

    def _prepare_standby(self) -> None:
        self._standby_dir.mkdir()
        if self.postgres is None:
            # SQLite follows the link before it names its log, so that both have the same one.
            (self._standby_dir / "link.db").symlink_to(self.settings.data_dir / "link.db")


def _supervised(directory: Path, name: str) -> OwnedProcess | None:
    for row in role_statuses(directory, ()):
        if row.role == name and row.pid is not None:
            try:
                return OwnedProcess.of(row.pid)
            except ProcessLookupError:
                return None
    return None


def with_own_settings(settings: Settings, webhook_url: str, webhook_secret: str, workers: int) -> Settings:
    """What a chaos run sets for itself: small chunks, so that there are many, and a receiver that is tried again soon."""
    own = {
        "webhook_url": webhook_url,
        "webhook_secret": SecretStr(webhook_secret),
        "webhook_allow_http": True,
        "delivery_timeout_seconds": 3.0,
        "delivery_retry_max_seconds": 4.0,
        "integrate_workers": workers,
        "chunk_records_max": 200,
        "kafka_heap_mb": 256,
        "log_format": "json",
    }
    return settings.model_copy(update=own)
