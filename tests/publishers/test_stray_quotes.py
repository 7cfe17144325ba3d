"""Quotes in CSV files that mean nothing or too much: no good row vanishes between them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saphan_publishers.mapping_file import parse_mapping
from saphan_publishers.outcomes import Outcome
from saphan_schemas.topics import SSO_EMPLOYERS
from saphan_schemas.values import parse_time_ms

PublishFiles = Callable[..., Outcome]
MAPPING = """
record_id = { columns = ["Account"] }
[fields]
sso_account = "Account"
sso_branch = "Branch"
name = "Name"
address_district = "District"
"""
HEADER = "Account,Name,Branch,District"
AS_OF = parse_time_ms("2026-11-23T00:00:00+07:00")


def good_row(number: int) -> list[str]:
    return [f"71{number:08}", f"Employer {number}", "000000", "7101"]


def employers(publish_files: PublishFiles, path: Path, rows: list[str], **options: Any) -> Outcome:
    path.write_bytes("\n".join([HEADER, *rows, ""]).encode())
    mapping = parse_mapping(MAPPING, SSO_EMPLOYERS)
    return publish_files(SSO_EMPLOYERS, path, mapping=mapping, as_of=AS_OF, **options)


def told(tmp_path: Path) -> list[tuple[int, str]]:
    report = tmp_path / "report.jsonl"
    return [(row["line"], row["code"]) for row in map(json.loads, report.read_bytes().splitlines())]


def test_two_stray_quotes_cost_their_two_rows_and_none_between_them(
    publish_files: PublishFiles, tmp_path: Path, broker: Any
) -> None:
    rows = [",".join(good_row(number)) for number in range(12)]
    rows[0] = rows[0].replace("Employer", '"Employer')
    rows[8] = rows[8].replace("Employer 8", 'Employer 8"')
    outcome = employers(publish_files, tmp_path / "rows.csv", rows)
    assert (outcome.rows, outcome.published, outcome.rejected) == (12, 10, 2)
    assert told(tmp_path) == [(2, "quote_not_closed"), (10, "quote_not_closed")]
    assert {row["name"] for row in broker.records(SSO_EMPLOYERS)} == {
        f"Employer {number}" for number in range(12) if number not in {0, 8}
    }


def test_a_whole_row_is_seen_between_stray_quotes_also_when_it_has_quoted_cells(
    publish_files: PublishFiles, tmp_path: Path, broker: Any
) -> None:
    rows = [
        '7100000001,"Employer,000000,7101',
        '7100000002,"Saw, ""Htoo"" Co.",000000,7101',
        '7100000003,Employer",000000,7101',
    ]
    employers(publish_files, tmp_path / "rows.csv", rows)
    assert [row["name"] for row in broker.records(SSO_EMPLOYERS)][:1] == ['Saw, "Htoo" Co.']


def test_a_cell_with_line_breaks_is_read_and_told(publish_files: PublishFiles, tmp_path: Path, broker: Any) -> None:
    outcome = employers(publish_files, tmp_path / "rows.csv", ['7100000001,"Saw, Htoo\n& Paw Ltd.",000000,7101'])
    assert (outcome.published, outcome.warnings) == (1, 1)
    assert told(tmp_path) == [(2, "row_spans_lines")]
    assert broker.records(SSO_EMPLOYERS)[0]["name"] == "Saw, Htoo & Paw Ltd."


@pytest.mark.parametrize("first_line", ["12/3 Moo 4", "12/3, Moo 4, Soi 5, Baan Suan"])
def test_a_line_within_a_cell_may_have_as_many_delimiters_as_a_row(
    publish_files: PublishFiles, tmp_path: Path, broker: Any, first_line: str
) -> None:
    row = f'7100000001,"{first_line}\nBan Nuea, Muang, Kanchanaburi, 71000\nThailand",000000,7101'
    outcome = employers(publish_files, tmp_path / "rows.csv", [row, ",".join(good_row(2))])
    assert (outcome.rows, outcome.published) == (2, 2)
    names = [row["name"] for row in broker.records(SSO_EMPLOYERS)]
    assert names == [f"{first_line} Ban Nuea, Muang, Kanchanaburi, 71000 Thailand", "Employer 2"]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ('7100000001,"Employer,7101', '7100000009,Employer",000000,7101'),
        ('7100000001,"Saw, Htoo","000000,7101', '7100000009,Employer,000000,7101"'),
        ('7100000001,Employer,000000,"7101', '7100000009,Employer"'),
    ],
)
def test_stray_quotes_are_seen_also_where_one_of_their_rows_is_short_or_has_quoted_cells(
    publish_files: PublishFiles, tmp_path: Path, broker: Any, first: str, last: str
) -> None:
    employers(publish_files, tmp_path / "rows.csv", [first, *(",".join(good_row(number)) for number in (2, 3)), last])
    assert [row["name"] for row in broker.records(SSO_EMPLOYERS)][:2] == ["Employer 2", "Employer 3"]


@pytest.mark.parametrize("characters", [140_000, 1_000_000])
def test_a_long_quoted_cell_is_not_told_as_an_open_quote(
    publish_files: PublishFiles, tmp_path: Path, characters: int
) -> None:
    employers(publish_files, tmp_path / "rows.csv", [f'7100000001,"{"x" * characters}",000000,7101'])
    assert told(tmp_path) == [(2, "too_long")]


# Most strays at a cell's start or end: there a quote has a meaning.
_place = st.tuples(st.integers(0, 24), st.integers(0, 3), st.sampled_from([0, 0, 99, 99, 3]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(count=st.integers(1, 25), places=st.lists(_place, min_size=1, max_size=4))
def test_whatever_stray_quotes_there_are_every_other_row_is_published(
    publish_files: PublishFiles, tmp_path: Path, new_broker: Any, count: int, places: list[tuple[int, int, int]]
) -> None:
    rows = [good_row(number) for number in range(count)]
    spoilt = set()
    for row, cell, at in places:
        text = rows[row % count][cell]
        rows[row % count][cell] = f'{text[:at]}"{text[at:]}'
        spoilt.add(row % count)
    into = new_broker()
    outcome = employers(publish_files, tmp_path / "rows.csv", [",".join(row) for row in rows], to=into)
    assert outcome.published + outcome.rejected == outcome.rows
    published = {row["name"] for row in into.records(SSO_EMPLOYERS)}
    untouched = {f"Employer {number}" for number in range(count) if number not in spoilt}
    assert untouched <= published
