"""When a local service that died is started again: soon, then with growing pauses, never silently given up."""

import threading
from collections.abc import Mapping
from typing import Protocol

from saphan_infra.availability import ServiceUnavailable
from saphan_infra.maven import Report, unfailing
from saphan_infra.owned_process import OwnedProcess

_LOOK_SECONDS = 0.5
_PAUSE_SECONDS_FIRST = 1.0
_PAUSE_SECONDS_MAX = 30.0


class LocalService(Protocol):
    """The local broker or database."""

    @property
    def process(self) -> OwnedProcess | None:
        """The running process; None when it does not run."""

    def start(self) -> str:
        """Start it or adopt it; its address. Raises ServiceUnavailable."""


class ServiceWatch:
    """Keeps services running, by name, from `start` until `stop`."""

    def __init__(self, services: Mapping[str, LocalService], report: Report) -> None:
        self._services = services
        self._report = unfailing(report)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Watch each service on a thread of its own: one that will not start must not keep another one waiting."""
        self._stopping.clear()
        for name, service in self._services.items():
            thread = threading.Thread(target=self._keep, args=(name, service), name=f"saphan-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Watch no more. The services themselves go on."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _keep(self, name: str, service: LocalService) -> None:
        pause_seconds = _PAUSE_SECONDS_FIRST
        while not self._stopping.wait(_LOOK_SECONDS):
            if service.process is not None:
                continue
            self._report(f"{name} is not running any more; starting it again.")
            try:
                service.start()
            except (ServiceUnavailable, OSError) as error:
                self._report(f"{name}: {error}\nTrying again in {pause_seconds:g} s.")
                self._stopping.wait(pause_seconds)
                pause_seconds = min(pause_seconds * 2, _PAUSE_SECONDS_MAX)
            else:
                pause_seconds = _PAUSE_SECONDS_FIRST
                self._report(f"{name} runs again.")
