"""The SSO's fixed-width monthly file, written here by an independent little writer and read back."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saphan_publishers.outcomes import Outcome
from saphan_schemas.identifiers import check_digit
from saphan_schemas.topics import CONTRIBUTIONS, EMPLOYMENTS
from saphan_schemas.values import days_to_date, parse_time_ms

PublishFiles = Callable[..., Outcome]
AS_OF = parse_time_ms("2026-12-16T00:00:00+07:00")


def number(serial: int, series: str = "0017") -> str:
    twelve = f"{series}{serial:08}"
    return twelve + check_digit(twelve)


@dataclass(frozen=True)
class Insured:
    """A line of the file, in the words of a payroll clerk. Money in satang."""

    number: str
    first_name: str = "ธิดา"
    last_name: str = "-"
    wage: int = 915_200
    amount: int = 45_760
    title: str = "004"

    def line(self) -> str:
        return f"2{self.number:13}{self.title:3}{self.first_name:30}{self.last_name:35}{self.wage:014}{self.amount:012}{'':27}"


@dataclass(frozen=True)
class Filing:
    """One employer's month. ``says`` overrules what the header would rightly say."""

    insured: tuple[Insured, ...]
    account: str = "7100012345"
    branch: str = "000000"
    pay_date: str = "151269"
    period: str = "1169"
    company: str = "บริษัท น้ำตาลตัวอย่าง จำกัด"
    rate: str = "0500"
    says: dict[str, int] = field(default_factory=dict)

    def lines(self) -> list[str]:
        amounts = sum(row.amount for row in self.insured)
        true = {"count": len(self.insured), "wages": sum(row.wage for row in self.insured), "employees": amounts}
        said = {**true, "employers": amounts, "contributions": 2 * amounts, **self.says}
        header = (
            f"1{self.account}{self.branch}{self.pay_date}{self.period}{self.company:45}{self.rate}{said['count']:06}"
            f"{said['wages']:015}{said['contributions']:014}{said['employees']:012}{said['employers']:012}"
        )
        return [header, *(row.line() for row in self.insured)]


def text_of(*filings: Filing, end: str = "\r\n") -> str:
    return "".join(line + end for filing in filings for line in filing.lines())


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_file(text: str, encoding: str = "tis_620", name: str = "sso-11-2569.txt") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write_file


def told(tmp_path: Path) -> list[tuple[int, str, str]]:
    rows = [json.loads(line) for line in (tmp_path / "report.jsonl").read_bytes().splitlines()]
    return [(row["line"], row["field"], row["code"]) for row in rows if row["outcome"] != "file_failed"]


TWO = Filing((Insured(number(1)), Insured(number(2), "Saw Htoo", "")))


def test_each_detail_becomes_a_contribution(publish_files: PublishFiles, write: Any, broker: Any) -> None:
    outcome = publish_files(CONTRIBUTIONS, write(text_of(TWO)), as_of=AS_OF)
    assert (outcome.rows, outcome.published, outcome.report) == (2, 2, None)
    first, _second = broker.records(CONTRIBUTIONS)
    assert first["insured_number"] == number(1)
    assert (first["sso_account"], first["sso_branch"], first["month"]) == ("7100012345", "000000", "2026-11")
    assert (first["wage_satang"], first["amount_satang"]) == (915_200, 45_760)
    assert days_to_date(first["paid_on"]).isoformat() == "2026-12-15"
    assert (first["version"], first["changed_at"]) == (AS_OF, AS_OF)


def test_a_persons_number_is_in_no_key_and_no_header(publish_files: PublishFiles, write: Any, broker: Any) -> None:
    publish_files(CONTRIBUTIONS, write(text_of(TWO)), as_of=AS_OF)
    for message in broker.topics[CONTRIBUTIONS]:
        for row in TWO.insured:
            assert row.number.encode() not in message.key
            assert all(row.number.encode() not in value for _, value in message.headers)


@pytest.mark.parametrize("last_name", ["", "-", "ตัวอย่าง", "Htoo Paw"])
def test_a_worker_without_surname_is_like_any_other(publish_files: PublishFiles, write: Any, last_name: str) -> None:
    filing = Filing((Insured(number(1), "Ma Thida", last_name),))
    outcome = publish_files(CONTRIBUTIONS, write(text_of(filing)), as_of=AS_OF)
    assert (outcome.published, outcome.report) == (1, None)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("tail", ["", "\x1a", "\r\n\x1a"])
def test_line_ends_ctrl_z_and_trailing_blanks_cut_off_do_not_matter(
    publish_files: PublishFiles, write: Any, end: str, tail: str
) -> None:
    text = "".join(line.rstrip() + end for line in TWO.lines()).rstrip() + tail
    assert publish_files(CONTRIBUTIONS, write(text), as_of=AS_OF).published == 2


