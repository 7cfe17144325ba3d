"""How seldom Python looks for cycles of garbage: what the caches hold lives long and has none."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: Every so many new containers the young ones are looked at; each further generation, ten times as seldom. With Python's
#: own 700 the collector walked through the cached workers again and again: 20 µs of 85 an event in integrate.
_YOUNG_MAX = 100_000


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Within the block, leave what was loaded before out of every collection and collect the rest seldom."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_MAX, 10, 10)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
