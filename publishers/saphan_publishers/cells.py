"""What a cell's text means for a field: numbers with commas, baht and satang, yes and no, codes with dashes."""

import re
from typing import Literal

from saphan_publishers.record_form import DIGIT_FIELDS
from saphan_publishers.rows import Unreadable

Unit = Literal["baht", "satang"]

_TRUE = frozenset({"true", "1", "y", "yes", "t", "ใช่", "จริง"})
_FALSE = frozenset({"false", "0", "n", "no", "f", "ไม่", "ไม่ใช่", "เท็จ"})
# A comma stands between thousands and nowhere else: where it is the decimal sign, taking it off is a factor of 100.
_THOUSANDS = r"\d{1,3}(?:,\d{3}){1,4}"
_WHOLE = re.compile(rf"[+-]?(?:\d{{1,18}}|{_THOUSANDS})", re.ASCII)
_BAHT = re.compile(rf"(\d{{1,15}}|{_THOUSANDS})(?:\.(\d{{1,2}})0*)?", re.ASCII)
_SCIENTIFIC = re.compile(r"\d(?:\.\d+)?[eE]\+?\d+", re.ASCII)
_SEPARATORS = re.compile(r"[\s\-‐‑–]")


def whole_number(text: str) -> int:
    """A whole number; commas between thousands are taken off. Raises Unreadable."""
    if not _WHOLE.fullmatch(text):
        raise Unreadable("number_unreadable", "a whole number, such as 12 or 1,200")
    return int(text.replace(",", ""))


def satang(text: str, unit: Unit) -> int:
    """Money in satang, from baht with up to two decimals or from satang. Raises Unreadable; never rounds."""
    if unit == "satang":
        return whole_number(text)
    match = _BAHT.fullmatch(text)
    if match is None:
        raise Unreadable("money_unreadable", "baht with at most two decimals after a dot, such as 9,152.00")
    return int(match[1].replace(",", "")) * 100 + int((match[2] or "").ljust(2, "0"))


def truth(text: str) -> bool:
    """Yes or no, in English or Thai. Raises Unreadable."""
    word = text.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise Unreadable("truth_unreadable", "true or false (also 1/0, y/n, yes/no); or add values = {…} to the mapping")


def code(field: str, text: str, pad: int = 0) -> str:
    """A code or number as text. In fields of digits dashes and blanks go; leading zeros are
    added only up to ``pad``, which a mapping may name. Raises Unreadable for what a spreadsheet makes of a long number.
    """
    if field not in DIGIT_FIELDS:
        return text.zfill(pad)
    if _SCIENTIFIC.fullmatch(text):
        raise Unreadable(
            "spreadsheet_number",
            "all digits; a spreadsheet turned the number into a rounded one: format the column as text and export again",
        )
    plain = _SEPARATORS.sub("", text).zfill(pad)
    if plain.isascii() and plain.isdigit() and len(plain) < _DIGITS.get(field, 0):
        raise Unreadable(
            "leading_zeros_lost",
            f"{_DIGITS[field]} digits, found {len(plain)}; if a spreadsheet took leading zeros off, format the column "
            "as text and export again, or add pad to the mapping",
        )
    return plain


def plain_number(text: str) -> str:
    """A number without dashes and blanks; any other text as it is."""
    plain = _SEPARATORS.sub("", text)
    return plain if plain.isascii() and plain.isdigit() else text


_DIGITS = {"non_thai_id": 13, "insured_number": 13, "tax_id": 13, "sso_account": 10, "sso_branch": 6}
