"""What a record without any problem looks like, by feed: for the screens that let most records pass quickly."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.identifiers import SPECIMENS, is_plain_key, is_plain_person_number, person_number_kind
from saphan_schemas.record_checks import ENVELOPE
from saphan_schemas.rule_table import (
    AMOUNT_MAX,
    CODES,
    DIGITS,
    DISTRICT_FIELDS,
    DISTRICTS,
    DOCUMENT_FIELDS,
    NATIONALITIES,
    TABLES,
    FeedTable,
)
from saphan_schemas.topics import (
    DOE_EMPLOYERS,
    EMPLOYER_PAIRS,
    EMPLOYMENTS,
    INSPECTIONS,
    INSURED_PERSONS,
    SSO_EMPLOYERS,
)


class Form(NamedTuple):
    """A pattern, matched against one text, or against many texts that each end in a line break and may be empty."""

    fullmatch: Callable[[str], object]
    match_lines: Callable[[str, int], re.Match[str]]


class Agreement(NamedTuple):
    """Fields whose values have to go together, and whether they do."""

    fields: tuple[str, ...]
    agrees: Callable[..., bool]


def _form(pattern: str) -> Form:
    lines = re.compile(f"(?:(?:{pattern})\n|\n)*")
    # A repetition always matches, if only the empty text.
    return Form(re.compile(pattern).fullmatch, cast(Callable[[str, int], re.Match[str]], lines.match))


#: The usual document number. Unless it is a placeholder it is usable, and in normal form already.
USUAL_DOCUMENT = _form("[A-Z]{0,3}0{0,6}[1-9][0-9]{4,12}")
#: Every placeholder that has the usual form.
DOCUMENT_PLACEHOLDERS = SPECIMENS | {digit * count for digit in "123456789" for count in range(5, 14)}
#: Thirteen digits that are no company's; specimens are looked up separately.
USUAL_INSURED = _form("[1-9][0-9]{12}|00(?!00000000)[0-9]{11}")

_CODES: dict[str, frozenset[str | None]] = {
    **{name: frozenset((*codes, None)) for name, codes in CODES.items()},
    **dict.fromkeys(DISTRICT_FIELDS, frozenset((*DISTRICTS, None))),
    "nationality": frozenset((*NATIONALITIES, None)),
}
_FORMS: dict[str, Form] = {
    **{name: _form(f"[0-9]{{{count}}}") for name, count in DIGITS.items()},
    "month": _form("(?:19|20|21|22|23)[0-9]{2}-(?:0[1-9]|1[0-2])"),
}
_PERSON_NUMBERS: dict[str, Callable[[str], object]] = {
    "non_thai_id": is_plain_person_number,
    "insured_number": USUAL_INSURED.fullmatch,
}


@dataclass(frozen=True, slots=True)
class FeedScreen:
    """The rules of one feed in the form that is cheapest to apply: only a record without any problem passes."""

    kinds: dict[str, str]
    codes: tuple[tuple[str, frozenset[str | None]], ...]
    days: tuple[str, ...]
    texts: tuple[str, ...]
    forms: tuple[tuple[str, Form], ...]
    amounts: tuple[tuple[str, int], ...]
    documents: tuple[str, ...]
    person_numbers: tuple[tuple[str, Callable[[str], object]], ...]
    has_passport: bool
    agreement: Agreement | None
    table: FeedTable


_SCREENS: dict[str, FeedScreen] = {}


def screen_of(feed: str) -> FeedScreen:
    """The screen of a feed. Raises KeyError for a topic that is no feed."""
    return _SCREENS.get(feed) or _screen(feed)


def _screen(feed: str) -> FeedScreen:
    table = TABLES[feed]
    kinds = default_catalogue().kinds(feed)
    ruled = {*ENVELOPE, *_CODES, *_FORMS, *AMOUNT_MAX, *DOCUMENT_FIELDS, *_PERSON_NUMBERS}
    _SCREENS[feed] = screen = FeedScreen(
        kinds=kinds,
        codes=tuple((name, _CODES[name]) for name in kinds if name in _CODES),
        days=tuple(name for name, kind in kinds.items() if kind == "date"),
        texts=tuple(name for name, kind in kinds.items() if kind == "string" and name not in ruled),
        forms=tuple((name, _FORMS[name]) for name in kinds if name in _FORMS),
        amounts=tuple((name, AMOUNT_MAX[name]) for name in kinds if name in AMOUNT_MAX),
        documents=tuple(name for name in DOCUMENT_FIELDS if name in kinds),
        person_numbers=tuple((name, _PERSON_NUMBERS[name]) for name in kinds if name in _PERSON_NUMBERS),
        has_passport="passport_number" in kinds,
        agreement=_AGREEMENTS.get(feed),
        table=table,
    )
    return screen


def _employer_agrees(employer_id: str | None) -> bool:
    return employer_id is None or is_plain_key(employer_id)


def _tax_id_agrees(tax_id: str | None, id_type: str | None) -> bool:
    return tax_id is None or person_number_kind(tax_id) == id_type


def _insurance_agrees(section: str | None, account: str | None, branch: str | None, start_date: int | None) -> bool:
    return section != "33" or not (account is None or branch is None or start_date is None)


_OF_EMPLOYER = Agreement(("employer_id",), _employer_agrees)
_OF_TAX_ID = Agreement(("tax_id", "id_type"), _tax_id_agrees)
_AGREEMENTS: dict[str, Agreement] = {
    EMPLOYMENTS: _OF_EMPLOYER,
    INSPECTIONS: _OF_EMPLOYER,
    EMPLOYER_PAIRS: _OF_EMPLOYER,
    DOE_EMPLOYERS: _OF_TAX_ID,
    SSO_EMPLOYERS: _OF_TAX_ID,
    INSURED_PERSONS: Agreement(("section", "sso_account", "sso_branch", "start_date"), _insurance_agrees),
}
