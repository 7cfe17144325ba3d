"""What a personal, company or travel document number is, and whether it may join two records of one person."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
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
    *(digit * 13 for digit in "0123456789"),
))  # fmt: skip
_DIGITS = "0123456789"
_BLANKS = "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u202f\u2060\u3000\ufeff \t\r\n"
_DASHES = "-\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u002e"
_STRIPPED = str.maketrans(dict.fromkeys(_BLANKS + _DASHES, ""))

_DOCUMENT_NUMBER = re.compile(r"[A-Z0-9/]{5,24}").fullmatch
_REAL_DIGIT = re.compile(r"[1-9]").search


def _sums(first_weight: int, digits: int) -> dict[str, int]:
    """Weighted sum modulo 11 of every text of so many digits, the weights falling by one."""
    return {
        "".join(text): sum(int(digit) * (first_weight - at) for at, digit in enumerate(text)) % 11
        for text in product(_DIGITS, repeat=digits)
    }


def _tails() -> dict[str, int]:
    """Digits 11 to 13 → a bit for each sum of the first ten digits (three sums modulo 11) that they fit."""
    return {
        tail + last: sum(1 << rest for rest in range(31) if str((11 - (rest + of_tail) % 11) % 10) == last)
        for tail, of_tail in _sums(3, 2).items()
        for last in _DIGITS
    }


# Four look-ups replace twelve multiplications: this runs for every number of every event.
_HEADS, _MIDDLES, _LATER_MIDDLES, _TAILS = _sums(13, 4), _sums(9, 3), _sums(6, 3), _tails()
#: First four digits that are surely a person's: no company's, no series that does not exist.
_PERSON_HEADS = {
    head: rest
    for head, rest in _HEADS.items()
    if head[0] in "12345678" or (head[0] == "0" and (head[1] == "0" or head[3] in "019"))
    if not head.startswith("099")
}


def check_digit(twelve: str) -> str:
    """The 13th digit after these twelve digits 0-9. Raises KeyError for anything else."""
    rest = _HEADS[twelve[:4]] + _MIDDLES[twelve[4:7]] + _LATER_MIDDLES[twelve[7:10]]
    return next(digit for digit in _DIGITS if _TAILS[twelve[10:] + digit] >> rest & 1)


def has_right_check_digit(text: str) -> bool:
    """True for thirteen digits 0-9 whose last one follows from the others; persons and companies share the scheme."""
    try:
        return bool(_TAILS[text[10:]] >> (_HEADS[text[:4]] + _MIDDLES[text[4:7]] + _LATER_MIDDLES[text[7:10]]) & 1)
    except KeyError:
        return False


#: Ten zeros in front leave no room for a registry office: somebody filled a form.
_ZEROS = "0000000000"
_FILLED_WITH_ZEROS = frozenset(check + check_digit(check) for check in (f"{_ZEROS}{n:02d}" for n in range(100)))


def is_plain_person_number(text: str) -> bool:
    """Whether a text is a person's number without any problem: a quick check, which nearly all numbers pass."""
    try:
        fits = _TAILS[text[10:]] >> (_PERSON_HEADS[text[:4]] + _MIDDLES[text[4:7]] + _LATER_MIDDLES[text[7:10]]) & 1
    except KeyError:
        return False
    return fits == 1 and text not in SPECIMENS and text not in _FILLED_WITH_ZEROS


def unusual_person_numbers(numbers: Sequence[str | None]) -> Iterable[int]:
    """Positions of the numbers (not None) that fail :func:`is_plain_person_number`.

    Specimen numbers are not checked here.
    """
    try:
        # The sum is written out once more: a call would cost as much as the sum itself.
        unfitting = [
            at
            for at, text in enumerate(numbers)
            if text
            and not _TAILS[text[10:]] >> (_PERSON_HEADS[text[:4]] + _MIDDLES[text[4:7]] + _LATER_MIDDLES[text[7:10]])
            & 1
        ]
    except KeyError:
        return [at for at, text in enumerate(numbers) if text and not is_plain_person_number(text)]
    if not _FILLED_WITH_ZEROS.isdisjoint(numbers):
        unfitting += [at for at, text in enumerate(numbers) if text in _FILLED_WITH_ZEROS]
    return unfitting


def _is_placeholder_number(text: str) -> bool:
    return text in SPECIMENS or text.startswith(_ZEROS)


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
    return is_plain_person_number(text) or person_number_kind(text) == "person"


def normalise_person_number(text: str) -> str:
    """Digits as 0-9 (also from Thai ๐-๙), without dashes, dots and blanks; anything else stays as it is."""
    if not text.isdecimal():
        text = text.replace("-", "").replace(" ", "")
    if text.isdecimal() and text.isascii():
        return text
    return _plain(text)


def is_plain_key(text: str) -> bool:
    """Whether a text is surely no person's number, however that is spelled: the quick answer for nearly all keys."""
    return len(text) < 13 or text[0].isalpha()


def normalise_passport(text: str) -> str:
    """A document number in upper case with digits 0-9, without dashes, dots and blanks; a slash stays."""
    if not text.isalnum():
        text = text.replace("-", "").replace(" ", "")
    if text.isalnum() and text.isascii():
        return text.upper()
    return _plain(text).upper()


def _plain(text: str) -> str:
    return "".join(map(_narrow, text)).translate(_STRIPPED)


def _narrow(character: str) -> str:
    """A digit of any script as 0-9, a full-width letter or sign as the usual one."""
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    if "\uff01" <= character <= "\uff5e":
        return chr(ord(character) - 0xFEE0)
    return character


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
    return not text.startswith(_ZEROS) and text != text[0] * len(text) and _REAL_DIGIT(text) is not None
