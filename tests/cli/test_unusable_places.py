"""That a data directory which cannot be used is told in a sentence by every command that would write or look there."""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saphan_cli.main import app
from saphan_infra.machine import process_findings
from saphan_infra.settings import load_settings

WRITING = (
    ("up",),
    ("demo",),
    ("run", "link"),
    ("run", "delivery"),
    ("publish", "doe.employments.v1", "hires.jsonl", "--dry-run"),
    ("simulate", "--publish", "--workers", "1"),
    ("schemas", "push"),
)


@pytest.fixture(autouse=True)
def _some_files(nothing_set: None, tmp_path: Path) -> None:
    (tmp_path / "hires.jsonl").touch()
    (tmp_path / "a-file").touch()


@pytest.mark.parametrize("arguments", WRITING, ids=" ".join)
@pytest.mark.parametrize("place", ["a-file", "a-file/below", "/proc/saphan"])
def test_a_data_directory_that_cannot_be_is_told_and_is_a_wrong_setting(
    place: str, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAPHAN_DATA_DIR", place)
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, type(result.exception)) == (2, SystemExit)
    assert "SAPHAN_DATA_DIR: found" in result.stderr
    assert "expected a directory" in result.stderr


READING = (("status",), ("down",), ("deliveries", "status"), ("workers", "show", "x"))


@pytest.fixture
def of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data directory of a platform of somebody else; root becomes nobody to meet it."""
    made = tmp_path / "theirs"
    (made / "run").mkdir(parents=True)
    (made / "postgres").mkdir()
    monkeypatch.setenv("SAPHAN_DATA_DIR", str(made))
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    for arguments in READING:
        CliRunner().invoke(app, arguments)  # nobody may not even read the modules that are imported on the way
    list(process_findings(load_settings()))
    made.chmod(0)
    tmp_path.chmod(0o711)  # it may hold a saphan.toml, which is looked for first
    before = os.geteuid()
    if before == 0:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    yield made
    os.seteuid(before)
    made.chmod(0o700)


def test_a_data_directory_of_another_user_is_told_by_whoever_looks(of_another: Path) -> None:
    for arguments in READING:
        result = CliRunner().invoke(app, arguments)
        assert (arguments, result.exit_code, type(result.exception)) == (arguments, 2, SystemExit)
        assert "belongs to another user" in result.stderr
    (found,) = process_findings(load_settings())
    assert (found.level, "belongs to another user" in found.advice) == ("not checked", True)
