"""Which commands there are; each is a module under saphan_cli.commands that registers itself here."""

import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated

import typer

#: In the order in which `saphan --help` shows them.
COMMANDS = (
    "demo",
    "up",
    "status",
    "publish",
    "feeds",
    "workers",
    "alerts",
    "consumers",
    "dlq",
    "schemas",
    "rebuild",
    "state",
    "simulate",
    "bench",
    "chaos",
    "doctor",
    "test",
    "run",
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help: boxes call a flag "<bool>" and keep the line breaks of the source.
    rich_markup_mode=None,
    context_settings={"max_content_width": 120},
    help="Saphan: live, integrated records of migrant workers' social protection, and alerts to the SSO.",
)


def _tell_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"saphan {version('saphan')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    del version  # its callback has ended the program


for _name in COMMANDS:
    import_module(f"saphan_cli.commands.{_name}").register(app)


def main() -> None:
    """Run the command line."""
    from saphan_infra.logs import quiet_clients

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # Where the terminal's encoding lacks a character: better its number than a traceback.
            stream.reconfigure(errors="backslashreplace")
    # Not every command sets up logs. `run` does, and hears the clients.
    quiet_clients()
    app(prog_name="saphan")
