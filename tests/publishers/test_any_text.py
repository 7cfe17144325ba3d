"""Whatever an agency writes into a field of any format: the row is accepted or reported, and nothing else is raised."""

import csv
import io
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from good_records import good
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_broker import MemoryBroker

from saphan_publishers.dates import CalendarFormat, as_of_ms, iso_day, iso_time_ms
from saphan_publishers.formats import Reading, rows_of
from saphan_publishers.input_files import InputFile
from saphan_publishers.mapping import MappingError
from saphan_publishers.mapping_file import parse_mapping
from saphan_publishers.outcomes import Outcome
from saphan_publishers.publisher import InvalidRecord, Publisher
from saphan_publishers.rows import FileNote, FileProblem, Row, Unreadable
from saphan_publishers.validation import RowJudge, is_rejected
from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.topics import CONTRIBUTIONS, HEARTBEATS, RECORD_FEEDS, WORK_PERMITS
from saphan_schemas.values import from_wire, parse_time_ms

AS_OF = parse_time_ms("2026-12-16T00:00:00+07:00")
MONTHLY_HEADER = "171000123450000001512691169" + "A" * 45 + "0500" + "000001" + "0" * 53
MONTHLY_DETAIL = "20017123456780004" + "B" * 30 + "C" * 35 + "00000000915200" + "000000045760" + " " * 27

# Digits that only look like numbers to some of Python's functions, and the signs of numbers, dates and times.
_SIGNS = st.text(st.sampled_from("0129²³¹①๐๒๕๖٢໒-:T+Z/.,eE \u200b\x00ก\"'"), max_size=30)
_ALMOST = st.sampled_from((
    "²²²²-01-01", "²026-11-23T09:30:00Z", "๒๕๖๙-๑๑-๒๓", "２０２６-11-23", "2026-11-23T09:30:00+99:99", "0000-00-00",
    "2026-W01-1T00:00:00Z", "9999-12-31T23:59:59-23:59", "31/12/๒๕๖๙", "²³/01/2569", "1" * 5000, "0071015201849",
))  # fmt: skip
TEXTS = _SIGNS | _ALMOST | st.text(max_size=20)
VALUES: st.SearchStrategy[Any] = (
    TEXTS | st.none() | st.booleans() | st.integers() | st.floats() | st.just([]) | st.just({"a": [None]})
)


def source_of(content: bytes, name: str = "rows") -> InputFile:
    return InputFile(name, io.BufferedReader(io.BytesIO(content)))


def accounted(feed: str, content: bytes, name: str, **reading: Any) -> int:
    """Judge each row of a file: accepted, or rejected with a reason. How many rows there were."""
    judge, count = RowJudge(feed, AS_OF).judge, 0
    for row in rows_of(
        source_of(content, name), feed, Reading("key", as_of=AS_OF, now_ms=AS_OF, **reading), lambda: AS_OF
    ):
        if isinstance(row, FileNote):
            continue
        message, problems = judge(row)
        assert (message is None) == is_rejected(problems)
        count += 1
    return count


def plain(feed: str) -> dict[str, Any]:
    return from_wire(default_catalogue().kinds(feed), good(feed))


def fields_of(feed: str) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(default_catalogue().kinds(feed)))


