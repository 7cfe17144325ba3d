"""Which commands there are; each is a module under saphan_cli.commands that registers itself here."""

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """Run the command line."""
    app()
