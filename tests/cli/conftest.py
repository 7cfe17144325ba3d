"""What the tests of commands share: the platform in one process, and `saphan` run against its databases."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

# in_process is a plain module for every test folder; pytest's importlib mode puts none on the path.
sys.path.insert(0, str(Path(__file__).parents[1]))

from commands_in_process import Ran, Saphan
from in_process import KEY, InProcessPlatform, on_sqlite, opened

from saphan_cli.commands import alerts, dlq, feeds, state, status, workers

#: Nobody listens there: the discard port of this machine.
NO_BROKER = "127.0.0.1:9"


@pytest.fixture
def in_process_platform(tmp_path: Path) -> Iterator[InProcessPlatform]:
    """link and integrate over two SQLite files, nothing published yet."""
    with opened(lambda: on_sqlite(tmp_path)) as platform:
        yield platform


@pytest.fixture
def saphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saphan:
    """Runs a command with the data directory of the test; Kafka is away unless the environment says otherwise."""
    for name in [name for name in os.environ if name.startswith("SAPHAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAPHAN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SAPHAN_PSEUDONYM_KEY", KEY.decode())
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRAP", NO_BROKER)
    app = typer.Typer()
    for module in (alerts, dlq, feeds, state, status, workers):
        module.register(app)

    def run(*arguments: str) -> Ran:
        result = CliRunner().invoke(app, list(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return run
