"""Which numbers of a record join it to other records, and which join nobody."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from varied_records import varied

from saphan_projections.identity import Signature, groups, signature_of, signatures_of
from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.column_screen import columns_of, screened
from saphan_schemas.topics import HEALTH_COVER, INSURED_PERSONS, STAYS, WORK_PERMITS, WORKER_FEEDS

NUMBER = "0019300000015"


def identifiers(feed: str, **said: str) -> tuple[str, ...]:
    blank = dict.fromkeys(default_catalogue().kinds(feed))
    return signature_of(feed, {**blank, "nationality": "MMR", **said}).identifiers


def are_one(one: tuple[str, dict[str, str]], other: tuple[str, dict[str, str]]) -> bool:
    """Whether two records are of one person."""
    signatures = []
    for feed, said in (one, other):
        blank = dict.fromkeys(default_catalogue().kinds(feed))
        signatures.append(signature_of(feed, {**blank, "nationality": "MMR", **said}))
    return len(groups(signatures, set())) == 1


def test_every_number_of_a_record_joins() -> None:
    permit = {
        "non_thai_id": "0-0193-00000-01-5",
        "passport_number": "mb 700001",
        "previous_passport_number": "MA100001",
        "permit_number": "WPN0000001",
    }
    assert len(identifiers(WORK_PERMITS, **permit)) == 4
    for other in (
        (INSURED_PERSONS, {"non_thai_id": NUMBER}),
        (STAYS, {"passport_number": "MB700001"}),
        (STAYS, {"passport_number": "MA100001"}),
        (STAYS, {"passport_number": "MC999999", "previous_passport_number": "MB700001"}),
        (WORK_PERMITS, {"permit_number": "WPN-0000001"}),
    ):
        assert are_one((WORK_PERMITS, permit), other)
    assert are_one((HEALTH_COVER, {"card_number": "HC880001"}), (HEALTH_COVER, {"card_number": "HC 880001"}))


def test_a_passport_number_is_another_one_in_another_country() -> None:
    passport = {"passport_number": "MB700001"}
    assert are_one((STAYS, passport), (WORK_PERMITS, passport))
    assert not are_one((STAYS, passport), (WORK_PERMITS, {**passport, "nationality": "KHM"}))


@pytest.mark.parametrize("nothing", ["-", "N/A", "0000000000000", "1234567890123", "A1234567", "ไม่มี", "NONE"])
def test_what_stands_for_nothing_joins_nobody(nothing: str) -> None:
    fields = ("non_thai_id", "passport_number", "previous_passport_number", "permit_number")
    assert identifiers(WORK_PERMITS, **dict.fromkeys(fields, nothing)) == ()
    assert identifiers(INSURED_PERSONS, insured_number=nothing) == ()
    assert identifiers(HEALTH_COVER, card_number=nothing) == ()


@pytest.mark.parametrize("feed", WORKER_FEEDS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_signature_found_by_columns_is_the_one_of_the_record(feed: str, data: st.DataObject) -> None:
    records = data.draw(st.lists(varied(feed), min_size=1, max_size=6))
    columns = columns_of(feed, records)
    suspects, numbers = screened(feed, columns)
    found = signatures_of(feed, columns, numbers)
    assert len(found) == len(records)
    for at in set(range(len(records))) - suspects:
        assert found[at] == signature_of(feed, records[at])


def test_passports_found_by_columns_are_sorted_and_need_a_nationality() -> None:
    said = {"passport_number": ["MB1", "MA1", "MA1", None], "previous_passport_number": ["MA1", None, "MA1", "MB1"]}
    columns = {"nationality": ["MMR", "MMR", "MMR", None], "record_id": "abcd"}
    assert [signature.identifiers for signature in signatures_of(STAYS, columns, said)] == [
        ("pp:MMR:MA1", "pp:MMR:MB1"),
        ("pp:MMR:MA1",),
        ("pp:MMR:MA1",),
        (),
    ]


def test_records_are_one_person_by_way_of_others() -> None:
    said = [Signature(None, identifiers) for identifiers in (("a",), ("c",), ("b", "c"), ("a", "b"), ("d",))]
    assert sorted(map(sorted, groups(said, set()))) == [[0, 1, 2, 3], [4]]
    assert sorted(map(sorted, groups(said, {"b"}))) == [[0, 3], [1, 2], [4]]
