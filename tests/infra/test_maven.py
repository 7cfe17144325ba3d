"""Downloads: exactly the locked files, once, and never half of one."""

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from saphan_infra.availability import DownloadFailed
from saphan_infra.maven import LockedFile, fetch, locked

_PATH = "example/group/thing/1.0"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory served as a Maven repository, and its address."""
    root = tmp_path / "repository"
    (root / _PATH).mkdir(parents=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield root / _PATH, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def _locked(content: bytes, classifier: str = "") -> LockedFile:
    return LockedFile(f"example.group:thing:1.0{classifier}", hashlib.sha256(content).hexdigest())


def test_a_file_is_downloaded_once_and_then_needs_no_network(repository: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = repository
    (folder / "thing-1.0.jar").write_bytes(b"the thing")
    (folder / "thing-1.0-linux.jar").write_bytes(b"for linux")
    wanted = [_locked(b"the thing"), _locked(b"for linux", ":linux")]
    said: list[str] = []
    paths = fetch(wanted, tmp_path / "cache", what="Thing", report=said.append, repository_url=address)
    assert [path.read_bytes() for path in paths] == [b"the thing", b"for linux"]
    assert "downloading 2 files" in said[0]
    assert said[-1] == "Thing: 2 of 2 files"
    said.clear()
    nowhere = "http://127.0.0.1:1"
    assert fetch(wanted, tmp_path / "cache", what="Thing", report=said.append, repository_url=nowhere) == paths
    assert said == []


def test_another_file_than_the_locked_one_is_refused(repository: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = repository
    (folder / "thing-1.0.jar").write_bytes(b"altered")
    with pytest.raises(DownloadFailed, match="SHA-256"):
        fetch([_locked(b"the thing")], tmp_path / "cache", what="Thing", report=lambda _: None, repository_url=address)
    assert list((tmp_path / "cache" / "java").iterdir()) == []


@pytest.mark.parametrize("absent_first", [False, True])
def test_a_missing_file_says_what_to_do_and_the_others_stay(
    repository: tuple[Path, str], tmp_path: Path, absent_first: bool
) -> None:
    folder, address = repository
    (folder / "thing-1.0.jar").write_bytes(b"the thing")
    wanted = [_locked(b"the thing"), _locked(b"absent", ":absent")]
    if absent_first:
        wanted.reverse()
    with pytest.raises(DownloadFailed, match="SAPHAN_MAVEN_REPOSITORY_URL"):
        fetch(wanted, tmp_path / "cache", what="Thing", report=lambda _: None, repository_url=address)
    assert [path.name for path in (tmp_path / "cache" / "java").iterdir()] == ["thing-1.0.jar"]
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.name.startswith("incoming")] == []


@pytest.mark.parametrize("platform", ["linux-amd64", "linux-arm64v8", "darwin-amd64", "darwin-arm64v8"])
def test_postgres_is_one_locked_file_for_each_platform(platform: str) -> None:
    (file,) = locked(f"postgres-{platform}")
    assert platform in file.coordinate


def test_every_locked_file_has_its_digest_and_a_name_of_its_own() -> None:
    files = locked("kafka")
    assert {len(file.sha256) for file in files} == {64}
    assert len({file.file_name for file in files}) == len(files)
    assert files[0].coordinate.startswith("org.apache.kafka:kafka_2.13:4.")
