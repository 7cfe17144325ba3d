"""Whether clerks err, agencies correct, and feeds fall silent as often as their parameters say."""

from collections import Counter
from itertools import pairwise
from statistics import median

from simulation.telling import START, first_versions, people, share, versions

from saphan_schemas.rules import normalise_passport, normalise_person_number
from saphan_schemas.topics import (
    EMPLOYMENTS,
    HEALTH_COVER,
    INSURED_PERSONS,
    STAYS,
    WORK_PERMITS,
)
from saphan_schemas.values import bangkok_midnight_ms
from saphan_simulation.agencies import Agencies, Window
from saphan_simulation.identifiers import (
    OFFICE_PASSPORTS,
    OFFICE_PERSON_NUMBERS,
    PLACEHOLDER_PASSPORT,
    PLACEHOLDER_PERSON_NUMBER,
)
from saphan_simulation.parameters import Parameters
from saphan_simulation.world import World


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


def test_a_corrected_hire_first_had_another_employer_or_another_first_day_as_the_parameter_says(
    parameters: Parameters,
) -> None:
    def corrected(employer_share: float) -> Counter[str]:
        found: Counter[str] = Counter()
        for told in people(
            parameters, workers=1500, faults__correction_share=0.5, faults__correction_employer_share=employer_share
        ):
            for rows in versions(told, EMPLOYMENTS).values():
                present = [row for row in rows if not row["deleted"]]
                found["employer"] += len({row["employer_id"] for row in present}) > 1
                found["first day"] += len({row["start_date"] for row in present}) > 1
        return found

    never, half = corrected(0.0), corrected(0.5)
    assert never["employer"] == 0
    assert never["first day"] > 100
    assert 0.35 < share(half["employer"], half["employer"] + half["first day"]) < 0.6


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


def test_names_are_spelt_anew_in_each_registry(parameters: Parameters) -> None:
    pairs = [
        (permit["full_name"], stay["full_name"])
        for told in people(parameters, workers=6000)
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
