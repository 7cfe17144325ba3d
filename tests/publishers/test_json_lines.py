"""Files of JSON Lines: what is published, what is rejected and why, and that nothing is ever lost."""

import gzip
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saphan_publishers.outcomes import Outcome
from saphan_schemas.identifiers import check_digit
from saphan_schemas.topics import DOE_EMPLOYERS, EMPLOYMENTS, INSURED_PERSONS, NON_THAI_IDS, WORK_PERMITS
from saphan_schemas.values import parse_time_ms

PublishFiles = Callable[..., Outcome]
PINK_CARD = "001712345678" + check_digit("001712345678")
COMPANY = "071555012345" + check_digit("071555012345")


def employment(**changes: Any) -> dict[str, Any]:
    record = {
        "record_id": "E-7101-000123",
        "version": 1,
        "changed_at": "2026-11-23T09:30:00+07:00",
        "deleted": False,
        "permit_number": "7112345678",
        "non_thai_id": PINK_CARD,
        "passport_number": "MB123987",
        "nationality": "MMR",
        "employer_id": "D-5512",
        "workplace_district": "7106",
        "sector": "manufacturing",
        "start_date": "2026-11-01",
        "end_date": None,
        "contract_months": 24,
    }
    return {**record, **changes}


def permit(**changes: Any) -> dict[str, Any]:
    record = {
        "record_id": "P-1",
        "version": 3,
        "changed_at": "2026-11-23T02:30:00Z",
        "non_thai_id": PINK_CARD,
        "permit_number": "7112345678",
        "full_name": "Ma Thida",
        "birth_date": "1998-04-13",
        "sex": "F",
    }
    return {**record, **changes}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_lines(*rows: Any, name: str = "rows.jsonl", encoding: str = "utf-8", end: str = "\n") -> Path:
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        path = tmp_path / name
        path.write_bytes("".join(line + end for line in lines).encode(encoding))
        return path

    return write_lines


def report_rows(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "report.jsonl").read_bytes().splitlines()]


def codes(tmp_path: Path) -> set[tuple[str, str, str]]:
    return {(row["severity"], row["field"], row["code"]) for row in report_rows(tmp_path)}


def test_a_record_is_published_whole_under_its_own_id(publish_files: PublishFiles, write: Any, broker: Any) -> None:
    outcome = publish_files(EMPLOYMENTS, write(employment()))
    assert (outcome.rows, outcome.published, outcome.rejected, outcome.report) == (1, 1, 0, None)
    (message,) = broker.topics[EMPLOYMENTS]
    assert message.key == b"E-7101-000123"
    (record,) = broker.records(EMPLOYMENTS)
    assert record["non_thai_id"] == PINK_CARD
    assert record["start_date"] == 20_758
    assert record["end_date"] is None


def test_a_message_carries_cloudevents_headers_that_follow_from_the_record(
    publish_files: PublishFiles, write: Any, broker: Any
) -> None:
    publish_files(EMPLOYMENTS, write(employment()))
    (message,) = broker.topics[EMPLOYMENTS]
    assert dict(message.headers) == {
        "ce_id": b"doe.employments.v1/E-7101-000123/1",
        "ce_source": b"urn:saphan:doe",
        "ce_type": b"doe.employments.v1",
        "ce_specversion": b"1.0",
        "ce_time": b"2026-11-23T02:30:00Z",
    }


def test_publishing_the_same_file_twice_gives_the_same_messages(
    publish_files: PublishFiles, write: Any, broker: Any
) -> None:
    path = write(employment(), employment(record_id="E-2"))
    publish_files(EMPLOYMENTS, path)
    publish_files(EMPLOYMENTS, path)
    messages = broker.topics[EMPLOYMENTS]
    assert messages[:2] == messages[2:]


def test_a_deleted_record_needs_only_its_envelope(publish_files: PublishFiles, write: Any, broker: Any) -> None:
    gone = {"record_id": "E-9", "version": 7, "changed_at": "2026-11-23T02:30:00Z", "deleted": True}
    assert publish_files(EMPLOYMENTS, write(gone)).published == 1
    assert broker.records(EMPLOYMENTS)[0]["deleted"] is True


def test_an_id_that_starts_with_00_is_published_as_it_is(publish_files: PublishFiles, write: Any, broker: Any) -> None:
    assert publish_files(EMPLOYMENTS, write(employment())).rejected == 0
    assert broker.records(EMPLOYMENTS)[0]["non_thai_id"].startswith("00")


