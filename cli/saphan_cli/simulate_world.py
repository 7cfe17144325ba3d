"""What `saphan simulate` does with its command line: a world in, files or messages in Kafka, a report and an exit code."""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import typer

from saphan_cli import exits
from saphan_cli.output import print_json
from saphan_cli.simulated_feeds import SIMULATED_TOPICS, SimulatedFeeds
from saphan_infra.availability import BrokerUnavailable
from saphan_infra.clock import monotonic_seconds
from saphan_infra.kafka_security import aiokafka_security
from saphan_infra.logs import quiet_clients
from saphan_infra.schema_ids import use_schema_ids
from saphan_infra.settings import Settings
from saphan_infra.writable import load_settings_to_write
from saphan_publishers.delivery import Delivery, DeliveryRefused
from saphan_publishers.kafka_broker import KafkaBroker
from saphan_simulation.book import Event
from saphan_simulation.parameters import ParameterError, as_toml, load_parameters
from saphan_simulation.simulating import Progress, simulate, spooled_events
from saphan_simulation.wording import spooled_wire
from saphan_simulation.world import DEFAULT_START, World, WorldError
from saphan_simulation.writing import OutputError, prepare, report_of, scratch_beside, write_report, write_world
from saphan_streams.collecting import collecting_seldom

_BATCH_EVENTS = 20_000


@dataclass(frozen=True)
class Request:
    """The command line."""

    out: Path | None
    workers: int | None
    seed: int
    months: int
    start: date | None
    params: Path | None
    force: bool
    jobs: int
    publish: bool
    skip: int
    wait_seconds: float
    as_json: bool


def show_parameters(params: Path | None) -> None:
    """Print all parameters in the form of a file for --params."""
    try:
        typer.echo(as_toml(load_parameters(params)), nl=False)
    except ParameterError as error:
        exits.stop(f"saphan simulate: {error}", exits.USAGE)


@collecting_seldom()
def simulate_world(request: Request) -> None:
    """Do what the command line asks; leaves by typer.Exit with the exit code when that is not 0."""
    try:
        parameters = load_parameters(request.params)
        count = request.workers if request.workers is not None else parameters["province.registered_migrants"]
        world = World(parameters, request.seed, count, request.months, request.start or DEFAULT_START)
        report = _published(request, world) if request.publish else _written(request, world)
    except (ParameterError, WorldError, OutputError, OverflowError) as error:
        exits.stop(f"saphan simulate: {error}", exits.USAGE)
    except OSError as error:
        where = request.out if request.out is not None else "the data directory"
        exits.stop(
            f"saphan simulate: {where} could not be written ({error.strerror}); the files are incomplete", exits.FAILED
        )
    if request.as_json:
        print_json(report)
    else:
        typer.echo(_summary(report, request.out))


def _written(request: Request, world: World) -> dict[str, Any]:
    if request.out is None:
        message = "no --out was given; give a directory for the files, or --publish to send to Kafka"
        raise OutputError(message)
    if request.skip:
        message = "--skip belongs to --publish"
        raise OutputError(message)
    return write_world(world, request.out, force=request.force, jobs=request.jobs, progress=_Progress())


def _published(request: Request, world: World) -> dict[str, Any]:
    quiet_clients()
    settings = load_settings_to_write()
    use_schema_ids(settings)
    publishing = _Publishing(settings, request)
    try:
        publishing.reach()
        if request.out is not None:
            prepare(request.out, force=request.force)
        with scratch_beside(request.out or settings.data_dir) as scratch:
            progress = _Progress()
            spool, tally = simulate(
                world, scratch, spooled_wire, results=request.out, jobs=request.jobs, progress=progress
            )
            # Written first: who stops the sending has the truth of what was sent.
            report = report_of(world, tally) if request.out is None else write_report(world, tally, request.out)
            publishing.send(spooled_events(spool), report["events"], progress)
    except (BrokerUnavailable, DeliveryRefused) as error:
        exits.stop(f"saphan simulate: {error} {publishing.hint()}", exits.UNREACHABLE)
    except KeyboardInterrupt:
        exits.stop(f"Stopped. {publishing.hint()}", exits.INTERRUPTED)
    return {**report, "published": publishing.report()}


