"""What is refused at publishing alone, in JSON Lines, CSV and the class alike."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from good_records import Record, good

from saphan_publishers.admission import admission_problems
from saphan_publishers.mapping_file import parse_mapping
from saphan_publishers.outcomes import Outcome
from saphan_publishers.validation import publishing_problems
from saphan_schemas.topics import DOE_EMPLOYERS, INSURED_PERSONS, RECORD_FEEDS, STAYS, WORK_PERMITS
from saphan_schemas.values import parse_time_ms
from saphan_simulation.parameters import load_parameters
from saphan_simulation.simulating import generate

PublishFiles = Callable[..., Outcome]
NOW_MS = parse_time_ms("2026-11-27T10:00:00+07:00")
EACH_FEED = pytest.mark.parametrize("feed", RECORD_FEEDS)


def refusals(feed: str, record: Record) -> list[tuple[str, str]]:
    problems = publishing_problems(feed, record, NOW_MS)
    return [(problem.field, problem.code) for problem in problems if problem.severity == "error"]


@EACH_FEED
def test_a_good_record_is_admitted(feed: str) -> None:
    assert admission_problems(feed, good(feed), NOW_MS) == []


@pytest.mark.parametrize("deleted", [False, True])
def test_a_change_that_is_still_to_come_is_refused_but_for_a_clock_that_is_a_day_ahead(*, deleted: bool) -> None:
    record = good(WORK_PERMITS, deleted=deleted)
    assert refusals(WORK_PERMITS, record | {"changed_at": NOW_MS + 86_400_000}) == []
    late = record | {"changed_at": NOW_MS + 86_400_001}
    assert refusals(WORK_PERMITS, late) == [("changed_at", "change_in_future")]


def test_data_of_a_day_to_come_is_refused_whole(publish_files: PublishFiles, tmp_path: Path) -> None:
    path = tmp_path / "rows_25991231.csv"
    path.write_text("No\nMB700001\n", "utf-8")
    text = 'record_id = { columns = ["No"] }\n[fields]\npermit_number = "No"\n'
    mapping = parse_mapping(text, WORK_PERMITS)
    late = publish_files(WORK_PERMITS, path, mapping=mapping, as_of=NOW_MS + 90_000_000, now_ms=NOW_MS)
    assert "--as-of" in str(late.files[0].failure)
    dated = parse_mapping('as_of = { file_name = "YYYYMMDD", era = "BE" }\n' + text, WORK_PERMITS)
    assert publish_files(WORK_PERMITS, path, mapping=dated, now_ms=NOW_MS).failed


def test_one_version_with_two_contents_is_refused_whatever_the_format(
    publish_files: PublishFiles, tmp_path: Path
) -> None:
    one = {"record_id": "P-1", "version": 1, "changed_at": "2026-11-23T09:00:00Z", "permit_number": "7112345678"}
    rows = [one, one, {**one, "sex": "F"}, {**one, "version": 2, "sex": "F"}]
    path, other = tmp_path / "rows.jsonl", tmp_path / "more.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    other.write_text(json.dumps({**one, "sex": "M"}), "utf-8")
    outcome = publish_files(WORK_PERMITS, path, other)
    assert (outcome.published, outcome.rejected, outcome.warnings) == (3, 2, 0)
    assert told(tmp_path) == [(3, "record_id", "contradicting_row"), (1, "record_id", "contradicting_row")]


def test_a_change_known_by_its_day_alone_cannot_happen_twice_with_two_contents(
    publish_files: PublishFiles, tmp_path: Path
) -> None:
    text = 'record_id = { columns = ["No"] }\n[fields]\npermit_number = "No"\nsex = "Sex"\n'
    text += 'changed_at = { column = "Day", format = "DD/MM/YYYY", era = "BE" }\n'
    path = tmp_path / "rows.csv"
    path.write_text("No,Sex,Day\nWP700001,F,23/11/2569\nWP700001,M,23/11/2569\n", "utf-8")
    outcome = publish_files(WORK_PERMITS, path, mapping=parse_mapping(text, WORK_PERMITS))
    assert (outcome.published, outcome.rejected) == (1, 1)
    assert told(tmp_path) == [(3, "record_id", "contradicting_row")]


@pytest.mark.parametrize("field", ["record_id", "permit_number", "passport_number"])
@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\u061c"])
def test_an_id_with_a_sign_that_turns_it_around_is_refused(field: str, sign: str) -> None:
    assert refusals(WORK_PERMITS, good(WORK_PERMITS, **{field: f"WP{sign}700001"})) == [(field, "hidden_sign")]


def test_a_name_may_hold_what_it_needs() -> None:
    assert refusals(WORK_PERMITS, good(WORK_PERMITS, full_name="မသီ\u200bတာ")) == []


def test_nobody_is_born_after_today() -> None:
    assert refusals(WORK_PERMITS, good(WORK_PERMITS, birth_date="2026-11-27")) == []
    assert refusals(WORK_PERMITS, good(WORK_PERMITS, birth_date="2026-11-28")) == [("birth_date", "birth_in_future")]
    assert refusals(WORK_PERMITS, good(WORK_PERMITS, birth_date="2056-02-01")) == [("birth_date", "birth_in_future")]


ONLY_NUMBER = dict.fromkeys(("insured_number", "non_thai_id", "passport_number"))


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"insured_number": "12345678901"}, "insured_number", "leading_zeros_lost"),
        ({"insured_number": "1.71050E+12"}, "insured_number", "spreadsheet_number"),
        ({"non_thai_id": "71015201849"}, "non_thai_id", "leading_zeros_lost"),
        ({"non_thai_id": "6710271002450"}, "non_thai_id", "no_usable_identifier"),
        ({"passport_number": "\u041c\u0412700001"}, "passport_number", "no_usable_identifier"),
        ({"insured_number": "ไม่แน่ใจ 12"}, "insured_number", "no_usable_identifier"),
    ],
)
def test_an_insurance_that_can_be_joined_to_nobody_is_refused(change: Record, field: str, code: str) -> None:
    assert refusals(INSURED_PERSONS, good(INSURED_PERSONS, **ONLY_NUMBER | change)) == [(field, code)]


def test_one_number_that_can_join_is_enough() -> None:
    assert refusals(INSURED_PERSONS, good(INSURED_PERSONS, passport_number="M1")) == []
    assert refusals(WORK_PERMITS, good(WORK_PERMITS, non_thai_id="6710271002450")) == []


def test_the_ssos_own_number_is_one_whatever_its_last_digit() -> None:
    assert refusals(INSURED_PERSONS, good(INSURED_PERSONS, **ONLY_NUMBER | {"insured_number": "8710271002450"})) == []


def test_a_damaged_number_is_refused_also_beside_a_good_one() -> None:
    record = good(DOE_EMPLOYERS, tax_id="715556001237")
    assert refusals(DOE_EMPLOYERS, record) == [("tax_id", "leading_zeros_lost")]
    assert refusals(WORK_PERMITS, good(WORK_PERMITS, non_thai_id="1.71235E+12")) == [
        ("non_thai_id", "spreadsheet_number")
    ]


@pytest.mark.parametrize("text", ["-", "ไม่มี", "0", "0000000000000"])
def test_a_placeholder_beside_a_good_number_is_a_warning_as_before(text: str) -> None:
    assert refusals(WORK_PERMITS, good(WORK_PERMITS, non_thai_id=text)) == []


def test_a_record_without_any_number_is_told_once() -> None:
    assert refusals(INSURED_PERSONS, good(INSURED_PERSONS, **ONLY_NUMBER)) == [("insured_number", "no_identifier")]


def test_simulated_records_are_admitted_but_for_numbers_with_a_slip_in_them() -> None:
    seen = 0
    for feed, record in generate(load_parameters(), 5, 400, 9, form="wire", in_order=False):
        if feed not in RECORD_FEEDS:
            continue
        seen += 1
        assert {code for _, code in refusals(feed, record)} <= {"no_usable_identifier"}
    assert seen > 1000


@pytest.mark.parametrize(
    ("feed", "last_years"),
    [
        (INSURED_PERSONS, {"start_date": 2027, "end_date": 2036, "birth_date": None}),
        (STAYS, {"entry_date": 2027, "exit_date": 2027, "permitted_until": 2036, "last_report_on": 2027}),
        (WORK_PERMITS, {"valid_from": 2027, "valid_until": 2036}),
    ],
)
def test_a_mapping_reads_two_digit_years_by_the_year_of_the_data(feed: str, last_years: dict[str, int | None]) -> None:
    text = 'record_id = { columns = ["No"] }\n[fields]\n' + "".join(
        f'{field} = {{ column = "{field}", format = "DD/MM/YY", era = "BE" }}\n' for field in last_years
    )
    mapping = parse_mapping(text, feed).near(2026)
    years = {rule.field: rule.calendar.short_years for rule in mapping.fields if rule.calendar}
    assert years == {field: None if last is None else (1996, last) for field, last in last_years.items()}


def told(tmp_path: Path) -> list[tuple[int, str, str]]:
    rows = map(json.loads, (tmp_path / "report.jsonl").read_bytes().splitlines())
    return [(row["line"], row["field"], row["code"]) for row in rows if row["severity"] == "error"]


def test_a_common_era_year_of_two_digits_in_a_buddhist_column_rejects_its_row(
    publish_files: PublishFiles, tmp_path: Path
) -> None:
    dated = '{ column = "Start", format = "DD/MM/YY", era = "BE" }'
    text = 'record_id = { columns = ["No"] }\n[fields]\nsection = { constant = "40" }\n'
    text += f'passport_number = "Passport"\nnationality = {{ constant = "MMR" }}\nstart_date = {dated}\n'
    path = tmp_path / "rows.csv"
    path.write_text("No,Passport,Start\nI-1,MB700001,05/01/69\nI-2,MB700002,05/01/26\n", "utf-8")
    outcome = publish_files(INSURED_PERSONS, path, mapping=parse_mapping(text, INSURED_PERSONS), as_of=NOW_MS)
    assert (outcome.published, outcome.rejected) == (1, 1)
    assert told(tmp_path) == [(3, "start_date", "common_era")]
