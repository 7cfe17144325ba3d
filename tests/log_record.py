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
