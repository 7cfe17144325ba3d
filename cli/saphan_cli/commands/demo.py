"""How the whole platform is shown at work on one machine: broker, processes, a simulated province, a live picture."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saphan_cli import exits

if TYPE_CHECKING:
    from saphan_cli.demo_stream import DemoStream
    from saphan_cli.demo_view import Snapshot
    from saphan_cli.starting import StopAsked
    from saphan_infra.settings import Settings

_SEED = 20_261_123
_MONTHS = 24
_CATCH_UP_SECONDS = 60
_LOOK_SECONDS = 0.5

_WORKERS = 1_000
_WORKERS_HELP = f"Workers of a new province; default: {_WORKERS:,}. One that is there already keeps its own."
_FRESH = "Delete the platform's state, messages and logs of this data directory first."
_EXIT_AFTER = "Stop by itself so many seconds after everything runs."
_JSON = "Print a summary as JSON on standard output at the end; no picture."


def register(app: typer.Typer) -> None:
    """Add ``demo``."""

    @app.command("demo")
    def demo(
        fresh: Annotated[bool, typer.Option("--fresh", help=_FRESH)] = False,
        exit_after: Annotated[
            float | None, typer.Option("--exit-after", metavar="SECONDS", help=_EXIT_AFTER, min=0)
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help=_JSON)] = False,
        workers: Annotated[int | None, typer.Option(help=_WORKERS_HELP, min=1, max=100_000)] = None,
        speed: Annotated[float, typer.Option(help="Simulated days per second.", min=0.01, max=1_000)] = 2.0,
    ) -> None:
        """Start everything and simulate a small province whose agencies stream changes; Ctrl-C stops everything.

        A second run goes on where the first one was. Exit codes: 0 stopped as asked, with no lag; 1 something failed
        or lag was left; 2 wrong settings; 3 a service could not be reached; 130 Ctrl-C before everything ran.
        """
        with exits.told():
            _demo(fresh=fresh, exit_after=exit_after, as_json=as_json, workers=workers, speed=speed)


def _demo(*, fresh: bool, exit_after: float | None, as_json: bool, workers: int | None, speed: float) -> None:
    from saphan_cli.demo_stream import DemoStream, Province
    from saphan_cli.starting import StopAsked, told_as_they_come_up
    from saphan_infra.processes import Platform, PlatformRunning, RoleFailed, clear_data
    from saphan_infra.schema_ids import use_schema_ids
    from saphan_infra.settings import require_deliverable
    from saphan_infra.writable import load_settings_to_write

    settings = load_settings_to_write()
    require_deliverable(settings)
    use_schema_ids(settings)
    stop = StopAsked()
    stop.catch()
    platform = Platform(settings, report=_tell)
    try:
        if fresh:
            clear_data(settings)
            for name in ("demo.json", "alerts.jsonl"):
                (settings.data_dir / name).unlink(missing_ok=True)
        with told_as_they_come_up(platform.status, _tell):
            platform.start(stop=stop.event)
    except (PlatformRunning, RoleFailed) as error:
        exits.stop(str(error), exits.FAILED)
    if stop.event.is_set():
        platform.stop()
        exits.stop("Everything is stopped.", exits.INTERRUPTED)
    try:
        stream = DemoStream(settings, Province(_SEED, workers or _WORKERS, _MONTHS), speed)
        _tell(f"Everything runs; {_beginning(stream.province.workers, workers, stream.progress.sent)}")
        stream.start()
        try:
            last = _watch(settings, stream, stop, exit_after, picture=not as_json and sys.stdout.isatty())
            stream.pause()
            last = _caught_up(settings, stream) or last
        finally:
            stream.stop()
    finally:
        platform.stop()
        _tell("Everything is stopped.")
    if stream.failure is not None:
        exits.stop(f"The simulation ended early: {stream.failure}", exits.FAILED)
    _finish(last, as_json=as_json)


def _beginning(workers: int, asked_for: int | None, sent: int) -> str:
    """What begins: a new province, or the one that the data directory already holds, whatever was asked for."""
    if not sent:
        return f"a province of {workers:,} workers begins to report."
    other = "; --workers needs --fresh" if asked_for not in (None, workers) else ""
    return f"the province of {workers:,} workers goes on{other}."


def _watch(
    settings: "Settings", stream: "DemoStream", stop: "StopAsked", exit_after: float | None, *, picture: bool
) -> "Snapshot | None":
    """Show the platform until it is to stop; the last look."""
    from saphan_cli.demo_view import Picture
    from saphan_infra.clock import monotonic_seconds

    title = f"Saphan: a simulated province of {stream.province.workers:,} workers"
    ends_at = None if exit_after is None else monotonic_seconds() + exit_after
    last: Snapshot | None = None
    with _screen(stop, shown=picture) as show, _looking(settings) as look:
        while not stop.event.is_set() and stream.failure is None:
            if ends_at is not None and monotonic_seconds() >= ends_at:
                break
            last = look(stream) or last
            if last is not None:
                show(Picture(last, stream.progress.day_ms, title))
            stop.event.wait(_LOOK_SECONDS)
    return last


def _caught_up(settings: "Settings", stream: "DemoStream") -> "Snapshot | None":
    """Wait a while until nothing is left to process; the last look."""
    from saphan_infra.clock import monotonic_seconds, wait_seconds

    ends_at = monotonic_seconds() + _CATCH_UP_SECONDS
    last: Snapshot | None = None
    calm = 0
    with _looking(settings) as look:
        while monotonic_seconds() < ends_at:
            last = look(stream) or last
            # link may just have written what integrate has yet to see: two calm looks, not one.
            calm = calm + 1 if last is not None and not any(last.lag.values()) else 0
            if calm > 1:
                break
            wait_seconds(_LOOK_SECONDS)
    return last


@contextmanager
def _looking(settings: "Settings") -> "Iterator[Callable[[DemoStream], Snapshot | None]]":
    from saphan_cli.demo_view import look
    from saphan_projections.database import Database, DatabaseUnavailable

    link, state = Database(settings.link_url), Database(settings.state_url)

    def once(stream: "DemoStream") -> "Snapshot | None":
        try:
            return look(link, state, stream.end_offsets())
        except DatabaseUnavailable:
            return None

    try:
        yield once
    finally:
        link.close()
        state.close()


@contextmanager
def _screen(stop: "StopAsked", *, shown: bool) -> Iterator[Callable[[Any], None]]:
    if not shown:
        yield lambda _picture: None
        return
    from rich.live import Live

    with stop.silently(), Live(refresh_per_second=4) as live:
        yield live.update


def _finish(last: "Snapshot | None", *, as_json: bool) -> None:
    if last is None:
        exits.stop("Nothing could be read from the database.", exits.FAILED)
    from saphan_cli.output import print_json

    summary = last.summary()
    if as_json:
        print_json(summary)
    else:
        alerts = ", ".join(f"{count:,} {state}" for state, count in summary["alerts"].items())
        typer.echo(f"{summary['events']:,} events, {summary['workers']:,} workers; alerts: {alerts}")
    if summary["lag"]:
        exits.stop(f"{summary['lag']} messages were not processed before the end; `saphan up` goes on.", exits.FAILED)


def _tell(line: str) -> None:
    typer.echo(line, err=True)
