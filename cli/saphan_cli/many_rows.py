"""How a command that sends millions of rows is set up: garbage is collected seldom, and it alone tells of waiting."""

import gc
import logging

_GARBAGE_THRESHOLD = 200_000


def collect_seldom() -> None:
    """Rows are many small objects without cycles: collecting them as often as usual costs a tenth of the rate."""
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD, 20, 20)


def silence_clients() -> None:
    """Both Kafka clients log each failed try; a command that tells its own waiting says it once."""
    for name in ("aiokafka", "kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
