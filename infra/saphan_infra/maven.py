"""Which Java files the local services are made of: exactly those of the lock file, by SHA-256, downloaded once.

jgo finds and downloads; the lock says what must arrive, so a half-finished or altered download is never used.
"""

import fcntl
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from saphan_infra.availability import DownloadFailed

LOCK_RESOURCE = "java.lock.json"
_DOWNLOADS_AT_ONCE = 4
_TIMEOUT_SECONDS = 120
_TRIES = 3

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LockedFile:
    """One file in Maven Central: ``group:artifact:version[:classifier]``, always a jar."""

    coordinate: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name in the cache."""
        return "-".join(self.coordinate.split(":")[1:]) + ".jar"


def locked(service: str) -> tuple[LockedFile, ...]:
    """The files of a service in the lock file ("kafka", "postgres-linux-amd64", …). Raises KeyError."""
    lock = json.loads(files("saphan_infra").joinpath(LOCK_RESOURCE).read_text(encoding="utf-8"))
    return tuple(LockedFile(coordinate, sha256) for coordinate, sha256 in lock[service].items())


def to_stderr(line: str) -> None:
    """Show one line of progress."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def unfailing(report: Report) -> Report:
    """The same, but a line that cannot be written is lost: whoever watches over processes goes on with a full disk."""

    def say(line: str) -> None:
        with suppress(OSError):
            report(line)

    return say


def fetch(
    wanted: Sequence[LockedFile],
    cache_dir: Path,
    *,
    what: str,
    report: Report = to_stderr,
    repository_url: str | None = None,
) -> list[Path]:
    """Paths of all wanted files in ``cache_dir``; what is missing is downloaded, in parallel, with progress.

    Needs no network when all are there. Safe with several processes at once. Raises DownloadFailed.
    """
    directory = cache_dir / "java"
    directory.mkdir(parents=True, exist_ok=True)
    with exclusive(
        cache_dir / "java.lock", waiting=lambda: report(f"{what}: another process is downloading; waiting …")
    ):
        missing = [file for file in wanted if not (directory / file.file_name).is_file()]
        if missing:
            _download(missing, directory, what, report, repository_url)
    return [directory / file.file_name for file in wanted]


@contextmanager
def exclusive(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock file; ends with the process, however it ends. ``waiting`` is told when another holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _download(
    missing: Sequence[LockedFile], directory: Path, what: str, report: Report, repository_url: str | None
) -> None:
    report(f"{what}: downloading {len(missing)} files from Maven Central, once …")
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix="incoming-") as incoming:
        context = maven_context(Path(incoming), repository_url)
        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            # Each is kept as soon as it is here: another one that does not come takes nothing with it.
            arrivals = pool.map(lambda file: _arrived(context, file).replace(directory / file.file_name), missing)
            for count, _ in enumerate(arrivals, start=1):
                if count % 10 == 0 or count == len(missing):
                    report(f"{what}: {count} of {len(missing)} files")


def maven_context(incoming: Path, repository_url: str | None) -> Any:
    """Where jgo downloads to and from: Maven Central, or a mirror of it."""
    from jgo.maven import MavenContext

    repositories = {"mirror": repository_url} if repository_url else None
    return MavenContext(repo_cache=incoming, local_repos=[], remote_repos=repositories, timeout=_TIMEOUT_SECONDS)


def _arrived(context: Any, file: LockedFile) -> Path:
    group, artifact, version, *classifier = file.coordinate.split(":")
    remote = (
        context.project(group, artifact).at_version(version).artifact(classifier=classifier[0] if classifier else "")
    )
    problem = "no answer"
    for _ in range(_TRIES):
        remote.cached_path.unlink(missing_ok=True)
        try:
            path = Path(remote.resolve())
        except (OSError, RuntimeError, AssertionError) as error:
            problem = type(error).__name__
            continue
        if sha256_of(path) == file.sha256:
            return path
        problem = "the file that came is not the one in the lock file (SHA-256 differs)"
    message = (
        f"{file.coordinate} could not be downloaded after {_TRIES} tries: {problem}. Check the way to Maven Central "
        "(a mirror can be set with SAPHAN_MAVEN_REPOSITORY_URL) and start again; what has arrived is kept."
    )
    raise DownloadFailed(message)


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
