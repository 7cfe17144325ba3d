"""Which simulated province `saphan simulate` writes, and what it says about it."""

import json
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

_USAGE = 2
_FAILED = 1


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("simulate")(simulate)


def simulate(
    *,
    out: Annotated[Path, typer.Option(help="Directory for the files; made when it does not exist.")],
    workers: Annotated[
        int | None, typer.Option(help="Registered workers. Default: province.registered_migrants.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    months: Annotated[int, typer.Option(help="How long the agencies publish.")] = 12,
    start: Annotated[str | None, typer.Option(help="First day, YYYY-MM-DD.", show_default="2025-10-01")] = None,
    params: Annotated[Path | None, typer.Option(help="TOML file with parameters of your own.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier simulation in the directory.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Simulate a province: the agencies' feeds as JSON Lines, the truth and the expected alerts.

    The files are <topic>.jsonl for each feed, truth.jsonl, expected-alerts.jsonl and report.json, which lists every
    parameter with its source or as an assumption. Exit code 1: the files could not be written; 2: wrong usage.
    """
    from saphan_simulation.parameters import ParameterError, load_parameters
    from saphan_simulation.world import DEFAULT_START, World, WorldError
    from saphan_simulation.writing import OutputError, write_world

    try:
        parameters = load_parameters(params)
        count = workers if workers is not None else parameters["province.registered_migrants"]
        world = World(parameters, seed, count, months, DEFAULT_START if start is None else _day(start))
        report = write_world(world, out, force=force, progress=_Progress())
    except (ParameterError, WorldError, OutputError) as error:
        typer.echo(f"saphan simulate: {error}", err=True)
        raise typer.Exit(_USAGE) from error
    except OSError as error:
        typer.echo(
            f"saphan simulate: {out} could not be written ({error.strerror}); the files are incomplete", err=True
        )
        raise typer.Exit(_FAILED) from error
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        typer.echo(_summary(report, out))


def _day(text: str) -> date:
    from saphan_schemas.values import parse_date

    try:
        return parse_date(text)
    except ValueError as error:
        message = f"--start is {text!r}, expected a day as YYYY-MM-DD in the common era, such as 2025-10-01"
        raise typer.BadParameter(message) from error


def _summary(report: dict[str, Any], out: Path) -> str:
    coverage = report["coverage"]
    assumed = sum("assumption" in row for row in report["parameters"])
    lines = [
        f"{report['events']:,} events about {report['workers']:,} workers and {report['employers']:,} employers,",
        f"{report['start']} to {report['end']}, in {out}",
        "",
        *(f"  {feed:26} {count:>12,}" for feed, count in report["events_by_feed"].items()),
        "",
        f"insured: {_percent(coverage['share_of_registered'])} of the registered, "
        f"{_percent(coverage['share_of_eligible_employed'])} of the employed whom the law seems to cover",
        "expected alerts: " + ", ".join(f"{name} {count:,}" for name, count in report["alerts_by_state"].items()),
        f"{assumed} of {len(report['parameters'])} parameters are assumptions; report.json lists them",
    ]
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.1%}"


class _Progress:
    """Says on standard error how far a long simulation is: in place on a terminal, else every tenth."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._told = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._is_terminal:
            typer.echo(f"\r{what}: {done:,} of {total:,}", err=True, nl=done == total)
            return
        tenth = f"{what}: {done * 10 // total * 10}%"
        if tenth != self._told:
            self._told = tenth
            typer.echo(tenth, err=True)
