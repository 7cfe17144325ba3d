"""Headers of CSV files that are not as mapped: what the console says, what only the report says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from publishers.conftest import KEY

from saphan_publishers.mapping_file import parse_mapping
from saphan_publishers.outcomes import Outcome
from saphan_publishers.record_ids import KeyedHash
from saphan_schemas.topics import EMPLOYER_PAIRS, SSO_EMPLOYERS
from saphan_schemas.values import parse_time_ms

PublishFiles = Callable[..., Outcome]
AS_OF = parse_time_ms("2026-11-23T00:00:00+07:00")
MAPPING = """
record_id = { columns = ["Account", "Branch"] }
[fields]
sso_account = "Account"
sso_branch = "Branch"
name = "Company"
"""


@pytest.fixture
def publish(publish_files: PublishFiles, tmp_path: Path) -> Callable[..., Outcome]:
    def publish_text(text: str, mapping: str | None = MAPPING, feed: str = SSO_EMPLOYERS) -> Outcome:
        path = tmp_path / "rows.csv"
        path.write_text(text, "utf-8", newline="")
        read = None if mapping is None else parse_mapping(mapping, feed)
        return publish_files(feed, path, mapping=read, as_of=AS_OF)

    return publish_text


def told(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "report.jsonl").read_bytes().splitlines()]


def test_a_missing_column_says_what_was_found_in_the_report_and_only_what_was_expected_on_the_console(
    publish: Callable[..., Outcome], tmp_path: Path
) -> None:
    failure = str(publish("Account,Branch,Compny\n").files[0].failure)
    assert "in line 1 3 columns; expected columns 'company'" in failure
    assert "--mapping" in failure
    assert "compny" not in failure
    (row,) = told(tmp_path)
    assert row["found"] == "in line 1 the columns account, branch, compny"
    assert "'company' (perhaps 'compny'?)" in row["expected"]
    assert (tmp_path / "report.jsonl").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("cell", ["7100012345", "0-0710-15201-84-9", "23/11/2569"])
def test_a_file_without_headers_shows_nobodys_data_on_the_console(
    publish: Callable[..., Outcome], tmp_path: Path, cell: str
) -> None:
    outcome = publish(f"{cell},Ma Thida,MB700001\n{cell},U Ba,MB700002\n")
    shown = json.dumps(outcome.as_json(), ensure_ascii=False)
    for value in (cell, "Thida", "thida", "MB700001", "mb700001"):
        assert value not in shown
    assert "this looks like data, not headers" in shown
    assert "ma thida" in told(tmp_path)[0]["found"]


def test_without_a_mapping_other_columns_are_counted_on_the_console(
    publish: Callable[..., Outcome], tmp_path: Path
) -> None:
    failure = str(publish("record_id,surname\nP-1,x\n", None).files[0].failure)
    assert "(1 others)" in failure
    assert "surname" not in failure
    assert "no column 'surname'" in told(tmp_path)[0]["expected"]


def test_only_a_column_that_is_read_must_stand_once(publish: Callable[..., Outcome]) -> None:
    assert publish("Account,Branch,Company,Note,Note\n7100012345,000000,A,x,y\n").published == 1
    failure = str(publish("Account,Branch,Company,Company\n7100012345,000000,A,B\n").files[0].failure)
    assert "'company' once" in failure


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_a_file_in_utf16_is_a_file_problem_with_and_without_its_mark(
    publish_files: PublishFiles, tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("Account,Branch,Company\n7100012345,000000,บริษัทตัวอย่าง\n".encode(encoding))
    outcome = publish_files(SSO_EMPLOYERS, path, mapping=parse_mapping(MAPPING, SSO_EMPLOYERS), as_of=AS_OF)
    assert "UTF-16" in str(outcome.files[0].failure)


@pytest.mark.parametrize("name", ["A\x00B", "\x00\x00A", "A\x00B\x00C\x00", "A\x00\x00B" * 9])
def test_stray_nuls_are_cleaned_away_and_stop_no_file(publish: Callable[..., Outcome], broker: Any, name: str) -> None:
    assert publish(f"Account,Branch,Company\n7100012345,000000,{name}\n").published == 1
    assert broker.records(SSO_EMPLOYERS)[0]["name"] == name.replace("\x00", "")


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"])
def test_a_workbook_says_how_to_save_it(publish_files: PublishFiles, tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "rows.xlsx"
    path.write_bytes(start + b"\x14\x00\x06\x00\x08\x00!\x00")
    outcome = publish_files(SSO_EMPLOYERS, path, mapping=parse_mapping(MAPPING, SSO_EMPLOYERS), as_of=AS_OF)
    assert "save it as CSV UTF-8" in str(outcome.files[0].failure)


@pytest.mark.parametrize("rows", [1, 3])
def test_lines_that_end_in_a_lone_cr_are_a_file_problem_in_a_small_file_too(
    publish: Callable[..., Outcome], rows: int
) -> None:
    failure = str(publish("Account,Branch,Company\r" + "7100012345,000000,A\r" * rows).files[0].failure)
    assert "lone CR" in failure


def test_an_id_may_be_hashed_from_the_files_own_column_of_that_name(
    publish: Callable[..., Outcome], broker: Any
) -> None:
    mapping = """
record_id = { hash = ["record_id"] }
[fields]
sso_account = "sso_account"
sso_branch = "sso_branch"
employer_id = "employer_id"
"""
    text = "record_id,sso_account,sso_branch,employer_id\nN-1,7100012345,000000,E-1\nN-2,7100012345,000001,E-1\n"
    assert publish(text, mapping, EMPLOYER_PAIRS).published == 2
    assert len({row["record_id"] for row in broker.records(EMPLOYER_PAIRS)}) == 2


@pytest.mark.parametrize("first", ["employer_id", "sso_account"])
def test_a_field_may_be_hashed_from_the_files_own_column_of_its_or_another_fields_name(
    publish: Callable[..., Outcome], broker: Any, first: str
) -> None:
    fields = {
        "employer_id": 'employer_id = { hash = ["employer_id", "sso_account"], hash_as = "doe.employers.v1" }\n',
        "sso_account": 'sso_account = "sso_account"\nsso_branch = "sso_branch"\n',
    }
    mapping = 'record_id = { columns = ["sso_account", "sso_branch"] }\n[fields]\n'
    mapping += fields.pop(first) + "".join(fields.values())
    text = "sso_account,sso_branch,employer_id\n7100012345,000000,E-1\n"
    outcome = publish(text, mapping, EMPLOYER_PAIRS)
    assert (outcome.published, outcome.rejected) == (1, 0)
    (row,) = broker.records(EMPLOYER_PAIRS)
    assert row["record_id"] == "7100012345-000000"
    assert row["employer_id"] == KeyedHash(KEY)("doe.employers.v1", ["E-1", "7100012345"])
