"""Where each value stands in a line of the SSO's monthly file (สปส.1-10), and whether a line has that layout."""

import re
from typing import NamedTuple

from saphan_publishers.rows import row_error
from saphan_publishers.text import clean_code
from saphan_schemas.rules import Problem

LINE_CHARACTERS = 135
#: A sender may cut trailing blanks off: a detail ends with 27 of them.
DETAIL_CHARACTERS_MIN = 108


class _Slice(NamedTuple):
    start: int
    end: int


def _slices(*widths: tuple[str, int]) -> dict[str, _Slice]:
    found, start = {}, 1  # character 0 is the record type
    for name, width in widths:
        found[name] = _Slice(start, start + width)
        start += width
    return found


HEADER = _slices(
    ("account", 10), ("branch", 6), ("pay_date", 6), ("period", 4), ("company", 45), ("rate", 4), ("count", 6),
    ("wages", 15), ("contributions", 14), ("employees", 12), ("employers", 12),
)  # fmt: skip
#: What fills the totals of a header that states none: the one above rejected rows, which are not the whole month.
UNSTATED = "-"
DETAIL = _slices(("number", 13), ("title", 3), ("first_name", 30), ("last_name", 35), ("wage", 14), ("amount", 12))


def without_totals(header: bytes, text: str, encoding: str | None) -> bytes:
    """The header line with :data:`UNSTATED` in the place of its count and sums; ``text`` is what it says."""
    start = HEADER["count"].start
    # In UTF-8 the company's name before them has more bytes than letters.
    start = start if encoding == "cp874" else len(text[:start].encode("utf-8"))
    end = header[len(header.rstrip(b"\r\n")) :]
    return header[:start] + UNSTATED.encode() * (LINE_CHARACTERS - HEADER["count"].start) + end


def is_header_of_another_type(text: str) -> bool:
    """Whether a line is a header but for its first sign; a detail has letters there, and ends in blanks."""
    digits = text[1:27] + text[72:]
    return text[:1] != "1" and len(text) == LINE_CHARACTERS and digits.isascii() and digits.isdigit()


def looks_like_monthly_file(sample: bytes) -> bool:
    """Whether a file begins with a header line of this layout, be it in UTF-8, which the reader then speaks of."""
    first = sample.lstrip(b"\r\n").split(b"\n", 1)[0].rstrip(b"\r\n")
    if is_utf8_header(first):
        return True
    totals = first[72:].replace(UNSTATED.encode(), b"0")
    return first[:27].isdigit() and first[:1] == b"1" and totals.isdigit() and len(first) >= LINE_CHARACTERS


def is_utf8_header(line: bytes) -> bool:
    """Whether it is a header by its letters and not by its bytes: Thai letters take three of them."""
    try:
        text = line.rstrip(b"\r\n").decode("utf-8")
    except UnicodeDecodeError:
        return False
    digits = text[:27] + text[72:].replace(UNSTATED, "0")
    return not text.isascii() and len(text) == LINE_CHARACTERS and digits.isascii() and digits.isdigit()


#: "²" is a digit to str.isdigit.
_TITLE = re.compile(r"[0-9]{3}").fullmatch


def layout_problem(text: str) -> Problem | None:
    """Why a line is no detail of this layout, if it is none."""
    if text[:1] != "2":
        return row_error("record_type", "", text, "a detail line that begins with 2, or a header with 1")
    if len(text) < DETAIL_CHARACTERS_MIN or text[LINE_CHARACTERS:].strip():
        expected = f"{LINE_CHARACTERS} characters (at least {DETAIL_CHARACTERS_MIN} where trailing blanks were cut off)"
        return row_error("line_length", "", f"{len(text)} characters", expected)
    title = text[DETAIL["title"].start : DETAIL["title"].end]
    if _TITLE(clean_code(title)) is None:
        expected = "three digits in columns 15-17, such as 003; other columns may have moved too"
        return row_error("layout_shifted", "title", title, expected)
    amount, rest = text[DETAIL["amount"].start : DETAIL_CHARACTERS_MIN], text[DETAIL_CHARACTERS_MIN:]
    if rest.strip() or (amount.strip() and not amount[-1:].strip()):
        # A letter too many or too few in a name moves the money, and ten times a wage is a wage.
        expected = f"the contribution to end in column {DETAIL_CHARACTERS_MIN}, and blanks behind it"
        return row_error("layout_shifted", "amount_satang", (amount + rest).rstrip(), expected)
    return None