def test_a_00_number_with_another_check_digit_is_a_warning_only(
    publish_files: PublishFiles, write: Any, tmp_path: Path
) -> None:
    wrong = PINK_CARD[:12] + str((int(PINK_CARD[12]) + 1) % 10)
    outcome = publish_files(EMPLOYMENTS, write(employment(non_thai_id=wrong)))
    assert (outcome.published, outcome.warnings) == (1, 1)
    assert codes(tmp_path) == {("warning", "non_thai_id", "check_digit_unconfirmed")}


def test_a_company_number_that_looks_like_a_person_is_rejected(
    publish_files: PublishFiles, write: Any, tmp_path: Path
) -> None:
    outcome = publish_files(EMPLOYMENTS, write(employment(non_thai_id=COMPANY)))
    assert (outcome.published, outcome.rejected) == (0, 1)
    assert ("error", "non_thai_id", "company_number") in codes(tmp_path)


def test_an_employer_is_typed_by_its_id_type_and_not_by_a_digit(
    publish_files: PublishFiles, write: Any, tmp_path: Path
) -> None:
    def employer(number: int, **more: Any) -> dict[str, Any]:
        return {"record_id": f"D-{number}", "version": 1, "changed_at": "2026-11-23T02:30:00Z", **more}

    outcome = publish_files(
        DOE_EMPLOYERS,
        write(employer(1, id_type="juristic", tax_id=COMPANY), employer(2, id_type="person", tax_id=COMPANY)),
    )
    assert (outcome.published, outcome.rejected, outcome.warnings) == (2, 0, 1)
    assert codes(tmp_path) == {("warning", "tax_id", "id_type_mismatch")}


def test_a_persons_number_as_key_is_rejected(publish_files: PublishFiles, write: Any, tmp_path: Path) -> None:
    assert publish_files(EMPLOYMENTS, write(employment(record_id=PINK_CARD))).rejected == 1
    assert ("error", "record_id", "key_carries_person") in codes(tmp_path)


@pytest.mark.parametrize("name", ["Ma Thida", "U Ba -", "Saw", "မသီတာ", "  Naw  Paw "])
def test_a_name_without_surname_is_published(publish_files: PublishFiles, write: Any, broker: Any, name: str) -> None:
    assert publish_files(WORK_PERMITS, write(permit(full_name=name))).rejected == 0
    assert broker.records(WORK_PERMITS)[0]["full_name"] == name.replace("-", "").strip().replace("  ", " ")


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"start_date": "2569-11-01"}, "start_date", "buddhist_era"),
        ({"start_date": "2567-02-29"}, "start_date", "buddhist_era"),
        ({"start_date": "3104-10-10"}, "start_date", "year_shifted_twice"),
        ({"start_date": "1479-10-10"}, "start_date", "year_shifted_back"),
        ({"start_date": "2026-02-30"}, "start_date", "date_unreadable"),
        ({"start_date": "01/11/2026"}, "start_date", "date_unreadable"),
        ({"start_date": 20758}, "start_date", "wrong_type"),
        ({"changed_at": "2569-11-23T09:30:00+07:00"}, "changed_at", "buddhist_era"),
        ({"changed_at": "2026-11-23 09:30"}, "changed_at", "time_unreadable"),
        ({"changed_at": None}, "changed_at", "missing"),
        ({"version": "1"}, "version", "wrong_type"),
        ({"version": True}, "version", "wrong_type"),
        ({"version": 2**63}, "version", "number_out_of_range"),
        ({"version": 2**64}, "version", "wrong_type"),
        ({"record_id": None}, "record_id", "missing"),
        ({"deleted": "no"}, "deleted", "wrong_type"),
        ({"permit_number": 7112345678}, "permit_number", "wrong_type"),
        ({"contract_months": 2**40}, "contract_months", "number_out_of_range"),
        ({"start_date": None}, "start_date", "required"),
        ({"employer_id": None}, "employer_id", "required"),
        ({"end_date": "2026-10-01"}, "end_date", "date_order"),
        ({"sector": "โรงงาน"}, "sector", "code"),
        ({"surname": "-"}, "surname", "unknown_field"),
    ],
)
def test_a_bad_value_is_told_with_its_field_and_code(
    publish_files: PublishFiles, write: Any, tmp_path: Path, changes: dict[str, Any], field: str, code: str
) -> None:
    outcome = publish_files(EMPLOYMENTS, write(employment(), employment(**changes), employment(record_id="E-3")))
    assert (outcome.rows, outcome.published, outcome.rejected) == (3, 2, 1)
    (told,) = report_rows(tmp_path)
    assert (told["line"], told["field"], told["code"], told["severity"]) == (2, field, code, "error")
    assert told["found"]
    assert told["expected"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"record_id": "E-1", ', "not_json"),
        ("[]", "not_an_object"),
        ('"E-1"', "not_an_object"),
        ("not json at all", "not_json"),
        ('{"record_id": NaN}', "not_json"),
    ],
)
def test_a_line_that_is_no_record_never_stops_the_file(
    publish_files: PublishFiles, write: Any, tmp_path: Path, line: str, code: str
) -> None:
    outcome = publish_files(EMPLOYMENTS, write(employment(), line, employment(record_id="E-3")))
    assert (outcome.published, outcome.rejected) == (2, 1)
    assert [row["code"] for row in report_rows(tmp_path)] == [code]


