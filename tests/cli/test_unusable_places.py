"""That a data directory which cannot be used is told in a sentence by every command that would write there."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from saphan_cli.main import app
from saphan_infra.settings import Settings, unknown_variables

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
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*unknown_variables(), *(f"SAPHAN_{name.upper()}" for name in Settings.model_fields), "SAPHAN_CONFIG"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
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
