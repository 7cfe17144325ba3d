"""What publishing says of a key in which a person's number stands, and that it lets counters, dates and times go out."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from feed_messages import CODEC, chunk_of
from good_records import CITIZEN, COMPANY, PERSON, Record, good
from memory_broker import MemoryBroker

from saphan_publishers.admission import admission_problems
from saphan_publishers.outcomes import Outcome
from saphan_publishers.publisher import InvalidRecord, Publisher
from saphan_publishers.validation import publishing_problems
from saphan_schemas.rules import check_digit
from saphan_schemas.topics import (
    DOE_EMPLOYERS,
    EMPLOYMENTS,
    INSPECTIONS,
    INSURED_PERSONS,
    MESSAGE_BYTES_MAX,
    WORK_PERMITS,
)
from saphan_schemas.values import parse_time_ms
from saphan_streams.feed_chunks import read_feed_chunk

NOW_MS = parse_time_ms("2026-11-27T10:00:00+07:00")
REFUSED, WARNED = ("error", "key_carries_person"), ("warning", "key_may_carry_person")
CARD = f"{CITIZEN[0]}-{CITIZEN[1:5]}-{CITIZEN[5:10]}-{CITIZEN[10:12]}-{CITIZEN[12]}"
SLIP = CITIZEN[:12] + str((int(CITIZEN[12]) + 1) % 10)
PINK_CARD = "001103700000" + check_digit("001103700000")
#: Numbers of other people, and how a record's key may hold them.
KEYS = {
    f"EMP-{CITIZEN}": WARNED,
    f"EMP-{PINK_CARD}": WARNED,
    f"EMP{CITIZEN}/1": WARNED,
    f"EMP 7-{CITIZEN}": WARNED,
    f"job_{CITIZEN}": WARNED,
    f"{CITIZEN}_x": WARNED,
    f"ก{CITIZEN}": WARNED,
    f"EMP-{CARD}": REFUSED,
    f"E-{CARD.replace('-', ' ')}": REFUSED,
    f"EMP-{SLIP}": None,
    f"EMP-{PINK_CARD[:12]}{(int(PINK_CARD[12]) + 1) % 10}": None,
    f"EMP-{CARD[:-1]}{SLIP[-1]}": None,
    f"EMP-{COMPANY}": None,
    f"a{CITIZEN}b27": None,
    f"EMP-{CITIZEN}9": None,
}


def said(feed: str, record: Record, field: str) -> tuple[str, str] | None:
    found = [problem for problem in publishing_problems(feed, record, NOW_MS) if problem.field == field]
    assert len(found) <= 1
    return (found[0].severity, found[0].code) if found else None


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("feed", "field"),
    [
        (WORK_PERMITS, "record_id"),
        (EMPLOYMENTS, "record_id"),
        (EMPLOYMENTS, "employer_id"),
        (INSPECTIONS, "employer_id"),
    ],
)
def test_a_number_that_is_another_s_is_refused_as_a_card_shows_it_and_else_told(
    feed: str, field: str, key: str
) -> None:
    assert said(feed, good(feed, **{field: key}), field) == KEYS[key]


@pytest.mark.parametrize("form", ["E-{}", "E{}x", "71{}", "E-{}9", "7 {}"])
@pytest.mark.parametrize(
    ("feed", "owned", "field", "number"),
    [
        (EMPLOYMENTS, {"non_thai_id": SLIP}, "record_id", SLIP),
        (EMPLOYMENTS, {"non_thai_id": CARD}, "employer_id", CITIZEN),
        (EMPLOYMENTS, {"non_thai_id": SLIP}, "employer_id", CARD[:-1] + SLIP[-1]),
        (INSURED_PERSONS, {"insured_number": CITIZEN}, "record_id", CARD),
        (DOE_EMPLOYERS, {"tax_id": CITIZEN, "id_type": "person"}, "record_id", CITIZEN),
        (DOE_EMPLOYERS, {"tax_id": SLIP, "id_type": "person"}, "record_id", SLIP),
    ],
)
def test_a_record_s_own_number_in_a_key_is_refused(
    feed: str, owned: Record, field: str, number: str, form: str
) -> None:
    assert said(feed, good(feed, **owned, **{field: form.format(number)}), field) == REFUSED


def test_a_company_s_own_number_may_stand_in_a_key() -> None:
    for id_type in ("juristic", "person"):
        record = good(DOE_EMPLOYERS, tax_id=COMPANY, id_type=id_type, record_id=f"D-{COMPANY}")
        assert said(DOE_EMPLOYERS, record, "record_id") is None


def test_a_warning_about_a_key_does_not_hide_that_a_record_joins_nobody() -> None:
    numbers = {"insured_number": None, "non_thai_id": SLIP, "passport_number": None}
    record = good(INSURED_PERSONS, **numbers, record_id=f"I-{PERSON}")
    codes = {problem.code for problem in admission_problems(INSURED_PERSONS, record, NOW_MS)}
    assert codes == {"key_may_carry_person", "no_usable_identifier"}


def test_a_record_that_was_accepted_before_can_be_deleted() -> None:
    record = dict.fromkeys(good(DOE_EMPLOYERS)) | {"version": 2, "changed_at": NOW_MS, "deleted": True}
    for key in KEYS:
        assert publishing_problems(DOE_EMPLOYERS, record | {"record_id": key}, NOW_MS) == []


def test_counters_dates_and_times_behind_a_prefix_go_out_and_link_reads_them(
    publish_files: Callable[..., Outcome], broker: MemoryBroker, tmp_path: Path
) -> None:
    forms = ("I-1767018326{:03d}", "I-2569010112{:03d}", "I-{:013d}", "I-001103700{:04d}")
    said = {
        "version": 1, "changed_at": "2026-11-23T09:00:00Z", "section": "40", "nationality": "MMR",
        "passport_number": "MB700001",
    }  # fmt: skip
    rows = [{"record_id": form.format(number), **said} for number in range(0, 900, 9) for form in forms]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    outcome = publish_files(INSURED_PERSONS, path)
    assert (outcome.published, outcome.rejected) == (len(rows), 0)
    assert 0 < outcome.warnings < len(rows) / 8
    sent = [(message.key, message.value) for message in broker.topics[INSURED_PERSONS]]
    read = read_feed_chunk(CODEC, chunk_of(INSURED_PERSONS, sent), MESSAGE_BYTES_MAX)
    assert (len(read.events.offset), read.refusals) == (len(rows), [])


def test_the_class_refuses_and_warns_like_a_file(broker: MemoryBroker) -> None:
    hire = {
        "version": 1, "changed_at": datetime(2026, 11, 23, tzinfo=UTC), "non_thai_id": PERSON,
        "employer_id": f"EMP-{CITIZEN}", "start_date": "2026-11-01",
    }  # fmt: skip
    with Publisher(broker, EMPLOYMENTS) as publisher:
        warned = publisher.publish({"record_id": "E-1", **hire})
        assert [(problem.severity, problem.code) for problem in warned] == [WARNED]
        with pytest.raises(InvalidRecord, match="record_id: key_carries_person"):
            publisher.publish({"record_id": f"E-{CARD}", **hire})
