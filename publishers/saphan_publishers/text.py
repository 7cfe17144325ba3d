"""How text from an agency's file is cleaned before anyone compares it: one form of each letter, no invisible marks."""

import re
import unicodedata

# Zero-width and direction marks, the byte order mark, the soft hyphen: nobody sees them, every comparison does.
_INVISIBLE = dict.fromkeys([0x00AD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF])
_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], " ")
_DROPPED = {**_CONTROLS, **_INVISIBLE, 0x00: None}
# Thai, Lao, Burmese and Khmer digits stand in numbers and dates of the same file as ours.
_DIGITS = {
    ord(digit): str(value)
    for digits in ("๐๑๒๓๔๕๖๗๘๙", "໐໑໒໓໔໕໖໗໘໙", "၀၁၂၃၄၅၆၇၈၉", "០១២៣៤៥៦៧៨៩")
    for value, digit in enumerate(digits)
}
# Sara am typed as its two halves looks the same, also with a tone mark between or before them; NFC leaves both.
_SARA_AM = re.compile("([\u0e48-\u0e4b]?)\u0e4d([\u0e48-\u0e4b]?)\u0e32")
# What is typed where a surname would stand, because the form asks for one.
_NO_NAME_PART = frozenset({"-", "–", "—", ".", "_", "--", "---"})


def shown_path(path: object) -> str:
    """A file's path as it can be told and written down: the bytes of a name that are not UTF-8 as hex."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def clean(text: str) -> str:
    """The text in NFC, without invisible marks and outer blanks; controls become blanks, NUL vanishes."""
    if not text.isprintable():
        text = text.translate(_DROPPED).replace("\u00a0", " ")
    if not text.isascii():
        text = _SARA_AM.sub("\\1\\2\u0e33", unicodedata.normalize("NFC", text))
    return text.strip()


def clean_code(text: str) -> str:
    """:func:`clean`, and Thai, Lao, Burmese and Khmer digits as 0-9: for numbers, codes and dates."""
    text = clean(text)
    return text if text.isascii() else text.translate(_DIGITS)


def clean_name(text: str) -> str:
    """:func:`clean` for a whole name: single blanks, no "-" in the surname's place. May be empty; no surname is fine."""
    text = clean(text)
    if "  " not in text and text.isascii() and text[-1:].isalpha() and " - " not in text:
        return text
    return " ".join(part for part in text.split() if part not in _NO_NAME_PART)