def test_bytes_that_are_not_utf8_reject_their_line_only(publish_files: PublishFiles, tmp_path: Path) -> None:
    rows = [
        json.dumps(employment()).encode(),
        '{"record_id":"ก"}'.encode("cp874"),
        json.dumps(employment(record_id="E-3")).encode(),
    ]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(rows))
    outcome = publish_files(EMPLOYMENTS, path)
    assert (outcome.published, outcome.rejected) == (2, 1)
    assert [row["code"] for row in report_rows(tmp_path)] == ["encoding"]


def test_a_record_of_10_mb_is_rejected_and_its_neighbours_pass(
    publish_files: PublishFiles, write: Any, tmp_path: Path
) -> None:
    huge = employment(record_id="E-2", permit_number="9" * 10_000_000)
    outcome = publish_files(EMPLOYMENTS, write(employment(), huge, employment(record_id="E-3")))
    assert (outcome.published, outcome.rejected) == (2, 1)
    assert (tmp_path / "report.jsonl").stat().st_size < 10_000
    assert (tmp_path / "report.rejected" / "rows.jsonl").stat().st_size > 10_000_000


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_bom_carriage_returns_blank_lines_and_ctrl_z_do_not_matter(
    publish_files: PublishFiles, write: Any, broker: Any, end: str
) -> None:
    path = write(
        "\ufeff" + json.dumps(employment()), "", "  ", json.dumps(employment(record_id="E-2")) + end + "\x1a", end=end
    )
    outcome = publish_files(EMPLOYMENTS, path)
    assert (outcome.rows, outcome.published) == (2, 2)


def test_a_gzip_file_is_read_whatever_its_name(
    publish_files: PublishFiles, write: Any, tmp_path: Path, broker: Any
) -> None:
    plain = write(employment(), employment(record_id="E-2"))
    packed = tmp_path / "rows.data"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert publish_files(EMPLOYMENTS, packed).published == 2


def test_a_gzip_file_that_breaks_off_is_a_failure_and_its_rows_so_far_stay(
    publish_files: PublishFiles, write: Any, tmp_path: Path
) -> None:
    plain = write(*(employment(record_id=f"E-{number}-{secrets.token_hex(40)}") for number in range(20_000)))
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes())[:-100_000])
    outcome = publish_files(EMPLOYMENTS, packed)
    assert outcome.failed
    assert outcome.files[0].failure is not None
    assert "publish it again" in outcome.files[0].failure
    assert 0 < outcome.published == outcome.rows < 20_000


