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
#: How many digits the numbers of these fields have.
_DIGITS = {"non_thai_id": 13, "insured_number": 13, "tax_id": 13, "sso_account": 10, "sso_branch": 6}
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
    if not _SCIENTIFIC.fullmatch(text):
        text = _SEPARATORS.sub("", text).zfill(pad)
    damage = spreadsheet_damage(field, text)
    if damage is not None:
        raise damage
    return text


def spreadsheet_damage(field: str, text: str) -> Unreadable | None:
    """What a spreadsheet did to a number of this field: it rounded it, or took its leading zeros off."""
    digits = _DIGITS.get(field, 0)
    if len(text) == digits and text.isdecimal():
        return None
    plain = _SEPARATORS.sub("", text)
    if len(plain) == digits and plain.isdecimal():
        return None
    if digits and _SCIENTIFIC.fullmatch(text):
        return Unreadable(
            "spreadsheet_number",
            "all digits; a spreadsheet turned the number into a rounded one: format the column as text and export again",
        )
    # Zeros alone stand for no number, but for a branch: its head office is 000000.
    is_number = plain.isascii() and plain.isdigit() and (plain.strip("0") or digits == _DIGITS["sso_branch"])
    if is_number and len(plain) < digits:
        return Unreadable(
            "leading_zeros_lost",
            f"{digits} digits, found {len(plain)}; if a spreadsheet took leading zeros off, format the column as text "
            "and export again, or add pad to the mapping",
        )
    return None


def plain_number(text: str) -> str:
    """A number without dashes and blanks; any other text as it is."""
    plain = _SEPARATORS.sub("", text)
    return plain if plain.isascii() and plain.isdigit() else text
