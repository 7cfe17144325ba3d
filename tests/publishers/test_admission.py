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
from saphan_schemas.topics import INSURED_PERSONS, RECORD_FEEDS, WORK_PERMITS
from saphan_schemas.values import parse_time_ms

PublishFiles = Callable[..., Outcome]
NOW_MS = parse_time_ms("2026-11-27T10:00:00+07:00")
EACH_FEED = pytest.mark.parametrize("feed", RECORD_FEEDS)


def refusals(feed: str, record: Record) -> list[tuple[str, str]]:
    problems = publishing_problems(feed, record, NOW_MS)
    return [(problem.field, problem.code) for problem in problems if problem.severity == "error"]


@EACH_FEED
def test_a_good_record_is_admitted(feed: str) -> None:
    assert admission_problems(feed, good(feed), NOW_MS) == []


def test_nobody_is_born_after_today() -> None:
    assert refusals(WORK_PERMITS, good(WORK_PERMITS, birth_date="2026-11-27")) == []
    assert refusals(WORK_PERMITS, good(WORK_PERMITS, birth_date="2026-11-28")) == [("birth_date", "birth_in_future")]
    assert refusals(WORK_PERMITS, good(WORK_PERMITS, birth_date="2056-02-01")) == [("birth_date", "birth_in_future")]


def test_a_mapping_reads_two_digit_years_by_the_year_of_the_data() -> None:
    text = 'record_id = { columns = ["No"] }\n[fields]\n' + "".join(
        f'{field} = {{ column = "{field}", format = "DD/MM/YY", era = "BE" }}\n'
        for field in ("start_date", "end_date", "birth_date")
    )
    mapping = parse_mapping(text, INSURED_PERSONS).near(2026)
    years = {rule.field: rule.calendar.short_years for rule in mapping.fields if rule.calendar}
    assert years == {"start_date": (1996, 2027), "end_date": (1996, 2036), "birth_date": None}


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
