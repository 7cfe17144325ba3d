"""Which rule is in force on a day: deadlines, exemptions, contribution rates and wage limits.

The rows are data (``law.toml``, read once). Editing a rule means adding a row; a replay then applies it.
"""

from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

from saphan_projections.law_table import (
    ContributionRate,
    Deadline,
    Exemption,
    Law,
    LawError,
    Row,
    WageLimit,
    parse_law,
)

__all__ = [
    "ContributionRate",
    "ContributionTerms",
    "Deadline",
    "Eligibility",
    "Exemption",
    "Law",
    "LawError",
    "Row",
    "WageLimit",
    "contribution_terms",
    "default_law",
    "eligibility",
    "employee_contribution_satang",
    "law_in_force",
    "parse_law",
]

Eligibility = Literal["eligible", "exempt", "unclear"]


class ContributionTerms(NamedTuple):
    """What validates a contribution of one wage month. ``confirmed`` is False where a mismatch may be our mistake."""

    employee_rate_bp: int
    employer_rate_bp: int
    state_rate_bp: int
    floor_satang: int
    ceiling_satang: int
    confirmed: bool
    rule_versions: tuple[str, str]


def law_in_force(day: int, law: Law | None = None) -> Deadline:
    """The deadline row in force on the Bangkok day ``day``, of ``law`` or of the table that Saphan ships."""
    return (law or default_law()).deadline_on(day)


@cache
def default_law() -> Law:
    """The table that Saphan ships (``law.toml`` beside this module). Raises LawError if it contradicts itself."""
    return parse_law(files("saphan_projections").joinpath("law.toml").read_text("utf-8"))


def eligibility(
    sector: str | None,
    contract_months: int | None,
    employer_is_person: bool | None,  # noqa: FBT001 - a fact of the employer, three-valued, not a switch
    on_day: int,
    law: Law,
) -> Eligibility:
    """Whether section 33 asks this employment to be insured, as far as the feeds can tell.

    Serves only the second denominator of coverage; it never silences an alert. ``unclear`` where a fact that the
    rule asks for is unknown, or where the table has no row for that sector on that day.
    """
    if sector is None:
        return "unclear"
    named = False
    for row in law.exemptions:
        if sector in row.sectors:
            named = True
            if row.holds_on(on_day):
                exempt = _is_exempt(row, contract_months, employer_is_person)
                if exempt is None:
                    return "unclear"
                return "exempt" if exempt else "eligible"
    return "unclear" if named else "eligible"


def _is_exempt(row: Exemption, contract_months: int | None, employer_is_person: bool | None) -> bool | None:  # noqa: FBT001 - as above
    match row.exempt_when:
        case "always":
            return True
        case "never":
            return False
        case "employer_is_person":
            return employer_is_person
        case "contract_months_below":
            if contract_months is None or row.contract_months_min is None:
                return None
            return contract_months < row.contract_months_min


def contribution_terms(month_first_day: int, law: Law) -> ContributionTerms | None:
    """Rates and wage limits of the wage month that begins on ``month_first_day``; None where the table has no row."""
    rate = next((row for row in law.contribution_rates if row.holds_on(month_first_day)), None)
    limit = next((row for row in law.wage_limits if row.holds_on(month_first_day)), None)
    if rate is None or limit is None:
        return None
    return ContributionTerms(
        rate.employee_rate_bp,
        rate.employer_rate_bp,
        rate.state_rate_bp,
        limit.floor_satang,
        limit.ceiling_satang,
        rate.confirmed and limit.confirmed,
        (rate.rule_version, limit.rule_version),
    )


def employee_contribution_satang(wage_satang: int, terms: ContributionTerms) -> int:
    """The insured person's share in satang: the rate on the wage kept between floor and ceiling, half a satang up.

    Whether the SSO rounds to a whole baht is not confirmed: allow a difference below one baht.
    """
    counted_satang = min(max(wage_satang, terms.floor_satang), terms.ceiling_satang)
    return (counted_satang * terms.employee_rate_bp + 5_000) // 10_000
