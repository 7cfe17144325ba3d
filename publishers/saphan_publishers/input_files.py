"""How the bytes of an agency's file are reached: plain, gzip or standard input, line by line, in which encoding."""

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, cast

from saphan_publishers.rows import FileProblem

#: A longer line means that the file is not made of lines; memory stays bounded.
LINE_BYTES_MAX = 64 * 1024 * 1024
_BUFFER_BYTES = 1 << 20
SAMPLE_BYTES = 1 << 16
STDIN = "-"
#: What some programs of the DOS age write after the last line.
CTRL_Z = b"\x1a"

Encoding = Literal["utf-8", "cp874"]
Scripts = tuple[tuple[int, int], ...]
#: Names under which a person may ask for an encoding.
ENCODINGS: dict[str, Encoding] = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "tis-620": "cp874",
    "tis620": "cp874",
    "cp874": "cp874",
    "windows-874": "cp874",
}
_THAI: Scripts = ((0x0E00, 0x0E7F),)
# Thai, Lao, Burmese, Khmer, Latin with accents, punctuation: what these files hold when they are UTF-8.
_EXPECTED_SCRIPTS: Scripts = ((0x00A0, 0x024F), (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1E00, 0x206F))
_BOMS_OF_OTHERS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
#: How workbooks begin: .xlsx is a zip archive, .xls an OLE file.
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_UTF8_BOM = b"\xef\xbb\xbf"


