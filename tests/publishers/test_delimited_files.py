"""CSV files as agencies export them: encodings, delimiters, headers in Thai, quotes, and the example mappings."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saphan_publishers.input_files import decided
from saphan_publishers.mapping import MappingError
from saphan_publishers.mapping_file import parse_mapping, read_mapping
from saphan_publishers.outcomes import Outcome
from saphan_publishers.record_ids import KeyedHash
from saphan_schemas.identifiers import check_digit
from saphan_schemas.topics import CONTRIBUTIONS, DOE_EMPLOYERS, EMPLOYMENTS, INSURED_PERSONS, WORK_PERMITS
from saphan_schemas.values import days_to_date, parse_time_ms

PublishFiles = Callable[..., Outcome]
MAPPINGS = Path(__file__).parents[2] / "publishers" / "mappings"
PINK_CARD = "001712345678" + check_digit("001712345678")
CITIZEN = "171019912345" + check_digit("171019912345")
COMPANY = "071555012345" + check_digit("071555012345")

PERMITS = """
record_id = { columns = ["เลขที่"] }
[fields]
permit_number = "เลขที่"
full_name = { columns = ["ชื่อ", "นามสกุล"] }
sex = { column = "เพศ", values = { "ชาย" = "M", "หญิง" = "F" } }
birth_date = { column = "วันเกิด", format = "DD/MM/YYYY", era = "BE" }
non_thai_id = "เลขประจำตัว"
"""
PERMIT_HEADER = "เลขที่,ชื่อ,นามสกุล,เพศ,วันเกิด,เลขประจำตัว"
AS_OF = parse_time_ms("2026-11-23T00:00:00+07:00")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_text(text: str, name: str = "rows.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write_text


def report_rows(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "report.jsonl").read_bytes().splitlines()]


def rejections(tmp_path: Path) -> list[tuple[int, str, str]]:
    return [(row["line"], row["field"], row["code"]) for row in report_rows(tmp_path) if row["severity"] == "error"]


def permits(publish_files: PublishFiles, path: Path, **options: Any) -> Outcome:
    return publish_files(WORK_PERMITS, path, mapping=parse_mapping(PERMITS, WORK_PERMITS), as_of=AS_OF, **options)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp874", "tis_620"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encoding_delimiter_and_line_ends_are_seen(
    publish_files: PublishFiles, write: Any, broker: Any, encoding: str, delimiter: str, end: str
) -> None:
    rows = [PERMIT_HEADER, f"7112345678,มะ ธิดา,-,หญิง,29/02/2567,{PINK_CARD}"]
    outcome = permits(publish_files, write(end.join(rows).replace(",", delimiter) + end, encoding=encoding))
    assert (outcome.rows, outcome.published) == (1, 1)
    (record,) = broker.records(WORK_PERMITS)
    assert record["full_name"] == "มะ ธิดา"
    assert record["sex"] == "F"
    assert days_to_date(record["birth_date"]).isoformat() == "2024-02-29"
    assert record["non_thai_id"] == PINK_CARD
    assert (record["version"], record["changed_at"]) == (AS_OF, AS_OF)


def test_thai_in_tis620_that_is_valid_utf8_by_chance_is_still_tis620() -> None:
    by_chance = "เชน".encode("cp874")
    assert by_chance.decode("utf-8")  # three Thai letters make one letter of Gujarati
    assert decided(by_chance) == "cp874"
    assert decided("เชน".encode()) == "utf-8"
    assert decided(b"plain") is None
    assert decided("สมชาย\n".encode() * 5 + "สม".encode("cp874")) == "utf-8"
    assert decided("สมชาย\n".encode("cp874") * 5 + "สม".encode()) == "cp874"
    assert decided("สมชาย".encode()[:-1]) == "utf-8"


def test_a_file_that_turns_thai_late_is_read_by_its_first_thai_line(
    publish_files: PublishFiles, write: Any, broker: Any
) -> None:
    mapping = 'record_id = { columns = ["No"] }\n[fields]\npermit_number = "No"\nfull_name = "Name"\n'
    rows = ["No,Name", *(f"71{number:08},Aung Aung" for number in range(20_000)), "7199999999,สมชาย"]
    path = write("\n".join(rows), encoding="cp874")
    outcome = publish_files(WORK_PERMITS, path, mapping=parse_mapping(mapping, WORK_PERMITS), as_of=AS_OF)
    assert outcome.published == 20_001
    assert broker.records(WORK_PERMITS)[-1]["full_name"] == "สมชาย"


def test_a_line_in_another_encoding_is_a_bad_row(publish_files: PublishFiles, tmp_path: Path) -> None:
    lines = [
        PERMIT_HEADER.encode(),
        f"7112345678,A,B,ชาย,01/01/2540,{PINK_CARD}".encode(),
        "7112345679,สม,-,ชาย,,".encode("cp874"),
    ]
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\n".join(lines) + b"\n\x1a")
    outcome = permits(publish_files, path)
    assert (outcome.published, outcome.rejected) == (1, 1)
    assert rejections(tmp_path) == [(3, "", "encoding")]
    assert (tmp_path / "report.rejected" / "rows.csv").read_bytes() == lines[0] + b"\n" + lines[2] + b"\n"


def test_thai_digits_zero_width_marks_and_dashes_do_not_matter(
    publish_files: PublishFiles, write: Any, broker: Any
) -> None:
    dashed = f"{PINK_CARD[0]}-{PINK_CARD[1:5]}-{PINK_CARD[5:10]}-{PINK_CARD[10:12]}-{PINK_CARD[12]}"
    path = write(f"{PERMIT_HEADER}\n7112345678,มะ\u200b ธิดา\ufeff,,หญิง,๑๓/๐๔/๒๕๔๑,{dashed}\n")
    assert permits(publish_files, path).published == 1
    (record,) = broker.records(WORK_PERMITS)
    assert (record["full_name"], record["non_thai_id"]) == ("มะ ธิดา", PINK_CARD)
    assert days_to_date(record["birth_date"]).isoformat() == "1998-04-13"


@pytest.mark.parametrize(
    ("cells", "field", "code"),
    [
        (f"7112345678,A,B,ชาย,13/04/1998,{PINK_CARD}", "birth_date", "common_era"),
        (f"7112345678,A,B,ชาย,13/04/3084,{PINK_CARD}", "birth_date", "year_shifted_twice"),
        (f"7112345678,A,B,ชาย,31/04/2541,{PINK_CARD}", "birth_date", "date_unreadable"),
        (f"7112345678,A,B,ชาย,00/00/2541,{PINK_CARD}", "birth_date", "date_part_unknown"),
        (f"7112345678,A,B,ไม่ระบุ,13/04/2541,{PINK_CARD}", "sex", "value_not_mapped"),
        (f"7112345678,A,B,ชาย,13/04/2541,{PINK_CARD[2:]}", "non_thai_id", "leading_zeros_lost"),
        ("7112345678,A,B,ชาย,13/04/2541,1.71235E+12", "non_thai_id", "spreadsheet_number"),
        (f"7112345678,A,B,ชาย,13/04/2541,{COMPANY}", "non_thai_id", "company_number"),
        (f",A,B,ชาย,13/04/2541,{PINK_CARD}", "record_id", "missing"),
        ("7112345678,A,B,ชาย,13/04/2541", "", "cell_count"),
        ("7112345678,A,B,C,ชาย,13/04/2541,1", "", "cell_count"),
        ('"7112345678,A,B,ชาย,13/04/2541,1', "", "quote_not_closed"),
        ('7112345678,"A"x,B,ชาย,13/04/2541,1', "", "quote_not_closed"),
    ],
)
def test_a_bad_cell_rejects_its_row_only(
    publish_files: PublishFiles, write: Any, tmp_path: Path, cells: str, field: str, code: str
) -> None:
    good = [f"711234567{number},A,-,ชาย,13/04/2541,{PINK_CARD}" for number in (1, 2)]
    outcome = permits(publish_files, write("\n".join([PERMIT_HEADER, good[0], cells, good[1]]) + "\n"))
    assert (outcome.rows, outcome.published, outcome.rejected) == (3, 2, 1)
    assert rejections(tmp_path) == [(3, field, code)]


def test_a_quote_that_is_never_closed_costs_one_row_and_not_the_rest_of_the_file(
    publish_files: PublishFiles, write: Any, tmp_path: Path
) -> None:
    good = [f"7112{number:06},A,-,ชาย,13/04/2541,{PINK_CARD}" for number in range(200)]
    outcome = permits(publish_files, write("\n".join([PERMIT_HEADER, '"7100000000,A,B,ชาย,,', *good])))
    assert (outcome.published, outcome.rejected) == (200, 1)
    assert rejections(tmp_path) == [(2, "", "quote_not_closed")]


def test_quoted_cells_may_hold_delimiters_quotes_and_line_breaks(
    publish_files: PublishFiles, write: Any, broker: Any
) -> None:
    row = f'7112345678,"Saw, ""Htoo""","\nPaw",ชาย,,{PINK_CARD}'
    assert permits(publish_files, write(f"{PERMIT_HEADER}\n{row}\n")).published == 1
    assert broker.records(WORK_PERMITS)[0]["full_name"] == 'Saw, "Htoo" Paw'


