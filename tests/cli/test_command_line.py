"""What holds for every command: help in plain text, the version, an output that cannot show every character."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saphan_cli.main import app

CHECKOUT = Path(__file__).parents[2]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("SAPHAN_", "LC_", "PYTHONUTF8"))}
    return subprocess.run(
        [sys.executable, "-m", "saphan_cli", *arguments],
        env={**plain, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        check=False,
        timeout=120,
    )


def test_the_version_is_that_of_the_package() -> None:
    expected = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"saphan {expected}\n")


def test_help_shows_flags_without_a_type_and_sentences_in_one_piece() -> None:
    shown = CliRunner().invoke(app, ["demo", "--help"]).stdout
    assert "<bool>" not in shown
    assert "1 something failed or lag was left;" in " ".join(shown.split())
    assert not any(line.strip() == "1 something failed" for line in shown.splitlines())


@pytest.mark.parametrize(
    "encoding",
    [{"PYTHONIOENCODING": "latin1"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["latin1", "POSIX"],
)
def test_a_character_that_the_output_lacks_is_no_traceback(encoding: dict[str, str]) -> None:
    ran = run("schemas", "show", "doe.employments.v1", **encoding)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"\\u0e01" in ran.stdout
