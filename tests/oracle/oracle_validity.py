"""Which records are refused: the errors of each feed, told anew from its documentation (warnings keep no record out)."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from oracle.oracle_numbers import kind_of_person_number, plain_number, stands_for_nothing

EMPLOYMENTS = "doe.employments.v1"
INSURED = "sso.insured-persons.v1"
CONTRIBUTIONS = "sso.contributions.v1"
PAIRS = "employers.pairs.v1"

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2400, 12, 31)
FIRST_TIME, LAST_TIME = datetime(2000, 1, 1, tzinfo=UTC), datetime(2401, 1, 1, tzinfo=UTC)

MUST_HAVE = {
    EMPLOYMENTS: "employer_id start_date",
    INSURED: "section",
    CONTRIBUTIONS: "insured_number sso_account sso_branch month",
    PAIRS: "sso_account sso_branch employer_id",
    "sso.employers.v1": "sso_account sso_branch",
    "dlpw.inspections.v1": "visited_on",
}
#: One of these groups must be there as a whole.
MUST_HAVE_ONE = {
    "doe.work-permits.v1": ["permit_number", "non_thai_id", "passport_number"],
    EMPLOYMENTS: ["permit_number", "non_thai_id", "passport_number nationality"],
    "dopa.non-thai-ids.v1": ["non_thai_id", "passport_number"],
    "immigration.stays.v1": ["passport_number"],
    INSURED: ["insured_number", "non_thai_id", "passport_number nationality"],
    "moph.health-cover.v1": ["card_number", "non_thai_id", "passport_number"],
    "dlpw.inspections.v1": ["establishment_number", "employer_id"],
}
FIRST_AND_LAST = [("start_date", "end_date"), ("valid_from", "valid_until"), ("entry_date", "exit_date")]
DOCUMENTS = {"passport_number", "previous_passport_number", "permit_number", "card_number"}
PERSON_NUMBERS = {"non_thai_id", "insured_number"}
PATTERNS = {
    "sex": "F|M",
    "sector": "agriculture|manufacturing|construction|services|domestic|other",
    "permit_type": "mou|cabinet|border|general",
    "section": "33|39|40",
    "id_type": "juristic|person",
    "nationality": "[A-Z]{3}",
    "sso_account": "[0-9]{10}",
    "sso_branch": "[0-9]{6}",
    "month": "(19[0-9]{2}|2[0-3][0-9]{2}|2400)-(0[1-9]|1[0-2])",
    **dict.fromkeys(("district", "workplace_district", "address_district"), "([1-8][0-9]|9[0-6])[0-9]{2}"),
}
MOST = {
    "workers": 10_000_000,
    "workers_found": 10_000_000,
    "contract_months": 600,
    "wage_satang": 10_000_000_000,
    "amount_satang": 10_000_000_000,
}


def first_fault(feed: str, record: Mapping[str, Any]) -> str | None:
    """Why the record is refused, or None. Dates and times are already read; a deleted record needs only its envelope."""
    return next(_faults(feed, record), None)


def _faults(feed: str, record: Mapping[str, Any]) -> Iterator[str]:
    yield from _faults_of_envelope(record)
    if record["deleted"]:
        return
    for name, value in record.items():
        if value not in {None, ""} and name not in {"record_id", "version", "changed_at", "deleted"}:
            yield from _faults_of_value(name, value)
    needed = MUST_HAVE.get(feed, "").split()
    if feed == INSURED and record["section"] == "33":
        needed += ["sso_account", "sso_branch", "start_date"]
    yield from (f"{name} is missing" for name in needed if not _is_given(record, name))
    groups = MUST_HAVE_ONE.get(feed)
    if groups and not any(all(_is_given(record, name) for name in group.split()) for group in groups):
        yield "nothing says who the person is"
    for first, last in FIRST_AND_LAST:
        if record.get(first) and record.get(last) and record[last] < record[first]:
            yield f"{last} is before {first}"
    if _is_persons(record.get("employer_id")):
        yield "employer_id is a person's number"


def _faults_of_envelope(record: Mapping[str, Any]) -> Iterator[str]:
    key = record["record_id"]
    if not isinstance(key, str) or not 0 < len(key) <= 200 or _has_control_character(key):
        yield "record_id is not 1 to 200 visible characters"
        return
    carried = [
        plain_number(record[name]) for name in (*PERSON_NUMBERS, "passport_number", "previous_passport_number")
        if record.get(name)
    ]  # fmt: skip
    if _is_persons(key) or any(len(number) >= 7 and number in key.upper() for number in carried):
        yield "record_id holds a person's number"
    if type(record["version"]) is not int or not 1 <= record["version"] < 2**63:
        yield "version is not a whole number from 1 on"
    if not isinstance(record["changed_at"], datetime) or not FIRST_TIME <= record["changed_at"] < LAST_TIME:
        yield "changed_at is not a time from 2000 on, of the common era"


def _faults_of_value(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, date):
        if not FIRST_DAY <= value <= LAST_DAY:
            yield f"{name} is not of the common era"
    elif name in PATTERNS:
        if not re.fullmatch(PATTERNS[name], value):
            yield f"{name} has none of its values"
    elif name in MOST:
        if not 0 <= value <= MOST[name]:
            yield f"{name} is out of range"
    elif name in PERSON_NUMBERS:
        if kind_of_person_number(plain_number(value)) == "company":
            yield f"{name} is a company's number"
    elif name not in DOCUMENTS and isinstance(value, str) and (len(value) > 500 or _has_control_character(value)):
        yield f"{name} is not plain text"


def _is_given(record: Mapping[str, Any], name: str) -> bool:
    value = record[name]
    if value in {None, ""}:
        return False
    if name in PERSON_NUMBERS:
        return kind_of_person_number(plain_number(value)) != "nothing"
    return name not in DOCUMENTS or not stands_for_nothing(plain_number(value))


def _is_persons(text: str | None) -> bool:
    """Whether a key is the number of a person as a whole; in a longer one only publishing looks for it."""
    return text is not None and kind_of_person_number(plain_number(text)) in {"person", "wrong"}


def _has_control_character(text: str) -> bool:
    return re.search(r"[\x00-\x1f\x7f-\x9f]", text) is not None
