"""What a personal, company or travel document number is, and whether it may join two records of one person."""

import re
import unicodedata
from collections.abc import Iterable
from itertools import product
from typing import Literal

#: What a 13-digit number is. ``check_digit``: a person's, with a wrong last digit; ``unclear``: of no known series.
NumberKind = Literal["person", "juristic", "check_digit", "placeholder", "unclear", "malformed"]

#: What people type when there is no number, in the form that :func:`normalise_passport` gives.
_NOTHING = frozenset((
    "", "X", "XX", "XXX", "NA", "N/A", "NIL", "NONE", "NULL", "NO", "UNKNOWN", "TBA", "TEST", "PASSPORT",
    "ไม่มี", "ไม่ทราบ", "ไม่ระบุ", "รอ", "รอออก", "ยังไม่มี",
))  # fmt: skip
#: Well-known specimens; 1234567890121 even has a right check digit.
SPECIMENS = frozenset((
    "1234567890121", "1234567890123", "123456", "1234567", "12345678", "123456789", "1234567890", "0123456789",
    "987654321", "9876543210", "A123456", "A1234567", "A12345678", "AB123456", "AB1234567",
))  # fmt: skip
_DIGITS = "0123456789"
_BLANKS = "\u00a0\u2000\u2001\u2002\u2003\u2009\u200a\u200b\u200c\u200d\u202f\u2060\u3000\ufeff \t\r\n"
_DASHES = "-\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u002e"
_STRIPPED = str.maketrans(dict.fromkeys(_BLANKS + _DASHES, ""))
_DOCUMENT_NUMBER = re.compile(r"[A-Z0-9/]{5,24}").fullmatch


def _block_sums(weights: tuple[int, int, int]) -> dict[str, int]:
    """Weighted sum of every three-digit text: four look-ups replace twelve multiplications."""
    return {
        "".join(digits): sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
        for digits in product(_DIGITS, repeat=3)
    }


_SUMS_1, _SUMS_2, _SUMS_3, _SUMS_4 = (_block_sums((w, w - 1, w - 2)) for w in (13, 10, 7, 4))
_CHECK_DIGITS = tuple(str((11 - remainder) % 10) for remainder in range(11))


def check_digit(twelve: str) -> str:
    """The 13th digit after these twelve. Raises KeyError for anything but twelve digits 0-9."""
    total = _SUMS_1[twelve[:3]] + _SUMS_2[twelve[3:6]] + _SUMS_3[twelve[6:9]] + _SUMS_4[twelve[9:]]
    return _CHECK_DIGITS[total % 11]


def has_right_check_digit(text: str) -> bool:
    """True for thirteen digits 0-9 whose last one follows from the others; persons and companies share the scheme."""
    try:
        total = _SUMS_1[text[:3]] + _SUMS_2[text[3:6]] + _SUMS_3[text[6:9]] + _SUMS_4[text[9:12]]
    except KeyError:
        return False
    return text[12:] == _CHECK_DIGITS[total % 11]


def _is_placeholder_number(text: str) -> bool:
    # Ten zeros in front leave no room for a registry office: somebody filled a form.
    return text in SPECIMENS or text == text[0] * 13 or text.startswith("0000000000")


def person_number_kind(text: str) -> NumberKind:
    """What a normalised text is when it stands where a 13-digit number belongs.

    A number is never typed by its first digit alone. ``00`` is a person whatever the check digit: that the scheme
    applies there is unconfirmed. After ``0`` and a province, the fourth digit decides: 2, 3, 5, 7 are companies, and
    so is everything under 99 (central registration); 0, 1, 9 begin a district, so a person without civil status.
    That reading of the fourth digit is unconfirmed too, so any other one is ``unclear`` and joins nobody.
    """
    if len(text) != 13 or not (text.isascii() and text.isdecimal()):
        return "placeholder" if is_placeholder(text) else "malformed"
    if _is_placeholder_number(text):
        return "placeholder"
    if text.startswith("00"):
        return "person"
    if text[0] == "0" and (text[3] in "2357" or text[1:3] == "99"):
        return "juristic"
    if text[0] == "9" or (text[0] == "0" and text[3] in "468"):
        return "unclear"
    return "person" if has_right_check_digit(text) else "check_digit"


def usable_person_number(text: str) -> bool:
    """Whether a normalised 13-digit number may join two records: a person's, and not a wrong or invented one."""
    return person_number_kind(text) == "person"


def is_confirmed_person_number(text: str) -> bool:
    """Whether there is nothing at all to say about a number; the quick answer for the great majority of records."""
    try:
        total = _SUMS_1[text[:3]] + _SUMS_2[text[3:6]] + _SUMS_3[text[6:9]] + _SUMS_4[text[9:12]]
    except KeyError:
        return False
    if text[12:] != _CHECK_DIGITS[total % 11]:
        return False
    first = text[0]
    if first != "0":
        return first != "9" and text not in SPECIMENS and text != first * 13
    if text[1] == "0":
        return not text.startswith("0000000000")
    return text[3] in "019" and text[1:3] != "99"


def normalise_person_number(text: str) -> str:
    """Digits as 0-9 (also from Thai ๐-๙), without dashes, dots and blanks; anything else stays as it is."""
    if text.isdecimal() and text.isascii():
        return text
    return unicodedata.normalize("NFKC", "".join(_western_digits(text))).translate(_STRIPPED)


def normalise_passport(text: str) -> str:
    """A document number in upper case with digits 0-9, without dashes, dots and blanks; a slash stays."""
    if text.isalnum() and text.isascii():
        return text.upper()
    return unicodedata.normalize("NFKC", "".join(_western_digits(text))).translate(_STRIPPED).upper()


def _western_digits(text: str) -> Iterable[str]:
    for character in text:
        yield str(unicodedata.decimal(character)) if character.isdecimal() else character


def is_placeholder(text: str) -> bool:
    """True for what stands where a number is missing: "-", "N/A", "ไม่มี", zeros, one digit throughout, specimens."""
    plain = text.strip("0")
    return plain in _NOTHING or text in SPECIMENS or (text == text[0] * len(text) and len(text) > 2)


def usable_passport(text: str) -> bool:
    """Whether a normalised document number may join two records (with its nationality, for a passport).

    5 to 24 letters A-Z, digits and slashes, with at least one digit other than 0, and not a known placeholder.
    """
    if _DOCUMENT_NUMBER(text) is None or text in SPECIMENS:
        return False
    plain = text.strip("0")
    return bool(plain) and not plain.isalpha() and text != text[0] * len(text)
