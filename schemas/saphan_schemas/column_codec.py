"""What many messages of one schema say, field by field, where nothing about their bytes is unusual.

All of them are decoded at once with numpy, a step for each field. Whatever a writer of plain Avro would not have written
is not judged here: :func:`decoded` says None, and :class:`saphan_schemas.codec.Codec` looks at one message after the
other. So there is one meaning of bytes, and this is only a quicker way to it.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
_Words = npt.NDArray[np.uint64]

_KINDS = frozenset(("boolean", "int", "long", "string"))
_WORD_BYTES = 8
#: Of each byte of a word: that another one follows, and what it says itself.
_FOLLOWED = np.uint64(0x8080808080808080)
#: Multiplied by 256 to the power of n, its highest byte is n + 1.
_COUNTED = np.uint64(0x0102030405060708)
#: How the seven bits of each byte are joined: in pairs of bytes, of two bytes, of four. The lower part of each pair, the
#: higher one, and by how many bits that moves down.
_JOINTS = tuple(
    (np.uint64(low), np.uint64(low << size), np.uint64(gap))
    for low, size, gap in ((0x007F007F007F007F, 8, 1), (0x00003FFF00003FFF, 16, 2), (0x000000000FFFFFFF, 32, 4))
)
#: By a size in bytes: a mask of as many of a word's first bytes.
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(_WORD_BYTES)], np.uint64)
_ONE, _SEVEN, _SIZE_SHIFT = np.uint64(1), np.uint64(7), np.uint64(56)


class Field(NamedTuple):
    """A field of a record that holds nothing but single values; ``kind`` is Avro's name of their type."""

    name: str
    kind: str
    is_nullable: bool


class _ShortTexts(dict[int, str]):
    """Texts of up to seven bytes by a word of them, with their size in its last byte: the same few come again and again."""

    def __missing__(self, word: int) -> str:
        self[word] = text = word.to_bytes(_WORD_BYTES, "little")[: word >> 56].decode("latin-1")
        return text


class _Unusual(ValueError):
    """Bytes that have to be decoded one message after the other."""


def flat_fields(structure: Any) -> tuple[Field, ...]:
    """The fields of a schema's structure, or none at all where one of them is of a type that is not decoded here."""
    fields = []
    for field in structure["fields"]:
        kind = field["type"]
        is_nullable = isinstance(kind, list)
        if is_nullable:
            if len(kind) != 2 or kind[0] != "null":
                return ()
            kind = kind[1]
        if isinstance(kind, dict):
            kind = kind["type"]
        if not isinstance(kind, str) or kind not in _KINDS:
            return ()
        fields.append(Field(field["name"], kind, is_nullable))
    return tuple(fields)


def decoded(fields: Sequence[Field], header: bytes, messages: Sequence[bytes]) -> dict[str, list[Any]] | None:
    """The values of each field, of at least one message, or None where any of them is unusual. Pure."""
    try:
        return _Batch(fields, header, messages).columns(fields)
    except (_Unusual, UnicodeDecodeError):
        return None


