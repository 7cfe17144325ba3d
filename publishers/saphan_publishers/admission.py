"""What keeps a record out at publishing alone, while somebody at the agency can still correct it."""

import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any

from saphan_publishers.carried_numbers import carried_numbers
from saphan_publishers.cells import spreadsheet_damage
from saphan_publishers.record_form import DIGIT_FIELDS, record_form
from saphan_publishers.rows import row_error
from saphan_schemas.identifiers import is_plain_person_number
from saphan_schemas.record_checks import is_given
from saphan_schemas.rule_table import DOCUMENT_FIELDS, LAST_CHANGE_MS, TABLES
from saphan_schemas.rules import (
    Problem,
    normalise_passport,
    normalise_person_number,
    person_number_kind,
    usable_passport,
)
from saphan_schemas.topics import DAY_MS, WORKER_FEEDS
from saphan_schemas.values import bangkok_day, days_to_date, format_time_ms

_IDENTIFIERS = frozenset(("insured_number", "non_thai_id", *DOCUMENT_FIELDS))
#: What may join records; a company's number is refused by the rules of all, for what it is.
_USABLE_KINDS = {
    "non_thai_id": frozenset(("person", "juristic")),
    # The SSO's own numbers follow no series that is known: any 13 digits may be one.
    "insured_number": frozenset(("person", "juristic", "check_digit", "unclear")),
}


def admission_problems(feed: str, record: Mapping[str, Any], now_ms: int) -> list[Problem]:
    """The problems of a record in wire form that the rules of ``link`` do not know; ``now_ms`` is when it is published.

    These rules know what day it is, or may become stricter, and ``link`` must read what was published long ago. Pure.
    """
    if record.get("deleted"):
        return _changes_to_come(record, now_ms)
    found = (
        _changes_to_come(record, now_ms)
        + _hidden_signs(feed, record)
        + _births_to_come(record, now_ms)
        + _damaged_numbers(feed, record)
    )
    if not found:
        found = _unusable_numbers(feed, record)
    return found + carried_numbers(record)


def _changes_to_come(record: Mapping[str, Any], now_ms: int) -> list[Problem]:
    """A change from the future would win against every correction until that day comes."""
    changed_at = record.get("changed_at")
    if changed_at is not None and now_ms + DAY_MS < changed_at <= LAST_CHANGE_MS:
        expected = "a time that has come; a day more is allowed, for clocks that go wrong"
        return [row_error("change_in_future", "changed_at", format_time_ms(changed_at), expected)]
    return []


def _hidden_signs(feed: str, record: Mapping[str, Any]) -> list[Problem]:
    """Signs that nobody sees and that turn the text around them: two ids that look alike, or one that looks like another."""
    found: list[Problem] = []
    for field in _code_fields(feed):
        text = record.get(field)
        if text.__class__ is str and not text.isascii() and any(unicodedata.category(sign) == "Cf" for sign in text):
            shown = text.encode("ascii", "backslashreplace").decode("ascii")
            expected = "visible letters and digits, no marks of direction or width"
            found.append(row_error("hidden_sign", field, shown, expected))
    return found


@cache
def _code_fields(feed: str) -> tuple[str, ...]:
    form = record_form(feed)
    return tuple(name for name, kind in form.kinds.items() if kind == "string" and name not in form.names)


def _births_to_come(record: Mapping[str, Any], now_ms: int) -> list[Problem]:
    born = record.get("birth_date")
    if born is not None and born > bangkok_day(now_ms):
        expected = "a day of the past; a two-digit common-era year in a Buddhist column looks like this, too"
        return [row_error("birth_in_future", "birth_date", days_to_date(born).isoformat(), expected)]
    return []


def _damaged_numbers(feed: str, record: Mapping[str, Any]) -> list[Problem]:
    found: list[Problem] = []
    for field in _digit_fields(feed):
        text = record.get(field)
        damage = spreadsheet_damage(field, text) if text.__class__ is str else None
        if damage is not None:
            found.append(row_error(damage.code, field, text, damage.expected))
    return found


@cache
def _digit_fields(feed: str) -> tuple[str, ...]:
    return tuple(name for name in record_form(feed).kinds if name in DIGIT_FIELDS)


def _unusable_numbers(feed: str, record: Mapping[str, Any]) -> list[Problem]:
    """Whether the record could join any other: an insurance that cannot makes an employer look guilty.

    A record with nothing but placeholders is left to the rules of all.
    """
    groups = _joining_groups(feed)
    for group in groups:
        if _joins(group, record):
            return []
    for group in groups:
        if all(is_given(name, record.get(name)) for name in group):
            field = next(name for name in group if not _is_usable(name, record[name]))
            expected = (
                f"at least one number that can join records: {' or '.join(' with '.join(names) for names in groups)}"
            )
            return [row_error("no_usable_identifier", field, record[field], expected)]
    return []


@cache
def _joining_groups(feed: str) -> tuple[tuple[str, ...], ...]:
    """The groups of fields that join a worker's record with others; none in a feed that is not of workers."""
    if feed not in WORKER_FEEDS:
        return ()
    table = TABLES[feed]
    return table.one_of or tuple((name,) for name in table.required if name in _IDENTIFIERS)


def _joins(group: tuple[str, ...], record: Mapping[str, Any]) -> bool:
    # A usable number is no placeholder, so that it need not be asked whether it is given.
    for name in group:
        value = record.get(name)
        if not value or not _is_usable(name, value):
            return False
    return True


def _is_usable(field: str, text: str) -> bool:
    """Whether a number in this field can join two records; true for a field that is no number of a person."""
    kinds = _USABLE_KINDS.get(field)
    if kinds is not None:
        return is_plain_person_number(text) or person_number_kind(normalise_person_number(text)) in kinds
    return field not in DOCUMENT_FIELDS or usable_passport(normalise_passport(text))
