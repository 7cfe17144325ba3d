"""Whether everything that the simulation promises happens, as often as its parameter says, and never when it says never."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
from simulation.telling import START, YEAR, Record, first_versions, people, returns, share, versions

from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.rules import normalise_passport, normalise_person_number
from saphan_schemas.topics import (
    CONTRIBUTIONS,
    HEALTH_COVER,
    INSURED_PERSONS,
    NON_THAI_IDS,
    RECORD_FEEDS,
    STAYS,
    WORK_PERMITS,
)
from saphan_schemas.values import bangkok_day, date_to_days
from saphan_simulation.identifiers import (
    PLACEHOLDER_PASSPORT,
    PLACEHOLDER_PERSON_NUMBER,
    assigned_insured_number,
)
from saphan_simulation.life import Identity
from saphan_simulation.parameters import Parameters
from saphan_simulation.social_security import earned_satang
from saphan_simulation.world import Told


@pytest.fixture(scope="module")
def usual(parameters: Parameters) -> list[Told]:
    return people(parameters, workers=6000)


@pytest.fixture(scope="module")
def restless(parameters: Parameters) -> list[Told]:
    """Workers of whom many leave."""
    return people(parameters, workers=5000, people__departures_per_year=1.0)


# -- leaving and coming back -------------------------------------------------------------------------------------------


def test_as_many_leave_and_come_back_as_the_parameters_say(usual: list[Told], restless: list[Told]) -> None:
    here_days = sum((leave or START + YEAR) - max(entry, START) for told in usual for entry, leave in told.life.stays)
    left = sum(leave is not None for told in usual for _, leave in told.life.stays)
    assert abs(left / (here_days / YEAR) - 0.10) < 0.02
    early = [told for told in restless if (told.life.stays[0][1] or START + YEAR) < START + 200]
    back = sum(len(told.life.stays) > 1 for told in early)
    assert abs(share(back, len(early)) - 0.45) < 0.05


def test_a_returning_worker_has_a_new_name_or_passport_as_often_as_the_parameters_say(restless: list[Told]) -> None:
    found: Counter[str] = Counter()
    for told, entry in returns(restless):
        found["back"] += 1
        found["new name"] += any(since == entry for since, _ in told.life.names[1:])
        if not told.life.passports:
            continue
        found["back with passport"] += 1
        passport = told.life.passport_on(entry)
        if passport is not None and passport.from_day == entry:
            found["new passport"] += 1
            found["previous known"] += passport.previous is not None
    assert abs(share(found["new name"], found["back"]) - 0.15) < 0.03
    assert abs(share(found["new passport"], found["back with passport"]) - 0.35) < 0.04
    assert abs(share(found["previous known"], found["new passport"]) - 0.50) < 0.06


def test_who_comes_back_with_nothing_that_names_the_past_may_get_another_number(restless: list[Told]) -> None:
    had = [
        (one, other)
        for told in restless
        for one, other in pairwise(told.life.identities)
        if one.person_number is not None
    ]
    anew = sum(one.person_number != other.person_number for one, other in had)
    assert abs(share(anew, len(had)) - 0.40) < 0.08
    for one, other in had:
        assert other.is_apart == (one.person_number != other.person_number)


def test_records_of_two_identities_share_no_number_and_the_truth_still_says_one_person(restless: list[Told]) -> None:
    """The person's later records carry none of the earlier numbers, in any feed."""
    seen = 0
    for told in restless:
        for identity in told.life.identities[1:]:
            if not identity.is_apart or len(told.life.identities) != 2:
                continue
            before, after = numbers_by_identity(told, identity)
            assert not before & after, told.life.number
            seen += bool(before and after)
    assert seen > 30


def numbers_by_identity(told: Told, identity: Identity) -> tuple[set[str], set[str]]:
    """Numbers on records that began before an identity and after, as the agencies mean them."""
    life = told.life
    former = {passport.number for passport in life.passports if passport.from_day < identity.from_day}
    later = {passport.number for passport in life.passports if passport.from_day >= identity.from_day}
    former |= {
        assigned_insured_number(life.number, known.ordinal) for known in life.identities if known is not identity
    }
    later.add(assigned_insured_number(life.number, identity.ordinal))
    former |= {known.person_number for known in life.identities if known.person_number} - {identity.person_number or ""}
    if identity.person_number is not None:
        later.add(identity.person_number)
    found: tuple[set[str], set[str]] = (set(), set())
    for final in told.finals:
        carried = set(numbers_of(final.record))
        for side, own in enumerate((former, later)):
            if carried & own:
                found[side].update(carried)
    return found