def test_titles_above_the_header_a_separator_hint_and_empty_rows_are_passed_over(
    publish_files: PublishFiles, write: Any
) -> None:
    mapping = parse_mapping(PERMITS + "[file]\nskip_lines = 2\n", WORK_PERMITS)
    text = (
        f"รายงานใบอนุญาต\nจังหวัดกาญจนบุรี\nsep=;\n{PERMIT_HEADER};;\n7112345678,A,,ชาย,,{PINK_CARD};;\n;;;;;;;\n\n".replace(
            ",", ";"
        )
    )
    outcome = publish_files(WORK_PERMITS, write(text), mapping=mapping, as_of=AS_OF)
    assert (outcome.rows, outcome.published) == (1, 1)


def test_rejected_rows_under_a_header_with_a_line_break_can_be_published_again(
    publish_files: PublishFiles, write: Any, tmp_path: Path
) -> None:
    header = '"record\nid",permit_number,changed_at\n'
    mapping = 'record_id = { columns = ["record id"] }\n[fields]\npermit_number = "permit_number"\n'
    options = {"mapping": parse_mapping(mapping, WORK_PERMITS), "as_of": AS_OF}
    publish_files(WORK_PERMITS, write(f"{header}P-1,710000000001,\nP-2\n"), **options)
    rejected = tmp_path / "report.rejected" / "rows.csv"
    assert rejected.read_text("utf-8") == f"{header}P-2\n"
    assert (
        publish_files(WORK_PERMITS, write(rejected.read_text("utf-8") + "P-3,710000000002,\n"), **options).published
        == 1
    )


