"""Whether everything that the simulation promises happens, as often as its parameter says, and never when it says never."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from itertools import pairwise
from statistics import median
from typing import Any

import pytest

from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.rules import normalise_passport, normalise_person_number
from saphan_schemas.topics import (
    CONTRIBUTIONS,
    EMPLOYMENTS,
    HEALTH_COVER,
    INSURED_PERSONS,
    NON_THAI_IDS,
    RECORD_FEEDS,
    STAYS,
    WORK_PERMITS,
)
from saphan_schemas.values import bangkok_day, bangkok_midnight_ms, date_to_days
from saphan_simulation.agencies import Agencies, Window
from saphan_simulation.identifiers import (
    OFFICE_PASSPORTS,
    OFFICE_PERSON_NUMBERS,
    PLACEHOLDER_PASSPORT,
    PLACEHOLDER_PERSON_NUMBER,
    assigned_insured_number,
)
from saphan_simulation.life import Identity
from saphan_simulation.parameters import Parameters
from saphan_simulation.social_security import earned_satang
from saphan_simulation.world import DEFAULT_START, Told, World

Record = dict[str, Any]
START = date_to_days(DEFAULT_START)
YEAR = 365


def people(parameters: Parameters, workers: int = 3000, months: int = 12, **changed: Any) -> list[Told]:
    """The workers of a province with some parameters changed; ``__`` stands for the dot of a name."""
    own = parameters.changed({name.replace("__", "."): value for name, value in changed.items()})
    world = World(own, 17, workers, months)
    return [world.worker(number) for number in range(1, workers + 1)]


@pytest.fixture(scope="module")
def usual(parameters: Parameters) -> list[Told]:
    return people(parameters, workers=6000)


@pytest.fixture(scope="module")
def restless(parameters: Parameters) -> list[Told]:
    """Workers of whom many leave."""
    return people(parameters, workers=5000, people__departures_per_year=1.0)


def versions(told: Told, feed: str) -> dict[str, list[Record]]:
    """Each record's published versions, in order."""
    found: dict[str, dict[int, Record]] = {}
    for _, name, record in told.events:
        if name == feed:
            found.setdefault(record["record_id"], {})[record["version"]] = record
    return {record_id: [rows[number] for number in sorted(rows)] for record_id, rows in found.items()}


def first_versions(told: Told, feed: str) -> Iterator[Record]:
    return (rows[0] for rows in versions(told, feed).values())


def share(hits: int, of: int) -> float:
    assert of > 100, "too few to speak of a share"
    return hits / of


def returns(workers: list[Told]) -> Iterator[tuple[Told, int]]:
    """(worker, day of coming back)."""
    return ((told, entry) for told in workers for entry, _ in told.life.stays[1:])


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


# -- faults of the agencies --------------------------------------------------------------------------------------------


def kind_of_writing(written: str, true: str) -> str:
    if written == true:
        return "as it is"
    normal = normalise_passport(written) if len(true) != 13 else normalise_person_number(written)
    if normal == true:
        return "reformatted"
    if written in {PLACEHOLDER_PERSON_NUMBER, PLACEHOLDER_PASSPORT}:
        return "placeholder"
    if written in {*OFFICE_PASSPORTS, *OFFICE_PERSON_NUMBERS}:
        return "office"
    return "typo"


def test_numbers_are_mistyped_left_out_and_shared_as_often_as_the_parameters_say(parameters: Parameters) -> None:
    workers = people(
        parameters, workers=8000, people__departures_per_year=0.0, identifiers__passport_renewals_per_year=0.0,
        faults__typo_corrected_share=0.0, faults__office_number_share=0.01,
    )  # fmt: skip
    found: Counter[str] = Counter()
    for told in workers:
        life = told.life
        for feed in (WORK_PERMITS, HEALTH_COVER, INSURED_PERSONS):
            for record in first_versions(told, feed):
                if record["passport_number"]:
                    found[kind_of_writing(record["passport_number"], life.passports[0].number)] += 1
                if record["non_thai_id"] and life.identities[0].person_number:
                    found[kind_of_writing(record["non_thai_id"], life.identities[0].person_number)] += 1
    count = sum(found.values())
    for kind, rate in (("typo", 0.012), ("placeholder", 0.007), ("office", 0.01), ("reformatted", 0.03)):
        assert abs(share(found[kind], count) - rate) < 0.25 * rate, (kind, found)


