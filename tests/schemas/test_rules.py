"""What a valid record is: every rule with a record that breaks it."""

import pytest
from good_records import CITIZEN, COMPANY, PERSON, Record, good

from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.rules import check_digit, problems
from saphan_schemas.topics import (
    CONTRIBUTIONS,
    DOE_EMPLOYERS,
    EMPLOYER_PAIRS,
    EMPLOYMENTS,
    FEEDS,
    HEALTH_COVER,
    HEARTBEATS,
    INSPECTIONS,
    INSURED_PERSONS,
    NON_THAI_IDS,
    RECORD_FEEDS,
    SSO_EMPLOYERS,
    STAYS,
    WORK_PERMITS,
)

UUID = "550e8400-e29b-41d4-aaa6-446655440000"
HEX = f"d41d8cd98f00b204e98{'a' + CITIZEN + 'b'}27e"
EACH_FEED = pytest.mark.parametrize("feed", RECORD_FEEDS)


def codes(feed: str, record: Record) -> set[tuple[str, str, str]]:
    return {(found.field, found.code, found.severity) for found in problems(feed, record)}


@pytest.mark.parametrize("feed", FEEDS)
def test_the_good_records_have_no_problem(feed: str) -> None:
    assert problems(feed, good(feed)) == []


@EACH_FEED
def test_a_deleted_record_needs_only_its_envelope(feed: str) -> None:
    kinds = default_catalogue().kinds(feed)
    record = dict.fromkeys(kinds) | {"record_id": "A-1", "version": 3, "changed_at": 1_770_000_000_000, "deleted": True}
    assert problems(feed, record) == []
    assert codes(feed, record | {"version": 0}) == {("version", "version", "error")}


@EACH_FEED
def test_a_field_that_is_absent_counts_as_null(feed: str) -> None:
    record = {name: value for name, value in good(feed).items() if value is not None}
    assert problems(feed, record) == []


BAD_ENVELOPES: list[tuple[Record, str, str]] = [
    ({"record_id": ""}, "record_id", "record_id"),
    ({"record_id": None}, "record_id", "required"),
    ({"record_id": "x" * 201}, "record_id", "record_id"),
    ({"record_id": "a\nb"}, "record_id", "record_id"),
    ({"record_id": "a\x00b"}, "record_id", "record_id"),
    ({"record_id": PERSON}, "record_id", "key_carries_person"),
    ({"record_id": "0-0710-15201-84-9"}, "record_id", "key_carries_person"),
    ({"record_id": "๐๐๗๑๐๑๕๒๐๑๘๔๙"}, "record_id", "key_carries_person"),
    ({"record_id": CITIZEN}, "record_id", "key_carries_person"),
    ({"record_id": CITIZEN[:-1] + "0"}, "record_id", "key_carries_person"),
    ({"version": 0}, "version", "version"),
    ({"version": -(2**63)}, "version", "version"),
    ({"version": "1"}, "version", "type"),
    ({"version": True}, "version", "type"),
    ({"version": None}, "version", "required"),
    ({"changed_at": "1999-12-31T23:59:59Z"}, "changed_at", "time_range"),
    ({"changed_at": "2569-01-20T09:15:00+07:00"}, "changed_at", "buddhist_era"),
    ({"changed_at": 2**62}, "changed_at", "time_range"),
    ({"deleted": "no"}, "deleted", "type"),
    ({"nonsense": 1}, "nonsense", "unknown_field"),
]


@pytest.mark.parametrize(("change", "field", "code"), BAD_ENVELOPES)
@EACH_FEED
def test_a_bad_envelope_keeps_the_record_out(feed: str, change: Record, field: str, code: str) -> None:
    assert codes(feed, good(feed, **change)) == {(field, code, "error")}


@pytest.mark.parametrize("field", ["non_thai_id", "passport_number", "previous_passport_number"])
@pytest.mark.parametrize("form", ["{}", "WP-{}", "7101-{}-2"])
def test_a_key_must_not_hold_the_person_s_own_number(field: str, form: str) -> None:
    record = good(WORK_PERMITS)
    found = problems(WORK_PERMITS, record | {"record_id": form.format(record[field])})
    assert [(row.field, row.code) for row in found] == [("record_id", "key_carries_person")]
    assert record[field] not in found[0].expected


@pytest.mark.parametrize(
    "key", [f"71{CITIZEN}", f"EMP-{CITIZEN}9", f"EMP-{CITIZEN}"], ids=["digits before", "digits after", "alone"]
)
def test_a_longer_key_with_the_number_of_an_employer_who_is_a_person_is_for_publishing_to_refuse(key: str) -> None:
    assert problems(DOE_EMPLOYERS, good(DOE_EMPLOYERS, tax_id=CITIZEN, id_type="person", record_id=key)) == []


