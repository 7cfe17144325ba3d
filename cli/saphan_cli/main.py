"""Which commands there are; each is a module under saphan_cli.commands that registers itself here."""

from importlib import import_module

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
    help="Saphan: live, integrated records of migrant workers' social protection, and alerts to the SSO.",
)
for _name in COMMANDS:
    import_module(f"saphan_cli.commands.{_name}").register(app)


def main() -> None:
    """Run the command line."""
    app(prog_name="saphan")
