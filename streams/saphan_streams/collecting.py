"""How seldom Python looks for cycles of garbage: what the caches hold lives long and has none."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: Every so many new containers the young ones are looked at, and the older generations each so many times as seldom.
#: Nearly all of them are cached workers, which a look walks through in vain. With Python's own 700 it took 20 µs of 85 an
#: event in integrate; with 100,000 and ten still 7 to 9 µs an event in either process at a million events.
_YOUNG_MAX = 500_000
_OLDER = 20


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Within the block, leave what was loaded before out of every collection and collect the rest seldom."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_MAX, _OLDER, _OLDER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
