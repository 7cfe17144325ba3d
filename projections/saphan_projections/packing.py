"""How values become bytes in msgpack, and packed ones a packed array without being unpacked again."""

from collections.abc import Callable, Sequence
from typing import Any

import msgpack

#: One packer for all: a new one for each value costs as much as a small value itself. Threads may share it, as no Python
#: code runs while it packs plain values, and after an error it begins anew.
_PACKER = msgpack.Packer()
pack: Callable[[Any], bytes] = _PACKER.pack


def packed_array(parts: Sequence[bytes]) -> bytes:
    """The array of values in msgpack, each of them packed."""
    return b"".join((array_head(len(parts)), *parts))


def array_head(entries: int) -> bytes:
    """How msgpack begins an array of so many entries."""
    return bytes((0x90 | entries,)) if entries < 16 else _PACKER.pack_array_header(entries)
