"""What must hold before a change is taken: style, types, import direction, schemas, tests. `test` runs all of it."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from saphan_cli import exits

_CHECKOUT = Path(__file__).parents[3]
#: Settings of the person who runs the tests must not reach them, except where downloads lie.
_KEPT_SETTINGS = frozenset({"SAPHAN_CACHE_DIR", "SAPHAN_MAVEN_REPOSITORY_URL"})
#: Each brings a Kafka and a PostgreSQL of its own.
_TEST_PROCESSES_MAX = 4


class _Check(NamedTuple):
    name: str
    command: tuple[str, ...]


def register(app: typer.Typer) -> None:
    """Add ``test``."""

    @app.command("test", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
    def test(
        pytest_arguments: Annotated[
            list[str] | None, typer.Argument(help="Handed on to pytest, which then runs in one process.")
        ] = None,
    ) -> None:
        """Run every check of the checkout, then the tests, with real Kafka and PostgreSQL.

        All run even when one fails. Exit codes: 0 all passed; otherwise that of the first that failed (2: no checkout).
        """
        _require_checkout()
        raise typer.Exit(_run_all([*_checks(), _pytest(pytest_arguments or [])]))


def _require_checkout() -> None:
    missing = [name for name in ("tests", "pyproject.toml") if not (_CHECKOUT / name).exists()]
    tools = [name for name in ("pytest", "ruff", "mypy", "importlinter") if find_spec(name) is None]
    if missing:
        exits.stop("`saphan test` needs a checkout of the sources: run ./saphan test there.", exits.USAGE)
    if tools:
        exits.stop(f"Not installed: {', '.join(tools)}. Run ./saphan test, which installs them.", exits.USAGE)


def _checks() -> list[_Check]:
    binaries = Path(sys.executable).parent
    return [
        _Check("ruff check", (str(binaries / "ruff"), "check", "--quiet", ".")),
        _Check("ruff format", (str(binaries / "ruff"), "format", "--check", "--quiet", ".")),
        _Check("mypy", (sys.executable, "-m", "mypy")),
        _Check("import-linter", (str(binaries / "lint-imports"),)),
        _Check("schemas", (sys.executable, "-m", "saphan_cli", "schemas", "check")),
    ]


def _pytest(arguments: Sequence[str]) -> _Check:
    return _Check("pytest", (sys.executable, "-m", "pytest", *(arguments or _side_by_side())))


def _side_by_side() -> Sequence[str]:
    """The whole suite in a process a core. What is asked for by name runs in one, which a debugger can stop."""
    from saphan_infra.machine import processes_at_once

    processes = min(processes_at_once(), _TEST_PROCESSES_MAX)
    # A file's tests share servers and folders that take long to make.
    return ("--numprocesses", str(processes), "--dist", "loadfile") if processes > 1 else ()


def _run_all(checks: Sequence[_Check]) -> int:
    """Run them in this order, each to its end; the exit code of the first that failed."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("SAPHAN_") or name in _KEPT_SETTINGS
    }
    failed: list[tuple[str, int]] = []
    for check in checks:
        program, *arguments = check.command
        _tell(f"▶ {shlex.join([Path(program).name, *arguments])}")
        ended = subprocess.run(check.command, check=False, cwd=_CHECKOUT, env=environment)  # noqa: S603
        if ended.returncode != 0:
            failed.append((check.name, ended.returncode))
            _tell(f"✗ {check.name} failed (exit code {ended.returncode})")
    if not failed:
        return 0
    _tell(f"Failed: {', '.join(name for name, _ in failed)}.")
    # A negative code is a signal; a shell could not tell it from success otherwise.
    return failed[0][1] if failed[0][1] > 0 else exits.FAILED


def _tell(line: str) -> None:
    typer.echo(line, err=True)
