"""Which exit code stands for which trouble, and how trouble is told: on stderr, without a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

FAILED = 1
USAGE = 2
UNREACHABLE = 3
REJECTED = 4
INTERRUPTED = 130


def tell(sentence: str) -> None:
    """Say something on stderr."""
    typer.echo(sentence, err=True)


def stop(message: str, code: int) -> NoReturn:
    """Tell and leave."""
    tell(message)
    raise typer.Exit(code)


@contextmanager
def told() -> Iterator[None]:
    """Turn the platform's errors into a message and an exit code.

    Settings or a database that cannot be used 2, a service that is away 3, Ctrl-C 130.
    """
    from saphan_infra.availability import DatabaseUnusableError, ServiceUnavailable
    from saphan_infra.settings import SettingsError

    try:
        yield
    except (SettingsError, DatabaseUnusableError) as error:
        stop(str(error), USAGE)
    except ServiceUnavailable as error:
        stop(str(error), UNREACHABLE)
    except KeyboardInterrupt:
        stop("Stopped.", INTERRUPTED)
