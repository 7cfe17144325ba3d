"""What `saphan chaos` asks for and how it tells what came of it; the parts are in saphan_cli.chaos."""

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from saphan_cli import exits, output

if TYPE_CHECKING:
    from saphan_cli.chaos.running import Wanted

_ONLY = "Only these faults: a name such as kill:link, a kind or a target; may be given several times."


def register(app: typer.Typer) -> None:
    """Add ``chaos``."""
    app.command("chaos")(chaos)


def chaos(
    *,
    seed: Annotated[int, typer.Option(help="The same seed gives the same province and the same faults.", min=0)] = 1,
    minutes: Annotated[float, typer.Option(help="How long load and faults last.", min=1, max=600)] = 10.0,
    postgres: Annotated[
        bool, typer.Option("--postgres", help="Keep the state in a local PostgreSQL instead of SQLite.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Integrate processes.", min=1, max=4)] = 2,
    rate: Annotated[float, typer.Option(help="Events a second that the agencies send, on average.", min=1)] = 60,
    only: Annotated[list[str] | None, typer.Option(help=_ONLY)] = None,
    show_plan: Annotated[bool, typer.Option("--plan", help="Print the faults and do nothing.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep logs and files in the data directory.")] = False,
    as_json: output.AsJson = False,
) -> None:
    """Break every part of a platform of its own under load, by a seeded plan, and look for anything lost.

    Ends by comparing with the oracle of a checkout, the simulation, a rebuild, the receiver, the file and the dead
    letters. Exit codes: 0 every fault has bitten and healed, and nothing is lost or different; 1 otherwise, with the
    logs kept; 2 wrong usage or settings, or no checkout; 3 a service could not be started.
    """
    from saphan_cli.chaos.plan import causes
    from saphan_cli.chaos.running import Wanted

    wanted = Wanted(seed, minutes, "postgresql" if postgres else "sqlite", workers, rate, tuple(only or ()))
    if not causes(wanted.database, wanted.only):
        names = ", ".join(cause.name for cause in causes(wanted.database))
        exits.stop(f"--only {' '.join(wanted.only)} leaves no fault; there are: {names}.", exits.USAGE)
    if show_plan:
        _show_plan(wanted, as_json=as_json)
        return
    _run(wanted, keep=keep, as_json=as_json)


def _run(wanted: "Wanted", *, keep: bool, as_json: bool) -> None:
    from saphan_cli.chaos import wording
    from saphan_cli.chaos.comparing import ORACLE
    from saphan_cli.chaos.running import run

    if not ORACLE.exists():
        exits.stop(f"`saphan chaos` compares with the oracle of a checkout; there is no {ORACLE}.", exits.USAGE)
    with output.told():
        settings = output.settings()
        # The receiver and the clients of this process would tell of every post and of every broker that is away.
        logging.disable()
        report = run(settings, wanted, output.note, keep=keep)
    if as_json:
        output.print_json(report)
    else:
        output.print_table(wording.HEADS, list(wording.fault_rows(report)))
    for line in wording.verdict(report):
        (output.note if as_json else output.print_text)(line)
    if not report["passed"]:
        raise typer.Exit(exits.FAILED)


def _show_plan(wanted: "Wanted", *, as_json: bool) -> None:
    from saphan_cli.chaos import wording

    faults = wanted.faults()
    if as_json:
        output.print_json_array([
            {
                "kind": fault.cause.kind,
                "target": fault.cause.target,
                "at_seconds": fault.at_seconds,
                "lasts_seconds": fault.lasts_seconds,
                "strength": fault.strength,
            }
            for fault in faults
        ])  # fmt: skip
        return
    output.print_table(wording.HEADS[:4], list(wording.plan_rows(faults)))
