"""How a chaos run goes: load and faults beside each other, then rest, then every comparison that could show a loss."""

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

from saphan_cli.bench.stand import Stand, stand
from saphan_cli.bench.usage import machine
from saphan_cli.chaos import comparing
from saphan_cli.chaos.comparing import Comparison
from saphan_cli.chaos.gate import receiver_behind_gate
from saphan_cli.chaos.hurting import Surgeon
from saphan_cli.chaos.load import Load, Province, province
from saphan_cli.chaos.observing import Observer
from saphan_cli.chaos.origins import marks_at
from saphan_cli.chaos.place import Place, with_own_settings
from saphan_cli.chaos.plan import Database, Fault, plan
from saphan_cli.chaos.recovering import Recovery
from saphan_cli.dead_letters import read_all
from saphan_infra.clock import monotonic_seconds
from saphan_infra.maven import Report
from saphan_infra.settings import Settings
from saphan_projections.database import Database as OpenDatabase
from saphan_publishers.kafka_broker import KafkaBroker
from saphan_schemas.values import parse_time_ms
from saphan_simulation.simulating import EXPECTED_FILE

_SECRET = "whsec_c2FwaGFuLWNoYW9zLXJlY2VpdmVyLTAxMjM0NTY3"  # noqa: S105 - of the receiver that a run brings along
_REST_SECONDS = 240.0
_LATE_SECONDS = 180.0
_LOOK_SECONDS = 0.1
#: What of a stand tells afterwards how it went.
_KEPT = (
    "logs", "standby/logs", "kafka/broker.log", "kafka/stdout.log", "postgres/postgres.log", "alerts.jsonl", "link.db",
    "state.db", "link.db-wal", "state.db-wal",
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What a run is to be. ``events_per_second`` is what the agencies send on average; ``only`` picks faults by name."""

    seed: int
    minutes: float
    database: Database
    workers: int
    events_per_second: float
    only: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long load and faults last."""
        return self.minutes * 60

    def faults(self) -> tuple[Fault, ...]:
        """The plan."""
        return plan(self.seed, self.seconds, self.database, self.only)

    def command(self) -> str:
        """What runs the same again."""
        words = ["saphan", "chaos", "--seed", str(self.seed), "--minutes", f"{self.minutes:g}"]
        words += ["--postgres"] if self.database == "postgresql" else []
        words += ["--workers", str(self.workers), "--rate", f"{self.events_per_second:g}"]
        return " ".join([*words, *(f"--only {name}" for name in self.only)])


@dataclass
class Done:
    """One fault as it was: ``bitten`` is what showed it; None when nothing did. ``trouble``: it could not be done."""

    number: int
    fault: Fault
    at_seconds: float = 0.0
    lasted_seconds: float = 0.0
    bitten: str | None = None
    trouble: str | None = None
    recovery_seconds: float | None = None


class Run:
    """One run on a stand that is up; makes the report."""

    def __init__(self, wanted: Wanted, place: Place, observer: Observer, load: Load, surgeon: Surgeon) -> None:
        self._wanted = wanted
        self._place = place
        self._observer = observer
        self._load = load
        self._surgeon = surgeon
        self._tell = place.stand.report
        self._began = monotonic_seconds()
        self._stop = threading.Event()
        self.done = [Done(number, fault) for number, fault in enumerate(wanted.faults())]

    def hurt(self) -> list[Comparison]:
        """Load and faults, until everything is published and at rest; what kept it from rest."""
        lanes = [
            threading.Thread(target=self._lane, args=(lane,), name=f"saphan-chaos-{lane}", daemon=True)
            for lane in ("processes", "surroundings")
        ]
        self._began = monotonic_seconds()
        self._load.start()
        for thread in lanes:
            thread.start()
        try:
            for thread in lanes:
                thread.join()
            self._tell("The faults are over; waiting until everything is published and at rest …")
            patience_seconds = max(0.0, self._began + self._wanted.seconds - monotonic_seconds()) + _LATE_SECONDS
            if not self._load.join(patience_seconds):
                return [Comparison("rest", 1, (f"not everything was published within {patience_seconds:.0f} s",))]
            at_rest = self._observer.wait_for_rest(_REST_SECONDS)
        finally:
            self._stop.set()
            for thread in lanes:
                thread.join()
        for row in self.done:
            row.recovery_seconds = self._observer.recovery_seconds(row.number)
        return [] if at_rest else [Comparison("rest", 1, (self._unrest(),))]

    def _lane(self, lane: str) -> None:
        for row in self.done:
            if row.fault.cause.lane == lane and not self._stop.wait(
                max(0.0, self._began + row.fault.at_seconds - monotonic_seconds())
            ):
                self._one(row)

    def _one(self, row: Done) -> None:
        fault = row.fault
        row.at_seconds = monotonic_seconds() - self._began
        self._tell(f"{row.at_seconds:6.1f} s  {fault.cause.name} …")
        began = monotonic_seconds()
        try:
            with self._surgeon.hurt(fault) as seen:
                while not self._stop.wait(_LOOK_SECONDS):
                    row.bitten = seen() or row.bitten
                    lasted = monotonic_seconds() - began
                    if lasted >= fault.seconds_max or (lasted >= fault.lasts_seconds and row.bitten is not None):
                        break
                healed_at = monotonic_seconds()
            row.bitten = seen() or row.bitten
        except Exception as error:  # noqa: BLE001 - whatever keeps a fault from being done is told in its row
            row.trouble = f"{type(error).__name__}: {error}"
            self._tell(f"{fault.cause.name} could not be done: {row.trouble}")
            return
        row.lasted_seconds = (healed_at if fault.lasts_seconds else began) - began
        target = fault.cause.target
        # A service that has to start first is not back until it answers: that counts, too.
        recovery = Recovery(healed_at if fault.lasts_seconds else began, with_webhook=target == "webhook")
        self._observer.follow(row.number, recovery, partial(self._place.is_up, target))

    def _unrest(self) -> str:
        looks = self._observer.looks
        if not looks:
            return "the platform could not be looked at once"
        last = looks[-1]
        waits = {
            "messages for link and integrate": last.lag(),
            "link's outbox from": last.link_outbox.first,
            "integrate's outbox from": last.integrate_outbox.first,
            "webhook's list from": last.waiting.first,
        }
        age = monotonic_seconds() - last.at
        return f"no rest within {_REST_SECONDS:.0f} s; looked at {age:.1f} s ago: {waits}"

    def compare(self, world: Province, inbox: Path) -> list[Comparison]:
        """Everything that could show that something was lost, doubled or changed."""
        settings = self._place.settings
        self._tell(
            "Comparing with the oracle, the simulation, a rebuild, the receiver, the file and the dead letters …"
        )
        expected = comparing.lines_of(world.folder / EXPECTED_FILE)
        as_of_ms = parse_time_ms(expected[0]["as_of"]) if expected else None
        database = OpenDatabase(settings.state_url)
        try:
            with database.reading() as transaction:
                settled = comparing.settled_rows(transaction, as_of_ms)
                stored = comparing.stored_states(transaction)
        finally:
            database.close()
        letters = read_all(settings, with_content=lambda _id: True)
        marks = marks_at(settings.bootstrap, [(row.topic, row.partition, row.offset) for row in letters])
        alerts_file = settings.alerts_path or settings.data_dir / "alerts.jsonl"
        return [
            comparing.with_oracle(world.folder, settings.state_url),
            comparing.with_simulation(comparing.expected_rows(expected), settled),
            comparing.with_rebuild(Stand.COMMAND, self._place.stand.environment()),
            comparing.with_receiver("webhook", stored, comparing.lines_of(inbox)),
            comparing.with_receiver("file", stored, comparing.lines_of(alerts_file)),
            comparing.with_poison(self._load.poisons, letters, marks),
        ]


def run(settings: Settings, wanted: Wanted, report: Report, *, keep: bool = False) -> dict[str, Any]:
    """Do one run on a platform of its own and give its report; `kept` names the folder of logs, kept when it failed.

    Raises ServiceUnavailable when the platform does not come up at all.
    """
    began = monotonic_seconds()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="saphan-chaos-")))
        inbox = scratch / "inbox.jsonl"
        gate = stack.enter_context(receiver_behind_gate(inbox, _SECRET))
        report("Simulating what the agencies will send …")
        world = province(scratch / "province", wanted.seed, wanted.events_per_second * wanted.seconds)
        own = with_own_settings(settings, gate.url, _SECRET, wanted.workers)
        made = stack.enter_context(stand(own, report, postgres=wanted.database == "postgresql"))
        made.settings = made.settings.model_copy(update={"alerts_file": made.settings.data_dir / "alerts.jsonl"})
        kept = stack.enter_context(_kept_on_error(settings.data_dir, wanted.seed, made, scratch))
        observer = Observer(made.settings)
        place = Place(made, report, lambda: observer.lease.owner)
        bootstrap = made.settings.bootstrap
        load = Load(lambda client_id: KafkaBroker(bootstrap, client_id=client_id), world, wanted.seconds, wanted.seed)
        stack.enter_context(place.running())
        observer.start()
        stack.callback(observer.stop)
        going = Run(wanted, place, observer, load, Surgeon(place, observer, load, gate))
        found = going.hurt()
        found += going.compare(world, inbox)
        made_report = as_report(wanted, going.done, found, world, load.counts)
        made_report["seconds"] = round(monotonic_seconds() - began, 1)
        if keep or not made_report["passed"]:
            made_report["kept"] = str(kept())
    return made_report