def test_a_header_read_in_the_wrong_encoding_is_a_file_problem(publish_files: PublishFiles, write: Any) -> None:
    assert permits(publish_files, write(f"{PERMIT_HEADER}\n", encoding="cp874"), encoding="utf-8").failed
    assert permits(publish_files, write(""), encoding="utf-8").failed


def test_columns_that_the_mapping_does_not_name_are_told(
    publish_files: PublishFiles, write: Any, tmp_path: Path
) -> None:
    outcome = permits(publish_files, write(f"{PERMIT_HEADER},หมายเหตุ\n7112345678,A,B,ชาย,,{PINK_CARD},x\n"))
    assert (outcome.published, outcome.warnings) == (1, 1)
    assert report_rows(tmp_path)[0]["code"] == "columns_ignored"


def test_without_a_mapping_the_headers_are_the_schemas_own_names(
    publish_files: PublishFiles, write: Any, broker: Any
) -> None:
    text = f"record_id,version,changed_at,deleted,permit_number,birth_date\nP-1,2,2026-11-23T09:00:00+07:00,false,{PINK_CARD},\n"
    assert publish_files(WORK_PERMITS, write(text)).published == 1
    assert broker.records(WORK_PERMITS)[0]["version"] == 2


def test_a_row_that_contradicts_an_earlier_one_is_rejected_where_the_file_has_no_versions(
    publish_files: PublishFiles, write: Any, tmp_path: Path
) -> None:
    rows = [f"7112345678,{name},,ชาย,,{PINK_CARD}" for name in ("A", "A", "B")]
    outcome = permits(publish_files, write("\n".join([PERMIT_HEADER, *rows])))
    assert (outcome.published, outcome.rejected) == (2, 1)
    assert [(row["line"], row["code"]) for row in report_rows(tmp_path)] == [
        (3, "repeated_row"),
        (4, "contradicting_row"),
    ]


