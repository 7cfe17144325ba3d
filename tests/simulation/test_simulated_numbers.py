"""Whether the simulated numbers keep apart what must be apart, and the parameters say where they come from."""

import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saphan_schemas.rules import (
    has_right_check_digit,
    normalise_passport,
    normalise_person_number,
    person_number_kind,
    usable_passport,
)
from saphan_simulation import identifiers
from saphan_simulation.draws import SLOTS, mix_table, quantile_table, share_per_draw, waiting_table
from saphan_simulation.parameters import ParameterError, Parameters

WORKERS = st.integers(1, identifiers.WORKERS_MAX)
PLACES = st.floats(0, 0.999)
DOCUMENTS = st.integers(0, identifiers.PASSPORTS_MAX - 1)


def numbers(worker: int, ordinal: int) -> list[str]:
    return [
        identifiers.person_number(worker, ordinal % identifiers.IDENTITIES_MAX, other_series=False),
        identifiers.person_number(worker, ordinal % identifiers.IDENTITIES_MAX, other_series=True),
        identifiers.assigned_insured_number(worker, ordinal % identifiers.IDENTITIES_MAX),
        identifiers.permit_number(worker, ordinal % identifiers.PERMITS_MAX),
        identifiers.passport_number(worker, ordinal),
    ]


def test_no_one_digit_error_looks_like_another() -> None:
    for modulus, digits in identifiers.CODES:
        assert identifiers.are_distinct_after_errors(modulus, digits)


@given(st.tuples(WORKERS, DOCUMENTS, PLACES, PLACES), st.tuples(WORKERS, DOCUMENTS, PLACES, PLACES))
def test_a_mistyped_number_is_nobody_elses(
    one: tuple[int, int, float, float], other: tuple[int, int, float, float]
) -> None:
    for own, foreign in zip(numbers(*one[:2]), numbers(*other[:2]), strict=True):
        wrong = identifiers.mistyped(own, *one[2:])
        assert wrong not in (own, foreign, *identifiers.OFFICE_PASSPORTS, *identifiers.OFFICE_PERSON_NUMBERS)
        if own != foreign:
            assert wrong != identifiers.mistyped(foreign, *other[2:])


def test_numbers_are_distinct_and_of_their_form() -> None:
    seen: set[str] = set()
    for worker in (1, 2, 3, 4_000_000, identifiers.WORKERS_MAX):
        for ordinal in range(4):
            found = set(numbers(worker, ordinal)[3:])
            assert not found & seen
            seen |= found
            assert all(usable_passport(number) for number in found)
        person, other, insured = numbers(worker, 0)[:3]
        assert person.startswith("00")
        assert {person_number_kind(person), person_number_kind(other)} == {"person"}
        assert all(has_right_check_digit(number) for number in (person, other, insured))


@given(WORKERS)
def test_how_a_number_is_written_does_not_change_it(worker: int) -> None:
    person = identifiers.person_number(worker, 0, other_series=False)
    passport = identifiers.passport_number(worker, 0)
    assert normalise_person_number(identifiers.reformatted(person)) == person
    assert normalise_passport(identifiers.reformatted(passport)) == passport


@given(st.integers(0, 2_000_000))
def test_employers_numbers_are_of_their_kind(employer: int) -> None:
    assert person_number_kind(identifiers.juristic_tax_id(employer)) == "juristic"
    assert person_number_kind(identifiers.citizen_number(employer)) == "person"
    assert len(identifiers.sso_account(employer)) == 10


def test_every_parameter_has_a_source_or_is_marked_as_an_assumption() -> None:
    sections = tomllib.loads(files("saphan_simulation").joinpath("parameters.toml").read_text("utf-8"))
    for section, rows in sections.items():
        for name, row in rows.items():
            assert ("source" in row) != ("assumption" in row), f"{section}.{name}"
            assert set(row) <= {"value", "unit", "source", "assumption"}
            assert len(row.get("source", row.get("assumption"))) > 5, f"{section}.{name}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("people.male_share", 1.2),
        ("people.male_share", "half"),
        ("people.track_mix", {"mou": 1.0, "cabinet": 0.5, "border": 0.0, "general": 0.0}),
        ("people.track_mix", {"mou": 0.5, "boat": 0.5}),
        ("doe.notice_days_quantiles", [[0.0, 5], [1.0, 1]]),
        ("law.wage_ceiling_satang", [["2026-01", 1], ["2025-01", 2]]),
        ("agencies.cadence", {"doe.employments.v1": "hourly"}),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(parameters: Parameters, name: str, value: object) -> None:
    with pytest.raises(ParameterError, match=name.replace(".", r"\.")):
        parameters.changed({name: value})


@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.integers(0, 500)), max_size=5))
def test_a_table_of_quantiles_never_falls_and_keeps_its_ends(points: list[tuple[float, int]]) -> None:
    shares = sorted({point[0] for point in points})
    values = sorted(point[1] for point in points)[: len(shares)]
    rows = [[0.0, 0], *[list(row) for row in zip(shares, values, strict=False)], [1.0, 600]]
    table = quantile_table(rows)
    assert len(table) == SLOTS
    assert table == sorted(table)
    assert table[0] >= 0
    assert table[-1] <= 600


def test_tables_hold_what_they_were_asked_for() -> None:
    table = mix_table({"a": 0.35, "b": 0.6, "c": 0.05})
    assert len(table) == SLOTS
    assert [round(table.count(name) / SLOTS, 2) for name in "abc"] == [0.35, 0.6, 0.05]
    waits = waiting_table(0.3)
    assert abs(sum(waits) / SLOTS - 365 / 0.3) < 15
    chance = share_per_draw(0.25, 3)
    assert abs(1 - (1 - 2 * chance * (1 - chance)) ** 3 - 0.25) < 1e-9
