"""What a worker's records say together: whom to believe, who is enrolled, and which id follows from them."""

from itertools import permutations

from saphan_projections.worker import Member, WorkerState
from saphan_projections.worker_view import view, worker_id
from saphan_schemas.topics import HEALTH_COVER, INSURED_PERSONS, NON_THAI_IDS, STAYS, WORK_PERMITS

KEY = b"a key for tests only"
IN_ORDER = (NON_THAI_IDS, STAYS, WORK_PERMITS, INSURED_PERSONS, HEALTH_COVER)


def member(feed: str, nationality: str, changed_at: int = 0, record_id: str = "R") -> Member:
    rest = ("33", "71", "000000", 0, None) if feed == INSURED_PERSONS else (None,)
    return Member(1, feed, record_id, 1, changed_at, 0, 0, 0, (nationality, "F", 0, *rest))


def state_of(*members: Member) -> WorkerState:
    return WorkerState(1, dict(enumerate(members)))


def test_registries_are_believed_in_their_order() -> None:
    members = [member(feed, f"N{number}") for number, feed in enumerate(IN_ORDER)]
    for number in range(len(members)):
        believed = state_of(*reversed(members[number:]))
        assert view(believed).nationality == f"N{number}"


def test_of_a_registry_the_newest_record_is_believed_in_any_order() -> None:
    members = [member(STAYS, f"N{changed_at}", changed_at, f"R{changed_at}") for changed_at in range(3)]
    for some in permutations(members):
        assert view(state_of(*some)).nationality == "N2"


def test_what_a_registry_does_not_say_is_taken_from_the_next_that_says_it() -> None:
    said: dict[str, tuple[str | None, str | None, int | None]] = {
        NON_THAI_IDS: ("MMR", None, None),
        STAYS: ("KHM", None, 4_000),
        WORK_PERMITS: ("LAO", "F", 8_000),
    }
    members = [Member(1, feed, "R", 1, 0, 0, 0, 0, (*kept, None)) for feed, kept in said.items()]
    for some in permutations(members):
        seen = view(state_of(*some))
        assert (seen.nationality, seen.sex, seen.birth_year) == ("MMR", "F", 1980)


def test_a_permit_and_a_cover_hold_until_the_latest_day_that_any_of_them_says() -> None:
    def until(feed: str, day: int | None) -> Member:
        return Member(1, feed, f"R{day}", 1, 0, 0, 0, 0, ("MMR", "F", 0, day))

    permits = [until(WORK_PERMITS, day) for day in (10, 20, None)]
    covers = [until(HEALTH_COVER, day) for day in (5, None, 15)]
    for some in permutations(permits):
        for others in permutations(covers):
            seen = view(state_of(*some, *others, until(STAYS, 99)))
            assert (seen.permit_valid_until, seen.health_cover_until) == (20, 15)
    assert view(state_of(until(STAYS, 99))).permit_valid_until is None


def test_only_an_open_insurance_of_employees_is_an_enrolment() -> None:
    def enrolled(section: str, end_day: int | None) -> bool:
        kept = ("MMR", "F", 0, section, "71", "000000", 0, end_day)
        return view(state_of(Member(1, INSURED_PERSONS, "I", 1, 0, 0, 0, 0, kept))).enrolled

    assert enrolled("33", None)
    assert not enrolled("33", 10**6)
    assert not enrolled("39", None)
    assert not enrolled("40", None)


def test_the_id_of_a_worker_follows_from_the_records_that_are_there() -> None:
    first, second = member(NON_THAI_IDS, "MMR"), member(STAYS, "MMR")
    state = WorkerState(1)
    state.put(2, second)
    alone = worker_id(state, KEY)
    state.put(1, first)
    together = worker_id(state, KEY)
    assert together == worker_id(state_of(first), KEY) != alone
    state.remove(1, 2)
    assert worker_id(state, KEY) == alone == worker_id(state_of(second), KEY)
    assert worker_id(state_of(second), b"another key") != alone
