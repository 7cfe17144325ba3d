"""The screen by columns, held to the rules for one record on random records of every feed."""

import pytest
from good_records import CITIZEN, PERSON, good
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from varied_records import varied

from saphan_schemas.column_screen import columns_of, screened, with_other_fields
from saphan_schemas.identifiers import is_plain_key, normalise_person_number, person_number_kind
from saphan_schemas.rules import problems
from saphan_schemas.topics import EMPLOYMENTS, RECORD_FEEDS, WORK_PERMITS

EACH_FEED = pytest.mark.parametrize("feed", RECORD_FEEDS)


@EACH_FEED
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_is_wrong_with_a_record_that_is_no_suspect(feed: str, data: st.DataObject) -> None:
    records = data.draw(st.lists(varied(feed), min_size=1, max_size=6))
    suspects = screened(feed, columns_of(feed, records)).suspects
    assert {at for at, record in enumerate(records) if problems(feed, record)} <= suspects <= set(range(len(records)))


@EACH_FEED
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_neighbours_of_a_record_do_not_make_it_a_suspect(feed: str, data: st.DataObject) -> None:
    record = data.draw(varied(feed))
    alone = screened(feed, columns_of(feed, [record])).suspects
    among = [good(feed), record, good(feed)]
    assert screened(feed, columns_of(feed, among)).suspects == {at + 1 for at in alone}


@pytest.mark.parametrize(
    ("feed", "change"),
    [
        (WORK_PERMITS, {"non_thai_id": "0-0710-15201-84-9", "passport_number": "mb 700-001"}),
        (WORK_PERMITS, {"permit_number": "712719790374", "passport_number": None}),
        (
            EMPLOYMENTS,
            {"non_thai_id": None, "nationality": None, "passport_number": None, "permit_number": "WPN1000001"},
        ),
    ],
)
def test_usual_spellings_and_absent_numbers_are_no_ground_for_suspicion(feed: str, change: dict[str, str]) -> None:
    records = [good(feed, **change), good(feed)]
    assert screened(feed, columns_of(feed, records)).suspects == set()


@pytest.mark.parametrize(
    "change",
    [
        {"end_date": "2569-01-01"},
        {"non_thai_id": "0071015201848"},
        {"non_thai_id": "0715556001231"},
        {"passport_number": "- -"},
        {"record_id": "E-0071015201849", "non_thai_id": "0-0710-15201-84-9"},
        {"record_id": "E-710071015201849", "non_thai_id": "0-0710-15201-84-9"},
        {"non_thai_id": None, "passport_number": None, "permit_number": None},
        {"start_date": "2026-03-01", "end_date": "2026-02-01"},
        {"employer_id": "0071015201849"},
    ],
)
def test_a_record_with_something_wrong_in_it_is_a_suspect(change: dict[str, str]) -> None:
    records = [good(EMPLOYMENTS), good(EMPLOYMENTS, **change), good(EMPLOYMENTS)]
    assert problems(EMPLOYMENTS, records[1])
    assert screened(EMPLOYMENTS, columns_of(EMPLOYMENTS, records)).suspects == {1}


_KEYS = st.text(st.sampled_from("0๐²aกE-\u0e34é_"), min_size=1, max_size=15)


@given(st.lists(_KEYS, min_size=1, max_size=8))
def test_a_column_of_keys_is_suspected_where_one_key_alone_is(keys: list[str]) -> None:
    suspected = {at for at, key in enumerate(keys) if not is_plain_key(key)}
    record_ids = [good(EMPLOYMENTS, record_id=key) for key in keys]
    assert screened(EMPLOYMENTS, columns_of(EMPLOYMENTS, record_ids)).suspects == suspected
    employers = [good(EMPLOYMENTS, employer_id=key) for key in keys]
    assert screened(EMPLOYMENTS, columns_of(EMPLOYMENTS, employers)).suspects == suspected


@given(_KEYS | st.sampled_from((PERSON, CITIZEN, f" {PERSON}", f"0-{PERSON[1:]}")))
def test_a_key_that_carries_a_person_s_number_alone_is_always_suspected(key: str) -> None:
    if person_number_kind(normalise_person_number(key)) in {"person", "check_digit"}:
        assert not is_plain_key(key)


def test_the_order_of_the_fields_of_an_older_schema_does_not_matter() -> None:
    record = good(WORK_PERMITS)
    backwards = dict(reversed(record.items()))
    assert columns_of(WORK_PERMITS, [record, backwards]) == {name: (value,) * 2 for name, value in record.items()}


def test_a_field_that_the_feed_does_not_have_makes_a_suspect() -> None:
    records = [good(WORK_PERMITS), {**good(WORK_PERMITS), "colour": "red"}]
    assert with_other_fields(WORK_PERMITS, records) == [1]
