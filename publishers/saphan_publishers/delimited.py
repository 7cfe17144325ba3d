"""Which record each row of a CSV file holds, by the mapping of its columns."""

import csv
import difflib
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from saphan_publishers.columns import RowMaker
from saphan_publishers.input_files import LINE_BYTES_MAX, Encoding, InputFile, LineDecoder
from saphan_publishers.mapping import ColumnMapping, heading
from saphan_publishers.record_ids import KeyedHash
from saphan_publishers.rows import FileNote, FileProblem, Row, row_error, row_warning

_DELIMITERS = (",", ";", "\t", "|")
#: A quoted cell may hold line breaks; more lines than these are a quote that was never closed.
_ROW_LINES_MAX = 20
_LINE_END = b"\n"
#: What no header is: digits, perhaps in groups, or a date.
_DATA = re.compile(r"\d[\d ./,-]*")
_SPREADSHEET_HINT = re.compile(r'"?sep=(.)"?', re.IGNORECASE)

# Python's own limit is 128 KiB, and a cell beyond it looks like one whose quote is open.
csv.field_size_limit(LINE_BYTES_MAX)

_Line = tuple[int, bytes]


class DelimitedFile:
    """A CSV file as it is read: first its header, then its rows.

    ``as_of_ms`` gives the time of a file that has no column for ``changed_at``; it is not asked for another one.
    """

    def __init__(
        self,
        source: InputFile,
        mapping: ColumnMapping,
        hashed: KeyedHash,
        as_of_ms: Callable[[], int],
        encoding: Encoding | None = None,
    ) -> None:
        self._mapping = mapping
        self._hashed = hashed
        self._as_of_ms = as_of_ms
        self._decoder = LineDecoder(encoding or mapping.encoding, source)
        self._lines = source.lines()
        # Lines that were searched in vain for the end of a quoted cell: each of them is read as a row of its own.
        self._returned: deque[_Line] = deque()
        #: The line of one of those with the quote that would have ended the cell.
        self._doubtful = 0
        self._delimiter = mapping.delimiter

    def rows(self) -> Iterator[Row | FileNote]:
        """Each row under the header; empty ones are none. Raises FileProblem when the header is not as mapped."""
        number, preamble, headers = self._header()
        maker, ignored = self._row_maker(number, headers)
        if ignored:
            names = ", ".join(ignored)
            expected = (
                "only columns that the mapping names; put others into ignore = [..] to say that they may be left out"
            )
            yield FileNote(number, row_warning("columns_ignored", "", names, expected))
        while (line := self._next()) is not None:
            yield from self._row(line, maker, preamble, len(headers))

    def _row(self, line: _Line, maker: RowMaker, preamble: bytes, width: int) -> Iterator[Row]:
        number, raw = line
        text = self._decoder.text(raw)
        if text is None:
            expected = f"text in {self._decoder.encoding} as in the rest of the file"
            found = raw.rstrip(b"\r\n").decode("utf-8", "replace")
            yield Row(number, raw, None, [row_error("encoding", "", found, expected)], preamble)
            return
        first_bytes = len(raw)
        cells, raw = (None, raw) if number == self._doubtful else self._cells(text, raw, width)
        if cells is None:
            expected = (
                f"each quoted cell closed by a quote within {_ROW_LINES_MAX} lines, and no whole row in between; "
                'a quote within a cell is written "" and the cell in quotes'
            )
            yield Row(number, raw, None, [row_error("quote_not_closed", "", text, expected)], preamble)
            return
        if not any(cell.strip() for cell in cells):
            return
        while len(cells) > width and not cells[-1].strip():
            cells.pop()
        if len(cells) != width:
            expected = f"{width} cells as in the header, separated by {self._delimiter!r}"
            yield Row(number, raw, None, [row_error("cell_count", "", f"{len(cells)} cells", expected)], preamble)
            return
        record, problems = maker.record(cells)
        if len(raw) > first_bytes:
            expected = "a row on one line; this is right if a quoted cell of it holds line breaks"
            problems.append(row_warning("row_spans_lines", "", f"{raw.count(_LINE_END)} lines", expected))
        yield Row(number, raw, record, problems, preamble, repeatable=maker.repeatable)

    def _cells(self, text: str, raw: bytes, width: int = 0) -> tuple[list[str] | None, bytes]:
        """The cells of a row that begins with ``text``, and its bytes; more lines are read where a quote is open.

        None where the quote is never closed. A line that alone has ``width`` cells (0: not known) is a row: two
        stray quotes far apart must not make one row of all between them. But in a cell of several lines, which leaves
        the row's first and last line short of cells, a line may have as many by chance.
        """
        delimiter, first = self._delimiter or ",", text
        if '"' not in text:
            return text.split(delimiter), raw
        taken: list[_Line] = []
        holds_a_row = False
        more: str | None = ""
        while True:
            try:
                (cells,) = csv.reader([text], delimiter=delimiter, strict=True)
            except (csv.Error, ValueError) as error:
                following = None if "unexpected end" not in str(error) else self._next()
                if following is not None:
                    taken.append(following)
                more = None if following is None else self._decoder.text(following[1])
                if more is None or len(taken) >= _ROW_LINES_MAX:
                    self._returned.extendleft(reversed(taken))
                    return None, raw
                holds_a_row = holds_a_row or _is_row(more, delimiter, width)
                text = f"{text}\n{more}"
            else:
                ends = (first, more or "")
                if not holds_a_row or (len(cells) == width and not any(_is_row(end, delimiter, width) for end in ends)):
                    return cells, b"".join([raw, *(line for _, line in taken)])
                self._returned.extendleft(reversed(taken))
                if (more or "").count('"') % 2:
                    self._doubtful = taken[-1][0]
                return None, raw

    def _next(self) -> _Line | None:
        return self._returned.popleft() if self._returned else next(self._lines, None)

    def _header(self) -> tuple[int, bytes, list[str]]:
        """The header's line number, the bytes up to its end, and its headings. Decides the delimiter."""
        before = []
        for number, raw in self._lines:
            before.append(raw)
            text = self._decoder.text(raw)
            if number <= self._mapping.skip_lines or (text is not None and not text.strip()):
                continue
            if text is None:
                raise FileProblem(
                    "encoding",
                    f"a header that is not {self._decoder.encoding}",
                    f"a header in {self._decoder.encoding}",
                    "Give --encoding utf-8 or --encoding tis-620, or save the file as UTF-8.",
                )
            hint = _SPREADSHEET_HINT.fullmatch(text.strip())
            if hint:
                self._delimiter = self._delimiter or hint.group(1)
                continue
            self._delimiter = self._delimiter or self._sniffed(text)
            cells, before[-1] = self._cells(text, raw)
            return number, b"".join(before), [heading(cell) for cell in cells or [text]]
        raise FileProblem("no_header", "an empty file", "a line of headers", "Check that this is the right file.")

    def _sniffed(self, text: str) -> str:
        """The delimiter that gives most of the mapped headings, then the most cells."""
        wanted = set(self._mapping.columns)

        def worth(delimiter: str) -> tuple[int, int]:
            headings = [heading(cell.strip('"')) for cell in text.split(delimiter)]
            return len(wanted.intersection(headings)), len(headings)

        return max(_DELIMITERS, key=worth)

    def _row_maker(self, number: int, headers: Sequence[str]) -> tuple[RowMaker, list[str]]:
        while headers and not headers[-1]:
            headers = headers[:-1]
        mapping = self._mapping
        fields = mapping.fields
        if mapping.strict:
            fields = tuple(rule for rule in fields if rule.columns[0] in headers)
        needed = ["record_id"] if mapping.strict else mapping.columns
        missing = [name for name in needed if name not in headers]
        # Of columns that nobody reads there may be two; agencies leave many without a name of their own.
        read = {*mapping.columns, *needed}
        twice = sorted({name for name in headers if name in read and headers.count(name) > 1})
        known = {*chain.from_iterable(rule.columns for rule in fields), *needed, *mapping.ignore}
        unknown = [name for name in headers if name and name not in known]
        if missing or twice or (mapping.strict and unknown):
            raise _unknown_header(number, headers, missing, twice, unknown if mapping.strict else [])
        is_timed = any(rule.field == "changed_at" for rule in fields)
        return RowMaker(mapping, fields, headers, self._hashed, 0 if is_timed else self._as_of_ms()), unknown


