"""What is wrong with a record as a whole: its envelope, its types, what it lacks and what does not fit together."""

from collections.abc import Iterator, Mapping
from typing import Any

from saphan_schemas.identifiers import (
    is_placeholder,
    normalise_passport,
    normalise_person_number,
    person_number_kind,
)
from saphan_schemas.problem import Problem, error, warning
from saphan_schemas.rule_table import (
    DOCUMENT_FIELDS,
    ID_TYPES,
    PERSON_FIELDS,
    RECORD_ID_CHARACTERS_MAX,
    TABLES,
    VERSION_MAX,
    FeedTable,
)
from saphan_schemas.value_checks import check_time, check_value, has_control_character
from saphan_schemas.values import days_to_date

ENVELOPE = ("record_id", "version", "changed_at", "deleted")
#: A shorter number may stand in a key by chance.
CARRIED_CHARACTERS_MIN = 7
_CLASSES: dict[str, type] = {"string": str, "boolean": bool, "int": int, "long": int, "date": int}
_CLASS_NAMES = {
    "string": "text",
    "boolean": "true or false",
    "date": "a date as YYYY-MM-DD",
    "timestamp-millis": "a time with Z or an offset, such as 2026-03-01T09:30:00+07:00",
}
KEY_ADVICE = "the agency's own number, in letters and digits; a person's number must not be in a message key"
_THIRTEEN_DIGITS = frozenset(("non_thai_id", "insured_number"))


def explain(feed: str, kinds: Mapping[str, str], record: Mapping[str, Any]) -> list[Problem]:
    """Every problem of a record in wire form; ``kinds`` are the fields of the feed's schema."""
    found = list(_shape(kinds, record))
    wrong = {problem.field for problem in found}
    typed = {name: None if name in wrong else record.get(name) for name in kinds}
    found.extend(_envelope(typed, wrong))
    if typed["deleted"]:
        return found
    for name, value in typed.items():
        if value is not None and name not in ENVELOPE:
            found.extend(check_value(name, kinds[name], value))
    table = TABLES[feed]
    found.extend(_missing(table, typed, wrong))
    found.extend(_unordered(table, typed))
    found.extend(_unfitting(typed))
    return found


def _shape(kinds: Mapping[str, str], record: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in record.items():
        kind = kinds.get(name)
        if kind is None:
            yield error(name, value, "no such field; the fields are " + ", ".join(kinds), "unknown_field")
        elif value is not None and value.__class__ is not _CLASSES.get(kind, int):
            yield error(name, value, _CLASS_NAMES.get(kind, "a whole number"), "type")


def _envelope(record: Mapping[str, Any], wrong: set[str]) -> Iterator[Problem]:
    for name in ("record_id", "version", "changed_at"):
        if record[name] is None and name not in wrong:
            yield error(name, None, "a value; every record needs it", "required")
    if record["record_id"] is not None:
        yield from list(_record_id(record["record_id"])) or _carried(record)
    version = record["version"]
    if version is not None and not 1 <= version <= VERSION_MAX:
        yield error("version", version, "a whole number from 1 on, rising with each change", "version")
    if record["changed_at"] is not None:
        yield from check_time("changed_at", record["changed_at"])


def _record_id(text: str) -> Iterator[Problem]:
    if not 0 < len(text) <= RECORD_ID_CHARACTERS_MAX:
        yield error("record_id", text, f"1 to {RECORD_ID_CHARACTERS_MAX} characters", "record_id")
    elif has_control_character(text):
        yield error("record_id", "a control character", "visible characters only", "record_id")
    elif _is_personal(text):
        yield error("record_id", text, KEY_ADVICE, "key_carries_person")


def _is_personal(text: str) -> bool:
    # Only the whole key: link must read what was published long ago, so publishing looks for a number in a longer one.
    # With a wrong check digit it is still somebody's number with a slip in it.
    return person_number_kind(normalise_person_number(text)) in {"person", "check_digit"}


def _carried(record: Mapping[str, Any]) -> Iterator[Problem]:
    key = record["record_id"].upper()
    for name in PERSON_FIELDS:
        value = record.get(name)
        if value is not None:
            number = normalise_passport(value)
            if len(number) >= CARRIED_CHARACTERS_MIN and number in key:
                yield error("record_id", record["record_id"], KEY_ADVICE, "key_carries_person")
                return


def is_given(name: str, value: Any) -> bool:
    """Whether a field has a value that is not there in place of one."""
    if value is None or value == "":
        return False
    if name in _THIRTEEN_DIGITS:
        return person_number_kind(normalise_person_number(value)) != "placeholder"
    return name not in DOCUMENT_FIELDS or not is_placeholder(normalise_passport(value))


def _missing(table: FeedTable, record: Mapping[str, Any], wrong: set[str]) -> Iterator[Problem]:
    required = table.required
    if record.get("section") == "33":
        required += table.required_in_section_33
    for name in required:
        if name not in wrong and not is_given(name, record[name]):
            yield error(name, record[name], "a value; this feed needs it", "required")
    if table.one_of and not any(all(is_given(name, record[name]) for name in group) for group in table.one_of):
        choices = " or ".join(" with ".join(group) for group in table.one_of)
        yield error(table.one_of[0][0], None, f"at least one of: {choices}", "no_identifier")


def _unordered(table: FeedTable, record: Mapping[str, Any]) -> Iterator[Problem]:
    for first, last in table.ordered:
        start, end = record[first], record[last]
        if start is not None and end is not None and end < start:
            yield error(last, _day(end), f"a day not before {first}", "date_order")


def _day(day: int) -> str:
    try:
        return days_to_date(day).isoformat()
    except OverflowError:
        return f"day {day}"


def _unfitting(record: Mapping[str, Any]) -> Iterator[Problem]:
    if record.get("passport_number") is not None and not record.get("nationality"):
        yield warning(
            "nationality", None, "the passport's nationality: without it the number joins no records",
            "passport_without_nationality",
        )  # fmt: skip
    employer_id = record.get("employer_id")
    if employer_id is not None and _is_personal(employer_id):
        yield error("employer_id", employer_id, KEY_ADVICE, "key_carries_person")
    yield from _tax_id(record.get("tax_id"), record.get("id_type"))


def _tax_id(tax_id: str | None, id_type: str | None) -> Iterator[Problem]:
    if not tax_id:
        return
    number = normalise_person_number(tax_id)
    kind = person_number_kind(number)
    if kind in {"malformed", "placeholder"}:
        yield warning("tax_id", tax_id, "13 digits, or an empty field", "number_form")
    elif id_type is None:
        yield warning("id_type", None, "juristic or person: the number alone does not say it", "required")
    elif id_type in ID_TYPES and (kind == "juristic") != (id_type == "juristic"):
        yield warning("tax_id", tax_id, f"a number that fits id_type; this one looks {kind}", "id_type_mismatch")
