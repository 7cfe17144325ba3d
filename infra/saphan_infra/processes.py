"""What `up` and `demo` start and `down` ends: the local broker, the local database and the platform's processes."""

import contextlib
import fcntl
import os
import shutil
import sys
import threading
from collections.abc import Sequence
from typing import IO

from saphan_infra.availability import ServiceUnavailable
from saphan_infra.kafka_admin import ensure_topics, wait_for_broker
from saphan_infra.kafka_security import kafka_python_security
from saphan_infra.local_kafka import LocalKafka
from saphan_infra.local_postgres import LocalPostgres
from saphan_infra.maven import Report, to_stderr
from saphan_infra.owned_process import tail, wait_until
from saphan_infra.private_dirs import make_private
from saphan_infra.roles import Role, RoleStatus, log_path, roles_of
from saphan_infra.service_watch import LocalService, ServiceWatch
from saphan_infra.settings import CONFIG_VARIABLE, ENV_PREFIX, Settings, SettingsError, environment_of
from saphan_infra.supervisor import Supervisor, is_full, make_room, role_statuses, supervisor_process
from saphan_schemas.topics import TOPICS

_READY_SECONDS = 90
SUPERVISOR_PATIENCE_SECONDS = 120
#: What the platform itself keeps in a data directory; `clear_data` deletes exactly these.
_STATE_DIRECTORIES = ("kafka", "postgres", "faust", "run", "logs")
_STATE_FILES = tuple(
    f"{name}.db{end}" for name in ("state", "link", "delivery-*", "metrics") for end in ("", "-wal", "-shm")
)
_COMMAND = (sys.executable, "-m", "saphan_cli")


class PlatformRunning(RuntimeError):
    """The platform of this data directory runs already, under another process."""


class RoleFailed(ServiceUnavailable):
    """A process of the platform did not come up; the text holds the end of its log."""


class Platform:
    """Everything of one data directory. Used by one process at a time, which supervises until `stop`.

    ``command`` is what runs `saphan`; ``roles`` None: those of the settings. Progress goes to ``report``.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        report: Report = to_stderr,
        roles: Sequence[Role] | None = None,
        command: Sequence[str] = _COMMAND,
    ) -> None:
        self._settings = settings
        self._report = report
        self._roles = tuple(roles_of(settings) if roles is None else roles)
        self._command = command
        self._lock_file: IO[str] | None = None
        self._supervisor: Supervisor | None = None
        self._watch: ServiceWatch | None = None

    @property
    def broker(self) -> LocalKafka:
        """The local broker of the data directory, started or not."""
        return local_kafka(self._settings, self._report)

    @property
    def database(self) -> LocalPostgres:
        """The local PostgreSQL of the data directory, started or not."""
        return local_postgres(self._settings, self._report)

    def start(self, *, postgres: bool = False, stop: threading.Event | None = None) -> None:
        """Start services, topics and processes; return when every process has announced itself, or ``stop`` is set.

        ``postgres``: keep the state in a local PostgreSQL from now on. Raises PlatformRunning, SettingsError and
        ServiceUnavailable; what was started is stopped again then.
        """
        stop = stop or threading.Event()
        self._lock_file = _locked(self._settings)
        try:
            self._supervisor = Supervisor(
                self._settings.data_dir, self._roles, self._command, child_environment(self._settings), self._report
            )
            # Kafka may be away for hours: `down` must find who waits for it.
            self._supervisor.take_charge()
            self._start_services(stop, postgres=postgres)
            if stop.is_set():
                return
            self._supervisor.start()
            self._watch = ServiceWatch(self._local_services(), self._report)
            self._watch.start()
            self._wait_until_ready(self._supervisor, stop)
        except BaseException:
            self.stop()
            raise

    def _start_services(self, stop: threading.Event, *, postgres: bool) -> None:
        """Start the local broker and database, where the settings mean those, and make the topics; less if ``stop`` is set."""
        settings = self._settings
        if postgres:
            _refuse_second_database(settings)
            self.database.start()
        for service in self._local_services().values():
            if stop.is_set():
                return
            service.start()
        security = kafka_python_security(settings)
        wait_for_broker(settings.bootstrap, on_wait=self._report, security=security, stop=stop)
        if not stop.is_set():
            ensure_topics(settings.bootstrap, TOPICS.values(), settings.replication_factor, security)

    def stop(self) -> None:
        """Stop the processes in reverse order, then the local database and broker. Data stays."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None
        stop_services(self._settings, self._report)
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def run_until(self, stop: threading.Event) -> None:
        """Supervise until the event is set, then stop everything."""
        try:
            stop.wait()
        finally:
            self.stop()

    def status(self) -> list[RoleStatus]:
        """How each process is."""
        return role_statuses(self._settings.data_dir, self._roles)

    def _local_services(self) -> dict[str, LocalService]:
        """The services that are this platform's to run."""
        found: dict[str, LocalService] = {}
        if self._settings.database_url is None and self._settings.postgres_dir.exists():
            found["PostgreSQL"] = self.database
        if self._settings.uses_local_broker:
            found["Kafka"] = self.broker
        return found

    def _wait_until_ready(self, supervisor: Supervisor, stop: threading.Event) -> None:
        def settled() -> bool:
            return stop.is_set() or not supervisor.pending() or bool(supervisor.given_up())

        wait_until(settled, _READY_SECONDS)
        if stop.is_set():
            return
        late = supervisor.given_up() or supervisor.pending()
        if late:
            logs = [(name, log_path(self._settings.data_dir, name)) for name in late]
            ends = "\n".join(f"The end of {log}:\n{tail(log)}" for _, log in logs)
            message = f"These did not come up: {', '.join(late)}. `saphan doctor` looks for the cause.\n{ends}"
            raise RoleFailed(message)