@pytest.mark.parametrize(
    "key",
    [
        f"EMP-{CITIZEN}",
        f"EMP{CITIZEN}/1",
        f"{CITIZEN}-00",
        f"7-{CITIZEN}",
        "EMP-3-7105-00120-87-" + CITIZEN[-1],
        "E ๓๗๑๐๕๐๐๑๒๐๘๗" + CITIZEN[-1],
        "I-1767018326269",
        "I-2569010112345",
        "I-0000012345678",
        "E-2026-11-23-00123",
        "E-20261123093000",
        f"EMP-{COMPANY}",
        "C-nmhfkxq2345672345672345aa",
        "E-6910000123",
        UUID,
        HEX,
    ],
)
def test_a_longer_key_is_no_person_s_number_whatever_is_in_it(key: str) -> None:
    assert problems(EMPLOYMENTS, good(EMPLOYMENTS, record_id=key, employer_id=key)) == []
    deleted = dict.fromkeys(good(EMPLOYMENTS)) | {"record_id": key, "version": 1, "deleted": True}
    assert problems(EMPLOYMENTS, deleted | {"changed_at": 1_770_000_000_000}) == []


def test_a_company_s_number_may_be_the_key_of_an_employer() -> None:
    assert problems(DOE_EMPLOYERS, good(DOE_EMPLOYERS, record_id=COMPANY)) == []
    assert problems(EMPLOYMENTS, good(EMPLOYMENTS, employer_id=COMPANY)) == []


