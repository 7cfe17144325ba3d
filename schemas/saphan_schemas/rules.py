"""Whether a record of a feed is valid: nothing to say in under two microseconds, or every problem in plain words."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.heartbeat_rules import heartbeat_problems
from saphan_schemas.identifiers import (
    SPECIMENS,
    NumberKind,
    check_digit,
    has_right_check_digit,
    is_placeholder,
    is_plain_person_number,
    normalise_passport,
    normalise_person_number,
    person_number_kind,
    usable_passport,
    usable_person_number,
)
from saphan_schemas.problem import Problem, Severity
from saphan_schemas.record_checks import CARRIED_CHARACTERS_MIN, ENVELOPE, explain
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
    PERSON_FIELDS,
    RECORD_ID_CHARACTERS_MAX,
    TABLES,
    TEXT_CHARACTERS_MAX,
    VERSION_MAX,
    FeedTable,
)
from saphan_schemas.topics import (
    DOE_EMPLOYERS,
    EMPLOYER_PAIRS,
    EMPLOYMENTS,
    HEARTBEATS,
    INSPECTIONS,
    INSURED_PERSONS,
    SSO_EMPLOYERS,
)

__all__ = [
    "NumberKind",
    "Problem",
    "Severity",
    "check_digit",
    "has_right_check_digit",
    "is_placeholder",
    "normalise_passport",
    "normalise_person_number",
    "person_number_kind",
    "problems",
    "usable_passport",
    "usable_person_number",
]

_PLAIN_MONTH = re.compile(r"(?:19|20|21|22|23)[0-9]{2}-(?:0[1-9]|1[0-2])").fullmatch
#: The usual document number: it is normal as it stands and cannot be a placeholder unless it is a specimen.
_USUAL_DOCUMENT = re.compile(r"[A-Z]{1,3}0{0,6}[1-9][0-9]{3,12}").fullmatch
#: Thirteen digits of no company; specimens are looked up apart.
_INSURED = re.compile(r"[1-9][0-9]{12}|00(?!00000000)[0-9]{11}").fullmatch


def problems(feed: str, record: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with a record in wire form (dates as days, times as ms); an empty list for a good one.

    A deleted record needs only its envelope. A missing field counts as null. Pure.
    Raises KeyError for a topic that is no feed.
    """
    if feed == HEARTBEATS:
        return heartbeat_problems(record)
    screen = _SCREENS.get(feed) or _screen(feed)
    try:
        if _has_plain_envelope(screen, record) and (
            _has_nothing_else(screen, record) if record["deleted"] else _has_plain_content(screen, record)
        ):
            return []
    except (KeyError, TypeError, AttributeError):
        # A field is absent or of another type: the thorough pass says which, and whether it matters.
        pass
    return explain(feed, screen.kinds, record)


@dataclass(frozen=True, slots=True)
class _Screen:
    """The rules of one feed by the cheapest way to apply them: it lets only records pass that have no problem."""

    kinds: dict[str, str]
    field_count: int
    codes: tuple[tuple[str, frozenset[str | None]], ...]
    days: tuple[str, ...]
    texts: tuple[str, ...]
    matches: tuple[tuple[str, Callable[[str], object]], ...]
    amounts: tuple[tuple[str, int], ...]
    documents: tuple[str, ...]
    person_numbers: tuple[tuple[str, Callable[[str], object]], ...]
    has_passport: bool
    agrees: Callable[[Mapping[str, Any]], bool] | None
    table: FeedTable


_SCREENS: dict[str, _Screen] = {}
_CODES: dict[str, frozenset[str | None]] = {
    **{name: frozenset((*codes, None)) for name, codes in CODES.items()},
    **dict.fromkeys(DISTRICT_FIELDS, frozenset((*DISTRICTS, None))),
    "nationality": frozenset((*NATIONALITIES, None)),
}
_MATCHES: dict[str, Callable[[str], object]] = {
    **{name: re.compile(f"[0-9]{{{count}}}").fullmatch for name, count in DIGITS.items()},
    "month": _PLAIN_MONTH,
}
_PERSON_NUMBERS: dict[str, Callable[[str], object]] = {
    "non_thai_id": is_plain_person_number,
    "insured_number": _INSURED,
}


def _screen(feed: str) -> _Screen:
    table = TABLES[feed]
    kinds = default_catalogue().kinds(feed)
    ruled = {*ENVELOPE, *_CODES, *_MATCHES, *AMOUNT_MAX, *DOCUMENT_FIELDS, *_PERSON_NUMBERS}
    _SCREENS[feed] = screen = _Screen(
        kinds=kinds,
        field_count=len(kinds),
        codes=tuple((name, _CODES[name]) for name in kinds if name in _CODES),
        days=tuple(name for name, kind in kinds.items() if kind == "date"),
        texts=tuple(name for name, kind in kinds.items() if kind == "string" and name not in ruled),
        matches=tuple((name, _MATCHES[name]) for name in kinds if name in _MATCHES),
        amounts=tuple((name, AMOUNT_MAX[name]) for name in kinds if name in AMOUNT_MAX),
        documents=tuple(name for name in DOCUMENT_FIELDS if name in kinds),
        person_numbers=tuple((name, _PERSON_NUMBERS[name]) for name in kinds if name in _PERSON_NUMBERS),
        has_passport="passport_number" in kinds,
        agrees=_AGREES.get(feed),
        table=table,
    )
    return screen