def as_report(
    wanted: Wanted,
    done: Sequence[Done],
    comparisons: Sequence[Comparison],
    world: Province,
    counts: Mapping[str, int],
) -> dict[str, Any]:
    """The run as plain values. It passed when every fault has bitten and healed and nothing differs."""
    rows = [
        {
            "kind": row.fault.cause.kind,
            "target": row.fault.cause.target,
            "at_seconds": round(row.at_seconds, 1),
            "lasted_seconds": round(row.lasted_seconds, 1),
            "recovery_seconds": None if row.recovery_seconds is None else round(row.recovery_seconds, 1),
            "bitten": row.bitten,
            "trouble": row.trouble,
        }
        for row in done
    ]
    differences = sum(row.differences for row in comparisons)
    proven = all(row.bitten is not None and row.recovery_seconds is not None for row in done)
    return {
        "passed": proven and not differences,
        "command": wanted.command(),
        "seed": wanted.seed,
        "minutes": wanted.minutes,
        "database": wanted.database,
        "integrate_workers": wanted.workers,
        "workers": world.workers,
        "published": dict(counts),
        "faults": rows,
        "comparisons": [row._asdict() for row in comparisons],
        "differences": differences,
        "machine": machine()._asdict(),
    }


@contextmanager
def _kept_on_error(data_dir: Path, seed: int, made: Stand, scratch: Path) -> Iterator[Callable[[], Path]]:
    """Yields what copies the things that tell how it went out of folders that are deleted; done for an error, too."""

    def keep() -> Path:
        folder = Path(mkdtemp(prefix=f"chaos-seed-{seed}-", dir=data_dir))
        for source in [*(made.settings.data_dir / name for name in _KEPT), scratch]:
            target = folder / (source.name if source is scratch else source.relative_to(made.settings.data_dir))
            if source.is_dir():
                shutil.copytree(source, target)
            elif source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        return folder

    try:
        yield keep
    except Exception:
        made.report(f"Logs, files and databases: {keep()}")
        raise