class InputFile:
    """An open file: its name for people, a sample of its start, and its lines."""

    def __init__(self, name: str, stream: io.BufferedReader) -> None:
        self.name = name
        self._stream = stream
        self.sample = self._peek()
        for mark, encoding in _BOMS_OF_OTHERS.items():
            if self.sample.startswith(mark):
                todo = "Save the file as UTF-8 (in a spreadsheet: 'CSV UTF-8') or TIS-620 and publish it again."
                raise FileProblem("encoding", f"{encoding} text", "UTF-8 or TIS-620", todo)
        if self.sample.startswith(_WORKBOOKS):
            todo = "This is an .xlsx workbook or the like: save it as CSV UTF-8 and publish that."
            raise FileProblem("workbook", "a workbook or an archive", "CSV, JSON Lines or the monthly file", todo)
        if _is_utf16(self.sample):
            todo = "Save the file as UTF-8 (in a spreadsheet: 'CSV UTF-8') or TIS-620 and publish it again."
            raise FileProblem("encoding", "UTF-16 text without a mark", "UTF-8 or TIS-620", todo)
        self.has_bom = self.sample.startswith(_UTF8_BOM)
        if self.has_bom:
            self.sample = self.sample[len(_UTF8_BOM) :]
        # A CR at the very end may be half of a line end.
        if b"\r" in self.sample.rstrip(b"\r\x1a") and b"\n" not in self.sample:
            todo = "Convert the line ends (for example `tr '\\r' '\\n'`) and publish it again."
            raise FileProblem("line_ends", "lines that end in a lone CR", "lines that end in LF or CRLF", todo)

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Line number from 1 and the line's bytes with its end, without a byte order mark. Blank lines come too.

        Raises FileProblem for a line without end and for a gzip file that breaks off.
        """
        number = 0
        while True:
            try:
                line = self._stream.readline(LINE_BYTES_MAX)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                todo = "Get the whole file again and publish it again: what was published already is not doubled."
                found = f"a gzip file that breaks off after line {number} ({type(error).__name__})"
                raise FileProblem("broken_gzip", found, "a whole gzip file", todo) from None
            if not line:
                return
            number += 1
            if len(line) >= LINE_BYTES_MAX:
                found = f"line {number} with {LINE_BYTES_MAX} bytes or more"
                raise FileProblem("line_too_long", found, "one row a line", "Check that this is the right file.")
            if number == 1 and self.has_bom:
                line = line[len(_UTF8_BOM) :]
            yield number, line

    def _peek(self) -> bytes:
        try:
            return self._stream.peek(SAMPLE_BYTES)[:SAMPLE_BYTES]
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            todo = "Get the whole file again."
            raise FileProblem("broken_gzip", f"a broken gzip file ({type(error).__name__})", "gzip", todo) from None


@contextmanager
def open_input(path: str) -> Iterator[InputFile]:
    """Open a file, or standard input for "-"; gzip is seen by its first bytes, whatever the name.

    Raises FileProblem, and OSError when there is no such file.
    """
    if path == STDIN:
        with _unpacked(cast(BinaryIO, sys.stdin.buffer)) as stream:
            yield InputFile("standard input", stream)
        return
    with Path(path).open("rb", buffering=_BUFFER_BYTES) as raw, _unpacked(raw) as stream:
        yield InputFile(Path(path).name, stream)


@contextmanager
def _unpacked(raw: BinaryIO) -> Iterator[io.BufferedReader]:
    plain = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, raw), _BUFFER_BYTES)
    if plain.peek(2)[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=plain) as unpacked:
            yield io.BufferedReader(cast(io.RawIOBase, unpacked), _BUFFER_BYTES)
    else:
        yield plain


class LineDecoder:
    """Text of lines in the encoding that was asked for or, with None, in the one that the bytes suggest.

    A file without a single Thai letter in its sample stays undecided until the first line that has one.
    """

    def __init__(self, asked: Encoding | None, source: InputFile) -> None:
        self.encoding = asked or ("utf-8" if source.has_bom else decided(source.sample))

    def text(self, line: bytes) -> str | None:
        """The line's text without its end; None when its bytes are not of the file's encoding."""
        line = line.rstrip(b"\r\n").rstrip(CTRL_Z)
        if self.encoding is None:
            if line.isascii():
                return line.decode("ascii")
            self.encoding = decided(line)
        try:
            return line.decode(self.encoding or "utf-8")
        except UnicodeDecodeError:
            return None


def _is_utf16(sample: bytes) -> bool:
    """Whether one half of the bytes reads like the high bytes of these scripts. Stray NULs, which are cleaned, do not.

    High bytes are 00 (digits, commas, line ends) to 20 (punctuation); nine in ten, for there may be other scripts.
    """
    low, high = sorted((sample[::2], sample[1::2]), key=lambda half: half.count(0))
    return (
        low.count(0) == 0
        and high.count(0) * 20 >= max(len(sample), 20)
        and sum(byte <= 0x20 for byte in high) * 10 >= len(high) * 9
    )


def decided(sample: bytes) -> Encoding | None:
    """UTF-8 or TIS-620 (with Microsoft's additions, cp874), as most lines say; None when they are all ASCII.

    Most, not all: one line in the other encoding must not decide for the whole file.
    """
    lines = [line for line in sample.split(b"\n") if not line.isascii()]
    if not lines:
        return None
    # The sample may end within a line; a file of one line has nothing better to offer.
    votes = list(map(_is_utf8, lines[:-1])) or [_is_utf8(lines[0], may_end_within_letter=True)]
    return "utf-8" if sum(votes) * 2 > len(votes) else "cp874"


def _is_utf8(line: bytes, *, may_end_within_letter: bool = False) -> bool:
    """Whether a line is UTF-8.

    Thai in TIS-620 may be valid UTF-8 by chance; then its letters are of scripts that nobody uses here.
    """
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(line, final=not may_end_within_letter)
    except UnicodeDecodeError:
        return False
    if text.isascii():
        return False  # all that was not ASCII is a letter without its end
    return _is_of(text, _EXPECTED_SCRIPTS) or not _is_of(line.decode("cp874", "replace"), _THAI)


def _is_of(text: str, scripts: Scripts) -> bool:
    return all(ord(sign) < 0x80 or any(low <= ord(sign) <= high for low, high in scripts) for sign in set(text))
