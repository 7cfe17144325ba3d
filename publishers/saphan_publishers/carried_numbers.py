"""Whether a longer key holds a person's number: then the row is kept out, or told where it may be so by chance.

The rules of all refuse a key that is such a number as a whole, and a worker's own number in the record's key.
"""

import re
from collections.abc import Mapping
from typing import Any

from saphan_publishers.rows import row_error, row_warning
from saphan_schemas.identifiers import has_right_check_digit, normalise_person_number, person_number_kind
from saphan_schemas.problem import Problem
from saphan_schemas.record_checks import KEY_ADVICE

_KEYS = ("record_id", "employer_id")
_DIGITS = 13
_CARD = r"\d\W\d{4}\W\d{5}\W\d{2}\W\d"
#: Few keys have so many digits together, or in the groups of a Thai card, 1-2345-67890-12-3.
_MAY_CARRY = re.compile(rf"\d{{13}}|{_CARD}").search
_CARDS = re.compile(rf"(?<!\d){_CARD}(?!\d)").findall
#: A word of thirteen digits, with letters at most at its ends: digits between letters are a hash's.
_WORDS = re.compile(r"(?<![^\W_])[^\W\d_]*(\d{13})[^\W\d_]*(?![^\W_])").findall
# Nobody could correct a counter or a time whose last digit fits by chance, and a rejected row withholds the heartbeat.
_PERHAPS = (
    "the agency's own number; these 13 digits may be a person's. One of ten other numbers looks like that too: where "
    "nearly every row is told, use a keyed hash"
)
_OWN_KINDS = frozenset(("person", "check_digit", "unclear"))


def carried_numbers(record: Mapping[str, Any]) -> list[Problem]:
    """What is to be said about the keys of a record in wire form."""
    found: list[Problem] = []
    for field in _KEYS:
        key = record.get(field)
        if key.__class__ is str and len(key) > _DIGITS and _MAY_CARRY(key):
            if _holds_own_number(key, record) or any(map(_is_persons, _CARDS(key))):
                found.append(row_error("key_carries_person", field, key, KEY_ADVICE))
            elif any(map(_is_persons, _WORDS(key))):
                found.append(row_warning("key_may_carry_person", field, key, _PERHAPS))
    return found


def _holds_own_number(key: str, record: Mapping[str, Any]) -> bool:
    names = ["non_thai_id", "insured_number"]
    if record.get("id_type") == "person":
        # An employer may be a person, and then the number for taxes is the citizen's.
        names.append("tax_id")
    plain = normalise_person_number(key)
    numbers = [normalise_person_number(record.get(name) or "") for name in names]
    return any(number in plain and person_number_kind(number) in _OWN_KINDS for number in numbers)


def _is_persons(text: str) -> bool:
    number = normalise_person_number("".join(filter(str.isdecimal, text)))
    return person_number_kind(number) == "person" and has_right_check_digit(number)
