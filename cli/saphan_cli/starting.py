"""How a platform is started in front of a person: each process is told as it comes up, a signal to stop at once."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from saphan_infra.roles import RoleStatus

_POLL_SECONDS = 0.2


class StopAsked:
    """Whether Ctrl-C or SIGTERM came. The first one is acknowledged at once: starting and stopping take a while."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._silent = False

    def catch(self) -> None:
        """From now on signals ask to stop instead of ending the program."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._ask())

    @contextmanager
    def silently(self) -> Iterator[None]:
        """Acknowledge after the block what comes in it: a picture on the screen has no place for it."""
        self._silent = True
        try:
            yield
        finally:
            self._silent = False
            if self.event.is_set():
                _acknowledge()

    def _ask(self) -> None:
        if not self.event.is_set() and not self._silent:
            _acknowledge()
        self.event.set()


def _acknowledge() -> None:
    # Not through sys.stderr: the signal may have come in the middle of its own writing.
    os.write(sys.stderr.fileno(), b"Stopping ...\n")


@contextmanager
def told_as_they_come_up(look: Callable[[], Sequence[RoleStatus]], report: Callable[[str], None]) -> Iterator[None]:
    """Report each process of ``look`` that comes up within the block, once."""
    before = {row.pid for row in look()}
    told: set[str] = set()
    over = threading.Event()

    def tell() -> None:
        for row in look():
            if row.state == "running" and row.pid not in before and row.role not in told:
                told.add(row.role)
                report(f"{row.role}: running")

    def watch() -> None:
        while not over.wait(_POLL_SECONDS):
            tell()

    thread = threading.Thread(target=watch, name="saphan-starting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    tell()
