"""Whether the table of the law is sound, and each question gets the row that is in force on its day."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saphan_projections.law import (
    LawError,
    Row,
    contribution_terms,
    default_law,
    eligibility,
    employee_contribution_satang,
    law_in_force,
    parse_law,
)
from saphan_schemas.values import date_to_days, parse_date

LAW = default_law()


def day(text: str) -> int:
    return date_to_days(parse_date(text))


TODAY = day("2026-11-23")

DEADLINE = """
[[deadline]]
rule_version = "d.1"
deadline_days = 30
source = "test"
confirmed = true
"""
NEXT_DEADLINE = """
[[deadline]]
rule_version = "d.2"
deadline_days = 15
source = "test"
confirmed = false
valid_from = 2027-01-01
"""
EXEMPTION = """
[[exemption]]
rule_version = "x.1"
class = "domestic"
sectors = ["domestic"]
exempt_when = "employer_is_person"
valid_from = 2017-01-01
source = "test"
confirmed = false
"""
OTHERS = """
exemption = []
contribution_rate = []
wage_limit = []
"""
WITH_EXEMPTIONS = """
contribution_rate = []
wage_limit = []
"""


# -- the table that Saphan ships -------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", LAW.rows(), ids=lambda row: row.rule_version)
def test_each_row_has_a_source_and_says_whether_it_is_confirmed(row: Row) -> None:
    assert row.source.strip()
    assert row.confirmed in {True, False}
    assert row.confirmed or row.note.strip(), "an unconfirmed row must say what is open"


def test_no_two_rows_of_one_kind_hold_on_one_day() -> None:
    tables: list[list[Row]] = [list(LAW.deadlines), list(LAW.contribution_rates), list(LAW.wage_limits)]
    classes = {row.class_name for row in LAW.exemptions}
    tables.extend([row for row in LAW.exemptions if row.class_name == name] for name in classes)
    for rows in tables:
        for today in range(day("2010-01-01"), day("2040-01-01"), 31):
            assert len([row for row in rows if row.holds_on(today)]) <= 1
        edges = [edge for row in rows for edge in (row.valid_from_day, row.valid_until_day) if edge is not None]
        for edge in edges:
            assert len([row for row in rows if row.holds_on(edge)]) == 1


@given(st.integers(-(2**31), 2**31))
def test_every_day_has_one_deadline(any_day: int) -> None:
    assert [row for row in LAW.deadlines if row.holds_on(any_day)] == [LAW.deadline_on(any_day)]


def test_the_deadline_today_is_thirty_days_by_a_named_row() -> None:
    row = law_in_force(TODAY)
    assert (row.deadline_days, row.rule_version) == (30, "sso-s34.1")


def test_no_row_is_marked_confirmed_while_no_agency_has_confirmed_one() -> None:
    """Whoever changes this has the agency's word, and the README says so."""
    assert [row.rule_version for row in LAW.rows() if row.confirmed] == []


# -- changing a rule is adding a row ---------------------------------------------------------------------------------


def test_a_new_row_ends_the_old_one_the_day_before() -> None:
    law = parse_law(OTHERS + DEADLINE + NEXT_DEADLINE)
    assert law.deadline_on(day("2026-12-31")).rule_version == "d.1"
    assert law.deadline_on(day("2027-01-01")).rule_version == "d.2"
    assert law.deadlines[1].valid_until_day == day("2026-12-31")


def test_the_order_of_rows_in_the_file_does_not_matter() -> None:
    assert parse_law(OTHERS + DEADLINE + NEXT_DEADLINE) == parse_law(OTHERS + NEXT_DEADLINE + DEADLINE)


