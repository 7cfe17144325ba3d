"""What `saphan publish` does with its command line: files and settings in, a summary and an exit code out."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from saphan_cli import exits, public_key
from saphan_cli.output import print_json
from saphan_infra.availability import BrokerUnavailable
from saphan_infra.clock import now_ms
from saphan_infra.kafka_security import aiokafka_security
from saphan_infra.logs import quiet_clients
from saphan_infra.schema_ids import use_schema_ids
from saphan_infra.settings import Settings, load_settings
from saphan_publishers.dates import as_of_ms
from saphan_publishers.delivery import Delivery, DeliveryRefused
from saphan_publishers.directories import DEFAULT_ORDER, NothingToPublish, feed_files
from saphan_publishers.formats import FORMATS, Reading
from saphan_publishers.heartbeats import refused_claim
from saphan_publishers.input_files import ENCODINGS
from saphan_publishers.kafka_broker import KafkaBroker
from saphan_publishers.mapping import MappingError
from saphan_publishers.mapping_file import read_mapping
from saphan_publishers.outcomes import Outcome
from saphan_publishers.publishing import Order, Publication
from saphan_publishers.reports import Report, ReportFailed
from saphan_publishers.rows import Unreadable
from saphan_schemas.values import format_time_ms
from saphan_streams.collecting import collecting_seldom


@dataclass(frozen=True)
class Request:
    """The command line."""

    feed: str | None
    files: Sequence[str]
    directory: Path | None
    order: str | None
    format: str | None
    mapping: Path | None
    encoding: str | None
    as_of: str | None
    heartbeat: str | None
    heartbeat_anyway: bool
    dry_run: bool
    report: Path | None
    wait_seconds: float
    as_json: bool


@collecting_seldom()
def publish_files(request: Request) -> None:
    """Do what the command line asks; leaves by typer.Exit with the exit code."""
    quiet_clients()
    with exits.told():
        settings = load_settings()
        use_schema_ids(settings)
        order = _order(request, settings)
    _mind_the_key(order, settings)
    inputs = [path for _, path in order.files]
    try:
        report = Report(_report_path(request, settings), inputs, always=request.report is not None)
    except ReportFailed as error:
        exits.stop(str(error), exits.USAGE)
    publication = Publication(order, report, _Progress())
    try:
        asyncio.run(publication.run())
    except (BrokerUnavailable, DeliveryRefused) as error:
        _summarise(publication.outcome, as_json=request.as_json)
        exits.stop(
            f"{error} What was acknowledged stays; run the same command again, nothing is doubled.", exits.UNREACHABLE
        )
    except ReportFailed as error:
        # What is wrong with the rows could not be told: going on would lose it.
        _summarise(publication.outcome, as_json=request.as_json)
        exits.stop(f"{error} What was published stays; run the same command again, nothing is doubled.", exits.FAILED)
    except KeyboardInterrupt:
        _summarise(publication.outcome, as_json=request.as_json)
        exits.stop("Stopped. Run the same command again to publish the rest; nothing is doubled.", exits.INTERRUPTED)
    _summarise(publication.outcome, as_json=request.as_json)
    if publication.outcome.failed:
        raise typer.Exit(exits.FAILED)
    if publication.outcome.rejected or publication.outcome.withheld:
        raise typer.Exit(exits.REJECTED)


def _order(request: Request, settings: Settings) -> Order:
    files = _files(request)
    reading = _reading(request, settings, [topic for topic, _ in files])
    delivery = None
    if not request.dry_run:
        security, replication = aiokafka_security(settings), settings.replication_factor
        broker = KafkaBroker(settings.bootstrap, replication=replication, security=security)
        delivery = Delivery(broker, exits.tell, request.wait_seconds or None)
    return Order(
        files,
        reading,
        settings.data_dir,
        delivery,
        heartbeat_ms=_heartbeat_ms(request.heartbeat),
        heartbeat_anyway=request.heartbeat_anyway,
    )


def _files(request: Request) -> list[tuple[str, str]]:
    if request.directory is not None:
        if request.feed is not None:
            exits.stop("Give either FEED and files, or --dir, not both.", exits.USAGE)
        order = [name.strip() for name in request.order.split(",")] if request.order else None
        try:
            return feed_files(request.directory, order)
        except NothingToPublish as error:
            exits.stop(str(error), exits.USAGE)
    if request.order is not None:
        exits.stop("--order belongs to --dir.", exits.USAGE)
    if request.feed not in DEFAULT_ORDER:
        found = f"There is no feed {request.feed!r}" if request.feed else "No feed was named"
        exits.stop(f"{found}; expected one of {', '.join(DEFAULT_ORDER)}, or --dir.", exits.USAGE)
    if not request.files:
        exits.stop(f"No file was named for {request.feed}; give one or more, or - for standard input.", exits.USAGE)
    for name in request.files:
        path = Path(name)
        if path.is_dir():
            exits.stop(f"{name!r} is a directory; give its files, or --dir {name} for its <topic>.jsonl.", exits.USAGE)
        if name != "-" and not path.is_file() and not path.is_fifo():
            exits.stop(f"There is no file {name!r}; check the path.", exits.USAGE)
    return [(request.feed, name) for name in request.files]


def _reading(request: Request, settings: Settings, topics: Sequence[str]) -> Reading:
    file_format = next((known for known in FORMATS if known == request.format), None)
    if request.format is not None and file_format is None:
        exits.stop(f"--format is {request.format!r}; expected {', '.join(FORMATS)}.", exits.USAGE)
    encoding = ENCODINGS.get((request.encoding or "").lower())
    if request.encoding is not None and encoding is None:
        exits.stop(f"--encoding is {request.encoding!r}; expected utf-8 or tis-620.", exits.USAGE)
    try:
        mapping = read_mapping(request.mapping, topics[0]) if request.mapping else None
    except (MappingError, KeyError) as error:
        exits.stop(str(error), exits.USAGE)
    try:
        as_of = as_of_ms(request.as_of) if request.as_of else None
    except Unreadable as refused:
        exits.stop(
            f"--as-of is {request.as_of!r}; expected {refused.expected}, or a day such as 2026-11-23.", exits.USAGE
        )
    return Reading(settings.pseudonym_key.get_secret_value(), file_format, mapping, encoding, as_of, now_ms=now_ms())


def _mind_the_key(order: Order, settings: Settings) -> None:
    if not public_key.is_public(settings):
        return
    hashes = public_key.makes_hashes(order.files, order.reading)
    if hashes and order.delivery is not None and not public_key.is_on_this_machine(settings):
        # What is out cannot be called back, and under a key of one's own it would be other records.
        exits.stop(f"Nothing was published. {public_key.WARNING}", exits.USAGE)
    if hashes is not False:
        exits.tell(f"Warning: {public_key.WARNING}")


def _heartbeat_ms(asked: str | None) -> int | None:
    if asked is None:
        return None
    # Asked before the first file is read: what changes meanwhile is not in the files.
    if asked == "now":
        return now_ms()
    try:
        until_ms = as_of_ms(asked)
    except Unreadable as error:
        exits.stop(
            f"--heartbeat is {asked!r}; expected now, {error.expected}, or a day such as 2026-11-23.", exits.USAGE
        )
    refused = refused_claim(until_ms, now_ms())
    if refused is not None:
        exits.stop(
            f"--heartbeat is {asked!r}, which is {refused.found}; expected {refused.expected}. It says what is "
            "published already, and cannot be taken back: give a time that has come, or now.",
            exits.USAGE,
        )
    return until_ms


def _report_path(request: Request, settings: Settings) -> Path:
    if request.report is not None:
        return request.report
    moment = format_time_ms(now_ms()).replace(":", "").replace("-", "").replace(".", "-")
    return settings.data_dir / "reports" / f"{moment}-{request.feed or 'directory'}.jsonl"


class _Progress:
    """Tells how far it is, once a second on a terminal and every ten seconds in a log."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        self._told_seconds = 0.0

    def __call__(self, outcome: Outcome, seconds: float) -> None:
        if seconds - self._told_seconds < (1 if self._on_terminal else 10):
            return
        self._told_seconds = seconds
        line = (
            f"{outcome.files[-1].feed}: {outcome.rows:,} rows, {outcome.rows / seconds:,.0f} rows/s, "
            f"{outcome.rejected:,} rejected"
        )
        typer.echo(f"\r{line}\x1b[K" if self._on_terminal else line, err=True, nl=not self._on_terminal)


def _summarise(outcome: Outcome, *, as_json: bool) -> None:
    if sys.stderr.isatty():
        typer.echo("\r\x1b[K", err=True, nl=False)
    if as_json:
        print_json(outcome.as_json())
    else:
        verb = "would be published" if outcome.dry_run else "published"
        for file in outcome.files:
            typer.echo(
                f"{file.feed} {file.file}: {file.published:,} of {file.rows:,} rows {verb}, {file.rejected:,} rejected"
            )
        told = "heartbeat that would be sent" if outcome.dry_run else "heartbeat"
        for heartbeat in outcome.heartbeats:
            typer.echo(f"{told}: {heartbeat}")
    for file in outcome.files:
        if file.failure is not None:
            exits.tell(f"{file.file}: {file.failure}")
    for feed in outcome.withheld:
        exits.tell(
            f"No heartbeat for {feed}: not everything was published, so the feed is not complete. Correct and publish "
            "the rejected rows, then send it; or say --heartbeat-anyway."
        )
    if outcome.report is not None:
        exits.tell(f"{outcome.rejected} rows rejected, {outcome.warnings} warnings; report: {outcome.report}")