BAD_FIELDS: list[tuple[str, Record, str, str, str]] = [
    # years
    (EMPLOYMENTS, {"start_date": "2569-01-15", "end_date": None}, "start_date", "buddhist_era", "error"),
    (WORK_PERMITS, {"birth_date": "2537-07-02"}, "birth_date", "buddhist_era", "error"),
    (WORK_PERMITS, {"birth_date": "3080-07-02"}, "birth_date", "buddhist_era", "error"),
    (WORK_PERMITS, {"birth_date": "1451-07-02"}, "birth_date", "date_range", "error"),
    (WORK_PERMITS, {"birth_date": "1899-12-31"}, "birth_date", "date_range", "error"),
    (WORK_PERMITS, {"valid_until": "9999-12-31"}, "valid_until", "date_range", "error"),
    (WORK_PERMITS, {"valid_until": 2**40}, "valid_until", "date_range", "error"),
    (CONTRIBUTIONS, {"month": "2569-01"}, "month", "buddhist_era", "error"),
    (CONTRIBUTIONS, {"month": "1026-01"}, "month", "date_range", "error"),
    (CONTRIBUTIONS, {"month": "2026-13"}, "month", "month", "error"),
    (CONTRIBUTIONS, {"month": "01/2026"}, "month", "month", "error"),
    # order
    (EMPLOYMENTS, {"end_date": "2026-01-14"}, "end_date", "date_order", "error"),
    (INSURED_PERSONS, {"end_date": "2026-01-14"}, "end_date", "date_order", "error"),
    (WORK_PERMITS, {"valid_until": "2026-01-11"}, "valid_until", "date_order", "error"),
    (HEALTH_COVER, {"valid_until": "2026-01-21"}, "valid_until", "date_order", "error"),
    (STAYS, {"exit_date": "2026-01-09"}, "exit_date", "date_order", "error"),
    # required
    (EMPLOYMENTS, {"employer_id": None}, "employer_id", "required", "error"),
    (EMPLOYMENTS, {"start_date": None}, "start_date", "required", "error"),
    (INSURED_PERSONS, {"section": None}, "section", "required", "error"),
    (INSURED_PERSONS, {"sso_account": None}, "sso_account", "required", "error"),
    (INSURED_PERSONS, {"sso_branch": None}, "sso_branch", "required", "error"),
    (INSURED_PERSONS, {"start_date": None}, "start_date", "required", "error"),
    (CONTRIBUTIONS, {"insured_number": None}, "insured_number", "required", "error"),
    (CONTRIBUTIONS, {"sso_account": None}, "sso_account", "required", "error"),
    (CONTRIBUTIONS, {"sso_branch": None}, "sso_branch", "required", "error"),
    (CONTRIBUTIONS, {"month": None}, "month", "required", "error"),
    (SSO_EMPLOYERS, {"sso_account": None}, "sso_account", "required", "error"),
    (EMPLOYER_PAIRS, {"employer_id": None}, "employer_id", "required", "error"),
    (INSPECTIONS, {"visited_on": None}, "visited_on", "required", "error"),
    # codes and digits
    (WORK_PERMITS, {"sex": "male"}, "sex", "code", "error"),
    (WORK_PERMITS, {"permit_type": "MOU"}, "permit_type", "code", "error"),
    (EMPLOYMENTS, {"sector": "fishing"}, "sector", "code", "error"),
    (INSURED_PERSONS, {"section": "38"}, "section", "code", "error"),
    (DOE_EMPLOYERS, {"id_type": "company"}, "id_type", "code", "error"),
    (WORK_PERMITS, {"nationality": "mmr"}, "nationality", "nationality", "error"),
    (WORK_PERMITS, {"nationality": "Myanmar"}, "nationality", "nationality", "error"),
    (WORK_PERMITS, {"nationality": "MYA"}, "nationality", "unknown_nationality", "warning"),
    (EMPLOYMENTS, {"workplace_district": "71"}, "workplace_district", "district", "error"),
    (EMPLOYMENTS, {"workplace_district": "9901"}, "workplace_district", "district", "error"),
    (INSURED_PERSONS, {"sso_account": "71-0004231-8"}, "sso_account", "digits", "error"),
    (INSURED_PERSONS, {"sso_account": "๗๑๐๐๐๔๒๓๑๘"}, "sso_account", "digits", "error"),
    (INSURED_PERSONS, {"sso_branch": "0"}, "sso_branch", "digits", "error"),
    # amounts and texts
    (CONTRIBUTIONS, {"wage_satang": -1}, "wage_satang", "amount", "error"),
    (CONTRIBUTIONS, {"wage_satang": 10**13}, "wage_satang", "amount", "error"),
    (EMPLOYMENTS, {"contract_months": 601}, "contract_months", "amount", "error"),
    (EMPLOYMENTS, {"contract_months": 24.0}, "contract_months", "type", "error"),
    (WORK_PERMITS, {"full_name": "AYE\x00AYE"}, "full_name", "control_character", "error"),
    (WORK_PERMITS, {"full_name": "A" * 501}, "full_name", "too_long", "error"),
    (WORK_PERMITS, {"full_name": ""}, "full_name", "empty", "warning"),
    (WORK_PERMITS, {"full_name": 7}, "full_name", "type", "error"),
    (WORK_PERMITS, {"valid_until": True}, "valid_until", "type", "error"),
    # people's numbers
    (WORK_PERMITS, {"non_thai_id": COMPANY}, "non_thai_id", "company_number", "error"),
    (INSURED_PERSONS, {"insured_number": COMPANY}, "insured_number", "company_number", "error"),
    (WORK_PERMITS, {"non_thai_id": "0071015201848"}, "non_thai_id", "check_digit_unconfirmed", "warning"),
    (WORK_PERMITS, {"non_thai_id": "6710271002450"}, "non_thai_id", "check_digit", "warning"),
    (WORK_PERMITS, {"non_thai_id": "9123456789012"}, "non_thai_id", "unclear_number", "warning"),
    (WORK_PERMITS, {"non_thai_id": "007101520184"}, "non_thai_id", "number_form", "warning"),
    (WORK_PERMITS, {"non_thai_id": "0000000000000"}, "non_thai_id", "placeholder", "warning"),
    (WORK_PERMITS, {"non_thai_id": "ไม่มี"}, "non_thai_id", "placeholder", "warning"),
    (WORK_PERMITS, {"passport_number": "-"}, "passport_number", "placeholder", "warning"),
    (WORK_PERMITS, {"passport_number": "N/A"}, "passport_number", "placeholder", "warning"),
    (WORK_PERMITS, {"passport_number": "M1"}, "passport_number", "document_form", "warning"),
    (WORK_PERMITS, {"nationality": None}, "nationality", "passport_without_nationality", "warning"),
    (EMPLOYMENTS, {"employer_id": CITIZEN}, "employer_id", "key_carries_person", "error"),
    (INSPECTIONS, {"employer_id": f" {CITIZEN}"}, "employer_id", "key_carries_person", "error"),
    (DOE_EMPLOYERS, {"tax_id": CITIZEN}, "tax_id", "id_type_mismatch", "warning"),
    (DOE_EMPLOYERS, {"id_type": "person"}, "tax_id", "id_type_mismatch", "warning"),
    (DOE_EMPLOYERS, {"id_type": None}, "id_type", "required", "warning"),
    (DOE_EMPLOYERS, {"tax_id": "123"}, "tax_id", "number_form", "warning"),
]