def test_several_employers_stand_in_one_file(publish_files: PublishFiles, write: Any, broker: Any) -> None:
    other = replace(TWO, account="7100099999", branch="000002", period="1069")
    outcome = publish_files(CONTRIBUTIONS, write(text_of(TWO, other)), as_of=AS_OF)
    assert (outcome.published, outcome.report) == (4, None)
    accounts = {(row["sso_account"], row["sso_branch"], row["month"]) for row in broker.records(CONTRIBUTIONS)}
    assert accounts == {("7100012345", "000000", "2026-11"), ("7100099999", "000002", "2026-10")}
    assert len({row["record_id"] for row in broker.records(CONTRIBUTIONS)}) == 4


@pytest.mark.parametrize("name", ["count", "wages", "employees", "contributions"])
def test_a_header_total_that_does_not_add_up_is_told(
    publish_files: PublishFiles, write: Any, tmp_path: Path, name: str
) -> None:
    wrong = {"count": 3, "wages": 1, "employees": 1, "contributions": 1}
    outcome = publish_files(CONTRIBUTIONS, write(text_of(replace(TWO, says={name: wrong[name]}))), as_of=AS_OF)
    assert outcome.published == 2
    assert (1, name, "header_total_mismatch") in told(tmp_path)


@pytest.mark.parametrize(
    ("wage", "amount", "warned"),
    [
        (915_200, 45_760, False),
        (915_200, 45_800, False),  # rounded to a whole baht: whether the SSO does so is unconfirmed
        (915_200, 45_900, True),
        (100_000, 8_250, False),  # the floor of 1,650 baht
        (100_000, 5_000, True),
        (5_000_000, 87_500, False),  # the ceiling of 17,500 baht in November 2026
        (5_000_000, 75_000, True),
        (5_000_000, 250_000, True),
    ],
)
def test_a_contribution_is_the_rate_on_the_wage_between_floor_and_ceiling(
    publish_files: PublishFiles, write: Any, tmp_path: Path, wage: int, amount: int, *, warned: bool
) -> None:
    filing = Filing((Insured(number(1), wage=wage, amount=amount),))
    outcome = publish_files(CONTRIBUTIONS, write(text_of(filing)), as_of=AS_OF)
    assert outcome.published == 1
    assert outcome.warnings == int(warned)
    assert not warned or told(tmp_path) == [(2, "amount_satang", "contribution_mismatch")]


def test_the_ceiling_is_the_one_of_the_wage_month(publish_files: PublishFiles, write: Any) -> None:
    old = Filing((Insured(number(1), wage=5_000_000, amount=75_000),), period="1268", pay_date="150169")
    assert publish_files(CONTRIBUTIONS, write(text_of(old)), as_of=AS_OF).warnings == 0


def test_a_files_own_rate_is_checked_against_the_law_table_and_then_used(
    publish_files: PublishFiles, write: Any, tmp_path: Path
) -> None:
    filing = Filing((Insured(number(1), amount=27_456),), rate="0300")
    assert publish_files(CONTRIBUTIONS, write(text_of(filing)), as_of=AS_OF).published == 1
    assert told(tmp_path) == [(1, "rate", "rate_not_in_law_table")]


@pytest.mark.parametrize(
    ("spoil", "field", "code"),
    [
        (lambda line: "9" + line[1:], "", "record_type"),
        (lambda line: line[:60], "", "line_length"),
        (lambda line: line + "x", "", "line_length"),
        (lambda line: line[:14] + "AB " + line[17:], "title", "layout_shifted"),
        (lambda line: line[:82] + "0000009152.00 " + line[96:], "wage_satang", "money_unreadable"),
        (lambda line: line[:1] + " " * 13 + line[14:], "insured_number", "missing"),
    ],
)
def test_a_bad_detail_rejects_itself_only(
    publish_files: PublishFiles, write: Any, tmp_path: Path, spoil: Callable[[str], str], field: str, code: str
) -> None:
    lines = Filing((Insured(number(1)), Insured(number(2)), Insured(number(3)))).lines()
    lines[2] = spoil(lines[2])
    outcome = publish_files(CONTRIBUTIONS, write("\n".join(lines)), as_of=AS_OF)
    assert (outcome.rows, outcome.published, outcome.rejected) == (3, 2, 1)
    assert (3, field, code) in told(tmp_path)
    kept = (tmp_path / "report.rejected" / "sso-11-2569.txt").read_bytes().decode("tis_620")
    assert kept.splitlines() == [lines[0][:76] + "-" * 59, lines[2]]


