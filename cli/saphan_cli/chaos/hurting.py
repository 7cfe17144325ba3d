"""How each fault is done to a running platform, how it is healed, and by what one sees that it has bitten."""

import signal
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path

from saphan_cli.bench.usage import with_children
from saphan_cli.chaos import disk
from saphan_cli.chaos.gate import Gate
from saphan_cli.chaos.load import Load
from saphan_cli.chaos.observing import Observer
from saphan_cli.chaos.place import Place
from saphan_cli.chaos.plan import Fault
from saphan_cli.chaos.showing import Seen, counting, is_stopped, some, stalled, taken_over
from saphan_infra.availability import ServiceUnavailable
from saphan_infra.clock import now_ms, wait_seconds
from saphan_infra.owned_process import OwnedProcess, wait_until

_THERE_SECONDS = 20.0
_GONE_SECONDS = 10.0
_STORM_SECONDS = 1.5
_CLOCK_SECONDS_MIN = 120.0
_CLOCK_SECONDS_MORE = 780.0
_WAITING_FOR_DATABASE = ("waiting for the database",)
_WAITING_FOR_BROKER = ("waiting for the broker", "Waiting for Kafka")


class NotThere(RuntimeError):
    """There is no process to hurt: an earlier fault has not been recovered from in time."""


