"""What cleaning does to names, codes and cells, and what it never does."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saphan_publishers.cells import code, satang, truth, whole_number
from saphan_publishers.rows import Unreadable
from saphan_publishers.text import clean, clean_code, clean_name


@pytest.mark.parametrize(
    "name", ["Ma Thida -", "Ma Thida", " Ma  Thida ", "Ma Thida –", "Ma\u200b Thida .", "Ma Thida\u00a0"]
)
def test_a_name_without_surname_is_a_whole_name(name: str) -> None:
    assert clean_name(name) == "Ma Thida"


def test_a_dash_within_a_name_stays() -> None:
    assert clean_name("Abdul-Rahman Bin Yusof") == "Abdul-Rahman Bin Yusof"


def test_a_dash_alone_is_no_name() -> None:
    assert clean_name(" - ") == ""


def test_zero_width_marks_and_nul_vanish_and_letters_are_composed() -> None:
    assert clean("สม\u200bชาย\ufeff") == "สมชาย"
    assert clean("Thanh Ha\u0300") == "Thanh Hà"
    assert clean("a\x00b\tc") == "ab c"


@pytest.mark.parametrize(
    "halves",
    ["\u0e17\u0e4d\u0e32", "\u0e19\u0e49\u0e4d\u0e32", "\u0e19\u0e4d\u0e49\u0e32"],
    ids=["plain", "tone first", "tone between"],
)
def test_sara_am_in_two_halves_is_the_letter_that_it_looks_like(halves: str) -> None:
    tone = "\u0e49" if "\u0e49" in halves else ""
    assert clean(halves) == f"{halves[0]}{tone}\u0e33"


def test_digits_of_the_region_become_western_in_codes_only() -> None:
    assert clean_code("๗๑๐๑") == "7101"
    assert clean_code("၇၁၀၁") == "7101"
    assert clean_code("៧១០១") == "7101"
    assert clean_name("หมู่ ๗") == "หมู่ ๗"


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    for cleaner in (clean, clean_code, clean_name):
        once = cleaner(text)
        assert cleaner(once) == once
        assert unicodedata.is_normalized("NFC", once)
        assert "\x00" not in once
        assert "\u200b" not in once


@pytest.mark.parametrize(
    ("text", "expected"),
    [("9,152.00", 915_200), ("457.6", 45_760), ("0", 0), ("875.000", 87_500), ("17500", 1_750_000)],
)
def test_baht_become_satang_without_rounding(text: str, expected: int) -> None:
    assert satang(text, "baht") == expected


@pytest.mark.parametrize(
    "text",
    ["9152.005", "-5", "1e3", "NaN", "baht", "1.2.3", "", "9152,50", "9.150,00", "9,15", "1,2345", ",100", "1,,000"],
)
def test_money_that_is_not_plain_baht_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="baht"):
        satang(text, "baht")


def test_satang_are_whole() -> None:
    assert satang("915200", "satang") == 915_200
    with pytest.raises(Unreadable):
        satang("9152.00", "satang")


@given(st.integers(0, 10**14))
def test_any_amount_of_satang_written_as_baht_is_read_back(amount: int) -> None:
    assert satang(f"{amount // 100:,}.{amount % 100:02}", "baht") == amount


def test_dashes_in_numbers_go_and_leading_zeros_stay() -> None:
    assert code("non_thai_id", "0-0123-45678 90-1") == "0012345678901"
    assert code("sso_account", "71-0001234-5") == "7100012345"
    assert code("passport_number", "MB-123456") == "MB-123456"


def test_a_number_that_lost_its_leading_zeros_in_a_spreadsheet_is_refused_not_repaired() -> None:
    with pytest.raises(Unreadable) as refused:
        code("non_thai_id", "12345678901")
    assert refused.value.code == "leading_zeros_lost"
    with pytest.raises(Unreadable) as refused:
        code("non_thai_id", "1.23457E+12")
    assert refused.value.code == "spreadsheet_number"


def test_a_mapping_may_say_that_leading_zeros_are_missing() -> None:
    assert code("sso_branch", "0", pad=6) == "000000"
    assert code("non_thai_id", "12345678901", pad=13) == "0012345678901"


def test_truth_and_whole_numbers_are_read_in_words_and_with_commas() -> None:
    assert truth("ใช่")
    assert not truth("N")
    assert whole_number("1,200") == 1200
    assert whole_number("-1,234,567") == -1_234_567
    for read, text in ((truth, "maybe"), (whole_number, "12.5"), (whole_number, "1,5"), (whole_number, "1234,567")):
        with pytest.raises(Unreadable):
            read(text)