def test_a_company_number_as_insured_person_is_rejected(
    publish_files: PublishFiles, write: Any, tmp_path: Path
) -> None:
    filing = Filing((Insured(number(5, "0715")), Insured(number(2))))
    outcome = publish_files(CONTRIBUTIONS, write(text_of(filing)), as_of=AS_OF)
    assert (outcome.published, outcome.rejected) == (1, 1)
    assert told(tmp_path) == [(2, "insured_number", "company_number")]


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"period": "1369"}, "month", "date_unreadable"),
        ({"pay_date": "310269"}, "paid_on", "date_unreadable"),
        ({"period": "1126"}, "month", "common_era"),
        ({"period": "1299"}, "month", "year_out_of_range"),
        ({"pay_date": "151226"}, "paid_on", "common_era"),
    ],
)
def test_a_header_with_an_impossible_date_rejects_every_row_under_it_and_no_other(
    publish_files: PublishFiles, write: Any, tmp_path: Path, change: dict[str, Any], field: str, code: str
) -> None:
    outcome = publish_files(CONTRIBUTIONS, write(text_of(replace(TWO, **change), TWO)), as_of=AS_OF)
    assert (outcome.rows, outcome.published, outcome.rejected) == (4, 2, 2)
    assert (2, field, code) in told(tmp_path)


def test_the_leap_day_of_a_two_digit_buddhist_year_is_a_pay_day(
    publish_files: PublishFiles, write: Any, broker: Any
) -> None:
    filing = replace(TWO, pay_date="290267", period="0167")
    assert publish_files(CONTRIBUTIONS, write(text_of(filing)), as_of=AS_OF).published == 2
    assert days_to_date(broker.records(CONTRIBUTIONS)[0]["paid_on"]).isoformat() == "2024-02-29"


def test_a_person_who_stands_twice_with_other_sums_is_told(
    publish_files: PublishFiles, write: Any, tmp_path: Path
) -> None:
    filing = Filing((Insured(number(1)), Insured(number(1), wage=1_000_000, amount=50_000)))
    outcome = publish_files(CONTRIBUTIONS, write(text_of(filing)), as_of=AS_OF)
    assert (outcome.published, outcome.rejected) == (1, 1)
    assert told(tmp_path) == [(3, "record_id", "contradicting_row")]


def test_a_utf8_file_says_what_to_do_and_is_read_when_asked(publish_files: PublishFiles, write: Any) -> None:
    path = write(text_of(TWO), encoding="utf-8")
    outcome = publish_files(CONTRIBUTIONS, path, format="monthly", as_of=AS_OF)
    assert "--encoding utf-8" in str(outcome.files[0].failure)
    assert publish_files(CONTRIBUTIONS, path, format="monthly", encoding="utf-8", as_of=AS_OF).published == 2


@pytest.mark.parametrize("text", ["", "hello\n", "2" + "0" * 134, "1" + "0" * 100])
def test_what_is_no_monthly_file_is_refused_whole(publish_files: PublishFiles, write: Any, text: str) -> None:
    outcome = publish_files(CONTRIBUTIONS, write(text), format="monthly", as_of=AS_OF)
    assert outcome.failed
    assert outcome.published == 0


def test_the_monthly_file_belongs_to_its_own_feed(publish_files: PublishFiles, write: Any) -> None:
    outcome = publish_files(EMPLOYMENTS, write(text_of(TWO)), format="monthly", as_of=AS_OF)
    assert "sso.contributions.v1" in str(outcome.files[0].failure)


_thai = st.text(st.characters(min_codepoint=0x0E01, max_codepoint=0x0E2E) | st.sampled_from("abc XYZ"), max_size=30)
_insured = st.builds(
    Insured,
    st.integers(0, 99_999_999).map(number),
    _thai,
    st.one_of(st.just(""), st.just("-"), _thai),
    st.integers(0, 10**10),
    st.integers(0, 10**10),
    st.sampled_from(["003", "004", "005"]),
)
_filing = st.builds(
    Filing,
    st.lists(_insured, max_size=8, unique_by=lambda row: row.number).map(tuple),
    account=st.integers(0, 10**10 - 1).map("{:010}".format),
    branch=st.integers(0, 10**6 - 1).map("{:06}".format),
    period=st.tuples(st.integers(1, 12), st.integers(40, 70)).map(lambda pair: f"{pair[0]:02}{pair[1]:02}"),
    company=_thai,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(filings=st.lists(_filing, min_size=1, max_size=3, unique_by=lambda filing: filing.account))
def test_what_is_written_is_read_back(
    publish_files: PublishFiles, tmp_path: Path, new_broker: Any, filings: list[Filing]
) -> None:
    path = tmp_path / "any.txt"
    path.write_bytes(text_of(*filings).encode("tis_620"))
    into = new_broker()
    outcome = publish_files(CONTRIBUTIONS, path, as_of=AS_OF, to=into, format="monthly")
    assert (outcome.failed, outcome.rejected) == (False, 0)
    read = {
        (
            row["sso_account"],
            row["sso_branch"],
            row["month"],
            row["insured_number"],
            row["wage_satang"],
            row["amount_satang"],
        )
        for row in into.records(CONTRIBUTIONS)
    }
    written = {
        (
            filing.account,
            filing.branch,
            f"{2500 + int(filing.period[2:]) - 543}-{filing.period[:2]}",
            row.number,
            row.wage,
            row.amount,
        )
        for filing in filings
        for row in filing.insured
    }
    assert read == written
