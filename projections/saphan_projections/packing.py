"""How values that are packed already become one packed array, without being unpacked again."""

from collections.abc import Sequence

import msgpack


def packed_array(parts: Sequence[bytes]) -> bytes:
    """The array of values in msgpack, each of them packed."""
    return b"".join((array_head(len(parts)), *parts))


def array_head(entries: int) -> bytes:
    """How msgpack begins an array of so many entries."""
    return bytes((0x90 | entries,)) if entries < 16 else msgpack.Packer(autoreset=True).pack_array_header(entries)
