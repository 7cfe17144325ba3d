"""That a library's repeats are left out and counted, and nothing else is."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from saphan_infra import log_repeats, logs
from saphan_infra.log_repeats import LINES_MAX, WINDOW_SECONDS, Repeats


class Log:
    """What was logged at which time of a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._stream = io.StringIO()
        logs.configure("INFO", "json", self._stream)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines()]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    """A log of its own; the global configuration is put back."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    made = Log()
    monkeypatch.setattr(log_repeats, "monotonic_seconds", lambda: made.now)
    yield made
    root.handlers, root.level = before
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def test_a_library_that_says_the_same_for_a_day_writes_some_hundred_lines_that_count_the_rest(log: Log) -> None:
    client = logging.getLogger("aiokafka.client")
    for second in range(86_400):
        if second % 10 == 0:
            log.now = 1000.0 + second
            client.error("Unable connect to node with id %s: %s", second, "refused")
    lines = log.lines()
    windows = 86_400 / WINDOW_SECONDS
    assert len(lines) == windows * LINES_MAX + windows - 1
    said = [line for line in lines if line["logger"] == "aiokafka.client"]
    counted = [int(line["event"].split()[0]) for line in lines if line["logger"] == "saphan.logs"]
    assert len(said) + sum(counted) + (WINDOW_SECONDS / 10 - LINES_MAX) == 8640


def test_another_text_is_shown_among_the_repeats_of_one(log: Log) -> None:
    client = logging.getLogger("aiokafka.client")
    for _ in range(100):
        client.error("the same")
    client.error("another")
    assert log.events() == ["the same"] * LINES_MAX + ["another"]


def test_our_own_lines_are_all_shown(log: Log) -> None:
    for _ in range(3 * LINES_MAX):
        logs.get_logger("saphan.shell").warning("waiting for the database")
    assert len(log.lines()) == 3 * LINES_MAX


def test_texts_that_are_made_anew_each_time_do_not_fill_the_memory() -> None:
    repeats = Repeats()
    for number in range(10_000):
        assert repeats.verdict("kafka", f"text {number}", 0.0) == (True, 0)
    assert len(repeats._windows) <= 200