@pytest.mark.parametrize("read", [iso_day, iso_time_ms, as_of_ms])
@pytest.mark.parametrize("text", ["²²²²-01-01", "²²²²-01-01T00:00:00Z", "²026", "①②③④-01-01T00:00:00Z"])
def test_digits_that_are_no_numbers_are_no_date(read: Callable[[str], int], text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


def test_thai_digits_in_a_time_are_read_as_in_a_date() -> None:
    assert iso_day("๒๐๒๖-๑๑-๒๓") == iso_day("2026-11-23")
    assert iso_time_ms(" ๒๐๒๖-๑๑-๒๓T๐๙:๓๐:๐๐+๐๗:๐๐\u200b") == parse_time_ms("2026-11-23T09:30:00+07:00")
    with pytest.raises(Unreadable, match="buddhist_era"):
        iso_time_ms("๒๕๖๙-๑๑-๒๓")


def test_a_title_that_is_no_number_is_a_moved_column_and_thai_digits_are_a_number() -> None:
    for title, code in (("²²²", "layout_shifted"), ("๐๐๔", None), ("00 ", "layout_shifted")):
        content = "\r\n".join([MONTHLY_HEADER, MONTHLY_DETAIL[:14] + title + MONTHLY_DETAIL[17:]]).encode()
        reading = Reading("key", format="monthly", encoding="utf-8", as_of=AS_OF, now_ms=AS_OF)
        rows = [
            row for row in rows_of(source_of(content), CONTRIBUTIONS, reading, lambda: AS_OF) if isinstance(row, Row)
        ]
        assert [problem.code for row in rows for problem in row.problems if problem.code == "layout_shifted"] == (
            [code] if code else []
        )


def test_a_header_that_cannot_be_decoded_is_told_and_not_skipped() -> None:
    content = "เลขที่,ชื่อ\n".encode("cp874") + "No,Sex\nสมชาย,\n".encode() * 5
    with pytest.raises(FileProblem, match="a header in utf-8"):
        accounted(WORK_PERMITS, content, "rows.csv", encoding="utf-8")


@given(TEXTS)
def test_any_text_is_a_date_or_unreadable(text: str) -> None:
    formats = [
        CalendarFormat(pattern, "BE") for pattern in ("DD/MM/YYYY", "D MMM YYYY", "DDMMYY", "YYYY-MM-DD HH:mm:ss")
    ]
    readers: list[Callable[[str], object]] = [iso_day, iso_time_ms, as_of_ms]
    readers += [read for form in formats for read in (form.day, form.time_ms, form.month)]
    for read in readers:
        with suppress(Unreadable):
            read(text)


@pytest.mark.parametrize("feed", RECORD_FEEDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_value_in_any_field_of_a_json_line_is_accepted_or_reported(feed: str, data: st.DataObject) -> None:
    record = plain(feed) | {data.draw(fields_of(feed)): data.draw(VALUES)}
    assert accounted(feed, json.dumps(record).encode(), "rows.jsonl") == 1


@pytest.mark.parametrize("feed", RECORD_FEEDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_text_in_any_cell_of_a_csv_file_is_accepted_or_reported(feed: str, data: st.DataObject) -> None:
    record = {name: "" if value is None else str(value) for name, value in plain(feed).items()}
    record |= {data.draw(fields_of(feed)): data.draw(TEXTS)}
    text = io.StringIO()
    csv.writer(text).writerows([list(record), list(record.values())])
    assert accounted(feed, text.getvalue().encode(), "rows.csv") >= 1


MAPPING = """
record_id = { hash = ["No"] }
[fields]
permit_number = { column = "No", pad = 10 }
birth_date = { column = "Born", format = "D MMM YYYY", era = "BE", unknown_parts = "first" }
valid_from = { column = "From", format = "DDMMYY", era = "BE" }
changed_at = { column = "Changed", format = "DD/MM/YYYY HH:mm:ss", era = "BE" }
sex = { column = "Sex", values = { "ชาย" = "M", "หญิง" = "F" } }
"""


@settings(max_examples=200, deadline=None)
@given(cells=st.lists(TEXTS, min_size=5, max_size=5), delimiter=st.sampled_from(",;|\t"))
def test_any_text_in_any_cell_that_a_mapping_reads_is_accepted_or_reported(cells: list[str], delimiter: str) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([["No", "Born", "From", "Changed", "Sex"], cells])
    accounted(WORK_PERMITS, text.getvalue().encode(), "rows.csv", mapping=parse_mapping(MAPPING, WORK_PERMITS))


@settings(max_examples=300, deadline=None)
@given(text=TEXTS, at=st.integers(0, 134), in_header=st.booleans(), encoding=st.sampled_from(("utf-8", "cp874")))
def test_any_text_in_any_column_of_the_monthly_file_is_accepted_or_reported(
    text: str, at: int, in_header: bool, encoding: str
) -> None:
    lines = [MONTHLY_HEADER, MONTHLY_DETAIL]
    line = lines[not in_header]
    lines[not in_header] = line[:at] + text[:13] + line[at + len(text[:13]) :]
    content = "\r\n".join([*lines, MONTHLY_DETAIL]).encode(encoding, "replace")
    with suppress(FileProblem):
        assert accounted(CONTRIBUTIONS, content, "sso.txt", format="monthly") >= 1


@pytest.mark.parametrize("feed", RECORD_FEEDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_program_s_record_with_any_value_is_taken_or_refused_with_its_problems(
    feed: str, data: st.DataObject
) -> None:
    values = VALUES | st.dates() | st.datetimes() | st.datetimes(timezones=st.just(UTC)) | st.binary()
    record = plain(feed) | {data.draw(fields_of(feed)): data.draw(values)}
    publisher = Publisher(MemoryBroker(), feed)
    with suppress(InvalidRecord):
        assert not is_rejected(publisher.publish(record))


@pytest.mark.parametrize("value", [date.max, datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)])
def test_a_moment_at_the_end_of_time_is_refused(value: date) -> None:
    publisher = Publisher(MemoryBroker(), WORK_PERMITS)
    with pytest.raises(InvalidRecord):
        publisher.publish(plain(WORK_PERMITS) | {"changed_at": value, "birth_date": value})


_OFFSETS = st.lists(
    st.fixed_dictionaries({"partition": st.integers(-1, 2**64), "offset": st.integers(-1, 2**64)}), max_size=3
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(("feed", "complete_until", "end_offsets", "sent_at")), value=VALUES | _OFFSETS)
def test_any_value_in_any_field_of_a_heartbeat_is_accepted_or_reported(
    publish_files: Callable[..., Outcome], tmp_path: Path, name: str, value: Any
) -> None:
    moment = "2026-11-23T00:00:00Z"
    record = {"feed": WORK_PERMITS, "complete_until": moment, "sent_at": moment, "end_offsets": []} | {name: value}
    path = tmp_path / "beats.jsonl"
    path.write_text(json.dumps(record), "utf-8")
    outcome = publish_files(HEARTBEATS, path)
    assert not outcome.failed
    assert (outcome.rows, outcome.published + outcome.rejected) == (1, 1)


@pytest.mark.parametrize(
    "offsets", [[{"partition": 2**40, "offset": 1}], [{"partition": 0, "offset": 2**62}] * 150_000]
)
def test_a_heartbeat_that_fits_no_message_is_rejected_and_the_next_one_is_sent(
    publish_files: Callable[..., Outcome], broker: MemoryBroker, tmp_path: Path, offsets: list[dict[str, int]]
) -> None:
    good_one = {"feed": WORK_PERMITS, "complete_until": "2026-11-23T00:00:00Z"}
    path = tmp_path / "beats.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in (good_one | {"end_offsets": offsets}, good_one)), "utf-8")
    outcome = publish_files(HEARTBEATS, path)
    assert (outcome.published, outcome.rejected, len(broker.records(HEARTBEATS))) == (1, 1, 1)


_KEYS = st.sampled_from((
    "feed = {}", "record_id = {}", "as_of = {}", "as_of = {{ file_name = {}, era = 'BE' }}", "ignore = {}", "empty = {}",
    "as_of = {{ file_name = 'YYYYMMDD', era = {} }}", "file = {}", "file.encoding = {}", "file.delimiter = {}",
    "file.skip_lines = {}", "fields = {}", "fields.sex = {}", "fields.sex.column = {}", "fields.sex.columns = {}",
    "fields.sex.constant = {}", "fields.sex.hash = {}", "fields.sex = {{ column = 'Sex', values = {} }}",
    "fields.sex = {{ column = 'Sex', unit = {} }}", "fields.sex = {{ column = 'Sex', pad = {} }}",
    "fields.sex = {{ column = 'Sex', empty = {} }}", "fields.sex = {{ hash = ['Sex'], hash_as = {} }}",
    "fields.sex = {{ hash = ['Sex'], prefix = {} }}",
    "fields.birth_date = {{ column = 'Sex', format = {}, era = 'BE' }}",
    "fields.birth_date = {{ column = 'Sex', format = 'DD/MM/YYYY', era = {} }}",
    "fields.birth_date = {{ column = 'Sex', format = 'DDMMYY', era = 'CE', century = {} }}",
    "fields.birth_date = {{ column = 'Sex', format = 'DDMMYY', era = 'BE', unknown_parts = {} }}",
))  # fmt: skip
_TOML = st.sampled_from((
    "1", "-1", "1900", "1e300", "true", "'x'", "''", "'1900'", "'BE'", "'DDMMYY'", "[]", "['x']", "[1]", "[[]]", "{}",
    "{ a = 1 }", "{ x = 'y' }", "{ columns = [1] }", "{ hash = 1 }", "2026-11-23", "'MMMM'", "'YYYYYYYY'", "'('",
))  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(key=_KEYS, value=_TOML)
def test_a_mapping_with_any_value_under_any_key_is_refused_or_reads_every_row(key: str, value: str) -> None:
    beginning = "" if key.startswith("record_id") else "record_id = { columns = ['No'] }\n"
    with suppress(MappingError, FileProblem):
        mapping = parse_mapping(beginning + key.format(value), WORK_PERMITS)
        accounted(WORK_PERMITS, b"No,Sex\n71001,150169\n71002,x\n", "rows.csv", mapping=mapping)
