"""Where a benchmark runs: a data directory, broker, database and processes of its own, gone when it ends."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from saphan_infra.availability import ServiceUnavailable
from saphan_infra.kafka_admin import ensure_topics
from saphan_infra.maven import Report
from saphan_infra.owned_process import OwnedProcess, read_json, tail, wait_until, write_json
from saphan_infra.processes import child_environment, local_kafka, local_postgres, stop_services
from saphan_infra.roles import Role, announced, log_path, state_path
from saphan_infra.settings import Settings
from saphan_infra.supervisor import STATE_FILE, Supervisor
from saphan_infra.writable import require_data_dir
from saphan_schemas.topics import TOPICS

_PREFIX = "bench-"
_STATE_FILE = "bench.json"
_READY_SECONDS = 90
_PATIENCE_SECONDS = 20


class ProcessFailed(ServiceUnavailable):
    """A process of the benchmark ended or did not come up; the text holds the end of its log."""


class Stand:
    """A platform of its own. ``settings`` are the caller's but for where everything lies and listens."""

    COMMAND = (sys.executable, "-m", "saphan_cli")

    def __init__(self, settings: Settings, report: Report) -> None:
        self.settings = settings
        self.report = report
        self.kafka = local_kafka(settings, report)
        self._running: dict[str, tuple[subprocess.Popen[bytes], OwnedProcess]] = {}

    def start_services(self, *, postgres: bool) -> None:
        """Start broker and, if wanted, PostgreSQL, and make the topics. Raises ServiceUnavailable."""
        self.kafka.start()
        if postgres:
            local_postgres(self.settings, self.report).start()
        ensure_topics(self.settings.bootstrap, TOPICS.values())

    def start(self, role: Role) -> OwnedProcess:
        """Start one role and return once it owns its partitions. Raises ProcessFailed."""
        state_path(self.settings.data_dir, role.name).unlink(missing_ok=True)
        self.launch(role.name, [*self.COMMAND, *role.arguments])
        popen, identity = self._running[role.name]

        def came_up() -> bool:
            return popen.poll() is not None or announced(self.settings.data_dir, role.name) == identity

        if not wait_until(came_up, _READY_SECONDS) or popen.poll() is not None:
            raise self._failed(role.name, "did not come up")
        return identity

    def launch(self, name: str, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        """Start any process of this benchmark under a name, with a log of its own."""
        log = log_path(self.settings.data_dir, name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            # A session of its own: Ctrl-C reaches the benchmark alone, which ends its children in order.
            process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**self.environment(), **(environment or {})},
                start_new_session=True,
            )
        self._running[name] = process, OwnedProcess.of(process.pid)
        self._write_state()

    def wait(self, name: str, seconds: float) -> None:
        """Wait until a launched process ends by itself. Raises ProcessFailed when it fails or takes too long."""
        popen, _ = self._running[name]
        if not wait_until(lambda: popen.poll() is not None, seconds):
            raise self._failed(name, f"did not end within {seconds:.0f} s")
        if popen.returncode:
            raise self._failed(name, f"ended with exit code {popen.returncode}")
        self.stop(name)

    def check(self) -> None:
        """Raise ProcessFailed when a process has ended that should run."""
        for name, (popen, _) in self._running.items():
            if popen.poll() is not None:
                raise self._failed(name, f"ended with exit code {popen.returncode}")
        if self.kafka.process is None:
            message = f"The broker of the benchmark has ended. The end of its log:\n{tail(self.kafka.log_path)}"
            raise ProcessFailed(message)

    def stop(self, *names: str) -> None:
        """End these processes (all when none is named), the last started first."""
        for name in reversed([name for name in self._running if not names or name in names]):
            popen, _ = self._running.pop(name)
            if popen.poll() is None:
                popen.terminate()
                try:
                    popen.wait(_PATIENCE_SECONDS)
                except subprocess.TimeoutExpired:
                    popen.kill()
                    popen.wait()
        self._write_state()

    def process(self, name: str) -> OwnedProcess:
        """The process that was launched under this name."""
        return self._running[name][1]

    def stages(self) -> dict[str, tuple[int, ...]]:
        """The process ids of each stage: broker, database (if a server), link, integrate."""
        found: dict[str, tuple[int, ...]] = {}
        if self.kafka.process is not None:
            found["broker"] = (self.kafka.process.pid,)
        server = local_postgres(self.settings).process if self.settings.postgres_dir.exists() else None
        if server is not None:
            found["database"] = (server.pid,)
        for name, (_, identity) in self._running.items():
            stage = name.partition("-")[0]
            found[stage] = (*found.get(stage, ()), identity.pid)
        return found

    def environment(self) -> dict[str, str]:
        """What a child gets."""
        return child_environment(self.settings)

    def _failed(self, name: str, what: str) -> ProcessFailed:
        log = log_path(self.settings.data_dir, name)
        return ProcessFailed(f"{name} {what}. The end of its log:\n{tail(log)}")

    def _write_state(self) -> None:
        me = OwnedProcess.of(os.getpid())
        children = [{"pid": identity.pid, "started": identity.started} for _, identity in self._running.values()]
        values = {"pid": me.pid, "started": me.started, "children": children}
        write_json(self.settings.data_dir / _STATE_FILE, values)


@contextmanager
def stand(settings: Settings, report: Report, *, postgres: bool = False) -> Iterator[Stand]:
    """A started stand inside ``settings.data_dir``; everything of it is ended and deleted when the block ends.

    SIGTERM ends the block as Ctrl-C does. What a benchmark that was killed left behind is cleared first.
    """
    if not Path("/proc/self/stat").exists():
        message = "The benchmarks read CPU times from /proc, which this system does not have: run them on Linux."
        raise ServiceUnavailable(message)
    require_data_dir(settings)
    _clear_leftovers(settings)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=settings.data_dir))
    directory.chmod(0o711)  # PostgreSQL may run as another user below it
    own = settings.model_copy(
        update={
            "data_dir": directory,
            "cache_dir": settings.downloads_dir,
            "kafka_bootstrap": None,
            "kafka_security_protocol": "PLAINTEXT",
            "kafka_sasl_mechanism": None,
            "kafka_sasl_username": None,
            "kafka_sasl_password": None,
            "replication_factor": 1,
            "database_url": None,
            "metrics_port": 0,
        }
    )
    made = Stand(own, report)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        made.start_services(postgres=postgres)
        yield made
    finally:
        _quietly_end(made)
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def _quietly_end(made: Stand) -> None:
    # A second Ctrl-C would leave half of it running.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        made.stop()
        stop_services(made.settings, made.report)
        shutil.rmtree(made.settings.data_dir, ignore_errors=True)
    finally:
        signal.signal(signal.SIGINT, before)


def _clear_leftovers(settings: Settings) -> None:
    for directory in settings.data_dir.glob(f"{_PREFIX}*"):
        state = read_json(directory / _STATE_FILE)
        owner = OwnedProcess.named_in(state)
        if owner is None or owner.alive():
            continue
        for child in map(OwnedProcess.named_in, state["children"]):
            if child is not None:
                child.end(_PATIENCE_SECONDS)
        for state_file in directory.rglob(STATE_FILE):
            Supervisor(state_file.parents[1], (), (), {}).end_leftovers()
        left = settings.model_copy(update={"data_dir": directory, "cache_dir": settings.downloads_dir})
        stop_services(left)
        shutil.rmtree(directory, ignore_errors=True)
