"""How a consumer's process begins and ends: signals, metrics, exit code."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from saphan_consumers.delivering import deliver
from saphan_consumers.ledger import LedgerUnusable
from saphan_consumers.measuring import measure
from saphan_consumers.plans import delivery_plan, metrics_source
from saphan_consumers.reading import LogReplaced
from saphan_infra.logs import get_logger
from saphan_infra.roles import announce
from saphan_infra.serving import metrics_served
from saphan_infra.settings import Settings

log = get_logger(__name__)


def run_delivery(settings: Settings) -> int:
    """Deliver alerts until SIGTERM or SIGINT. Returns the exit code; raises SettingsError."""
    plan = delivery_plan(settings)
    return _run("delivery", settings, lambda stop: deliver(plan, stop))


def run_metrics(settings: Settings) -> int:
    """Keep the committee's numbers until SIGTERM or SIGINT. Returns the exit code; raises SettingsError."""
    source = metrics_source(settings)
    return _run("metrics", settings, lambda stop: measure(source, settings.data_dir, stop))


def _run(name: str, settings: Settings, work: Callable[[threading.Event], None]) -> int:
    stop = threading.Event()
    with metrics_served(settings) as server, _stopped_by_signals(stop):
        announce(settings.data_dir, name, server.port)
        try:
            work(stop)
        except LedgerUnusable as error:
            log.error("The consumer cannot start", consumer=name, cause=str(error))
            return 1
        except LogReplaced as error:
            log.error(
                "Kafka's log is another one than the ledger's: move the delivery-*.db files and the alerts file away to "
                "deliver everything once more (the webhook's receiver drops what it already has, by id)",
                consumer=name,
                ledgers=str(settings.data_dir),
                cause=str(error),
            )
            return 1
    log.info("Stopped cleanly", consumer=name)
    return 0


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    def leave(number: int, _frame: object) -> None:
        log.info("Stopping", signal=signal.Signals(number).name)
        stop.set()

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