def test_an_exemption_is_ended_by_a_row_that_says_never() -> None:
    ended = """
    [[exemption]]
    rule_version = "x.2"
    class = "domestic"
    sectors = ["domestic"]
    exempt_when = "never"
    valid_from = 2026-06-01
    source = "test"
    confirmed = true
    """
    law = parse_law(WITH_EXEMPTIONS + DEADLINE + EXEMPTION + ended)
    assert eligibility("domestic", None, True, day("2026-05-31"), law) == "exempt"
    assert eligibility("domestic", None, True, day("2026-06-01"), law) == "eligible"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("deadline = [", "not valid TOML"),
        (DEADLINE, "tables"),
        (OTHERS + DEADLINE + "[[tax]]\n", "tables"),
        (OTHERS + "deadline = []\n", "each day has one"),
        (OTHERS + DEADLINE + DEADLINE, "overlap"),
        (OTHERS + DEADLINE + NEXT_DEADLINE + NEXT_DEADLINE.replace("d.2", "d.3"), "overlap"),
        (OTHERS + DEADLINE + "valid_until = 2027-01-01\n" + NEXT_DEADLINE, "overlap"),
        (OTHERS + DEADLINE + "valid_until = 2026-11-30\n" + NEXT_DEADLINE, "no gap"),
        (OTHERS + DEADLINE + "valid_until = 2026-11-30\n", "each day has one"),
        (OTHERS + DEADLINE + "valid_from = 2020-01-01\n", "each day has one"),
        (OTHERS + DEADLINE + NEXT_DEADLINE + "valid_until = 2026-01-01\n", "ends before it begins"),
        (OTHERS + DEADLINE + NEXT_DEADLINE.replace("d.2", "d.1"), "more than one row"),
        (OTHERS + DEADLINE.replace('source = "test"', 'source = ""'), "not empty"),
        (OTHERS + DEADLINE.replace('source = "test"\n', ""), "missing ['source']"),
        (OTHERS + DEADLINE.replace("confirmed = true\n", ""), "missing ['confirmed']"),
        (OTHERS + DEADLINE.replace("confirmed = true", 'confirmed = "yes"'), "expected bool"),
        (OTHERS + DEADLINE.replace("= 30", "= true"), "expected int"),
        (OTHERS + DEADLINE + 'valid_from = "2020-01-01"\n', "expected a date"),
        (OTHERS + DEADLINE + "valid_from = 2020-01-01T00:00:00\n", "expected a date"),
        (OTHERS + DEADLINE + "days = 3\n", "unknown ['days']"),
        (WITH_EXEMPTIONS + DEADLINE + EXEMPTION.replace("employer_is_person", "perhaps"), "expected one of"),
        (WITH_EXEMPTIONS + DEADLINE + EXEMPTION + "contract_months_min = 12\n", "contract_months_below only"),
        (
            WITH_EXEMPTIONS
            + DEADLINE
            + EXEMPTION
            + EXEMPTION.replace("x.1", "x.2").replace('class = "d', 'class = "x'),
            "keep it in one",
        ),
    ],
)
def test_a_table_that_contradicts_itself_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(LawError) as refused:
        parse_law(text)
    assert complaint in str(refused.value)


# -- who is asked to be insured --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sector", "contract_months", "employer_is_person", "expected"),
    [
        ("manufacturing", None, None, "eligible"),
        ("services", 3, True, "eligible"),
        ("agriculture", 11, None, "exempt"),
        ("agriculture", 12, None, "eligible"),
        ("agriculture", None, True, "unclear"),
        ("fishery", 6, None, "exempt"),
        ("domestic", 24, True, "exempt"),
        ("domestic", 24, False, "eligible"),
        ("domestic", 24, None, "unclear"),
        ("market_stall", None, None, "exempt"),
        (None, 12, False, "unclear"),
    ],
)
def test_eligibility_follows_sector_contract_and_kind_of_employer(
    sector: str | None, contract_months: int | None, employer_is_person: bool | None, expected: str
) -> None:
    assert eligibility(sector, contract_months, employer_is_person, TODAY, LAW) == expected


def test_an_exemption_is_unclear_before_its_first_row() -> None:
    assert eligibility("domestic", 24, False, day("2016-12-31"), LAW) == "unclear"
    assert eligibility("manufacturing", 24, False, day("2016-12-31"), LAW) == "eligible"


# -- contributions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("month", "wage_baht", "contribution_baht"),
    [
        ("2025-12-01", 9_152, 457.60),
        ("2025-12-01", 1_000, 82.50),
        ("2025-12-01", 15_000, 750),
        ("2025-12-01", 40_000, 750),
        ("2026-01-01", 17_500, 875),
        ("2026-01-01", 40_000, 875),
        ("2026-11-01", 10_560, 528),
    ],
)
def test_a_contribution_is_the_rate_on_the_wage_within_its_limits(
    month: str, wage_baht: int, contribution_baht: float
) -> None:
    terms = contribution_terms(day(month), LAW)
    assert terms is not None
    assert employee_contribution_satang(wage_baht * 100, terms) == round(contribution_baht * 100)


@pytest.mark.parametrize(
    ("rate", "limit", "confirmed"),
    [(False, False, False), (True, False, False), (False, True, False), (True, True, True)],
)
def test_terms_are_confirmed_only_where_rate_and_limits_are(rate: bool, limit: bool, confirmed: bool) -> None:
    law = replace(
        LAW,
        contribution_rates=tuple([replace(row, confirmed=rate) for row in LAW.contribution_rates]),
        wage_limits=tuple([replace(row, confirmed=limit) for row in LAW.wage_limits]),
    )
    terms = contribution_terms(day("2026-01-01"), law)
    assert terms is not None
    assert terms.confirmed is confirmed


def test_every_rate_and_limit_is_plausible() -> None:
    for rate in LAW.contribution_rates:
        assert 0 < rate.state_rate_bp <= rate.employee_rate_bp <= 1_000
        assert rate.employer_rate_bp == rate.employee_rate_bp
    for limit in LAW.wage_limits:
        assert 0 < limit.floor_satang < limit.ceiling_satang


def test_there_are_no_terms_where_the_table_has_no_row() -> None:
    assert contribution_terms(TODAY, parse_law(OTHERS + DEADLINE)) is None
