"""What time it is: the only module that reads the clock."""

import time


def now_ms() -> int:
    """Milliseconds since 1970-01-01T00:00Z."""
    return time.time_ns() // 1_000_000


def monotonic_seconds() -> float:
    """Seconds since some moment; never goes back. For durations and deadlines."""
    return time.monotonic()


def wait_seconds(seconds: float) -> None:
    """Do nothing for so long."""
    time.sleep(seconds)
