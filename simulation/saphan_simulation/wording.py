"""How records in wire form (days, milliseconds) become JSON records and lines."""

from typing import Any

import orjson

from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.topics import FEEDS
from saphan_simulation.book import Record
from saphan_simulation.dates import iso_day, iso_time

#: Lines of a spool: 13 digits of the moment (ms), a letter for the topic, the record.
PREFIX_CHARACTERS = 14
_FIRST_LETTER = ord("A")
_LETTERS = {feed: bytes([_FIRST_LETTER + place]) for place, feed in enumerate(FEEDS)}


def _fields(kind: str) -> dict[str, tuple[str, ...]]:
    catalogue = default_catalogue()
    return {feed: tuple(name for name, found in catalogue.kinds(feed).items() if found == kind) for feed in FEEDS}


_DATES = _fields("date")
_TIMES = _fields("timestamp-millis")


def json_record(feed: str, record: Record) -> Record:
    """A record as JSON values: dates YYYY-MM-DD, times ISO 8601 in UTC."""
    row = record.copy()
    for name in _DATES[feed]:
        day = row[name]
        if day is not None:
            row[name] = iso_day(day)
    for name in _TIMES[feed]:
        row[name] = iso_time(row[name])
    return row


def spooled_json(when_ms: int, feed: str, record: Record) -> bytes:
    """A line for a spool that holds the record as JSON values."""
    return b"%d%b%b\n" % (when_ms, _LETTERS[feed], orjson.dumps(json_record(feed, record)))


def spooled_wire(when_ms: int, feed: str, record: Record) -> bytes:
    """A line for a spool that holds the record in wire form."""
    return b"%d%b%b\n" % (when_ms, _LETTERS[feed], orjson.dumps(record))


def unspooled(line: bytes) -> tuple[int, str, bytes]:
    """(moment in ms, topic, the record's line) of a spool's line."""
    return int(line[:13]), FEEDS[line[13] - _FIRST_LETTER], line[PREFIX_CHARACTERS:]


def parsed(line: bytes) -> Record:
    """The record of a line."""
    record: dict[str, Any] = orjson.loads(line)
    return record
