"""How Avro's arrays are written by columns: the numbers of several columns in some steps of numpy for all of them.

The bytes are the codec's: one block an array. A column has one value at least; values that do not fit raise TypeError,
ValueError or struct.error.
"""

import struct
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from saphan_streams.avro_bytes import END_OF_ARRAY, LENGTHS, number, text

_Words = npt.NDArray[np.uint64]

#: Seven bits of a number go into a byte, and eight such bytes are looked at together.
_WORD_BITS, _WORD = np.uint64(56), np.uint64(2**56 - 1)
_ONE, _BYTE, _TWO_BYTES, _FOUR_BYTES = np.uint64(1), np.uint64(8), np.uint64(16), np.uint64(32)
_SEVENS, _EIGHTHS = np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x8080808080808080)
#: From 56 bits in a row to seven in each byte: what stays and what moves at each step, by how many bits.
_SPREAD = tuple(
    (np.uint64(stay), np.uint64(move), np.uint64(by))
    for stay, move, by in (
        (0x000000000FFFFFFF, 0x00FFFFFFF0000000, 4),
        (0x00003FFF00003FFF, 0x0FFFC0000FFFC000, 2),
        (0x007F007F007F007F, 0x3F803F803F803F80, 1),
    )
)
#: The lengths that are one byte in ASCII, as characters.
_SHORT = tuple(map(chr, range(0, 0x80, 2)))


def longs(columns: Sequence[Sequence[int]]) -> list[bytes]:
    """An array of longs of each column, all of equally many values. True counts as 1, which the codec refuses."""
    count = len(columns[0])
    pack = struct.Struct(f"<{count}q").pack
    packed = b"".join([pack(*column) for column in columns])
    plain = np.frombuffer(packed, "<i8").reshape(len(columns), count)
    left = (plain << 1).view(np.uint64)
    left ^= (plain >> 63).view(np.uint64)
    is_wide = left.max(axis=1) > _WORD
    # Only some columns need a second word for each value.
    narrow, wide = iter(_varints(left[~is_wide])), iter(_varints(left[is_wide]))
    begin = number(count)
    return [begin + next(wide if row else narrow) + END_OF_ARRAY for row in is_wide.tolist()]


def _varints(left: _Words) -> list[bytes]:
    """The numbers of each row, one behind the other."""
    sizes = [_sizes(column) for column in (left.min(axis=1), left.max(axis=1))]
    above = left >> _WORD_BITS
    is_wide = bool(above.any())
    words = np.stack([left & _WORD, above], axis=-1) if is_wide else left[..., np.newaxis]
    # In place: whoever asks for memory anew waits until it is cleared.
    other = np.empty_like(words)
    for stay, move, by in _SPREAD:
        np.bitwise_and(words, move, out=other)
        other <<= by
        words &= stay
        words |= other
    # A byte is not zero where something is left for it or for one above it.
    more = words.copy()
    for by in (_BYTE, _TWO_BYTES, _FOUR_BYTES):
        np.right_shift(more, by, out=other)
        more |= other
    if is_wide:
        more[..., 0] |= _SEVENS * (above != 0)
    np.right_shift(more, _BYTE, out=other)
    if is_wide:
        other[..., 0] |= more[..., 1] << _WORD_BITS
    other += _SEVENS
    other &= _EIGHTHS
    words |= other
    # The first byte is always there.
    more[..., 0] |= _ONE
    octets, is_there = words.view(np.uint8), more.view(np.uint8)
    written = []
    for row, (least, most) in enumerate(zip(*sizes, strict=True)):
        whole = octets[row, :, :most]
        if least < most:
            whole = np.compress(is_there[row, :, :most].ravel() != 0, whole.ravel())
        written.append(whole.tobytes())
    return written


def _sizes(numbers: _Words) -> list[int]:
    """How many bytes each takes."""
    return [(left.bit_length() + 6) // 7 or 1 for left in numbers.tolist()]


def booleans(values: Sequence[bool]) -> bytes:
    """An array of booleans."""
    _must_be(bool, values)
    return number(len(values)) + bytes(values) + END_OF_ARRAY


def blobs(values: Sequence[bytes]) -> bytes:
    """An array of bytes."""
    _must_be(bytes, values)
    sizes = list(map(len, values))
    lengths = map(LENGTHS.__getitem__, sizes) if max(sizes) < len(LENGTHS) else map(number, sizes)
    return b"".join([number(len(values)), *chain.from_iterable(zip(lengths, values, strict=True)), END_OF_ARRAY])


def texts(values: Sequence[str]) -> bytes:
    """An array of strings."""
    sizes = list(map(len, values))
    if max(sizes) < len(_SHORT):
        joined = "".join(chain.from_iterable(zip(map(_SHORT.__getitem__, sizes), values, strict=True)))
        if joined.isascii():
            return number(len(values)) + joined.encode() + END_OF_ARRAY
    return blobs(list(map(str.encode, values)))


def recurring_texts(values: Sequence[str]) -> bytes:
    """An array of strings of which only some are different."""
    different = set(values)
    _must_be(str, different)
    known = {value: text(value) for value in different}
    return b"".join([number(len(values)), *map(known.__getitem__, values), END_OF_ARRAY])


def _must_be(kind: type, values: Collection[Any]) -> None:
    if set(map(type, values)) != {kind}:
        message = f"expected {kind.__name__}"
        raise TypeError(message)