class _Publishing:
    """Sends a simulation's events to the feeds in order of publication; knows how many are acknowledged."""

    def __init__(self, settings: Settings, request: Request) -> None:
        self._settings = settings
        self._wait_seconds_max = request.wait_seconds or None
        self._skipped = request.skip
        self._has_files = request.out is not None
        self.sent = 0
        self.seconds = 0.0

    def reach(self) -> None:
        """Make sure of the topics before anything is simulated. Raises BrokerUnavailable or DeliveryRefused."""
        asyncio.run(self._reach())

    def send(self, events: Iterator[Event], count: int, progress: Progress) -> None:
        """Send all but the skipped ones. Raises BrokerUnavailable or DeliveryRefused."""
        began = monotonic_seconds()
        try:
            asyncio.run(self._send(islice(events, self._skipped, None), count, progress))
        finally:
            self.seconds = monotonic_seconds() - began

    def hint(self) -> str:
        """How to go on after an end that came too early."""
        done = self._skipped + self.sent
        if not done:
            return "Nothing was sent."
        options = f"--skip {done} --force" if self._has_files else f"--skip {done}"
        return f"{done:,} events are acknowledged; the same command with {options} sends the rest."

    def report(self) -> dict[str, Any]:
        """What was sent, and how fast."""
        return {
            "skipped": self._skipped,
            "events": self.sent,
            "seconds": round(self.seconds, 2),
            "events_per_second": round(self.sent / self.seconds) if self.seconds else 0,
        }

    def _delivery(self) -> Delivery:
        security, replication = aiokafka_security(self._settings), self._settings.replication_factor
        broker = KafkaBroker(self._settings.bootstrap, replication=replication, security=security)
        return Delivery(broker, exits.tell, self._wait_seconds_max)

    async def _reach(self) -> None:
        delivery = self._delivery()
        await delivery.open(SIMULATED_TOPICS)
        await delivery.close()

    async def _send(self, events: Iterator[Event], count: int, progress: Progress) -> None:
        delivery = self._delivery()
        await delivery.open(SIMULATED_TOPICS)
        feeds = SimulatedFeeds(delivery)
        try:
            while batch := [(topic, record) for _, topic, record in islice(events, _BATCH_EVENTS)]:
                await feeds.send(batch)
                self.sent += len(batch)
                progress("events sent", self._skipped + self.sent, count)
        finally:
            await delivery.close()


def _summary(report: dict[str, Any], out: Path | None) -> str:
    coverage = report["coverage"]
    assumed = sum("assumption" in row for row in report["parameters"])
    where = "in Kafka" if "published" in report else f"in {out}"
    lines = [
        f"{report['events']:,} events about {report['workers']:,} workers and {report['employers']:,} employers,",
        f"{report['start']} to {report['end']}, {where}",
        "",
        *(f"  {feed:26} {count:>12,}" for feed, count in report["events_by_feed"].items()),
        "",
        f"insured: {_percent(coverage['share_of_registered'])} of the registered, "
        f"{_percent(coverage['share_of_eligible_employed'])} of the employed whom the law seems to cover",
    ]
    if out is not None:
        alerts = ", ".join(f"{name} {count:,}" for name, count in report["alerts_by_state"].items())
        lines.append(f"expected alerts: {alerts}")
    if "published" in report:
        sent = report["published"]
        lines.append(f"sent: {sent['events']:,} events, {sent['events_per_second']:,} a second")
    lines.append(f"{assumed} of {len(report['parameters'])} parameters are assumptions; --show-params prints them all")
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.1%}"


class _Progress:
    """Says on standard error how far a long simulation is: in place on a terminal, else every tenth."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._told = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._is_terminal:
            typer.echo(f"\r{what}: {done:,} of {total:,}", err=True, nl=done == total)
            return
        tenth = f"{what}: {done * 10 // total * 10}%"
        if tenth != self._told:
            self._told = tenth
            exits.tell(tenth)