def test_hires_are_corrected_doubled_and_deleted_as_often_as_the_parameters_say(parameters: Parameters) -> None:
    workers = people(parameters, workers=8000, jobs__second_job_share=0.0)
    found: Counter[str] = Counter()
    for told in workers:
        records = versions(told, EMPLOYMENTS)
        hires: Counter[tuple[str, int]] = Counter()
        for rows in records.values():
            found["all"] += 1
            found["deleted"] += rows[-1]["deleted"]
            starts = {row["start_date"] for row in rows if not row["deleted"]}
            found["corrected"] += len(starts) > 1
            if not rows[-1]["deleted"]:
                hires[rows[-1]["employer_id"], rows[-1]["start_date"]] += 1
        found["twice"] += sum(count - 1 for count in hires.values())
    assert abs(share(found["twice"], found["all"]) - 0.02) < 0.005
    # Corrections of the stock's notices were made before the agency began to publish.
    assert 0.003 < share(found["corrected"], found["all"]) < 0.035
    assert 0.0005 < share(found["deleted"], found["all"]) < 0.008


def test_messages_are_repeated_and_leave_late_as_often_as_the_parameters_say(parameters: Parameters) -> None:
    def after_a_change(straggling: float, doubled: float) -> tuple[float, float]:
        workers = people(
            parameters, agencies__straggler_share=straggling, agencies__duplicate_share=doubled,
            agencies__silences_per_month=0.0,
        )  # fmt: skip
        sent: Counter[tuple[str, int]] = Counter()
        late = count = 0
        for told in workers:
            for when_ms, feed, record in told.events:
                if feed == EMPLOYMENTS:
                    sent[record["record_id"], record["version"]] += 1
                    if record["changed_at"] >= bangkok_midnight_ms(START):
                        count += 1
                        late += when_ms - record["changed_at"] > 90_000
        return share(late, count), share(sum(sent.values()) - len(sent), len(sent))

    assert after_a_change(0.0, 0.0) == (0.0, 0.0)
    late, repeated = after_a_change(0.05, 0.04)
    assert abs(repeated - 0.04) < 0.01
    # Repeats leave late, too.
    assert abs(late - 0.05 - repeated) < 0.02


def test_names_are_spelt_anew_in_each_registry(usual: list[Told]) -> None:
    pairs = [
        (permit["full_name"], stay["full_name"])
        for told in usual
        if len(told.life.names) == 1
        for permit in list(first_versions(told, WORK_PERMITS))[:1]
        for stay in list(first_versions(told, STAYS))[:1]
    ]
    assert abs(share(sum(one != other for one, other in pairs), len(pairs)) - 0.25) < 0.04


def test_feeds_fall_silent_as_often_as_the_parameters_say_and_then_say_all_at_once(parameters: Parameters) -> None:
    window = Window(START, START + 360)
    gaps: list[int] = []
    for seed in range(150):
        beats = [sent_ms for sent_ms, _ in Agencies(window, seed, parameters).schedules[EMPLOYMENTS].heartbeats()]
        gaps += [
            (later - earlier) // 86_400_000 - 1 for earlier, later in pairwise(beats) if later - earlier > 90_000_000
        ]
    assert abs(len(gaps) / (150 * 12) - 0.25) < 0.04
    assert max(gaps) >= 4
    assert median(gaps) in {1, 2, 3}


def test_nothing_leaves_during_a_silence_and_no_heartbeat_covers_it(parameters: Parameters) -> None:
    own = parameters.changed({
        "agencies.silences_per_month": 1.0,
        "agencies.silence_days_quantiles": [[0, 5], [1, 5]],
        "agencies.straggler_share": 0.0,
        "agencies.duplicate_share": 0.0,
    })  # fmt: skip
    world = World(own, 17, 1500, 6)
    beats = [sent_ms for sent_ms, _ in world.agencies.schedules[EMPLOYMENTS].heartbeats()]
    silences = [(one, other) for one, other in pairwise(beats) if other - one > 4 * 86_400_000]
    assert len(silences) >= 4
    sent = [
        when_ms for number in range(1, 1501) for when_ms, feed, _ in world.worker(number).events if feed == EMPLOYMENTS
    ]
    for since_ms, until_ms in silences:
        # The last heartbeat leaves at 23:30; the first silent day begins half an hour later and the last ends at midnight.
        first_ms, last_ms = since_ms + 1_800_000, until_ms - int(23.5 * 3_600_000)
        assert not [when_ms for when_ms in sent if first_ms < when_ms < last_ms]
        assert len([when_ms for when_ms in sent if last_ms <= when_ms < last_ms + 90 * 60_000]) > 3


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
