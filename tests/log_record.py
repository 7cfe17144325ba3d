"""What a message in the log looks like to the platform, for tests that have no broker."""

from typing import NamedTuple


class LogRecord(NamedTuple):
    """A message in the log, with its place and the attributes that the platform reads."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    timestamp_type: int = 1
    headers: tuple[tuple[str, bytes], ...] = ()


def record_at(
    offset: int, value: bytes | None = b"ten bytes.", headers: tuple[tuple[str, bytes], ...] = ()
) -> LogRecord:
    """A message of which only the offset, the size and the headers matter."""
    return LogRecord("a-topic", 0, offset, 1_000, None, value, headers=headers)
