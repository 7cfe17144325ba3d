"""Whether a record as plain JSON has its feed's fields, each of its type, and what it is in wire form."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from typing import Any

from saphan_publishers.dates import common_year, iso_day, iso_time_ms
from saphan_publishers.rows import Unreadable, row_error
from saphan_publishers.text import clean_code, clean_name
from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.rules import Problem
from saphan_schemas.values import date_to_days, time_to_ms

#: Fields of digits only, in which leading zeros count and dashes do not.
DIGIT_FIELDS = frozenset({"non_thai_id", "insured_number", "tax_id", "sso_account", "sso_branch"})
_INT_MAX = {"int": 2**31 - 1, "long": 2**63 - 1}
Converter = Callable[[Any], Any]


class RecordForm:
    """The fields of one feed. Build it with :func:`record_form`; it is read-only and may be shared."""

    def __init__(self, feed: str) -> None:
        catalogue = default_catalogue()
        fields = catalogue.latest(feed).parsed()["fields"]
        self.feed = feed
        self.kinds = catalogue.kinds(feed)
        self.names = frozenset(field["name"] for field in fields if field.get("pii") == "name")
        self.required = tuple(field["name"] for field in fields if "default" not in field)
        self._codes = frozenset(
            name for name, kind in self.kinds.items() if kind == "string" and name not in self.names
        )
        self._template = {field["name"]: field.get("default") for field in fields}
        self._converters: dict[str, Converter] = {name: self._converter(name) for name in self.kinds}

    def empty(self) -> dict[str, Any]:
        """A record of this feed with nothing in it: every field at its default."""
        return dict(self._template)

    def to_wire(self, record: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
        """The record in wire form, and what is wrong with its fields; a field with a problem is None.

        Dates may be ``YYYY-MM-DD`` or ``datetime.date``, times ISO 8601 with an offset or aware ``datetime``.
        """
        wire = dict(self._template)
        problems: list[Problem] = []
        converters, codes = self._converters, self._codes
        for name, value in record.items():
            if value is None:
                continue
            # Nearly all values are codes that are clean already: no call for those.
            if name in codes and type(value) is str and value.isascii() and value.isprintable():
                wire[name] = value.strip() or None
                continue
            convert = converters.get(name)
            if convert is None:
                problems.append(row_error("unknown_field", name, value, f"one of {', '.join(self.kinds)}"))
                continue
            try:
                wire[name] = convert(value)
            except Unreadable as refused:
                wire[name] = None
                problems.append(row_error(refused.code, name, value, refused.expected))
        problems += [
            row_error("missing", name, "nothing", _MISSING.get(name, "a value"))
            for name in self.required
            if wire[name] is None and record.get(name) is None
        ]
        return wire, problems

    def _converter(self, name: str) -> Converter:
        kind = self.kinds[name]
        if name in self.names:
            return _name
        return {"date": _day, "timestamp-millis": _time, "boolean": _truth, "string": _text}.get(
            kind, _long if kind == "long" else _int
        )


@cache
def record_form(feed: str) -> RecordForm:
    """The form of a feed's records. Raises KeyError for a topic without a schema."""
    return RecordForm(feed)


_MISSING = {
    "record_id": "the agency's own number for this record; a keyed hash where that number is a person's",
    "version": "a whole number that rises with each change of the record",
    "changed_at": "when the agency changed the record, such as 2026-11-23T09:30:00+07:00",
}


def _text(value: Any) -> str | None:
    if type(value) is not str:
        expected = "text in quotes" + (", so that leading zeros stay" if isinstance(value, int) else "")
        raise Unreadable("wrong_type", expected)
    if value.isascii() and value.isprintable():
        return value.strip() or None
    return clean_code(value) or None


def _name(value: Any) -> str | None:
    if type(value) is not str:
        raise Unreadable("wrong_type", "text in quotes")
    return clean_name(value) or None


def _day(value: Any) -> int:
    if type(value) is str:
        return iso_day(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        common_year(value.year, "CE")
        return date_to_days(value)
    raise Unreadable("wrong_type", "a date as text, YYYY-MM-DD")


def _time(value: Any) -> int:
    if type(value) is str:
        return iso_time_ms(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        common_year(value.year, "CE")
        return time_to_ms(value)
    raise Unreadable("wrong_type", "a time with Z or an offset, as text, such as 2026-11-23T09:30:00+07:00")


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise Unreadable("wrong_type", "true or false")
    return value


def _int(value: Any) -> int:
    return _whole(value, _INT_MAX["int"])


def _long(value: Any) -> int:
    return _whole(value, _INT_MAX["long"])


def _whole(value: Any, largest: int) -> int:
    if type(value) is not int:
        raise Unreadable("wrong_type", "a whole number without quotes")
    if not -largest - 1 <= value <= largest:
        raise Unreadable("number_out_of_range", f"a number of at most {largest}")
    return value