@pytest.mark.parametrize(
    ("content", "code"),
    [(b'[{"record_id": "E-1"}]', "json_array"), ('{"record_id": "E-1"}\n'.encode("utf-16"), "encoding")],
)
def test_a_whole_file_problem_says_what_to_do_and_stops_no_other_file(
    publish_files: PublishFiles, write: Any, tmp_path: Path, content: bytes, code: str
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(content)
    outcome = publish_files(EMPLOYMENTS, bad, write(employment()))
    assert outcome.failed
    assert outcome.published == 1
    (told,) = report_rows(tmp_path)
    assert (told["outcome"], told["code"]) == ("file_failed", code)
    assert told["todo"]


def test_a_missing_file_is_a_failure_with_advice(publish_files: PublishFiles, tmp_path: Path) -> None:
    outcome = publish_files(EMPLOYMENTS, tmp_path / "absent.jsonl")
    assert outcome.failed
    assert "Check the path" in str(outcome.files[0].failure)


def test_rejected_rows_are_kept_as_they_came_and_can_be_published_again(
    publish_files: PublishFiles, write: Any, tmp_path: Path, broker: Any
) -> None:
    publish_files(EMPLOYMENTS, write(employment(), employment(record_id="E-2", start_date="2569-11-01"), "{broken"))
    kept = tmp_path / "report.rejected" / "rows.jsonl"
    assert kept.read_text("utf-8").splitlines()[1] == "{broken"
    corrected = tmp_path / "corrected.jsonl"
    corrected.write_text(kept.read_text("utf-8").splitlines()[0].replace("2569", "2026"), "utf-8")
    assert publish_files(EMPLOYMENTS, corrected).published == 1
    assert {record["record_id"] for record in broker.records(EMPLOYMENTS)} == {"E-7101-000123", "E-2"}


def test_the_summary_for_people_names_the_file_the_problem_and_the_next_step(
    publish_files: PublishFiles, write: Any, tmp_path: Path
) -> None:
    publish_files(EMPLOYMENTS, write(employment(start_date="2569-11-01")))
    text = (tmp_path / "report.summary.txt").read_text("utf-8")
    assert "1 x error buddhist_era in start_date" in text
    assert "line 1" in text
    assert "2569-11-01" in text
    assert "publish that file again" in text


def test_only_the_owner_may_read_a_report(publish_files: PublishFiles, write: Any, tmp_path: Path) -> None:
    publish_files(EMPLOYMENTS, write(employment(start_date="2569-11-01")))
    for name in ("report.jsonl", "report.summary.txt", "report.rejected/rows.jsonl"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_a_dry_run_validates_and_publishes_nothing(publish_files: PublishFiles, write: Any, broker: Any) -> None:
    outcome = publish_files(EMPLOYMENTS, write(employment(), employment(sector="?")), dry_run=True)
    assert (outcome.rows, outcome.published, outcome.rejected, outcome.dry_run) == (2, 1, 1, True)
    assert broker.topics == {}


def test_times_keep_their_milliseconds(publish_files: PublishFiles, write: Any, broker: Any) -> None:
    publish_files(EMPLOYMENTS, write(employment(changed_at="2026-11-23T09:30:00.250+07:00")))
    (message,) = broker.topics[EMPLOYMENTS]
    assert dict(message.headers)["ce_time"] == b"2026-11-23T02:30:00.250Z"
    assert broker.records(EMPLOYMENTS)[0]["changed_at"] == parse_time_ms("2026-11-23T02:30:00.250Z")


_row = st.one_of(
    st.integers(1, 99).map(lambda number: json.dumps(employment(record_id=f"E-{number}"))),
    st.sampled_from(
        ["{", "[1]", "null", "x", json.dumps(employment(start_date="2569-01-01")), json.dumps({}), '{"a":"\\ud800"}']
    ),
    st.text(st.characters(exclude_characters="\n\r\x1a", codec="utf-8"), min_size=1).filter(
        lambda text: text.strip(" \t\r\n\x1a")
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(rows=st.lists(_row, max_size=40))
def test_any_mix_of_good_and_bad_rows_is_accounted_for(
    publish_files: PublishFiles, tmp_path: Path, new_broker: Any, rows: list[str]
) -> None:
    if rows and rows[0].lstrip().startswith("["):
        rows = ["x", *rows]  # a file that begins with a bracket is taken for a JSON array
    path = tmp_path / "mixed.jsonl"
    path.write_text("\n".join(rows), "utf-8")
    first, again = new_broker(), new_broker()
    outcome = publish_files(EMPLOYMENTS, path, to=first)
    publish_files(EMPLOYMENTS, path, to=again)
    assert not outcome.failed
    assert outcome.rows == len(rows)
    assert outcome.published + outcome.rejected == outcome.rows
    assert first.topics == again.topics
    assert len(first.records(EMPLOYMENTS)) == outcome.published
    if outcome.rejected:
        errors = {row["line"] for row in report_rows(tmp_path) if row["severity"] == "error"}
        assert len(errors) == outcome.rejected


def test_every_worker_feed_takes_a_plain_record(publish_files: PublishFiles, write: Any, broker: Any) -> None:
    envelope = {"record_id": "R-1", "version": 1, "changed_at": "2026-11-23T02:30:00Z"}
    insured = {
        **envelope,
        "insured_number": PINK_CARD,
        "section": "33",
        "sso_account": "7100012345",
        "sso_branch": "000000",
    }
    rows = {
        INSURED_PERSONS: {**insured, "start_date": "2026-11-01", "full_name": "Ma Thida -"},
        NON_THAI_IDS: {**envelope, "non_thai_id": PINK_CARD, "full_name_th": "มะ ธิดา", "birth_date": "1998-01-01"},
    }
    for feed, row in rows.items():
        assert publish_files(feed, write(row)).published == 1
        assert len(broker.records(feed)) == 1
