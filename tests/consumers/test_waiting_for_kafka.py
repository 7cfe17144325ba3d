"""That a consumer shows how long it has been waiting for Kafka or for the disk."""

import sqlite3
import threading

import pytest

from saphan_consumers import reading
from saphan_consumers.chunks import Start
from saphan_consumers.reading import Source, follow
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
