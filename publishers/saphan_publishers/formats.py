"""Which of the three formats a file has, and the rows that its reader makes of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from saphan_publishers.delimited import DelimitedFile
from saphan_publishers.input_files import Encoding, InputFile
from saphan_publishers.json_lines import json_rows
from saphan_publishers.mapping import ColumnMapping, identity_mapping
from saphan_publishers.monthly_file import MonthlyFile
from saphan_publishers.monthly_layout import looks_like_monthly_file
from saphan_publishers.record_form import record_form
from saphan_publishers.record_ids import KeyedHash
from saphan_publishers.rows import FileNote, FileProblem, Row, Unreadable
from saphan_schemas.topics import CONTRIBUTIONS, DAY_MS
from saphan_schemas.values import bangkok_day, bangkok_midnight_ms, days_to_date, format_time_ms

Format = Literal["jsonl", "csv", "monthly"]
FORMATS: tuple[Format, ...] = ("jsonl", "csv", "monthly")


@dataclass(frozen=True)
class Reading:
    """How files are read. ``as_of`` (ms) is None where nobody said it; ``pseudonym_key`` makes hashed record ids.

    ``now_ms`` is the moment of reading, against which years of two digits and days to come are judged.
    """

    pseudonym_key: str
    format: Format | None = None
    mapping: ColumnMapping | None = None
    encoding: Encoding | None = None
    as_of: int | None = None
    now_ms: int = field(kw_only=True)

    def words(self, feed: str) -> str:
        """Everything that decides what a file's bytes mean, as one text; the key only as its hash."""
        mapping = self.mapping.text if self.mapping else ""
        keyed = KeyedHash(self.pseudonym_key)("reading", [])
        return "\x1f".join((feed, self.format or "", self.encoding or "", mapping, keyed))


def decided_format(source: InputFile, feed: str, reading: Reading) -> Format:
    """The format that was asked for, or else the one that the first bytes suggest."""
    if reading.format is not None:
        return reading.format
    if reading.mapping is not None:
        return "csv"
    start = source.sample.lstrip()
    if start[:1] in {b"{", b"["} or source.name.removesuffix(".gz").endswith((".jsonl", ".ndjson", ".json")):
        return "jsonl"
    if feed == CONTRIBUTIONS and looks_like_monthly_file(start):
        return "monthly"
    return "csv"


def rows_of(
    source: InputFile, feed: str, reading: Reading, first_seen_ms: Callable[[], int]
) -> Iterator[Row | FileNote]:
    """The rows of a file, read as they are asked for. Raises FileProblem, here or while the rows are read.

    ``first_seen_ms`` is called only for a file that does not say when its rows changed, that has no day in its name,
    and for which nobody gave ``as_of``.
    """
    kind = decided_format(source, feed, reading)
    if kind == "jsonl":
        return json_rows(source, record_form(feed).to_wire)
    hashed = KeyedHash(reading.pseudonym_key)
    if kind == "monthly":
        if feed != CONTRIBUTIONS:
            todo = f"Publish it as {CONTRIBUTIONS}, or give --format csv or jsonl."
            raise FileProblem("wrong_feed", f"the monthly format for {feed}", CONTRIBUTIONS, todo)
        return MonthlyFile(source, hashed, _as_of(source, reading, first_seen_ms), reading.encoding).rows()
    mapping = reading.mapping or identity_mapping(feed)
    # A two-digit year means one near that of the data; the year of a file that says no day is this one.
    mapping = mapping.near(_year(reading.as_of or reading.now_ms))
    # Whether the file has a column for the time of change is known when its header is read.
    as_of = partial(_as_of, source, reading, first_seen_ms)
    return DelimitedFile(source, mapping, hashed, as_of, reading.encoding).rows()


def _year(moment_ms: int) -> int:
    return days_to_date(bangkok_day(moment_ms)).year


def _as_of(source: InputFile, reading: Reading, first_seen_ms: Callable[[], int]) -> int:
    """When a file without versions was made: as somebody gave it, as its name says, or when it was first seen here."""
    moment_ms = _said_as_of(source, reading)
    if moment_ms is None:
        return first_seen_ms()
    if moment_ms > reading.now_ms + DAY_MS:
        # It becomes the version: no correction would win against it until that day comes.
        todo = "Correct --as-of, or the date in the file's name."
        raise FileProblem("as_of_in_future", f"data of {format_time_ms(moment_ms)}", "data that was taken before", todo)
    return moment_ms


def _said_as_of(source: InputFile, reading: Reading) -> int | None:
    if reading.as_of is not None:
        return reading.as_of
    calendar = reading.mapping.near(_year(reading.now_ms)).file_date if reading.mapping else None
    if calendar is not None:
        try:
            day = calendar.find_day(source.name)
        except Unreadable as refused:
            todo = "Rename the file or give --as-of."
            raise FileProblem("file_date", f"the file name {source.name!r}", refused.expected, todo) from None
        if day is None:
            expected = f"a date as {calendar.expected} in the file's name"
            raise FileProblem("file_date", f"the file name {source.name!r}", expected, "Rename it or give --as-of.")
        return bangkok_midnight_ms(day)
    if source.name == "standard input":
        found = "standard input without versions and without --as-of"
        todo = "Give --as-of with the day (or time) at which the data was taken, such as --as-of 2026-11-23."
        raise FileProblem("no_as_of", found, "the time of the data", todo)
    return None
