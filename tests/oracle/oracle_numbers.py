"""What a number in a record is worth: 13-digit numbers, documents and placeholders, told anew from the documentation."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

Identifier = tuple[str, ...]

#: What clerks write where there is no number.
WORDS_FOR_NOTHING = {
    "", "X", "XX", "XXX", "NA", "N/A", "NIL", "NONE", "NULL", "NO", "UNKNOWN", "TBA", "TEST", "PASSPORT",
    "ไม่มี", "ไม่ทราบ", "ไม่ระบุ", "รอ", "รอออก", "ยังไม่มี",
}  # fmt: skip
#: Numbers from sample cards and from keyboards.
SAMPLES = {
    "1234567890121", "1234567890123", "123456", "1234567", "12345678", "123456789", "1234567890", "0123456789",
    "987654321", "9876543210", "A123456", "A1234567", "A12345678", "AB123456", "AB1234567",
}  # fmt: skip


def plain_number(text: str) -> str:
    """The number as one would copy it to a clean form: usual digits and capitals, no blanks, dashes or dots."""
    kept = []
    for character in text:
        if "！" <= character <= "～":  # a full-width sign
            character = unicodedata.normalize("NFKC", character)  # noqa: PLW2901
        digit = unicodedata.decimal(character, None)
        if digit is not None:
            kept.append(str(digit))
        elif not (character.isspace() or character in {".", "−"} or unicodedata.category(character) in {"Pd", "Cf"}):
            kept.append(character)
    return "".join(kept).upper()


def last_digit(first_twelve: str) -> int:
    """The 13th digit: weights 13 down to 2, modulo 11, taken from 11, and of that the last digit."""
    total = sum(weight * int(digit) for weight, digit in zip(range(13, 1, -1), first_twelve, strict=True))
    return (11 - total % 11) % 10


def stands_for_nothing(number: str) -> bool:
    """Whether a plain number only fills the field."""
    return (
        number.strip("0") in WORDS_FOR_NOTHING or number in SAMPLES or (len(number) > 2 and len(set(number)) == 1)
    )  # fmt: skip


def kind_of_person_number(number: str) -> str:
    """person, company, nothing, unclear, wrong (the last digit) or malformed."""
    if not re.fullmatch("[0-9]{13}", number):
        return "nothing" if stands_for_nothing(number) else "malformed"
    if number in SAMPLES or len(set(number)) == 1 or number.startswith("0" * 10):
        return "nothing"
    kind = "person" if int(number[12]) == last_digit(number[:12]) else "wrong"
    if number.startswith("00"):
        kind = "person"  # whether the check digit holds there is not confirmed
    elif number.startswith("0") and (number[3] in "2357" or number[1:3] == "99"):
        kind = "company"
    elif number.startswith("9") or (number.startswith("0") and number[3] in "468"):
        kind = "unclear"
    return kind


def is_usable_document(number: str) -> bool:
    """5 to 24 letters, digits and slashes, one digit other than 0 at least, and not a known placeholder."""
    return (
        re.fullmatch("[A-Z0-9/]{5,24}", number) is not None
        and re.search("[1-9]", number) is not None
        and not stands_for_nothing(number)
    )


def identifiers_of(record: Mapping[str, Any]) -> set[Identifier]:
    """What may join the record with others. A passport counts with its nationality; numbers of two kinds
    never meet, but an insured number that is a person's own."""
    found: set[Identifier] = set()
    number = plain_number(record.get("non_thai_id") or "")
    if kind_of_person_number(number) == "person":
        found.add(("person", number))
    if record.get("nationality"):
        for field in ("passport_number", "previous_passport_number"):
            number = plain_number(record.get(field) or "")
            if is_usable_document(number):
                found.add(("passport", record["nationality"], number))
    insured = plain_number(record.get("insured_number") or "")
    if kind_of_person_number(insured) == "person":
        found.add(("person", insured))
    elif is_usable_document(insured):
        found.add(("insured_number", insured))
    for field in ("permit_number", "card_number"):
        number = plain_number(record.get(field) or "")
        if is_usable_document(number):
            found.add((field, number))
    return found
