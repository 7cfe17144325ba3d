"""The 13-digit numbers and document numbers: which are a person's, which join, and how they are written alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saphan_schemas.identifiers import is_plain_person_number
from saphan_schemas.rules import (
    check_digit,
    has_right_check_digit,
    is_placeholder,
    normalise_passport,
    normalise_person_number,
    person_number_kind,
    usable_passport,
    usable_person_number,
)

TWELVE = st.text("0123456789", min_size=12, max_size=12)
THIRTEEN = st.text("0123456789", min_size=13, max_size=13)


def numbered(twelve: str) -> str:
    return twelve + check_digit(twelve)


@given(TWELVE)
def test_the_check_digit_is_eleven_less_the_weighted_sum(twelve: str) -> None:
    total = sum(weight * int(digit) for weight, digit in zip(range(13, 1, -1), twelve, strict=True))
    expected = str((11 - total % 11) % 10)
    assert check_digit(twelve) == expected
    for last in "0123456789":
        assert has_right_check_digit(twelve + last) == (last == expected)


@given(st.one_of(THIRTEEN, TWELVE.map(numbered), TWELVE.map(lambda t: numbered("00" + t[2:])), st.text(max_size=14)))
def test_the_quick_answer_agrees_with_the_thorough_one(text: str) -> None:
    if is_plain_person_number(text):
        assert person_number_kind(text) == "person"
        assert has_right_check_digit(text)
    assert usable_person_number(text) == (person_number_kind(text) == "person")


@given(TWELVE)
def test_a_00_number_is_a_person_and_joins_whatever_its_check_digit(twelve: str) -> None:
    for last in "0123456789":
        number = "007" + twelve[3:] + last
        assert person_number_kind(number) == "person"
        assert usable_person_number(number)


@pytest.mark.parametrize("number", [numbered("010553611201"), numbered("071555600123"), numbered("099400015910")])
def test_a_company_number_with_its_right_check_digit_is_no_person(number: str) -> None:
    assert has_right_check_digit(number)
    assert person_number_kind(number) == "juristic"
    assert not usable_person_number(number)


def test_a_person_without_civil_status_begins_as_companies_do_and_differs_in_the_fourth_digit() -> None:
    assert person_number_kind(numbered("071088912034")) == "person"
    assert person_number_kind("0710889120340") == "check_digit"
    assert person_number_kind(numbered("071488912034")) == "unclear"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0000000000000", "placeholder"),
        ("9999999999999", "placeholder"),
        ("1111111111111", "placeholder"),
        ("1234567890121", "placeholder"),
        ("0000000000001", "placeholder"),
        ("", "placeholder"),
        ("-", "malformed"),
        ("N/A", "placeholder"),
        ("ไม่มี", "placeholder"),
        ("007101520184", "malformed"),
        ("MF482915", "malformed"),
        ("๐๐๗๑๐๑๕๒๐๑๘๔๙", "malformed"),
        ("9123456789012", "unclear"),
        (numbered("671027100245"), "person"),
        ("6710271002450", "check_digit"),
    ],
)
def test_kinds(text: str, kind: str) -> None:
    assert person_number_kind(text) == kind
    assert usable_person_number(text) == (kind == "person")


@pytest.mark.parametrize(
    "written",
    [
        "0-0710-15201-84-9",
        "0 0710 15201 84 9",
        "๐๐๗๑๐๑๕๒๐๑๘๔๙",
        "００７１０１５２０１８４９",
        "0071015201849\u200b",
        "0–0710–15201–84–9",
    ],
)
def test_a_person_number_is_the_same_however_it_is_written(written: str) -> None:
    assert normalise_person_number(written) == "0071015201849"


@pytest.mark.parametrize(
    "written", ["MF482915", "mf 482915", "MF-482915", "mf.482915", "ＭＦ４８２９１５", "MF๔๘๒๙๑๕", " MF482915\n"]
)
def test_a_passport_number_is_the_same_however_it_is_written(written: str) -> None:
    assert normalise_passport(written) == "MF482915"


@given(st.text(max_size=30))
def test_normalising_twice_changes_nothing(text: str) -> None:
    for normalise in (normalise_person_number, normalise_passport):
        once = normalise(text)
        assert normalise(once) == once


@pytest.mark.parametrize(
    "text",
    ["", "-", "--", ".", "N/A", "n/a", "none", "NULL", "0", "000000", "XXX", "ไม่มี", "ไม่ทราบ", "1111111", "AB123456"],
)
def test_placeholders_are_seen_and_never_join(text: str) -> None:
    number = normalise_passport(text)
    assert is_placeholder(number)
    assert not usable_passport(number)


@pytest.mark.parametrize(
    "text", ["MF482915", "C0912345", "N01234568", "12/2567", "71001", "WP7169004821", "0012345678909"]
)
def test_usual_document_numbers_join(text: str) -> None:
    assert usable_passport(normalise_passport(text))
    assert not is_placeholder(text)


@pytest.mark.parametrize("text", ["M1", "PASSPORT", "0000000000123", "MC000000", "M" * 25, "MF48ก15", "ABCDEF"])
def test_what_cannot_be_a_document_number_does_not_join(text: str) -> None:
    assert not usable_passport(normalise_passport(text))


@given(st.text(max_size=30))
def test_no_text_makes_them_fail(text: str) -> None:
    for found in (person_number_kind(text), usable_passport(text), is_placeholder(text), has_right_check_digit(text)):
        assert found is not None


@pytest.mark.parametrize("text", ["NONE/NONE", "NO/PASSPORT", "N/A/N/A", "A0000A", "AB000CD"])
def test_a_document_number_without_a_real_digit_joins_nobody(text: str) -> None:
    assert not usable_passport(text)
