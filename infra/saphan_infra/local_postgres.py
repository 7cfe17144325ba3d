"""How one PostgreSQL server runs on this machine without Docker or installation, also for root, inside one directory."""

import os
import platform
import secrets
import shutil
import signal
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from saphan_infra.availability import DatabaseServerUnavailable
from saphan_infra.clock import monotonic_seconds, wait_seconds
from saphan_infra.maven import Report, exclusive, fetch, locked, to_stderr
from saphan_infra.other_user import other_identity, other_may_enter
from saphan_infra.owned_process import OwnedProcess, free_port, read_json, tail, write_json
from saphan_infra.private_dirs import make_private

STATE_FILE = "postgres.json"
USER = "saphan"
_PATIENCE_SECONDS = 20
_RELAUNCH_SECONDS = 0.5
_PLATFORMS = {
    ("Linux", "x86_64"): "linux-amd64",
    ("Linux", "aarch64"): "linux-arm64v8",
    ("Darwin", "x86_64"): "darwin-amd64",
    ("Darwin", "arm64"): "darwin-arm64v8",
}


class LocalPostgres:
    """The server of one directory; only this machine reaches it, with a password of its own.

    ``durable`` False trades safety after a power cut for speed: for tests. PostgreSQL refuses to run as root: started
    by root it runs as ``nobody``, who must be able to reach the directory.
    """

    def __init__(
        self,
        directory: Path,
        cache_dir: Path,
        *,
        durable: bool = True,
        report: Report = to_stderr,
        maven_repository_url: str | None = None,
    ) -> None:
        self._directory = directory.absolute()
        self._cache_dir = cache_dir.absolute()
        self._durable = durable
        self._report = report
        self._maven_repository_url = maven_repository_url
        self._identity = other_identity()

    @property
    def log_path(self) -> Path:
        """What the server said."""
        return self._directory / "postgres.log"

    @property
    def process(self) -> OwnedProcess | None:
        """The running server; None when it does not run."""
        process = OwnedProcess.named_in(read_json(self._directory / STATE_FILE))
        if process is None or process.alive():
            return process
        process.bury()
        return None

    def url(self, database: str = "saphan") -> str:
        """SQLAlchemy URL of a database of this server; holds the password. Raises DatabaseServerUnavailable before the first start."""
        return f"postgresql+psycopg://{self._authority()}/{database}"

    def start(self, timeout_seconds: float = 30) -> str:
        """Start it, or adopt it when it runs already; the URL of its database ``saphan``, once it answers.

        Data of an earlier run is kept. Raises DatabaseServerUnavailable and DownloadFailed.
        """
        make_private(self._directory)
        if self._identity:
            self._directory.chmod(0o711)
            self._check_reachable()
        with exclusive(self._directory / "start.lock"):
            binaries = self._binaries()
            if not (self._directory / "data" / "PG_VERSION").exists():
                self._prepare(binaries)
            deadline = monotonic_seconds() + timeout_seconds
            process = self.process or self._launch(binaries)
            while not self._came_up(process, deadline):
                # The children of a killed server hold its memory for a moment: the next one must wait for them.
                if monotonic_seconds() > deadline:
                    message = f"The local PostgreSQL ends at once. The end of {self.log_path}:\n{tail(self.log_path)}"
                    raise DatabaseServerUnavailable(message)
                wait_seconds(_RELAUNCH_SECONDS)
                process = self._launch(binaries)
            self.create_database("saphan")
        return self.url()

    def stop(self) -> None:
        """Stop it (connections are ended) and wait until it is gone; nothing happens when it does not run."""
        process = self.process
        if process is not None:
            process.end(_PATIENCE_SECONDS, first=signal.SIGINT)

    def create_database(self, name: str) -> str:
        """The URL of a database of this name, made when it is missing. ``name``: lower-case letters, digits, underscores.

        Raises DatabaseServerUnavailable.
        """
        with self._connected() as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Delete a database and end whoever is connected to it. Raises DatabaseServerUnavailable."""
        with self._connected() as connection:
            statement = psycopg.sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(statement.format(psycopg.sql.Identifier(name)))

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        address = f"postgresql://{self._authority()}/postgres"
        try:
            with psycopg.connect(address, autocommit=True, connect_timeout=5) as connection:
                yield connection
        except psycopg.Error as error:
            message = f"The local PostgreSQL refused: {str(error).strip()}. Its log is {self.log_path}."
            raise DatabaseServerUnavailable(message) from error

    def _authority(self) -> str:
        port = read_json(self._directory / STATE_FILE).get("port")
        if port is None:
            message = f"No local PostgreSQL was ever started in {self._directory}. Run `saphan up --postgres`."
            raise DatabaseServerUnavailable(message)
        password = (self._directory / "password").read_text(encoding="utf-8")
        return f"{USER}:{password}@127.0.0.1:{port}"

    def _launch(self, binaries: Path) -> OwnedProcess:
        port = free_port(read_json(self._directory / STATE_FILE).get("port"))
        self._report("PostgreSQL: starting …")
        # No socket file: its path would be too long in many a directory.
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "wal_level=logical", "timezone=UTC"]
        if not self._durable:
            settings += ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        options = [word for setting in settings for word in ("-c", setting)]
        with self.log_path.open("ab") as output:
            server = subprocess.Popen(  # noqa: S603
                [binaries / "bin" / "postgres", "-D", self._directory / "data", "-p", str(port), *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                env=_environment(),
                start_new_session=True,
                **self._identity,
            )
        server.returncode = 0 if server.returncode is None else server.returncode  # reaped by OwnedProcess
        process = OwnedProcess.of(server.pid)
        state = {"port": port, "pid": process.pid, "started": process.started}
        write_json(self._directory / STATE_FILE, state)
        return process

    def _came_up(self, process: OwnedProcess, deadline: float) -> bool:
        """Wait until it answers; False when it ended instead. Raises DatabaseServerUnavailable when it does neither."""
        while True:
            try:
                with self._connected():
                    pass
            except DatabaseServerUnavailable as error:
                if not process.alive():
                    process.bury()  # the next server would take the dead one's id in the lock file for a living one
                    return False
                if monotonic_seconds() > deadline:
                    message = (
                        f"The local PostgreSQL (process {process.pid}) does not answer. The end of {self.log_path}:\n"
                        f"{tail(self.log_path)}\n`saphan down` ends it."
                    )
                    raise DatabaseServerUnavailable(message) from error
                wait_seconds(0.05)
            else:
                return process.alive()

    def _prepare(self, binaries: Path) -> None:
        self._report("PostgreSQL: preparing its directory …")
        password = self._directory / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24), encoding="utf-8")
        data = self._directory / "data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=self._directory, prefix="password-") as handed_over:
            handed_over.write(password.read_text(encoding="utf-8"))
            handed_over.flush()
            if self._identity:
                for path in (data, Path(handed_over.name)):
                    os.chown(path, self._identity["user"], self._identity["group"])
            self._run([
                str(binaries / "bin" / "initdb"), "-D", str(data), "-U", USER, "--auth=scram-sha-256",
                f"--pwfile={handed_over.name}", "--encoding=UTF8", "--locale=C", "--no-instructions",
                *([] if self._durable else ["--no-sync"]),
            ])  # fmt: skip

    def _run(self, command: Sequence[str]) -> None:
        ended = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=self._directory,
            env=_environment(),
            **self._identity,
        )
        if ended.returncode != 0:
            last = "\n".join((ended.stdout + ended.stderr).strip().splitlines()[-5:])
            message = f"PostgreSQL could not prepare {self._directory / 'data'}: {last}"
            raise DatabaseServerUnavailable(message)

    def _binaries(self) -> Path:
        """The unpacked server, where the identity that runs it can reach it."""
        base = self._cache_dir
        if self._identity and not other_may_enter(base):
            base = self._directory
        service = f"postgres-{_platform()}"
        files = locked(service)
        target = base / files[0].file_name.removesuffix(".jar").removeprefix("embedded-")
        if not (target / "bin" / "postgres").exists():
            (jar,) = fetch(
                files,
                self._cache_dir,
                what="PostgreSQL",
                report=self._report,
                repository_url=self._maven_repository_url,
            )
            with exclusive(base / "postgres.lock"):
                _unpack(jar, target)
        return target

    def _check_reachable(self) -> None:
        if not other_may_enter(self._directory):
            message = (
                f"PostgreSQL does not run as root, and the user `nobody` cannot reach {self._directory}. Run saphan as "
                "another user, or set SAPHAN_DATA_DIR to a directory that others may enter (chmod o+x on each parent)."
            )
            raise DatabaseServerUnavailable(message)


def _platform() -> str:
    here = (platform.system(), platform.machine())
    if here not in _PLATFORMS:
        message = (
            f"There is no ready-made PostgreSQL for {' '.join(here)}. Install one and set SAPHAN_DATABASE_URL="
            "postgresql+psycopg://user:password@host/name."
        )
        raise DatabaseServerUnavailable(message)
    return _PLATFORMS[here]


def _unpack(jar: Path, target: Path) -> None:
    if (target / "bin" / "postgres").exists():
        return  # another process was quicker
    incoming = Path(tempfile.mkdtemp(dir=target.parent, prefix="unpacking-"))
    try:
        with zipfile.ZipFile(jar) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".txz"))
            with archive.open(name) as packed, tarfile.open(fileobj=packed, mode="r|xz") as tar:
                # The archive is one of ours by its hash; early 3.11 releases do not know the filter.
                tar.extraction_filter = getattr(tarfile, "data_filter", None)
                tar.extractall(incoming)  # noqa: S202
        incoming.chmod(0o755)
        incoming.replace(target)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _environment() -> dict[str, str]:
    # PG… variables of the person's own database would change this one.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}
