"""What is typed to simulate a province."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

_OUT_HELP = "Directory for the files; made when it does not exist. With --publish: truth and report only, or left out."
_PARAMS_HELP = "TOML file with parameters of your own; --show-params prints one to start from."
_JOBS_HELP = "Processes at once; the bytes are the same for any number."
_PUBLISH_HELP = "Send the feeds to Kafka, in order of publication, instead of writing their files."
_SKIP_HELP = "With --publish: leave out so many events, which an earlier run has sent."
_WAIT_HELP = "With --publish: give up when Kafka has been away for so long; 0: wait for ever."


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("simulate")(simulate)


def simulate(
    *,
    out: Annotated[Path | None, typer.Option(help=_OUT_HELP, show_default=False)] = None,
    workers: Annotated[
        int | None, typer.Option(help="Registered workers. Default: province.registered_migrants.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    months: Annotated[int, typer.Option(help="How long the agencies publish.")] = 12,
    start: Annotated[str | None, typer.Option(help="First day, YYYY-MM-DD.", show_default="2025-10-01")] = None,
    params: Annotated[
        Path | None, typer.Option("--params", "--parameters", help=_PARAMS_HELP, show_default=False)
    ] = None,
    show_params: Annotated[
        bool, typer.Option("--show-params", help="Print every parameter with its source, and simulate nothing.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier simulation in the directory.")] = False,
    jobs: Annotated[int | None, typer.Option(help=_JOBS_HELP, min=1, max=256, show_default="one a core")] = None,
    publish: Annotated[bool, typer.Option("--publish", help=_PUBLISH_HELP)] = False,
    skip: Annotated[int, typer.Option(help=_SKIP_HELP, min=0, show_default=False)] = 0,
    wait_seconds: Annotated[float, typer.Option("--wait-seconds", min=0, help=_WAIT_HELP)] = 300,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Simulate a province: the agencies' feeds as JSON Lines or straight to Kafka, the truth and the expected alerts.

    The files are <topic>.jsonl for each feed, truth.jsonl, expected-alerts.jsonl, parameters.toml and report.json.

    Exit codes: 0 simulated; 1 files could not be written; 2 wrong usage or settings; 3 Kafka could not be reached.
    """
    from saphan_cli import exits
    from saphan_cli.simulate_world import Request, show_parameters, simulate_world
    from saphan_infra.machine import processes_at_once

    if show_params:
        show_parameters(params)
        return
    request = Request(
        out=out,
        workers=workers,
        seed=seed,
        months=months,
        start=None if start is None else _day(start),
        params=params,
        force=force,
        jobs=jobs or processes_at_once(),
        publish=publish,
        skip=skip,
        wait_seconds=wait_seconds,
        as_json=as_json,
    )
    with exits.told():
        simulate_world(request)


def _day(text: str) -> date:
    from saphan_schemas.values import parse_date

    try:
        return parse_date(text)
    except ValueError as error:
        message = f"--start is {text!r}, expected a day as YYYY-MM-DD in the common era, such as 2025-10-01"
        raise typer.BadParameter(message) from error