def numbers_of(record: Record) -> Iterator[str]:
    if record.get("non_thai_id"):
        yield normalise_person_number(record["non_thai_id"])
    for name in ("passport_number", "previous_passport_number", "insured_number"):
        if record.get(name):
            yield normalise_passport(record[name])


# -- falling ill -------------------------------------------------------------------------------------------------------


def test_workers_fall_ill_as_often_and_as_long_as_the_parameters_say(usual: list[Told]) -> None:
    here_days = sum((leave or START + YEAR) - max(entry, START) for told in usual for entry, leave in told.life.stays)
    ill = [last - first + 1 for told in usual for first, last in told.life.illnesses]
    assert abs(len(ill) / (here_days / YEAR) - 0.25) < 0.03
    assert abs(median(ill) - 7) <= 1
    assert max(ill) > 60


def test_an_illness_shows_as_a_smaller_contribution_or_none(parameters: Parameters) -> None:
    workers = people(
        parameters, months=14, sso__contribution_corrected_share=0.0, sso__contribution_lapsed_share=0.0,
        people__illnesses_per_year=2.0,
    )  # fmt: skip
    found: Counter[str] = Counter()
    for told in workers:
        for rows in versions(told, CONTRIBUTIONS).values():
            year, month = map(int, rows[0]["month"].split("-"))
            first = date_to_days(date(year, month, 1))
            after = date_to_days(date(year + month // 12, month % 12 + 1, 1))
            spans = [(max(since, first), min(last + 1, after)) for since, last in told.life.illnesses]
            ill_days = sum(max(0, until - since) for since, until in spans)
            assert ill_days < after - first, "a month of nothing but illness is not paid"
            wages = {job.wage_satang for job in told.life.jobs}
            found["whole" if rows[0]["wage_satang"] in wages else "less"] += 1
            assert (ill_days > 0) == (rows[0]["wage_satang"] not in wages)
    assert found["less"] > 100
    assert found["whole"] > found["less"]


def test_a_months_wage_falls_by_the_days_of_illness() -> None:
    november = 2025 * 12 + 10
    first = date_to_days(date(2025, 11, 1))
    assert earned_satang(900_000, november, [(first - 40, first - 1)]) == 900_000
    assert earned_satang(900_000, november, [(first - 5, first + 2)]) == 810_000
    assert earned_satang(900_000, november, [(first, first + 9), (first + 20, first + 60)]) == 300_000
    assert earned_satang(900_000, november, [(first, first + 29)]) == 0


def test_who_falls_ill_without_cover_may_buy_it_then(parameters: Parameters) -> None:
    def bought_when_ill(of_uncovered: float) -> int:
        workers = people(
            parameters, moph__covered_share={"insured": 0.0, "not_insured": 0.0},
            moph__bought_when_ill_share=of_uncovered,
        )  # fmt: skip
        return sum(final.feed == HEALTH_COVER for told in workers for final in told.finals)

    ill = sum(bool(told.life.illnesses) for told in people(parameters))
    assert bought_when_ill(0.0) == 0
    assert 0.15 < share(bought_when_ill(0.3), ill) < 0.31


def test_no_feed_carries_a_diagnosis() -> None:
    words = ("diagnos", "illness", "disease", "sick", "symptom", "hospital")
    for feed in RECORD_FEEDS:
        assert not [name for name in default_catalogue().kinds(feed) if any(word in name for word in words)]


# -- documents and jobs ------------------------------------------------------------------------------------------------


def test_passports_are_renewed_and_some_bring_another_name(parameters: Parameters) -> None:
    workers = people(
        parameters, months=24, people__departures_per_year=0.0, identifiers__passport_renewal_new_name_share=0.25
    )
    holders = [told.life for told in workers if told.life.passports]
    firsts = [life.passports[1].from_day if len(life.passports) > 1 else START + 730 for life in holders]
    years = sum(first - max(START, life.arrival_day) for first, life in zip(firsts, holders, strict=True)) / YEAR
    assert abs(sum(len(life.passports) > 1 for life in holders) / years - 0.20) < 0.02
    renewed = sum(len(life.passports) - 1 for life in holders)
    assert abs(share(sum(len(life.names) - 1 for life in holders), renewed) - 0.25) < 0.04
    shown = [
        later["previous_passport_number"] is not None
        for told in workers
        for rows in versions(told, STAYS).values()
        for earlier, later in pairwise(rows)
        if normalise_passport(earlier["passport_number"]) != normalise_passport(later["passport_number"])
        and not later["deleted"]
    ]
    # Corrections of typos change the number, too, and name no previous one.
    assert 0.75 < share(sum(shown), len(shown)) < 0.95


def test_permits_are_renewed_and_many_late(usual: list[Told]) -> None:
    late = [
        bangkok_day(later["changed_at"]) > earlier["valid_until"]
        for told in usual
        for rows in versions(told, WORK_PERMITS).values()
        for earlier, later in pairwise(rows)
        if earlier["valid_until"] and later["valid_until"] and later["valid_from"] > earlier["valid_from"]
    ]
    assert abs(share(sum(late), len(late)) - 0.42) < 0.05


def test_jobs_change_as_often_as_the_sector_says(parameters: Parameters) -> None:
    workers = people(
        parameters, workers=5000, people__departures_per_year=0.0, jobs__second_job_share=0.0,
    )  # fmt: skip
    ended: Counter[str] = Counter()
    days: Counter[str] = Counter()
    for told in workers:
        for job in told.life.jobs:
            ended[job.sector] += job.end_day is not None
            end = START + YEAR if job.end_day is None else job.end_day
            days[job.sector] += end - max(job.start_day, START)
    for sector, rate in (("construction", 0.60), ("manufacturing", 0.20), ("services", 0.30)):
        assert abs(ended[sector] / (days[sector] / YEAR) - rate) < 0.2 * rate, sector


# -- never, when the parameter says never ------------------------------------------------------------------------------


def renamed(workers: list[Told]) -> int:
    return sum(any(since == entry for since, _ in told.life.names[1:]) for told, entry in returns(workers))


def apart(workers: list[Told]) -> int:
    return sum(identity.is_apart for told in workers for identity in told.life.identities)


def returned(workers: list[Told]) -> int:
    return sum(len(told.life.stays) > 1 for told in workers)


def ill(workers: list[Told]) -> int:
    return sum(len(told.life.illnesses) for told in workers)


def placeholders(workers: list[Told]) -> int:
    wanted = {PLACEHOLDER_PASSPORT, PLACEHOLDER_PERSON_NUMBER}
    return sum(bool(wanted & set(map(str, record.values()))) for told in workers for _, _, record in told.events)


def deleted(workers: list[Told]) -> int:
    return sum(record["deleted"] for told in workers for _, _, record in told.events)


def half_known_birth_days(workers: list[Told]) -> int:
    firsts = {date_to_days(date(year, 1, 1)) for year in range(1950, 2010)}
    return sum(told.life.birth_day in firsts for told in workers)


def seasonal(workers: list[Told]) -> int:
    return sum(job.is_seasonal for told in workers for job in told.life.jobs)


def lapsed(workers: list[Told]) -> int:
    """Months between a person's first and last paid one for which nothing was paid, with one insurance and no illness."""
    found = 0
    for told in workers:
        months = sorted(rows[0]["month"] for rows in versions(told, CONTRIBUTIONS).values())
        if len(list(first_versions(told, INSURED_PERSONS))) == 1 and months and not told.life.illnesses:
            first, last = (int(text[:4]) * 12 + int(text[5:]) for text in (months[0], months[-1]))
            found += last - first + 1 - len(months)
    return found


def renewed(workers: list[Told]) -> int:
    return sum(
        len(told.life.passports) > 1 and told.life.passports[1].from_day not in {entry for entry, _ in told.life.stays}
        for told in workers
    )


def number_changes(workers: list[Told]) -> int:
    return sum(len(versions(told, NON_THAI_IDS)) > 1 for told in workers)


@pytest.mark.parametrize(
    ("count", "changed"),
    [
        (renamed, {"people__return_new_name_share": 0.0}),
        (apart, {"people__return_previous_known_share": 1.0}),
        (number_changes, {"people__return_new_person_number_share": 0.0}),
        (returned, {"people__return_share": 0.0}),
        (ill, {"people__illnesses_per_year": 0.0}),
        (placeholders, {"faults__placeholder_share": 0.0}),
        (deleted, {"faults__deleted_share": 0.0}),
        (half_known_birth_days, {"people__birth_day_unknown_share": 0.0}),
        (seasonal, {"jobs__seasonal_share": 0.0}),
        (lapsed, {"sso__contribution_lapsed_share": 0.0}),
        (renewed, {"identifiers__passport_renewals_per_year": 0.0}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_a_parameter_brings_ends_with_it(
    parameters: Parameters, restless: list[Told], count: Callable[[list[Told]], int], changed: dict[str, Any]
) -> None:
    assert count(restless) > 3
    without = people(parameters, workers=1500, people__departures_per_year=1.0, **changed)
    # Some are born on 1 January indeed.
    assert count(without) <= (15 if count is half_known_birth_days else 0)
