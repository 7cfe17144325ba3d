"""How the platform of a data directory is started in the background and ended again: `up` and `down`."""

import contextlib
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saphan_cli import exits

if TYPE_CHECKING:
    from saphan_infra.settings import Settings

_READY_SECONDS = 400
_POSTGRES_HELP = "Keep the state in a local PostgreSQL instead of SQLite; the data directory remembers it."
_FOREGROUND_HELP = "Stay and show what happens; Ctrl-C or SIGTERM stops everything. For service managers."
_JSON_HELP = "Result as JSON on standard output."


def register(app: typer.Typer) -> None:
    """Add ``up`` and ``down``."""

    @app.command("up")
    def up(
        postgres: Annotated[bool, typer.Option("--postgres", help=_POSTGRES_HELP)] = False,
        foreground: Annotated[bool, typer.Option("--foreground", help=_FOREGROUND_HELP)] = False,
        as_json: Annotated[bool, typer.Option("--json", help=_JSON_HELP)] = False,
    ) -> None:
        """Start broker, database and the platform's processes; they stay up until `down`.

        Exit codes: 0 everything runs (also when it did before); 1 a process did not come up; 2 wrong settings;
        3 Kafka or the database could not be reached (with --foreground it waits for a Kafka that is set);
        130 Ctrl-C or `down` before everything ran.
        """
        with exits.told():
            _up(postgres=postgres, foreground=foreground, as_json=as_json)

    @app.command("down")
    def down(
        as_json: Annotated[bool, typer.Option("--json", help=_JSON_HELP)] = False,
    ) -> None:
        """End what `up` or `demo` started for this data directory, nothing else. Data stays.

        Exit codes: 0 nothing of it runs any more; 2 wrong settings.
        """
        with exits.told():
            _down(as_json=as_json)


def _up(*, postgres: bool, foreground: bool, as_json: bool) -> None:
    from saphan_infra.settings import require_deliverable
    from saphan_infra.supervisor import preparing_process, supervisor_process
    from saphan_infra.writable import load_settings_to_write

    settings = load_settings_to_write()
    require_deliverable(settings)
    preparing = preparing_process(settings.data_dir)
    if preparing is not None:
        exits.stop(f"Process {preparing.pid} is starting it already. `saphan down` ends that.", exits.FAILED)
    running = supervisor_process(settings.data_dir)
    if running is not None:
        typer.echo(f"It runs already, supervised by process {running.pid}.", err=True)
    elif foreground:
        _supervise(settings, postgres=postgres, as_json=as_json)
        return
    else:
        _start_in_background(settings, postgres=postgres)
    _show(settings, as_json=as_json)


def _supervise(settings: "Settings", *, postgres: bool, as_json: bool) -> None:
    from saphan_cli.starting import StopAsked, told_as_they_come_up
    from saphan_infra.processes import Platform, PlatformRunning, RoleFailed

    stop = StopAsked()
    stop.catch()
    platform = Platform(settings, report=_tell)
    try:
        with told_as_they_come_up(platform.status, _tell):
            platform.start(postgres=postgres, stop=stop.event)
    except (PlatformRunning, RoleFailed) as error:
        exits.stop(str(error), exits.FAILED)
    if stop.event.is_set():
        platform.stop()
        exits.stop("Everything is stopped.", exits.INTERRUPTED)
    _show(settings, as_json=as_json)
    _tell("Everything runs. Ctrl-C (or `saphan down`) stops it.")
    platform.run_until(stop.event)
    _tell("Everything is stopped.")


def _start_in_background(settings: "Settings", *, postgres: bool) -> None:
    """Run `up --foreground` in a session of its own, show what it says, return when it has started everything."""
    from saphan_infra.owned_process import tail, wait_until
    from saphan_infra.private_dirs import make_private
    from saphan_infra.processes import make_room_in_log
    from saphan_infra.roles import log_path
    from saphan_infra.supervisor import role_statuses

    log = log_path(settings.data_dir, "supervisor")
    make_private(log.parent)
    make_room_in_log(settings)
    # Added to, never emptied: another `up` may be starting the platform and follow the same log.
    with log.open("ab") as output:
        begins = output.tell()
        supervisor = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "saphan_cli", "up", "--foreground", "--json", *(["--postgres"] if postgres else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    shown = _Follower(log, begins)
    try:
        settled = wait_until(lambda: shown.shows_readiness() or supervisor.poll() is not None, _READY_SECONDS)
    except KeyboardInterrupt:
        _end(supervisor)
        raise
    code = supervisor.poll()
    if code is not None:
        shown.shows_readiness()
        raise typer.Exit(code if code > 0 else exits.FAILED)
    if not settled:
        waits_for_services = not role_statuses(settings.data_dir, ())
        _end(supervisor)
        exits.stop(
            f"It did not come up within {_READY_SECONDS} s. The end of {log}:\n{tail(log)}",
            exits.UNREACHABLE if waits_for_services else exits.FAILED,
        )
    supervisor.returncode = 0  # it lives on without us


def _end(supervisor: "subprocess.Popen[bytes]") -> None:
    """End a supervisor of ours and everything that it started. One that does not end is killed; `down` finds the rest."""
    from saphan_infra.owned_process import OwnedProcess
    from saphan_infra.processes import SUPERVISOR_PATIENCE_SECONDS

    with contextlib.suppress(ProcessLookupError):
        OwnedProcess.of(supervisor.pid).end(SUPERVISOR_PATIENCE_SECONDS)
    supervisor.wait()


class _Follower:
    """Shows what is added to the supervisor's log behind a position, until everything runs."""

    def __init__(self, log: Path, position: int) -> None:
        self._log = log
        self._position = position

    def shows_readiness(self) -> bool:
        """Pass on whole new lines to stderr; whether one of them says that everything runs."""
        with self._log.open("rb") as handle:
            handle.seek(self._position)
            lines = handle.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        self._position += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if line.startswith("Everything runs."):
                return True
            _tell(line)
        return False


def _down(*, as_json: bool) -> None:
    from saphan_cli.output import print_json
    from saphan_infra.processes import take_down
    from saphan_infra.settings import load_settings
    from saphan_infra.writable import require_readable

    settings = load_settings()
    require_readable(settings)
    ended = take_down(settings, _tell)
    if as_json:
        print_json({"ended": ended})
    else:
        _tell(
            f"Ended: {', '.join(ended)}."
            if ended
            else f"Nothing was running in {settings.data_dir}. A platform elsewhere is named by SAPHAN_DATA_DIR."
        )


def _show(settings: "Settings", *, as_json: bool) -> None:
    from saphan_cli.output import print_json
    from saphan_infra.roles import roles_of
    from saphan_infra.supervisor import role_statuses

    rows = role_statuses(settings.data_dir, roles_of(settings))
    if as_json:
        processes: list[dict[str, Any]] = [{**asdict(row), "log": str(row.log)} for row in rows]
        print_json({"kafka_bootstrap": settings.bootstrap, "processes": processes})
        return
    typer.echo(f"{'kafka':<14}{settings.bootstrap}")
    for row in rows:
        metrics = f"metrics http://{settings.metrics_host}:{row.metrics_port}/metrics" if row.metrics_port else ""
        typer.echo(f"{row.role:<14}{row.state:<10}process {row.pid or '-':<8}{metrics}")


def _tell(line: str) -> None:
    typer.echo(line, err=True)