def test_a_hashed_id_shows_no_number_and_is_the_same_with_and_without_dashes(
    publish_files: PublishFiles, write: Any, broker: Any
) -> None:
    employers = parse_mapping(
        'record_id = { hash = ["No"] }\n[fields]\ntax_id = "No"\nid_type = { constant = "person" }\n', DOE_EMPLOYERS
    )
    employments = parse_mapping(
        'record_id = { columns = ["Notice"] }\n[fields]\nnon_thai_id = "Worker"\nstart_date = "Start"\n'
        'employer_id = { hash = ["Employer"], hash_as = "doe.employers.v1" }\n',
        EMPLOYMENTS,
    )
    publish_files(DOE_EMPLOYERS, write(f"No\n{CITIZEN}\n"), mapping=employers, as_of=AS_OF)
    dashed = f"{CITIZEN[0]}-{CITIZEN[1:5]}-{CITIZEN[5:10]}-{CITIZEN[10:12]}-{CITIZEN[12]}"
    rows = f"Notice,Worker,Start,Employer\nN-1,{PINK_CARD},2026-11-01,{dashed}\n"
    publish_files(EMPLOYMENTS, write(rows), mapping=employments, as_of=AS_OF)
    (employer,), (employment,) = broker.records(DOE_EMPLOYERS), broker.records(EMPLOYMENTS)
    assert employment["employer_id"] == employer["record_id"]
    assert CITIZEN not in employer["record_id"]
    assert len(employer["record_id"]) == 24


def test_another_key_gives_another_id(publish_files: PublishFiles, write: Any, broker: Any) -> None:
    assert KeyedHash("one key")("feed", [CITIZEN]) != KeyedHash("another key")("feed", [CITIZEN])
    assert KeyedHash("one key")("feed", ["a", "bc"]) != KeyedHash("one key")("feed", ["ab", "c"])