def _is_row(text: str, delimiter: str, width: int) -> bool:
    """Whether a line alone has so many cells, be its quotes marks or letters, the last one of them open or not."""
    if width == 0:
        return False
    if text.count(delimiter) == width - 1:
        return True
    for closing in ("", '"'):
        try:
            (cells,) = csv.reader([text + closing], delimiter=delimiter, strict=True)
        except (csv.Error, ValueError):
            continue
        return len(cells) + (cells[-1].count(delimiter) if closing else 0) == width
    return False


def _unknown_header(
    number: int, headers: Sequence[str], missing: Sequence[str], twice: Sequence[str], unknown: Sequence[str]
) -> FileProblem:
    """The problem of a header; what the console says of it names only the mapping's columns.

    Without a line of headers, what stands in their place is somebody's name and number.
    """
    wants = []
    for name in missing:
        near = difflib.get_close_matches(name, headers, 1)
        wants.append(f"{name!r}" + (f" (perhaps {near[0]!r}?)" if near else ""))
    parts = [f"columns {', '.join(wants)}"] if wants else []
    parts += [f"{name!r} once" for name in twice]
    others = [f"no column {name!r} (not a field of this feed)" for name in unknown]
    said = [f"columns {', '.join(map(repr, missing))}"] if missing else []
    said += [f"{name!r} once" for name in twice]
    said += [f"no columns but the fields of this feed ({len(unknown)} others)"] if unknown else []
    looks = "; this looks like data, not headers" if any(map(_DATA.fullmatch, headers)) else ""
    todo = (
        "Correct the mapping file (--mapping) to the headers of this file, or the file to the mapping; "
        "if the headers look garbled, give --encoding utf-8 or tis-620. The report shows what was found."
    )
    found = f"in line {number} the columns {', '.join(headers)}{looks}"
    console = f"found in line {number} {len(headers)} columns{looks}; expected {'; '.join(said)}"
    return FileProblem("unknown_header", found, "; ".join(parts + others), todo, console)
