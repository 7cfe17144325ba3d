"""How a record looks as plain JSON (ISO dates, UTC times) and as Avro numbers, and back."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from saphan_schemas.topics import DAY_MS

_EPOCH = date(1970, 1, 1)
_EPOCH_TIME = datetime(1970, 1, 1, tzinfo=UTC)
#: Thailand keeps UTC+7 all year.
BANGKOK_OFFSET = timedelta(hours=7)
_BANGKOK_OFFSET_MS = BANGKOK_OFFSET // timedelta(milliseconds=1)
#: The kind of a field that is an array of bytes.
_BYTES_ARRAY = "array of bytes"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def date_to_days(value: date) -> int:
    """Days since 1970-01-01, as Avro's logical type ``date`` counts."""
    return (value - _EPOCH).days


def days_to_date(days: int) -> date:
    """The date that is ``days`` after 1970-01-01."""
    return _EPOCH + timedelta(days=days)


def parse_date(text: str) -> date:
    """A date from ``YYYY-MM-DD`` and nothing else. Raises ValueError."""
    if not _DATE.fullmatch(text):
        message = f"expected YYYY-MM-DD, found {text!r}"
        raise ValueError(message)
    return date.fromisoformat(text)


def time_to_ms(value: datetime) -> int:
    """Milliseconds since 1970-01-01T00:00Z of an aware time."""
    return (value - _EPOCH_TIME) // timedelta(milliseconds=1)


def ms_to_time(ms: int) -> datetime:
    """The UTC time that is ``ms`` milliseconds after 1970-01-01T00:00Z."""
    return _EPOCH_TIME + timedelta(milliseconds=ms)


def parse_time_ms(text: str) -> int:
    """Milliseconds UTC from an ISO 8601 time with an offset or Z. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        message = f"expected a time with Z or an offset such as +07:00, found {text!r}"
        raise ValueError(message)
    return time_to_ms(moment)


def format_time_ms(ms: int) -> str:
    """ISO 8601 in UTC with Z; milliseconds only where there are any."""
    moment = ms_to_time(ms)
    return moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds").replace("+00:00", "Z")


def bangkok_day(ms: int) -> int:
    """Days since 1970-01-01 of the Bangkok calendar day that holds this moment."""
    return (ms + _BANGKOK_OFFSET_MS) // DAY_MS


def bangkok_midnight_ms(day: int) -> int:
    """The moment (ms UTC) at which the Bangkok calendar day ``day`` begins."""
    return day * DAY_MS - _BANGKOK_OFFSET_MS


def logical_type(avro_type: Any) -> str:
    """``date``, ``timestamp-millis`` or the plain Avro type of a field, looking through ``["null", …]``.

    An array of bytes is ``array of bytes``, for its items need the same care as bytes.
    """
    if isinstance(avro_type, list):
        return logical_type(next(branch for branch in avro_type if branch != "null"))
    if isinstance(avro_type, dict):
        if avro_type.get("items") == "bytes":
            return _BYTES_ARRAY
        return str(avro_type.get("logicalType", avro_type["type"]))
    return str(avro_type)


def to_wire(kinds: Mapping[str, str], record: Mapping[str, Any]) -> dict[str, Any]:
    """Plain JSON values to Avro numbers. ``kinds`` is a field's name to its :func:`logical_type`.

    Raises ValueError for a date, a time or hexadecimal bytes that do not parse.
    """
    return {name: _value_to_wire(kinds.get(name, ""), value) for name, value in record.items()}


def _value_to_wire(kind: str, value: Any) -> Any:
    if isinstance(value, str):
        if kind == "date":
            return date_to_days(parse_date(value))
        if kind == "timestamp-millis":
            return parse_time_ms(value)
        if kind == "bytes":
            return bytes.fromhex(value)
    if kind == _BYTES_ARRAY and isinstance(value, list):
        return [_value_to_wire("bytes", item) for item in value]
    return value


def from_wire(kinds: Mapping[str, str], record: Mapping[str, Any]) -> dict[str, Any]:
    """Avro numbers to plain JSON values: the inverse of :func:`to_wire`; bytes become hexadecimal text."""
    return {name: _value_from_wire(kinds.get(name, ""), value) for name, value in record.items()}


def _value_from_wire(kind: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if kind == _BYTES_ARRAY:
        return [item.hex() for item in value]
    if kind == "date" and value is not None:
        return days_to_date(value).isoformat()
    if kind == "timestamp-millis" and value is not None:
        return format_time_ms(value)
    return value
