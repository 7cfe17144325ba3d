"""How Avro writes single values: for messages that are put together by hand because most of their parts are known."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from saphan_schemas.codec import Codec

END_OF_ARRAY = b"\0"
_NULL, _SECOND = b"\0", b"\2"  # which branch of a union of null and something else


def _varint(left: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    found = bytearray()
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    found.append(left)
    return bytes(found)


#: Lengths, versions, partitions and days are small; larger numbers are looked up in pieces of 14 bits.
_SMALL = tuple(map(_varint, range(1 << 14)))
#: How the lengths of texts and bytes are written, all but the largest.
LENGTHS = _SMALL[::2]
_CONTINUED = tuple(bytes((piece & 0x7F | 0x80, piece >> 7 | 0x80)) for piece in range(1 << 14))


def number(value: int) -> bytes:
    """An int or a long of Avro's range."""
    left = value << 1 if value >= 0 else ~(value << 1)
    if left < 0x4000:
        return _SMALL[left]
    if left < 0x10000000:
        return _CONTINUED[left & 0x3FFF] + _SMALL[left >> 14]
    if left < 0x40000000000:  # moments, in milliseconds
        return _CONTINUED[left & 0x3FFF] + _CONTINUED[left >> 14 & 0x3FFF] + _SMALL[left >> 28]
    return _varint(left)


def text(value: str) -> bytes:
    """A string."""
    encoded = value.encode()
    size = len(encoded)
    # Looked up here as in number: calling it takes as long as all the rest.
    return (_SMALL[size << 1] if size < 0x2000 else number(size)) + encoded


#: For texts of which there are only some: feeds, roles, rows of the law.
known_text = lru_cache(text)


def optional_number(value: int | None) -> bytes:
    """A union of null and a number."""
    return _NULL if value is None else _SECOND + number(value)


def optional_text(value: str | None) -> bytes:
    """A union of null and a string."""
    return _NULL if value is None else _SECOND + text(value)


def array_of_texts(values: Sequence[str]) -> bytes:
    """An array of strings, in one block."""
    if not values:
        return END_OF_ARRAY
    return b"".join([number(len(values)), *map(text, values), END_OF_ARRAY])


def require_same_bytes(codec: Codec, topic: str, record: Mapping[str, Any], written: bytes) -> None:
    """Raise RuntimeError when the codec writes a record otherwise: the schema is no longer what is written by hand."""
    if written != codec.encode(topic, record):
        message = f"the schema of {topic} is not the one that is written by hand"
        raise RuntimeError(message)
