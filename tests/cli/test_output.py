"""What commands say on the terminal besides their data."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from saphan_cli import output

SELECTOR = "kafka.net.selector"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in (None, "kafka", "aiokafka")]
    before = [(logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers = handlers
    logging.captureWarnings(capture=False)


@pytest.mark.parametrize(("level", "said"), [("INFO", False), ("DEBUG", True)])
def test_kafkas_client_says_nothing_on_the_terminal_unless_debugging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], level: str, said: bool
) -> None:
    monkeypatch.setenv("SAPHAN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SAPHAN_LOG_LEVEL", level)
    output.settings()
    logging.getLogger(SELECTOR).warning("Task %s ran for 2 s. It is blocking the event loop", "poll")
    assert ("blocking the event loop" in capsys.readouterr().err) is said
