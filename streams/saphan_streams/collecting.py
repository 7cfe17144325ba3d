"""How seldom Python looks for cycles of garbage: what the caches hold and the files bring is many objects without any."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Every so many new containers Python looks for cycles. Nearly all of them are cached workers, which a look walks
#: through in vain; with Python's own 700 it took 20 µs of 85 an event in integrate.
_NEW_MAX = 500_000


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Within the block, look for cycles seldom, and at nothing twice.

    What a look has seen is kept out of the next ones: walking through all cached workers again took 5 µs an event in
    either process at a million events. A cycle that is alive just then and dies later stays in memory until the block
    ends: the few objects of a connection or of an error, once in some ten thousand events.
    """
    before = gc.get_threshold()

    def keep_out_what_was_seen(phase: str, _info: dict[str, Any]) -> None:
        if phase == "stop":
            gc.freeze()

    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_MAX)
    gc.callbacks.append(keep_out_what_was_seen)
    try:
        yield
    finally:
        gc.callbacks.remove(keep_out_what_was_seen)
        gc.set_threshold(*before)
        gc.unfreeze()