class _Batch:
    """Messages one after the other, and how far each of them is read.

    Reading a message that ends too early goes on in the next one. That is noticed in the end, as the place reached is
    not where the message ends: reading never goes back, and no text goes beyond its message.
    """

    def __init__(self, fields: Sequence[Field], header: bytes, messages: Sequence[bytes]) -> None:
        # Zeros for a last message that ends too early: one is a whole number, a null or a False, whatever the field is.
        joined = b"".join((*messages, bytes(len(fields) + _WORD_BYTES)))
        sizes = np.fromiter(map(len, messages), np.int64, len(messages))
        self._bytes = np.frombuffer(joined, np.uint8)
        # The eight bytes from each place on as one number.
        self._words: _Words = np.ndarray((len(joined) - _WORD_BYTES + 1,), "<u8", joined, strides=(1,))
        self._ends: Numbers = np.cumsum(sizes)
        self._at: Numbers = self._ends - sizes
        self._text = joined.decode("latin-1")
        # Bytes above 127 that are not of texts.
        self._high_count = len(messages) * sum(byte > 127 for byte in header)
        self._skip(header, sizes)

    def _skip(self, header: bytes, sizes: Numbers) -> None:
        first = self._words[self._at] << np.uint64(8 * (_WORD_BYTES - len(header)))
        if sizes.min() < len(header) or (first != int.from_bytes(header.rjust(_WORD_BYTES, b"\0"), "little")).any():
            raise _Unusual
        self._at += len(header)

    def columns(self, fields: Sequence[Field]) -> dict[str, list[Any]]:
        """The values of each field. Raises _Unusual, UnicodeDecodeError."""
        columns = {field.name: self._nullable(field) if field.is_nullable else self._plain(field) for field in fields}
        if (self._at != self._ends).any():
            raise _Unusual
        if np.count_nonzero(self._bytes > 127) != self._high_count:
            for field in fields:
                if field.kind == "string":
                    columns[field.name] = _in_utf8(columns[field.name])
        return columns

    def _plain(self, field: Field) -> list[Any]:
        values, self._at = self._values(field.kind, self._at, self._ends)
        return values

    def _nullable(self, field: Field) -> list[Any]:
        branches = self._bytes[self._at]
        self._at += 1
        # Null comes first: it is branch 0, and the other one is 1, written as 2.
        given = branches == 2
        count = np.count_nonzero(given)
        if count == len(branches):
            return self._plain(field)
        if count != np.count_nonzero(branches):
            raise _Unusual
        if not count:
            return [None] * len(branches)
        rows = np.flatnonzero(given)
        values, self._at[rows] = self._values(field.kind, self._at[rows], self._ends[rows])
        # Rows without a value take the None appended after the last value.
        takes = np.full(len(branches), count)
        takes[rows] = np.arange(count)
        return list(itemgetter(*takes.tolist())((*values, None)))

    def _values(self, kind: str, at: Numbers, ends: Numbers) -> tuple[list[Any], Numbers]:
        """The values of this kind at these places, and where each of them ends."""
        if kind == "boolean":
            truths = self._bytes[at]
            if truths.max() > 1:
                raise _Unusual
            return (truths == 1).tolist(), at + 1
        numbers, at = self._numbers(at)
        if kind != "string":
            return numbers.tolist(), at
        if numbers.min() < 0 or (numbers > ends - at).any():
            raise _Unusual
        return self._texts(at, numbers), at + numbers

    def _texts(self, at: Numbers, sizes: Numbers) -> list[str]:
        if sizes.max() < _WORD_BYTES:
            words = self._words[at] & _MASKS[sizes] | sizes.astype(np.uint64) << _SIZE_SHIFT
            return list(map(_ShortTexts().__getitem__, words.tolist()))
        text = self._text
        return [text[start:end] for start, end in zip(at.tolist(), (at + sizes).tolist(), strict=True)]

    def _numbers(self, at: Numbers) -> tuple[Numbers, Numbers]:
        """Whole numbers and where each ends. Most have one byte; one of more than eight bytes is not decoded here."""
        single = self._bytes[at]
        if single.max() < 128:
            numbers, ends = single.astype(np.uint64), at + 1
        else:
            numbers, sizes = self._joined(self._words[at])
            self._high_count += int(sizes.sum()) - len(at)
            ends = at + sizes
        return (numbers >> _ONE).astype(np.int64) ^ -(numbers & _ONE).astype(np.int64), ends

    @staticmethod
    def _joined(words: _Words) -> tuple[_Words, Numbers]:
        """The numbers at the beginning of words, their signs not decoded yet, and their sizes in bytes."""
        lasts = ~words & _FOLLOWED
        if not lasts.all():
            raise _Unusual
        # Only the lowest bit that is set stays: that of the number's last byte.
        lasts &= ~lasts + _ONE
        sizes = ((lasts >> _SEVEN) * _COUNTED >> _SIZE_SHIFT).astype(np.int64)
        numbers = words & (lasts - _ONE) & ~_FOLLOWED
        for low, high, gap in _JOINTS:
            numbers = numbers & low | (numbers & high) >> gap
        return numbers, sizes


def _in_utf8(column: list[str | None]) -> list[str | None]:
    """Texts that were taken for Latin-1. Raises UnicodeDecodeError."""
    if "".join(filter(None, column)).isascii():
        return column
    return [text if text is None or text.isascii() else text.encode("latin-1").decode() for text in column]
