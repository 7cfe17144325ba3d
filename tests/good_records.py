"""A good record of each feed, from the golden examples, to change one thing in."""

from typing import Any

from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.checking import EXAMPLES
from saphan_schemas.codec import Codec
from saphan_schemas.rules import check_digit
from saphan_schemas.topics import (
    CONTRIBUTIONS,
    DOE_EMPLOYERS,
    EMPLOYER_PAIRS,
    EMPLOYMENTS,
    HEALTH_COVER,
    HEARTBEATS,
    INSPECTIONS,
    INSURED_PERSONS,
    NON_THAI_IDS,
    SSO_EMPLOYERS,
    STAYS,
    WORK_PERMITS,
)
from saphan_schemas.values import to_wire

Record = dict[str, Any]
CODEC = Codec()
PERSON = "0071015201849"
COMPANY = "071555600123" + check_digit("071555600123")
CITIZEN = "371050012087" + check_digit("371050012087")
NAMES = {
    WORK_PERMITS: "mou-worker", EMPLOYMENTS: "left", DOE_EMPLOYERS: "company", NON_THAI_IDS: "pink-card",
    STAYS: "entry", INSURED_PERSONS: "section-33", CONTRIBUTIONS: "january", SSO_EMPLOYERS: "head-office",
    HEALTH_COVER: "one-year", INSPECTIONS: "visit", EMPLOYER_PAIRS: "confirmed", HEARTBEATS: "sso",
}  # fmt: skip


def good(feed: str, /, **change: Any) -> Record:
    """A good record in wire form, some of it changed; dates may be given as text."""
    message = bytes.fromhex((EXAMPLES / feed / f"{NAMES[feed]}.hex").read_text(encoding="ascii"))
    return CODEC.decode(feed, message) | to_wire(default_catalogue().kinds(feed), change)