class Surgeon:
    """Does faults to one place. Everything is healed at the end of the block, whatever happens inside."""

    def __init__(self, place: Place, observer: Observer, load: Load, gate: Gate) -> None:
        self._place = place
        self._observer = observer
        self._load = load
        self._gate = gate

    def hurt(self, fault: Fault) -> AbstractContextManager[Seen]:
        """The fault, within a block. Raises NotThere when it begins."""
        cause = fault.cause
        match cause.target:
            case "webhook":
                return self._misbehaving_receiver(cause.kind)
            case "producers":
                return self._misbehaving_producers(cause.kind)
            case "broker" | "database" if cause.kind in {"kill", "restart"}:
                return self._service_away(cause.target, killed=cause.kind == "kill")
            case _:
                return self._hurt_processes(cause.kind, cause.target, fault.strength)

    def _hurt_processes(self, kind: str, target: str, strength: float) -> AbstractContextManager[Seen]:
        match kind:
            case "kill":
                return self._killed_connection() if target == "database-connection" else self._killed(target)
            case "pause":
                return self._paused(target)
            case "disk_full":
                return self._disk_full(target)
            case "locked":
                return self._locked(target)
            case "rebalance_storm":
                return self._storm()
            case _:
                ahead = _CLOCK_SECONDS_MIN + strength * _CLOCK_SECONDS_MORE
                return self._clock_stepped(target, ahead if kind == "clock_forward" else -ahead)

    # -- processes -------------------------------------------------------------------------------------------------

    def _victim(self, target: str) -> OwnedProcess:
        found: list[OwnedProcess] = []

        def there() -> bool:
            found[:] = [process for process in [self._place.process(target)] if process is not None]
            return bool(found)

        if not wait_until(there, _THERE_SECONDS):
            message = f"no process of {target} came back within {_THERE_SECONDS:.0f} s"
            raise NotThere(message)
        return found[0]

    @contextmanager
    def _killed(self, target: str) -> Iterator[Seen]:
        victim = self._victim(target)
        victim.send(signal.SIGKILL)
        wait_until(lambda: not victim.alive(), _GONE_SECONDS)

        def seen() -> str | None:
            after = self._place.process(target)
            follows = f", {after.pid} follows" if after is not None and after != victim else ""
            return None if victim.alive() else f"process {victim.pid} ended{follows}"

        yield seen

    @contextmanager
    def _killed_connection(self) -> Iterator[Seen]:
        """One of the server's processes: PostgreSQL ends all connections and recovers from its log."""
        server = self._victim("database")
        victims = _living(_backends(server))
        if not victims:
            message = "the database serves no connection that could be killed"
            raise NotThere(message)
        said = counting(self._place, *_WAITING_FOR_DATABASE)
        victims[-1].send(signal.SIGKILL)
        yield lambda: None if victims[-1].alive() else f"process {victims[-1].pid} of the server ended; {said()}"

    @contextmanager
    def _paused(self, target: str) -> Iterator[Seen]:
        victim = self._victim(target)
        taken = taken_over(self._observer, target)
        # The parent first: it starts no more children, then.
        victim.send(signal.SIGSTOP)
        everybody = _living(with_children([victim.pid]))
        for process in everybody:
            process.send(signal.SIGSTOP)
        try:
            yield lambda: f"process {victim.pid} stood still{taken()}" if is_stopped(victim.pid) else None
        finally:
            for process in everybody:
                process.send(signal.SIGCONT)

    @contextmanager
    def _service_away(self, target: str, *, killed: bool) -> Iterator[Seen]:
        victim = self._victim(target)
        said = counting(self._place, *(_WAITING_FOR_BROKER if target == "broker" else _WAITING_FOR_DATABASE))
        waits = self._load.counts["waits"]
        if killed:
            victim.send(signal.SIGKILL)
            victim.wait(_GONE_SECONDS)
        elif target == "broker":
            self._place.stand.kafka.stop()
        elif self._place.postgres is not None:
            self._place.postgres.stop()
        try:
            yield (
                lambda: (
                    None
                    if victim.alive()
                    else (
                        f"process {victim.pid} ended; {said()}"
                        + (f", the producer {self._load.counts['waits'] - waits} times" if target == "broker" else "")
                    )
                )
            )
        finally:
            self._start(target)

    def _start(self, target: str) -> None:
        """Start a service again, as `saphan up` does: it is tried until it runs."""
        service = self._place.stand.kafka if target == "broker" else self._place.postgres
        while service is not None:
            try:
                service.start()
            except (ServiceUnavailable, OSError) as error:
                self._place.stand.report(f"{target}: {error}")
                wait_seconds(1.0)
            else:
                return

    @contextmanager
    def _disk_full(self, target: str) -> Iterator[Seen]:
        victim = self._victim(target)
        still = stalled(self._observer, "link" if target in {"broker", "database"} else target)
        disk.fill(with_children([victim.pid]))
        try:
            yield lambda: still() if victim.alive() else f"process {victim.pid} ended"
        finally:
            if victim.alive():
                disk.empty(with_children([victim.pid]))
            if target in {"broker", "database"}:
                self._start(target)

    @contextmanager
    def _locked(self, target: str) -> Iterator[Seen]:
        """Somebody else holds the write lock of the SQLite file, as a backup that was started by hand would."""
        path = self._place.settings.data_dir / ("link.db" if target == "link" else "state.db")
        still = stalled(self._observer, target)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=20, check_same_thread=False)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            try:
                yield still
            finally:
                lock.execute("ROLLBACK")

    @contextmanager
    def _storm(self) -> Iterator[Seen]:
        """Integrate processes join and leave the group all the time, in order and not."""
        before = self._observer.epochs
        over = threading.Event()
        thread = threading.Thread(target=self._join_and_leave, args=(over,), name="saphan-chaos-storm")
        thread.start()
        try:
            yield lambda: some(self._observer.epochs - before, "takeovers of partitions", at_least=4)
        finally:
            over.set()
            thread.join()

    def _join_and_leave(self, over: threading.Event) -> None:
        for number in count():
            with self._place.one_more_integrate() as process:
                # On a busy machine a process that left sooner would not have joined at all.
                wait_until(partial(self._is_no_newcomer, process, over), _THERE_SECONDS)
                over.wait(_STORM_SECONDS + number % 3)
                if number % 2:
                    process.send(signal.SIGKILL)
            if over.is_set():
                return

    def _is_no_newcomer(self, process: OwnedProcess, over: threading.Event) -> bool:
        return over.is_set() or not process.alive() or self._place.has_joined(process)

    @contextmanager
    def _clock_stepped(self, target: str, seconds: float) -> Iterator[Seen]:
        owner, renewed_ms = self._observer.lease
        self._place.set_clocks(target, seconds)

        def seen() -> str | None:
            lease = self._observer.lease
            if lease.owner != owner:
                return f"{seconds:+.0f} s; the other link took the lease"
            off = (lease.renewed_ms - now_ms()) / 1000
            is_off = lease.renewed_ms != renewed_ms and abs(off - seconds) < abs(seconds) / 2
            return f"{seconds:+.0f} s; the lease was renewed {off:+.0f} s from now" if is_off else None

        try:
            yield seen
        finally:
            self._place.set_clocks("all", 0.0)

    # -- surroundings ----------------------------------------------------------------------------------------------

    @contextmanager
    def _misbehaving_receiver(self, mode: str) -> Iterator[Seen]:
        before = self._gate.hurt
        self._gate.set(mode)
        try:
            yield lambda: some(self._gate.hurt - before, "posts")
        finally:
            self._gate.set("open")

    @contextmanager
    def _misbehaving_producers(self, mode: str) -> Iterator[Seen]:
        before = self._load.counts[mode]
        self._load.modes.add(mode)
        try:
            yield lambda: some(self._load.counts[mode] - before, "messages", at_least=5)
        finally:
            self._load.modes.discard(mode)


def _backends(server: OwnedProcess) -> list[int]:
    """The server's processes that serve a connection of the platform's role."""
    found = []
    for pid in with_children([server.pid])[1:]:
        try:
            name = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"saphan saphan" in name:
            found.append(pid)
    return found


def _living(pids: Iterable[int]) -> list[OwnedProcess]:
    """Those processes that have not ended since they were listed."""
    found = []
    for pid in pids:
        with suppress(ProcessLookupError):
            found.append(OwnedProcess.of(pid))
    return found
