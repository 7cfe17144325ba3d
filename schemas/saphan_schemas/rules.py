"""Whether a record of a feed is valid: an empty answer in under two microseconds, or every problem in plain words."""

from collections.abc import Mapping
from typing import Any

from saphan_schemas.heartbeat_rules import heartbeat_problems
from saphan_schemas.identifiers import (
    SPECIMENS,
    NumberKind,
    check_digit,
    has_right_check_digit,
    is_placeholder,
    is_plain_key,
    normalise_passport,
    normalise_person_number,
    person_number_kind,
    usable_passport,
    usable_person_number,
)
from saphan_schemas.problem import Problem, Severity
from saphan_schemas.record_checks import CARRIED_CHARACTERS_MIN, ENVELOPE, explain
from saphan_schemas.rule_table import (
    FIRST_CHANGE_MS,
    FIRST_DAY,
    LAST_CHANGE_MS,
    LAST_DAY,
    PERSON_FIELDS,
    RECORD_ID_CHARACTERS_MAX,
    TEXT_CHARACTERS_MAX,
    VERSION_MAX,
)
from saphan_schemas.screen_table import DOCUMENT_PLACEHOLDERS, USUAL_DOCUMENT, FeedScreen, screen_of
from saphan_schemas.topics import HEARTBEATS

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


def problems(feed: str, record: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with a record in wire form (dates as days, times as ms); an empty list for a good one.

    A deleted record needs only its envelope. A missing field counts as null. Pure.
    Raises KeyError for a topic that is no feed.
    """
    if feed == HEARTBEATS:
        return heartbeat_problems(record)
    screen = screen_of(feed)
    try:
        if _has_plain_envelope(screen, record) and (
            _has_nothing_else(screen, record) if record["deleted"] else _has_plain_content(screen, record)
        ):
            return []
    except (KeyError, TypeError, AttributeError):
        # A field is absent or of another type: the thorough pass says which, and whether it matters.
        pass
    return explain(feed, screen.kinds, record)


def _has_plain_envelope(screen: FeedScreen, record: Mapping[str, Any]) -> bool:
    record_id, version, changed_at = record["record_id"], record["version"], record["changed_at"]
    return (
        len(record) == len(screen.kinds)
        and record["deleted"].__class__ is bool
        and 0 < len(record_id) <= RECORD_ID_CHARACTERS_MAX
        and record_id.isprintable()
        and is_plain_key(record_id)
        and version.__class__ is int
        and 1 <= version <= VERSION_MAX
        and changed_at.__class__ is int
        and FIRST_CHANGE_MS <= changed_at <= LAST_CHANGE_MS
    )


def _has_nothing_else(screen: FeedScreen, record: Mapping[str, Any]) -> bool:
    return list(record.values()).count(None) == len(screen.kinds) - len(ENVELOPE)


def _has_plain_content(screen: FeedScreen, record: Mapping[str, Any]) -> bool:
    return (
        _has_plain_values(screen, record)
        and _has_plain_texts(screen, record)
        and _has_plain_person_numbers(screen, record)
        and _has_plain_documents(screen, record)
        and _is_complete(screen, record)
    )


def _has_plain_values(screen: FeedScreen, record: Mapping[str, Any]) -> bool:
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


def _has_plain_texts(screen: FeedScreen, record: Mapping[str, Any]) -> bool:
    for name, form in screen.forms:
        text = record[name]
        if text is not None and form.fullmatch(text) is None:
            return False
    for name in screen.texts:
        text = record[name]
        if text is not None and not (0 < len(text) <= TEXT_CHARACTERS_MAX and text.isprintable()):
            return False
    return True


def _has_plain_person_numbers(screen: FeedScreen, record: Mapping[str, Any]) -> bool:
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


def _has_plain_documents(screen: FeedScreen, record: Mapping[str, Any]) -> bool:
    key = record["record_id"].upper()
    for name in screen.documents:
        text = record[name]
        if text is None:
            continue
        if USUAL_DOCUMENT.fullmatch(text) is None or text in DOCUMENT_PLACEHOLDERS:
            text = normalise_passport(text)
            if not usable_passport(text):
                return False
        if text in key and len(text) >= CARRIED_CHARACTERS_MIN and name in PERSON_FIELDS:
            return False
    return True


def _is_complete(screen: FeedScreen, record: Mapping[str, Any]) -> bool:
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
    agreement = screen.agreement
    return agreement is None or agreement.agrees(*[record[name] for name in agreement.fields])


def _has_group(groups: tuple[tuple[str, ...], ...], record: Mapping[str, Any]) -> bool:
    for group in groups:
        for name in group:
            if record[name] is None:
                break
        else:
            return True
    return False
