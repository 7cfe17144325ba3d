"""How often a command that sends millions of rows looks for garbage."""

import gc

_GARBAGE_THRESHOLD = 200_000


def collect_seldom() -> None:
    """Rows are many small objects without cycles: collecting them as often as usual costs a tenth of the rate."""
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD, 20, 20)
