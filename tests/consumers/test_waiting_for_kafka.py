"""That a consumer shows how long it has been waiting for Kafka or for the disk."""

import errno
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import pytest
from structlog.testing import capture_logs

from saphan_consumers import reading
from saphan_consumers.chunks import Chunk, LogMessage, Start
from saphan_consumers.ledger import Place
from saphan_consumers.reading import LogReader, Source, follow
from saphan_infra.metrics import REGISTRY
from saphan_infra.owned_process import free_port


def waited(service: str) -> float | None:
    return REGISTRY.get_sample_value("saphan_waiting_seconds", {"app": "test", "service": service})


def test_how_long_kafka_and_the_disk_have_been_away_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("saphan_infra.waiting_metrics.monotonic_seconds", lambda: now[0])
    monkeypatch.setattr(reading, "_WAIT_SECONDS_FIRST", 0.0)
    stop = threading.Event()
    shown = []

    def begin() -> Start:
        shown.append((waited("broker"), waited("disk")))
        now[0] += 7
        if len(shown) == 4:
            stop.set()
        if len(shown) == 3:
            message = "disk I/O error"
            raise sqlite3.OperationalError(message)
        return Start({}, {})

    source = Source(lambda: f"127.0.0.1:{free_port()}", "saphan-test", ["nothing"])
    follow(source, begin, lambda _chunk, _ids: None, stop, lambda _: None)
    assert shown == [(0, 0), (0, 0), (7, 0), (14, 0)]
    assert (waited("broker"), waited("disk")) == (0, 0)


PLACE = Place("alerts", 0)


class Reader:
    """A log that answers always: as many messages as it is given, again from the first after each opening."""

    topic_ids: Mapping[str, str] = {}

    def __init__(self, count: int) -> None:
        self.left = count

    def poll(self) -> Chunk:
        if not self.left:
            return Chunk([], {})
        self.left -= 1
        return Chunk([LogMessage(PLACE, 0, b"k", b"v", 0)], {PLACE: 1})

    def lag(self) -> Mapping[Place, int]:
        return {PLACE: self.left}

    def hint(self) -> None:
        return

    last_hint = hint


class Answering(Source):
    """Opens a reader without Kafka."""

    @contextmanager
    def opened(self, start: Start) -> Iterator[LogReader]:
        yield cast(LogReader, Reader(start.positions[PLACE]))


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, to be set; pauses take next to no time."""
    found = [1000.0]
    monkeypatch.setattr("saphan_infra.waiting_metrics.monotonic_seconds", lambda: found[0])
    monkeypatch.setattr(reading, "_WAIT_SECONDS_FIRST", 1e-3)
    monkeypatch.setattr(reading, "_WAIT_SECONDS_MAX", 4e-3)
    return found


def pauses_of(begin: Callable[[], Start], take: Callable[[], None], on_lag: Callable[[], None]) -> list[float]:
    """The pauses that were told until everything was read."""
    stop = threading.Event()

    def read(lag: Mapping[Place, int]) -> None:
        on_lag()
        if not any(lag.values()):
            stop.set()

    with capture_logs() as said:
        follow(Answering(str, "saphan-test", ["alerts"]), begin, lambda _chunk, _ids: take(), stop, read)
    return [row["again_in_seconds"] for row in said if row["event"] == "Waiting for the disk"]


def test_a_full_disk_is_shown_until_something_was_written_and_the_pauses_grow(now: list[float]) -> None:
    """Opening everything anew succeeded each time, and the wait was over with that."""
    shown = []

    def take() -> None:
        shown.append(waited("disk"))
        now[0] += 7
        if len(shown) < 5:
            raise OSError(errno.ENOSPC, "No space left on device")

    assert pauses_of(lambda: Start({PLACE: 1}, {}), take, lambda: None) == [1e-3, 2e-3, 4e-3, 4e-3]
    assert shown == [0, 0, 7, 14, 21]
    assert waited("disk") == 0


def test_trouble_after_something_was_written_is_waited_for_from_the_beginning(now: list[float]) -> None:
    tries = []

    def take() -> None:
        tries.append(waited("disk"))
        now[0] += 7
        if len(tries) in {1, 2, 4}:
            raise OSError(errno.ENOSPC, "No space left on device")

    assert pauses_of(lambda: Start({PLACE: 2}, {}), take, lambda: None) == [1e-3, 2e-3, 1e-3]
    assert tries == [0, 0, 7, 0, 0, 0]


def test_a_disk_that_is_back_is_not_waited_for_when_there_is_nothing_to_write(now: list[float]) -> None:
    shown = []

    def begin() -> Start:
        shown.append(waited("disk"))
        now[0] += 7
        if len(shown) < 3:
            message = "disk I/O error"
            raise sqlite3.OperationalError(message)
        return Start({PLACE: 0}, {})

    pauses_of(begin, lambda: None, lambda: shown.append(waited("disk")))
    assert shown == [0, 0, 7, 14]
    assert waited("disk") == 0