class TestExampleMappings:
    """Each mapping that is shipped reads the file that it describes."""

    def test_employments(self, publish_files: PublishFiles, write: Any, broker: Any) -> None:
        header = (
            "ลำดับ,เลขที่แจ้ง,ชื่อ,นามสกุล,เลขที่ใบอนุญาตทำงาน,เลขประจำตัว 13 หลัก,เลขที่หนังสือเดินทาง,สัญชาติ,เลขนายจ้าง,ประเภทกิจการ,"
            "รหัสอำเภอ,วันที่เข้าทำงาน,วันที่ออกจากงาน,อายุสัญญา (เดือน),วันที่ปรับปรุง,หมายเหตุ"
        )
        row = f"1,71-69-000123,ธิดา,-,7112345678,{PINK_CARD},MB123987,เมียนมา,{CITIZEN},ก่อสร้าง,7106,01/11/2569,-,24,23/11/2569 09:30:00,"
        mapping = read_mapping(MAPPINGS / "doe-employments.toml", EMPLOYMENTS)
        assert publish_files(EMPLOYMENTS, write(f"{header}\n{row}\n", encoding="cp874"), mapping=mapping).report is None
        (record,) = broker.records(EMPLOYMENTS)
        assert record["record_id"] == "E-71-69-000123"
        assert (record["nationality"], record["sector"], record["contract_months"]) == ("MMR", "construction", 24)
        assert record["version"] == record["changed_at"] == parse_time_ms("2026-11-23T09:30:00+07:00")
        assert record["end_date"] is None

    def test_employers(self, publish_files: PublishFiles, write: Any, broker: Any) -> None:
        text = (
            "เลขนายจ้าง,ประเภทนายจ้าง,ชื่อนายจ้าง,จำนวนลูกจ้าง,รหัสอำเภอ\n"
            f'{COMPANY},นิติบุคคล,บริษัท น้ำตาลตัวอย่าง จำกัด,"1,240",7107\n{CITIZEN},บุคคลธรรมดา,นายสมชาย ตัวอย่าง,3,7101\n'
        )
        mapping = read_mapping(MAPPINGS / "doe-employers.toml", DOE_EMPLOYERS)
        assert publish_files(DOE_EMPLOYERS, write(text, "employers_25691123.csv"), mapping=mapping).report is None
        company, person = broker.records(DOE_EMPLOYERS)
        assert (company["id_type"], company["workers"], person["id_type"]) == ("juristic", 1240, "person")
        assert company["changed_at"] == AS_OF
        undated = publish_files(DOE_EMPLOYERS, write(text), mapping=mapping)
        assert "--as-of" in str(undated.files[0].failure)

    def test_insured_persons(self, publish_files: PublishFiles, write: Any, broker: Any) -> None:
        header = "เลขประกันสังคม\tชื่อ\tชื่อสกุล\tเพศ\tวันเกิด\tสัญชาติ\tเลขที่บัญชีนายจ้าง\tลำดับที่สาขา\tวันที่เป็นผู้ประกันตน\tวันที่สิ้นสุด"
        row = f"{PINK_CARD}\tธิดา\t-\tหญิง\t00/00/2541\tเมียนมา\t71-0001234-5\t0\t05/01/69\t"
        mapping = read_mapping(MAPPINGS / "sso-insured-persons.toml", INSURED_PERSONS)
        path = write(f"{header}\r\n{row}\r\n", encoding="cp874")
        assert publish_files(INSURED_PERSONS, path, mapping=mapping, as_of=AS_OF).published == 1
        (record,) = broker.records(INSURED_PERSONS)
        assert (record["sso_account"], record["sso_branch"], record["section"]) == ("7100012345", "000000", "33")
        assert days_to_date(record["start_date"]).isoformat() == "2026-01-05"
        assert days_to_date(record["birth_date"]).isoformat() == "1998-01-01"
        assert (record["full_name"], record["end_date"]) == ("ธิดา", None)
        assert record["record_id"].startswith("I-")
        assert PINK_CARD not in record["record_id"]

    def test_contributions(self, publish_files: PublishFiles, write: Any, broker: Any) -> None:
        text = (
            "Insured No;Account;Branch;Period;Wage;Contribution;Paid on;Updated\n"
            f"{PINK_CARD};7100012345;000001;11/2569;9,152.00;457.60;15 ธ.ค. 2569;2026-12-15T08:00:00+07:00\n"
        )
        mapping = read_mapping(MAPPINGS / "sso-contributions.toml", CONTRIBUTIONS)
        assert publish_files(CONTRIBUTIONS, write(text), mapping=mapping).report is None
        (record,) = broker.records(CONTRIBUTIONS)
        assert (record["month"], record["wage_satang"], record["amount_satang"]) == ("2026-11", 915_200, 45_760)
        assert days_to_date(record["paid_on"]).isoformat() == "2026-12-15"

    def test_every_example_is_a_mapping(self) -> None:
        for path in MAPPINGS.glob("*.toml"):
            feed = next(line.split('"')[1] for line in path.read_text("utf-8").splitlines() if line.startswith("feed"))
            assert read_mapping(path, feed).fields


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("record_id = [", "TOML"),
        ('feed = "sso.employers.v1"', "give the mapping file of that feed"),
        ("[fields]\n", "record_id is missing"),
        ('record_id = { columns = ["a"], hash = ["a"] }\n', "exactly one"),
        ("record_id = { columns = [] }\n", "at least one"),
        ('record_id = { columns = ["a"] }\n[field]\n', "did you mean fields?"),
        ('record_id = { columns = ["a"] }\n[fields]\nfull_nam = "n"\n', "did you mean full_name?"),
        ('record_id = { columns = ["a"] }\n[fields]\nsex = 3\n', "expected a column's header"),
        ('record_id = { columns = ["a"] }\n[fields]\nsex = { colum = "n" }\n', "did you mean column?"),
        ('record_id = { columns = ["a"] }\n[fields]\nsex = { column = "n", constant = "F" }\n', "exactly one of"),
        (
            'record_id = { columns = ["a"] }\n[fields]\nbirth_date = { column = "n", format = "DD/MM/YYYY" }\n',
            "never guessed",
        ),
        (
            'record_id = { columns = ["a"] }\n[fields]\nbirth_date = { column = "n", era = "BE" }\n',
            "era without format",
        ),
        (
            'record_id = { columns = ["a"] }\n[fields]\nbirth_date = { column = "n", format = "MM/YYYY", era = "BE" }\n',
            "no day",
        ),
        (
            'record_id = { columns = ["a"] }\n[fields]\nbirth_date = { column = "n", format = "DDMMYY", era = "CE" }\n',
            "century",
        ),
        (
            'record_id = { columns = ["a"] }\n[fields]\nsex = { column = "n", format = "DDMMYY", era = "BE" }\n',
            "format is for",
        ),
        (
            'record_id = { columns = ["a"] }\n[fields]\nsex = { column = "n", unit = "baht" }\n',
            "only for fields of money",
        ),
        ('record_id = { columns = ["a"] }\n[fields]\nsex = { hash = ["n"], hash_as = "x" }\n', "hash_as"),
        ('record_id = { columns = ["a"] }\n[file]\nencoding = "latin-1"\n', "encoding"),
        ('record_id = { columns = ["a"] }\n[file]\ndelimiter = "::"\n', "delimiter"),
        ('record_id = { columns = ["a"] }\nas_of = { file_name = "YYYYMMDD" }\n', "as_of"),
        ('record_id = { columns = ["a"] }\n[fields]\nrecord_id = "a"\n', "keep one"),
    ],
)
def test_a_mapping_that_cannot_work_says_what_to_change(text: str, said: str) -> None:
    with pytest.raises(MappingError, match=said.replace("?", r"\?")):
        parse_mapping(text, WORK_PERMITS)


def test_a_mapping_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"absent\.toml: there is no such file"):
        read_mapping(tmp_path / "absent.toml", WORK_PERMITS)
    with pytest.raises(MappingError, match=r"cannot be opened \(Is a directory\)"):
        read_mapping(tmp_path, WORK_PERMITS)


_cell = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x1a"), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(rows=st.lists(st.lists(_cell, min_size=1, max_size=8).map(",".join), max_size=30))
def test_any_rows_at_all_are_published_or_rejected(
    publish_files: PublishFiles, tmp_path: Path, new_broker: Any, rows: list[str]
) -> None:
    good = f"7112345678,A,-,ชาย,13/04/2541,{PINK_CARD}"
    path = tmp_path / "mixed.csv"
    path.write_bytes("\n".join([PERMIT_HEADER, good, *rows]).encode())
    first, again = new_broker(), new_broker()
    outcome = permits(publish_files, path, to=first, encoding="utf-8")
    permits(publish_files, path, to=again, encoding="utf-8")
    assert not outcome.failed
    assert outcome.published + outcome.rejected == outcome.rows
    assert outcome.published >= 1
    assert first.topics == again.topics