@pytest.mark.parametrize(("feed", "change", "field", "code", "severity"), BAD_FIELDS)
def test_a_bad_field_is_told(feed: str, change: Record, field: str, code: str, severity: str) -> None:
    assert codes(feed, good(feed, **change)) == {(field, code, severity)}


@pytest.mark.parametrize(
    ("feed", "change"),
    [
        (EMPLOYMENTS, {"permit_number": None, "non_thai_id": None, "passport_number": None}),
        (EMPLOYMENTS, {"permit_number": None, "non_thai_id": None, "nationality": None}),
        (EMPLOYMENTS, {"permit_number": "-", "non_thai_id": "0000000000000", "passport_number": None}),
        (INSURED_PERSONS, {"insured_number": None, "non_thai_id": None, "passport_number": None}),
        (WORK_PERMITS, {"permit_number": None, "non_thai_id": None, "passport_number": None}),
        (NON_THAI_IDS, {"non_thai_id": None, "passport_number": None}),
        (STAYS, {"passport_number": None}),
        (HEALTH_COVER, {"card_number": None, "non_thai_id": None}),
        (INSPECTIONS, {"establishment_number": None, "employer_id": None}),
    ],
)
def test_a_record_that_names_nobody_is_kept_out(feed: str, change: Record) -> None:
    assert "no_identifier" in {code for _, code, severity in codes(feed, good(feed, **change)) if severity == "error"}


@pytest.mark.parametrize("change", [{"section": "39"}, {"section": "40"}])
def test_only_section_33_needs_an_employer(change: Record) -> None:
    without = {"sso_account": None, "sso_branch": None, "start_date": None}
    assert problems(INSURED_PERSONS, good(INSURED_PERSONS, **change, **without)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"full_name": "NAW PAW"},
        {"full_name": "เอ\u200bเอ มอญ"},
        {"non_thai_id": "0-0710-15201-84-9"},
        {"non_thai_id": "๐๐๗๑๐๑๕๒๐๑๘๔๙"},
        {"non_thai_id": CITIZEN},
        {"non_thai_id": "071088912034" + check_digit("071088912034")},
        {"passport_number": "mf 482915"},
        {"valid_until": None},
        {"valid_from": "2026-01-12", "valid_until": "2026-01-12"},
        {"birth_date": "1900-01-01"},
        {"nationality": "XXA"},
        {"record_id": "A1234567890123"},
    ],
)
def test_what_is_unusual_but_right_is_no_problem(change: Record) -> None:
    assert problems(WORK_PERMITS, good(WORK_PERMITS, **change)) == []


def test_a_heartbeat_that_cannot_be_believed_is_told() -> None:
    assert codes(HEARTBEATS, good(HEARTBEATS, feed="sso.unknown.v1")) == {("feed", "unknown_feed", "error")}
    assert codes(HEARTBEATS, good(HEARTBEATS, complete_until="2569-03-01T17:00:00Z")) == {
        ("complete_until", "buddhist_era", "error")
    }
    assert codes(HEARTBEATS, {"feed": STAYS}) == {
        ("complete_until", "required", "error"),
        ("sent_at", "required", "error"),
    }


@pytest.mark.parametrize(
    ("sent_at", "found"),
    [
        ("2026-02-28T17:00:00Z", set()),
        ("2026-02-28T16:59:59Z", {("complete_until", "complete_in_future", "warning")}),
        ("2026-02-28T16:55:00Z", {("complete_until", "complete_in_future", "warning")}),
        ("2026-02-28T16:54:59Z", {("complete_until", "complete_in_future", "error")}),
        ("2026-02-01T00:00:00Z", {("complete_until", "complete_in_future", "error")}),
    ],
)
def test_a_heartbeat_about_the_future_is_refused_beyond_what_two_clocks_may_differ(
    sent_at: str, found: set[tuple[str, str, str]]
) -> None:
    assert codes(HEARTBEATS, good(HEARTBEATS, complete_until="2026-02-28T17:00:00Z", sent_at=sent_at)) == found


def test_a_topic_that_is_no_feed_has_no_rules() -> None:
    with pytest.raises(KeyError):
        problems("alerts.enrolment.v1", {})


def test_what_was_expected_never_repeats_what_was_found() -> None:
    # ``expected`` may be logged and goes into dead letters; ``found`` may not.
    for feed, change, field, _, _ in BAD_FIELDS:
        for found in problems(feed, good(feed, **change)):
            value = change.get(field)
            if isinstance(value, str) and len(value) > 4:
                assert value not in found.expected