def _has_plain_envelope(screen: _Screen, record: Mapping[str, Any]) -> bool:
    record_id, version, changed_at = record["record_id"], record["version"], record["changed_at"]
    return (
        len(record) == screen.field_count
        and record["deleted"].__class__ is bool
        and 0 < len(record_id) <= RECORD_ID_CHARACTERS_MAX
        and record_id.isprintable()
        and (len(record_id) < 13 or record_id[0].isalpha())
        and version.__class__ is int
        and 1 <= version <= VERSION_MAX
        and changed_at.__class__ is int
        and FIRST_CHANGE_MS <= changed_at <= LAST_CHANGE_MS
    )


def _has_nothing_else(screen: _Screen, record: Mapping[str, Any]) -> bool:
    return list(record.values()).count(None) == screen.field_count - len(ENVELOPE)


def _has_plain_content(screen: _Screen, record: Mapping[str, Any]) -> bool:
    return (
        _has_plain_values(screen, record)
        and _has_plain_texts(screen, record)
        and _has_plain_person_numbers(screen, record)
        and _has_plain_documents(screen, record)
        and _is_complete(screen, record)
    )


def _has_plain_values(screen: _Screen, record: Mapping[str, Any]) -> bool:
    for name, allowed in screen.codes:
        if record[name] not in allowed:
            return False
    for name in screen.days:
        day = record[name]
        if day is not None and not (day.__class__ is int and FIRST_DAY <= day <= LAST_DAY):
            return False
    for name, limit in screen.amounts:
        number = record[name]
        if number is not None and not (number.__class__ is int and 0 <= number <= limit):
            return False
    return True


def _has_plain_texts(screen: _Screen, record: Mapping[str, Any]) -> bool:
    for name, matches in screen.matches:
        text = record[name]
        if text is not None and matches(text) is None:
            return False
    for name in screen.texts:
        text = record[name]
        if text is not None and not (0 < len(text) <= TEXT_CHARACTERS_MAX and text.isprintable()):
            return False
    return True


def _has_plain_person_numbers(screen: _Screen, record: Mapping[str, Any]) -> bool:
    for name, is_plain in screen.person_numbers:
        text = record[name]
        if text is None:
            continue
        if not is_plain(text):
            text = normalise_person_number(text)
            if not is_plain(text):
                return False
        if text in SPECIMENS or text in record["record_id"]:
            return False
    return True


def _has_plain_documents(screen: _Screen, record: Mapping[str, Any]) -> bool:
    key = record["record_id"].upper()
    for name in screen.documents:
        text = record[name]
        if text is None:
            continue
        if _USUAL_DOCUMENT(text) is None or text in SPECIMENS:
            text = normalise_passport(text)
            if not usable_passport(text):
                return False
        if text in key and len(text) >= CARRIED_CHARACTERS_MIN and name in PERSON_FIELDS:
            return False
    return True


def _is_complete(screen: _Screen, record: Mapping[str, Any]) -> bool:
    table = screen.table
    for name in table.required:
        if record[name] is None:
            return False
    for first, last in table.ordered:
        end = record[last]
        if end is not None and record[first] is not None and end < record[first]:
            return False
    if table.one_of and not _has_group(table.one_of, record):
        return False
    if screen.has_passport and record["passport_number"] is not None and record["nationality"] is None:
        return False
    return screen.agrees is None or screen.agrees(record)


def _has_group(groups: tuple[tuple[str, ...], ...], record: Mapping[str, Any]) -> bool:
    for group in groups:
        for name in group:
            if record[name] is None:
                break
        else:
            return True
    return False


def _employer_agrees(record: Mapping[str, Any]) -> bool:
    employer_id = record["employer_id"]
    return employer_id is None or len(employer_id) < 13 or employer_id[0].isalpha()


def _tax_id_agrees(record: Mapping[str, Any]) -> bool:
    tax_id = record["tax_id"]
    if tax_id is None:
        return True
    return bool(person_number_kind(tax_id) == record["id_type"])


def _insurance_agrees(record: Mapping[str, Any]) -> bool:
    return record["section"] != "33" or not (
        record["sso_account"] is None or record["sso_branch"] is None or record["start_date"] is None
    )


_AGREES: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    EMPLOYMENTS: _employer_agrees,
    INSPECTIONS: _employer_agrees,
    EMPLOYER_PAIRS: _employer_agrees,
    DOE_EMPLOYERS: _tax_id_agrees,
    SSO_EMPLOYERS: _tax_id_agrees,
    INSURED_PERSONS: _insurance_agrees,
}
