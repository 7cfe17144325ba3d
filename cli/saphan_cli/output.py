"""How commands that show things print: tables for people, JSON for programs, trouble on stderr with an exit code."""

import os
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saphan_cli import exits
from saphan_infra.availability import ServiceUnavailable

if TYPE_CHECKING:
    from saphan_infra.settings import Settings
    from saphan_projections.database import Database

#: Wide enough that nothing is cut where no terminal sets the width.
_WIDTH_WITHOUT_TERMINAL = 10_000
_TABLE_IS_MISSING = ("no such table", "UndefinedTable")
_TABLE_IS_OLD = ("no such column", "UndefinedColumn")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        help="What is settled at this moment: a time such as 2026-02-01T00:00:00+07:00, or a date for its end in Bangkok."
    ),
]


@contextmanager
def told() -> Iterator[None]:
    """Turn the platform's errors into a message on stderr and an exit code; see the contract of the codes in exits.

    A reader that goes away early (``saphan … | head``) is no error.
    """
    from saphan_projections.database import DatabaseUnavailable

    try:
        with exits.told():
            yield
    except DatabaseUnavailable as error:
        exits.stop(f"The database did not answer. {error} Is it running? `saphan doctor` looks.", exits.UNREACHABLE)
    except BrokenPipeError:
        _silence_stdout()
        raise typer.Exit(0) from None


def _silence_stdout() -> None:
    # Python would complain about the pipe once more when it flushes on leaving.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def settings() -> "Settings":
    """The settings, with logs as they say, of Kafka's clients only at level DEBUG. Raises SettingsError."""
    from saphan_infra.logs import configure, quiet_clients
    from saphan_infra.schema_ids import use_schema_ids
    from saphan_infra.settings import load_settings
    from saphan_infra.writable import require_readable

    found = load_settings()
    require_readable(found)
    use_schema_ids(found)
    configure(found.log_level, found.log_format)
    if found.log_level != "DEBUG":
        quiet_clients()
    return found


@contextmanager
def opened(url: str) -> Iterator["Database"]:
    """A database to read from. Raises ServiceUnavailable when the platform has not made its tables yet."""
    from sqlalchemy.exc import OperationalError, ProgrammingError

    from saphan_projections.database import Database

    file = url.removeprefix("sqlite:///")
    if file != url and not Path(file).exists():
        raise _without_tables(f"There is no {file}.")
    database = Database(url)
    try:
        yield database
    except (OperationalError, ProgrammingError) as error:
        if any(sign in str(error) for sign in _TABLE_IS_OLD):
            message = (
                "The tables are of an earlier version of Saphan. `saphan down` and `saphan up` bring them up to date."
            )
            raise ServiceUnavailable(message) from error
        if not any(sign in str(error) for sign in _TABLE_IS_MISSING):
            raise
        raise _without_tables("The database has no tables of Saphan.") from error
    finally:
        database.close()


def _without_tables(found: str) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"{found} The platform has not run here yet: start it with `saphan up` or `saphan demo`, or set "
        "SAPHAN_DATA_DIR (or SAPHAN_DATABASE_URL) to where it runs."
    )


def moment_ms(text: str | None) -> int | None:
    """``--as-of`` as ms UTC: a time with Z or an offset, or a date, which means its end in Bangkok."""
    from saphan_schemas.values import bangkok_midnight_ms, date_to_days, parse_date, parse_time_ms

    if text is None:
        return None
    try:
        if "T" in text or ":" in text:
            return parse_time_ms(text)
        return bangkok_midnight_ms(date_to_days(parse_date(text)) + 1)
    except ValueError:
        exits.stop(
            f"--as-of: found {text!r}; expected a time with Z or an offset such as 2026-02-01T00:00:00+07:00, or a "
            "date such as 2026-01-31 (for its end in Bangkok).",
            exits.USAGE,
        )


# How JSON is laid out, for every command: what it found as one object is indented; a list has one element a line, so
# that grep and wc are of use and nothing need be in memory as a whole; what comes as time passes is one object a line.


def print_json(value: Any) -> None:
    """What a command found, as one JSON object, indented."""
    import orjson

    _write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")


def print_json_line(value: Any) -> None:
    """One JSON value on one line, at once."""
    import orjson

    _write(orjson.dumps(value) + b"\n")


def print_json_array(values: Iterable[Any]) -> None:
    """A JSON array with one value a line, written as the values come: it never is in memory as a whole."""
    import orjson

    _write(b"[", flush=False)
    for number, value in enumerate(values):
        _write((b",\n" if number else b"\n") + orjson.dumps(value), flush=False)
    _write(b"\n]\n")


def _write(data: bytes, *, flush: bool = True) -> None:
    sys.stdout.write(data.decode())
    if flush:
        sys.stdout.flush()


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    title: str | None = None,
    *,
    text: Collection[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """Rows for people, as print_rows lays them out. Without a terminal nothing is broken, left out or coloured."""
    from saphan_cli.tables import print_rows

    left_out = print_rows(_console(), columns, rows, title, text=text, spare=spare)
    if left_out:
        note(f"There is no room for {', '.join(left_out)}: a wider terminal shows more, --json everything.")


def print_text(text: str = "") -> None:
    """A line for people, on stdout."""
    _console().print(text, markup=False, highlight=False, soft_wrap=True)


def _console() -> Any:
    from rich.console import Console

    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL)


def note(text: str) -> None:
    """Something for people beside the data: on stderr."""
    typer.echo(text, err=True)


def duration(milliseconds: float | None) -> str | None:
    """A span of time in its two largest units: "3 d 4 h", "12 s"."""
    if milliseconds is None:
        return None
    seconds = max(0, int(milliseconds // 1000))
    parts: list[str] = []
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def time_text(milliseconds: int | None) -> str | None:
    """A moment as ISO 8601 in UTC; None and 0 (never) as None."""
    from saphan_schemas.values import format_time_ms

    return format_time_ms(milliseconds) if milliseconds else None


def day_text(day: int | None) -> str | None:
    """A day since 1970-01-01 as YYYY-MM-DD."""
    from saphan_schemas.values import days_to_date

    return days_to_date(day).isoformat() if day is not None else None
