"""What is wrong with the value of one field, by the kind of the field."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from saphan_schemas.identifiers import (
    has_right_check_digit,
    is_placeholder,
    normalise_passport,
    normalise_person_number,
    person_number_kind,
    usable_passport,
)
from saphan_schemas.problem import Problem, error, warning
from saphan_schemas.rule_table import (
    AMOUNT_MAX,
    CODES,
    DIGITS,
    DISTRICT_FIELDS,
    DISTRICTS,
    DOCUMENT_FIELDS,
    FIRST_CHANGE_MS,
    FIRST_DAY,
    LAST_CHANGE_MS,
    LAST_DAY,
    NATIONALITIES,
    TEXT_CHARACTERS_MAX,
)
from saphan_schemas.topics import DAY_MS
from saphan_schemas.values import date_to_days, days_to_date, format_time_ms

_Check = Callable[[str, Any], Iterator[Problem]]
_THREE_LETTERS = re.compile(r"[A-Z]{3}").fullmatch
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])").fullmatch
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]").search
_EARLIEST, _LATEST = date_to_days(date.min), date_to_days(date.max)
_YEAR_3200 = date_to_days(date(3200, 1, 1))  # two shifts of 543 years end before
_BUDDHIST = "a common-era year; this one is probably Buddhist era: subtract 543 from the year"
_TOO_EARLY = "a date from 1900 on; if 543 was subtracted twice, add it back once"
_TOO_LATE = "a common-era date; leave the field empty while there is no end"


def has_control_character(text: str) -> bool:
    """True for a text that holds a line break, a tab, NUL or the like."""
    return not text.isprintable() and _CONTROL(text) is not None


def check_day(name: str, day: int) -> Iterator[Problem]:
    """A date in days since 1970-01-01: from 1900, and not in the Buddhist era."""
    if FIRST_DAY <= day <= LAST_DAY:
        return
    if not _EARLIEST <= day <= _LATEST:
        yield error(name, f"day {day}", "a date as YYYY-MM-DD", "date_range")
        return
    found = days_to_date(day).isoformat()
    if day < FIRST_DAY:
        yield error(name, found, _TOO_EARLY, "date_range")
    elif day < _YEAR_3200:
        yield error(name, found, _BUDDHIST, "buddhist_era")
    else:
        yield error(name, found, _TOO_LATE, "date_range")


def check_time(name: str, moment_ms: int) -> Iterator[Problem]:
    """A time of change in ms since 1970: from 2000 on, and not in the Buddhist era."""
    if FIRST_CHANGE_MS <= moment_ms <= LAST_CHANGE_MS:
        return
    day = moment_ms // DAY_MS
    found = format_time_ms(moment_ms) if _EARLIEST <= day < _LATEST else f"{moment_ms} ms"
    if LAST_DAY < day < _YEAR_3200:
        yield error(name, found, _BUDDHIST, "buddhist_era")
    else:
        yield error(name, found, "a time from 2000-01-01 on, such as 2026-03-01T09:30:00+07:00", "time_range")


def _check_month(name: str, text: str) -> Iterator[Problem]:
    parts = _MONTH(text)
    if parts is None:
        yield error(name, text, "a month as YYYY-MM, such as 2026-03", "month")
    elif int(parts[1]) > 2400:
        yield error(name, text, _BUDDHIST, "buddhist_era")
    elif int(parts[1]) < 1900:
        yield error(name, text, _TOO_EARLY, "date_range")


def _check_code(name: str, text: str) -> Iterator[Problem]:
    codes = CODES[name]
    if text not in codes:
        yield error(name, text, "one of " + ", ".join(codes), "code")


def _check_nationality(name: str, text: str) -> Iterator[Problem]:
    if _THREE_LETTERS(text) is None:
        yield error(name, text, "three capital letters of ISO 3166-1, such as MMR, KHM, LAO", "nationality")
    elif text not in NATIONALITIES:
        yield warning(name, text, "a code of ISO 3166-1 alpha-3; this one is not known", "unknown_nationality")


def _check_district(name: str, text: str) -> Iterator[Problem]:
    if text not in DISTRICTS:
        yield error(name, text, "four digits: province (10 to 96) and district, such as 7101", "district")


def _check_digits(name: str, text: str) -> Iterator[Problem]:
    count = DIGITS[name]
    if len(text) != count or not (text.isascii() and text.isdecimal()):
        yield error(name, text, f"{count} digits 0-9 without dashes", "digits")


def _check_amount(name: str, number: int) -> Iterator[Problem]:
    if not 0 <= number <= AMOUNT_MAX[name]:
        yield error(name, number, f"a whole number from 0 to {AMOUNT_MAX[name]}", "amount")


def check_person_number(name: str, text: str) -> Iterator[Problem]:
    """A 13-digit number in a person's field: only a company's keeps the record out."""
    number = normalise_person_number(text)
    match person_number_kind(number):
        case "person":
            if not has_right_check_digit(number):
                yield warning(
                    name, text,
                    "check this 00 number: its last digit does not follow from the others (whether it must is "
                    "unconfirmed, so it is used as it is)",
                    "check_digit_unconfirmed",
                )  # fmt: skip
        case "juristic":
            yield error(name, text, "a person's number; this one is a company's: give the worker's", "company_number")
        case "check_digit":
            yield warning(name, text, "the number as on the card; its last digit is wrong for it", "check_digit")
        case "placeholder":
            yield _placeholder(name, text)
        case "unclear":
            yield warning(name, text, "a number of a known series; this one joins no records", "unclear_number")
        case "malformed":
            yield warning(name, text, "13 digits; this joins no records", "number_form")


def _check_insured_number(name: str, text: str) -> Iterator[Problem]:
    # The SSO gives numbers of its own to people without one; their series and check digit are unconfirmed.
    number = normalise_person_number(text)
    kind = person_number_kind(number)
    if kind in {"juristic", "placeholder"}:
        yield from check_person_number(name, text)
    elif kind == "malformed":
        yield warning(name, text, "13 digits", "number_form")


def _check_document(name: str, text: str) -> Iterator[Problem]:
    number = normalise_passport(text)
    if usable_passport(number):
        return
    if is_placeholder(number):
        yield _placeholder(name, text)
    else:
        yield warning(name, text, "5 to 24 letters A-Z and digits; this joins no records", "document_form")


def _placeholder(name: str, text: str) -> Problem:
    return warning(name, text, "a real number, or an empty field; this joins no records", "placeholder")


def _check_text(name: str, text: str) -> Iterator[Problem]:
    if len(text) > TEXT_CHARACTERS_MAX:
        yield error(name, text, f"at most {TEXT_CHARACTERS_MAX} characters, found {len(text)}", "too_long")
    elif has_control_character(text):
        yield error(name, "a control character", "text without line breaks, tabs and NUL", "control_character")


_BY_FIELD: dict[str, _Check] = {
    **dict.fromkeys(CODES, _check_code),
    **dict.fromkeys(DISTRICT_FIELDS, _check_district),
    **dict.fromkeys(DIGITS, _check_digits),
    **dict.fromkeys(AMOUNT_MAX, _check_amount),
    **dict.fromkeys(DOCUMENT_FIELDS, _check_document),
    "nationality": _check_nationality,
    "month": _check_month,
    "non_thai_id": check_person_number,
    "insured_number": _check_insured_number,
}
_BY_KIND: dict[str, _Check] = {"date": check_day, "timestamp-millis": check_time, "string": _check_text}


def check_value(name: str, kind: str, value: Any) -> Iterator[Problem]:
    """What is wrong with a value that has the type of its field; ``kind`` is the field's logical type."""
    if value == "":
        yield warning(name, value, "no empty text: leave the field out where there is no value", "empty")
        return
    check = _BY_FIELD.get(name) or _BY_KIND.get(kind)
    if check is not None:
        yield from check(name, value)