def make_room_in_log(settings: Settings) -> None:
    """Move a supervisor's log that is full, unless it is in use: whoever follows it would see nothing more."""
    log = log_path(settings.data_dir, "supervisor")
    # Only then: another start that finds the lock taken for a moment gives up.
    if is_full(log):
        with contextlib.suppress(PlatformRunning), _locked(settings):
            make_room(log)


def _locked(settings: Settings) -> IO[str]:
    """The lock of whoever runs the platform, until it is closed. Raises PlatformRunning."""
    path = settings.data_dir / "run" / "platform.lock"
    make_private(path.parent)
    handle = path.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        message = (
            f"The platform of {settings.data_dir} runs already. `saphan status` shows it, `saphan down` ends it; "
            "another one needs its own SAPHAN_DATA_DIR."
        )
        raise PlatformRunning(message) from None
    return handle


def child_environment(settings: Settings) -> dict[str, str]:
    """What a process of the platform gets: exactly these settings, whatever file or variables lie around where it starts."""
    nothing = settings.data_dir / "run" / "no-settings.toml"
    nothing.parent.mkdir(parents=True, exist_ok=True)
    nothing.write_text("# Whoever starts this process hands every setting over in the environment.\n", encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    return {**kept, **environment_of(settings), CONFIG_VARIABLE: str(nothing), "PYTHONUNBUFFERED": "1"}


def local_kafka(settings: Settings, report: Report = to_stderr) -> LocalKafka:
    """The local broker that belongs to these settings."""
    return LocalKafka(
        settings.kafka_dir,
        settings.downloads_dir,
        heap_mb=settings.kafka_heap_mb,
        report=report,
        maven_repository_url=settings.maven_repository_url,
    )


def local_postgres(settings: Settings, report: Report = to_stderr) -> LocalPostgres:
    """The local PostgreSQL that belongs to these settings."""
    return LocalPostgres(
        settings.postgres_dir,
        settings.downloads_dir,
        report=report,
        maven_repository_url=settings.maven_repository_url,
    )


def stop_services(settings: Settings, report: Report = to_stderr) -> None:
    """Stop the local database and broker of the data directory; nothing happens to those of somebody else."""
    if settings.postgres_dir.exists():
        local_postgres(settings, report).stop()
    local_kafka(settings, report).stop()


def take_down(settings: Settings, report: Report = to_stderr) -> list[str]:
    """End everything that `up` or `demo` started for this data directory; the names of what ran."""
    running = [row.role for row in role_statuses(settings.data_dir, ()) if row.state != "stopped"]
    running += ["postgres"] if settings.postgres_dir.exists() and local_postgres(settings, report).process else []
    running += ["kafka"] if local_kafka(settings, report).process else []
    supervisor = supervisor_process(settings.data_dir)
    if supervisor is not None:
        running.append("supervisor")
        supervisor.end(SUPERVISOR_PATIENCE_SECONDS)
    Supervisor(settings.data_dir, (), (), {}, report).end_leftovers()
    stop_services(settings, report)
    return running


def clear_data(settings: Settings) -> list[str]:
    """Delete the platform's state, messages and logs of this data directory, for `--fresh`; the names of what went.

    Downloads, reports and whatever else lies there stay. Raises PlatformRunning while something of it runs.
    """
    running = _running(settings)
    if running:
        message = (
            f"{settings.data_dir} is in use: {', '.join(running)}. Run `saphan down` first; it does not end what was "
            "started by `saphan run`."
        )
        raise PlatformRunning(message)
    files = [path for pattern in _STATE_FILES for path in settings.data_dir.glob(pattern)]
    directories = [settings.data_dir / name for name in _STATE_DIRECTORIES if (settings.data_dir / name).is_dir()]
    for path in files:
        path.unlink()
    for path in directories:
        shutil.rmtree(path)
    return sorted(path.name for path in [*files, *directories])


def _running(settings: Settings) -> list[str]:
    """What of a data directory runs, each with its process id."""
    supervisor = supervisor_process(settings.data_dir)
    found = {"supervisor": None if supervisor is None else supervisor.pid}
    found |= {row.role: row.pid for row in role_statuses(settings.data_dir, roles_of(settings))}
    services: list[LocalKafka | LocalPostgres] = [local_kafka(settings)]
    services += [local_postgres(settings)] if settings.postgres_dir.exists() else []
    found |= {type(service).__name__: service.process.pid for service in services if service.process is not None}
    return [f"{name} (process {pid})" for name, pid in found.items() if pid is not None]


def _refuse_second_database(settings: Settings) -> None:
    if settings.database_url is not None:
        message = "SAPHAN_DATABASE_URL is set: the platform uses that database. Leave out --postgres, or unset it."
        raise SettingsError(message)
    if not settings.postgres_dir.exists() and (settings.data_dir / "state.db").exists():
        message = (
            f"{settings.data_dir} already keeps its state in SQLite. Use another SAPHAN_DATA_DIR for PostgreSQL, or "
            "`saphan demo --fresh` to start over."
        )
        raise SettingsError(message)
