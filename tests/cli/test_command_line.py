"""What holds for every command: help in plain text, the version, an output that cannot show every character."""

import json
import logging
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import structlog
from commands_in_process import Saphan
from typer.testing import CliRunner

from saphan_cli import output
from saphan_cli.main import app
from saphan_infra import logs
from saphan_schemas.topics import TOPICS

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


@pytest.mark.parametrize(("level", "heard"), [("INFO", False), ("DEBUG", True)])
def test_what_kafkas_clients_log_is_for_who_debugs_not_for_who_asks(
    level: str, heard: bool, saphan: Saphan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAPHAN_LOG_LEVEL", level)
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    try:
        output.settings()
        logging.getLogger("kafka.net.transport").error("Error receiving network data closing socket")
        logging.getLogger("saphan").warning("Our own word")
    finally:
        root.handlers, root.level = before
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()
    told = capsys.readouterr().err
    assert ("closing socket" in told) is heard
    assert "Our own word" in told


def test_processes_of_the_platform_hear_kafkas_clients() -> None:
    logs.quiet_clients()
    assert not logging.getLogger("kafka.net").isEnabledFor(logging.ERROR)
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    try:
        logs.configure()
        assert logging.getLogger("kafka.net").isEnabledFor(logging.WARNING)
    finally:
        root.handlers, root.level = before
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()


@pytest.mark.parametrize(
    "encoding",
    [{"PYTHONIOENCODING": "latin1"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["latin1", "POSIX"],
)
def test_a_character_that_the_output_lacks_is_no_traceback(encoding: dict[str, str]) -> None:
    ran = run("schemas", "show", "doe.employments.v1", **encoding)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"\\u0e01" in ran.stdout


def test_a_list_in_json_has_one_element_a_line() -> None:
    lines = CliRunner().invoke(app, ["schemas", "list", "--json"]).stdout.splitlines()
    assert (lines[0], lines[-1]) == ("[", "]")
    assert [json.loads(line.removesuffix(","))["topic"] for line in lines[1:-1]] == list(TOPICS)


def test_an_object_in_json_is_indented(saphan: Saphan) -> None:
    assert saphan("status", "--json").out.startswith('{\n  "processes"')
