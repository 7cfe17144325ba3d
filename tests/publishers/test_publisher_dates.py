"""Which day a written date means, with every shift of 543 years that public software was seen to make."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saphan_publishers.dates import CalendarFormat, as_of_ms, common_year, iso_day, iso_time_ms
from saphan_publishers.rows import Unreadable
from saphan_schemas.values import bangkok_day, date_to_days, parse_time_ms

BUDDHIST = CalendarFormat("DD/MM/YYYY", "BE")
COMMON = CalendarFormat("DD/MM/YYYY", "CE")
SHORT = CalendarFormat("DDMMYY", "BE")
SHORT_COMMON = CalendarFormat("DDMMYY", "CE", century=2000)


def day(year: int, month: int, day_of_month: int) -> int:
    return date_to_days(date(year, month, day_of_month))


def code_of(read: object, text: str) -> str:
    with pytest.raises(Unreadable) as refused:
        read(text)  # type: ignore[operator]
    return refused.value.code


def test_a_buddhist_year_is_543_ahead() -> None:
    assert BUDDHIST.day("23/11/2569") == day(2026, 11, 23)


def test_the_leap_day_of_a_buddhist_year_is_a_day() -> None:
    assert BUDDHIST.day("29/02/2567") == day(2024, 2, 29)


def test_a_leap_day_that_the_common_year_lacks_is_none() -> None:
    assert code_of(BUDDHIST.day, "29/02/2568") == "date_unreadable"


def test_a_two_digit_buddhist_year_69_is_2026() -> None:
    assert SHORT.day("151269") == day(2026, 12, 15)


@pytest.mark.parametrize(
    ("form", "text", "code"),
    [
        (SHORT, "050126", "common_era"),
        (SHORT, "050115", "common_era"),
        (SHORT, "050199", "year_out_of_range"),
        (SHORT, "050138", "year_out_of_range"),
        (SHORT_COMMON, "050169", "buddhist_era"),
        (SHORT_COMMON, "050199", "year_out_of_range"),
    ],
)
def test_a_two_digit_year_far_from_the_data_s_own_is_of_the_other_era_or_none(
    form: CalendarFormat, text: str, code: str
) -> None:
    assert code_of(form.near(2026).day, text) == code


def test_the_year_that_may_be_meant_is_said_in_two_digits() -> None:
    with pytest.raises(Unreadable, match="26 looks like a common-era year, that is 69"):
        SHORT.near(2026).day("050126")
    with pytest.raises(Unreadable, match="69 looks like a Buddhist year, that is 26"):
        SHORT_COMMON.near(2026).day("050169")


def test_a_two_digit_year_near_the_data_s_own_is_read_and_four_digits_always() -> None:
    assert SHORT.near(2026).day("311270") == day(2027, 12, 31)
    assert SHORT.near(2026).day("010139") == day(1996, 1, 1)
    assert SHORT.near(2026, 10).day("311279") == day(2036, 12, 31)
    assert CalendarFormat("MMYY", "BE").near(2026).month("1169") == "2026-11"
    assert BUDDHIST.near(2026).day("01/01/2530") == day(1987, 1, 1)


@given(st.integers(1996, 2027))
def test_no_common_year_of_these_decades_is_read_as_a_buddhist_one_in_two_digits(year: int) -> None:
    if year >= 2000:
        assert code_of(SHORT.near(2026).day, f"0501{year % 100:02}") in {"common_era", "year_out_of_range"}
    assert SHORT.near(2026).day(f"0501{(year + 543) % 100:02}") == day(year, 1, 5)


def test_a_two_digit_common_year_must_name_its_century() -> None:
    with pytest.raises(ValueError, match="century"):
        CalendarFormat("DDMMYY", "CE")
    assert CalendarFormat("DDMMYY", "CE", century=1900).day("151269") == day(1969, 12, 15)


@pytest.mark.parametrize("text", ["23/11/2569", "29/02/2567"])
def test_a_buddhist_year_in_a_common_era_column_is_told_as_such(text: str) -> None:
    assert code_of(COMMON.day, text) == "buddhist_era"


def test_a_common_year_in_a_buddhist_column_is_told_as_such() -> None:
    assert code_of(BUDDHIST.day, "23/11/2026") == "common_era"


def test_a_year_shifted_twice_is_told_with_the_year_that_may_be_meant() -> None:
    with pytest.raises(Unreadable, match="2018") as refused:
        COMMON.day("10/10/3104")
    assert refused.value.code == "year_shifted_twice"
    assert code_of(BUDDHIST.day, "10/10/3104") == "year_shifted_twice"


def test_a_year_shifted_back_once_too_often_is_told() -> None:
    assert code_of(COMMON.day, "01/01/1479") == "year_shifted_back"


def test_no_year_is_ever_corrected_in_silence() -> None:
    for year in range(1, 10_000):
        for era in ("BE", "CE"):
            try:
                common = common_year(year, era)
            except Unreadable:
                continue
            assert common == year - (543 if era == "BE" else 0)
            assert 1900 <= common <= 2100


def test_an_iso_date_with_a_buddhist_year_is_told_as_such_even_on_its_leap_day() -> None:
    assert code_of(iso_day, "2569-11-23") == "buddhist_era"
    assert code_of(iso_day, "2567-02-29") == "buddhist_era"
    assert code_of(iso_time_ms, "2569-11-23T09:30:00+07:00") == "buddhist_era"
    assert code_of(iso_time_ms, "2567-02-29T09:30:00Z") == "buddhist_era"


def test_a_time_without_an_offset_is_refused() -> None:
    assert code_of(iso_time_ms, "2026-11-23T09:30:00") == "time_unreadable"


def test_a_written_time_is_bangkok_time() -> None:
    form = CalendarFormat("DD/MM/YYYY HH:mm:ss", "BE")
    assert form.time_ms("23/11/2569 09:30:15") == parse_time_ms("2026-11-23T02:30:15Z")
    assert code_of(form.time_ms, "23/11/2569 24:30:15") == "time_unreadable"


@pytest.mark.parametrize("text", ["15 ธ.ค. 2569", "15 ธันวาคม 2569", "๑๕ ธ.ค. ๒๕๖๙", "15 Dec 2569", "15 december 2569"])
def test_months_have_thai_and_english_names(text: str) -> None:
    assert CalendarFormat("D MMM YYYY", "BE").day(text) == day(2026, 12, 15)


def test_an_unknown_month_name_is_refused() -> None:
    assert code_of(CalendarFormat("D MMM YYYY", "BE").day, "15 ธค์ 2569") == "date_unreadable"


def test_thai_digits_and_zero_width_marks_do_not_matter() -> None:
    assert BUDDHIST.day("๒๓/๑๑/๒๕๖๙") == day(2026, 11, 23)
    assert BUDDHIST.day("\u200b23/11/2569\ufeff") == day(2026, 11, 23)


def test_an_unknown_day_is_refused_until_the_mapping_says_what_it_means() -> None:
    assert code_of(BUDDHIST.day, "00/00/2530") == "date_part_unknown"
    assert CalendarFormat("DD/MM/YYYY", "BE", None, "first").day("00/00/2530") == day(1987, 1, 1)
    assert CalendarFormat("DD/MM/YYYY", "BE", None, "empty").day("00/00/2530") is None


def test_a_month_is_written_in_the_common_era() -> None:
    assert CalendarFormat("MMYY", "BE").month("1169") == "2026-11"
    assert CalendarFormat("MM/YYYY", "BE").month("02/2567") == "2024-02"
    assert code_of(CalendarFormat("MMYY", "BE").month, "1369") == "date_unreadable"


@pytest.mark.parametrize("pattern", ["DD/MM", "YYYY", "DD/MM/YYYY/YYYY"])
def test_a_pattern_that_is_no_date_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        CalendarFormat(pattern, "BE")


def test_a_file_name_tells_its_day() -> None:
    form = CalendarFormat("YYYYMMDD", "BE")
    assert form.find_day("hires_25691123.csv") == day(2026, 11, 23)
    assert form.find_day("hires_256911234.csv") is None
    assert form.find_day("hires.csv") is None


def test_a_day_named_by_a_person_begins_at_midnight_in_bangkok() -> None:
    assert as_of_ms("2026-11-23") == parse_time_ms("2026-11-22T17:00:00Z")
    assert bangkok_day(as_of_ms("2026-11-23")) == day(2026, 11, 23)


@given(st.dates(date(1900, 1, 1), date(2100, 12, 31)))
def test_every_day_is_read_back_in_both_eras(written: date) -> None:
    expected = date_to_days(written)
    assert COMMON.day(f"{written:%d/%m/}{written.year:04}") == expected
    assert BUDDHIST.day(f"{written:%d/%m/}{written.year + 543:04}") == expected
    assert iso_day(written.isoformat()) == expected


@given(st.dates(date(1957, 1, 1), date(2056, 12, 31)))
def test_every_two_digit_buddhist_year_is_in_the_26th_buddhist_century(written: date) -> None:
    assert SHORT.day(f"{written:%d%m}{(written.year + 543) % 100:02}") == date_to_days(written)


@given(st.text(max_size=12))
def test_any_text_is_a_day_or_a_reason(text: str) -> None:
    for form in (BUDDHIST, COMMON, SHORT):
        try:
            found = form.day(text)
        except Unreadable:
            continue
        assert found is not None
        assert date(1900, 1, 1) <= date(1970, 1, 1) + timedelta(days=found) <= date(2100, 12, 31)
