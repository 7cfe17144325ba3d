"""What `saphan bench` measures and prints; the parts are in saphan_cli.bench."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saphan_cli import exits, output

if TYPE_CHECKING:
    from saphan_cli.bench.province import Size

_WORKERS_PER_EVENT = 10
_MONTHS = 12
_SEED = 20_261_123
#: One message a commit is so slow that it gets a smaller log.
_SINGLE_SHARE = 25

Events = Annotated[int, typer.Option(help="Most events that are loaded, the earliest of the province first.", min=1)]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Workers of the province; default: a tenth of the events. A year brings some 10.8 events each.", min=1
    ),
]
Months = Annotated[int, typer.Option(help="Simulated months.", min=1, max=240)]
Seed = Annotated[int, typer.Option(help="The same seed gives the same events.", min=0)]
Postgres = Annotated[bool, typer.Option("--postgres", help="Keep the state in a local PostgreSQL instead of SQLite.")]
LatencyRate = Annotated[float, typer.Option(help="Events per second of the latency phase.", min=1)]
LatencySeconds = Annotated[float, typer.Option(help="Length of the latency phase; 0 leaves it out.", min=0)]
Stock = Annotated[bool, typer.Option("--stock/--no-stock", help="Measure stock Faust doing link's work, too.")]
StockEvents = Annotated[int, typer.Option(help="On how many events link alone is measured each way.", min=1)]
Rate = Annotated[float, typer.Option(help="Events per second while a process is killed.", min=1)]
Records = Annotated[int, typer.Option(help="How often one record is encoded and decoded.", min=1)]


def register(app: typer.Typer) -> None:
    """Add ``bench``."""
    bench = typer.Typer(
        no_args_is_help=True,
        help="Measure the platform on a throw-away broker and database of its own; see docs/performance.md.",
    )
    bench.command("pipeline")(pipeline)
    bench.command("rebuild")(rebuild)
    bench.command("recovery")(recovery)
    bench.command("codec")(codec)
    app.add_typer(bench, name="bench")


def pipeline(
    *,
    events: Events = 1_000_000,
    workers: Workers = None,
    months: Months = _MONTHS,
    seed: Seed = _SEED,
    latency_rate: LatencyRate = 1_000,
    latency_seconds: LatencySeconds = 20,
    stock: Stock = True,
    stock_events: StockEvents = 100_000,
    postgres: Postgres = False,
    as_json: output.AsJson = False,
) -> None:
    """Events per second end to end, CPU per event, latency of alerts, and stock Faust beside it.

    Exit codes: 0 measured; 1 a part failed; 2 wrong usage or settings; 3 a service could not be reached.
    """
    with output.told():
        from saphan_cli.bench import comparison, latency
        from saphan_cli.bench import pipeline as whole
        from saphan_cli.bench.province import Province
        from saphan_cli.bench.stand import stand

        newcomers = int(latency_rate * latency_seconds)
        with stand(output.settings(), output.note, postgres=postgres) as place:
            province = Province(_size(events, workers, months, seed), newcomers)
            loaded = whole.load_feeds(place, province)
            whole.prepare_databases(place.settings)
            report: dict[str, Any] = {
                "size": province.size._asdict(),
                **whole.measured(place, loaded),
                **whole.surroundings(place.settings),
            }
            if newcomers:
                report["latency"] = latency.measured(place, province, latency_rate, latency_seconds)
        if stock:
            report["stock_faust"] = {"compared": comparison.COMPARED}
            for way, count in (("stock", stock_events), ("stock_single", max(1, stock_events // _SINGLE_SHARE))):
                # A log of its own: Faust reads topic after topic, so that a part of a larger one has no fair beginning.
                with stand(output.settings(), output.note) as place:
                    loaded = whole.load_feeds(place, Province(_size(count, None, months, seed)))
                    report["stock_faust"][way] = comparison.measured(place, way, loaded.events)
        _print(report, as_json=as_json)


def rebuild(
    *,
    events: Events = 1_000_000,
    workers: Workers = None,
    months: Months = _MONTHS,
    seed: Seed = _SEED,
    postgres: Postgres = False,
    as_json: output.AsJson = False,
) -> None:
    """Events per second of a rebuild from offset 0.

    Exit codes: 0 measured; 1 a part failed; 2 wrong usage or settings; 3 a service could not be reached.
    """
    with output.told():
        from saphan_cli.bench import pipeline as whole
        from saphan_cli.bench import rebuilding
        from saphan_cli.bench.province import Province
        from saphan_cli.bench.stand import stand

        with stand(output.settings(), output.note, postgres=postgres) as place:
            province = Province(_size(events, workers, months, seed))
            whole.load_feeds(place, province)
            report = {
                "size": province.size._asdict(),
                **rebuilding.measured(place),
                **whole.surroundings(place.settings),
            }
        _print(report, as_json=as_json)


def recovery(
    *,
    events: Events = 1_000_000,
    workers: Workers = None,
    months: Months = _MONTHS,
    seed: Seed = _SEED,
    rate: Rate = 1_000,
    postgres: Postgres = False,
    as_json: output.AsJson = False,
) -> None:
    """Seconds after kill -9 of integrate and of link, under load, until nothing lags any more.

    Exit codes: 0 measured; 1 a part failed or lag remained; 2 wrong usage or settings; 3 a service could not be reached.
    """
    with output.told():
        from saphan_cli.bench import pipeline as whole
        from saphan_cli.bench import recovery as kills
        from saphan_cli.bench.province import Province
        from saphan_cli.bench.stand import stand

        with stand(output.settings(), output.note, postgres=postgres) as place:
            province = Province(_size(events, workers, months, seed), int(kills.SECONDS_MAX * rate))
            whole.load_feeds(place, province)
            measured = kills.measured(place, province, rate)
            report = {"size": province.size._asdict(), **measured, **whole.surroundings(place.settings)}
        _print(report, as_json=as_json)
        if any(kill["seconds_until_no_lag"] is None for kill in measured["killed"].values()):
            exits.stop("Lag remained after a kill.", exits.FAILED)


def codec(*, records: Records = 20_000, as_json: output.AsJson = False) -> None:
    """Microseconds to encode and to decode a record, by each way that could do it.

    Exit codes: 0 measured; 1 a part failed; 2 wrong usage.
    """
    with output.told():
        from saphan_cli.commands.bench_codec import run

        _print(run(records), as_json=as_json)


def _size(events: int, workers: int | None, months: int, seed: int) -> "Size":
    from saphan_cli.bench.province import Size

    return Size(events, workers or max(1, events // _WORKERS_PER_EVENT), months, seed)


def _print(report: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json(report)
        return
    from saphan_cli.bench.wording import lines

    for line in lines(report):
        output.print_text(line)
