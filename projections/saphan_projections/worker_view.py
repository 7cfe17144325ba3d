"""What a worker's records say together: whom to believe, what holds now, and which id follows from them."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import NamedTuple

from saphan_projections.alerts import Employment, Insurance, RecordReference
from saphan_projections.law import Law, eligibility
from saphan_projections.naming import named
from saphan_projections.worker import Member, Person, WorkerState
from saphan_schemas.topics import EMPLOYMENTS, HEALTH_COVER, INSURED_PERSONS, NON_THAI_IDS, STAYS, WORK_PERMITS
from saphan_schemas.values import days_to_date

#: Which registry is believed first for nationality, sex and birth date.
_PRECEDENCE = (NON_THAI_IDS, STAYS, WORK_PERMITS, INSURED_PERSONS, HEALTH_COVER)
#: Of a registry's records about one worker, the one that was changed last is believed.
_NEWNESS: Callable[[Member], tuple[int, int, str]] = itemgetter(
    *map(Member._fields.index, ("changed_at", "version", "record_id"))
)


class View(NamedTuple):
    """What the members say together. Days count from 1970-01-01; None where no record says."""

    nationality: str | None
    sex: str | None
    birth_year: int | None
    employers: tuple[str, ...]
    employed: bool
    enrolled: bool
    permit_valid_until: int | None
    health_cover_until: int | None


#: Several of these are made for each worker and chunk.
_view = named(View)
_person = named(Person)
_reference = named(RecordReference)
_employment = named(Employment)


def worker_id(state: WorkerState, key: bytes) -> str:
    """An opaque id, a function of the worker's records: a keyed hash of the first of them by feed and record id."""
    feed, record_id = state.first()
    return "W-" + blake2b(f"{feed}|{record_id}".encode(), digest_size=10, key=key).hexdigest()


def view(state: WorkerState) -> View:
    """Fold the members: registries by precedence for who the person is, all records for what holds now."""
    person = state.person
    if person is None:
        person = state.person = _person_of(state)
    employers = state.employers
    if employers is None:
        employers = state.employers = _employers_of(state)
    nationality, sex, birth_year, enrolled, permit_valid_until, health_cover_until = person
    return _view(
        (nationality, sex, birth_year, employers, bool(employers), enrolled, permit_valid_until, health_cover_until)
    )


def is_eligible(state: WorkerState, law: Law) -> bool:
    """Whether the law asks for an insurance in one of the worker's open employments, as far as the feeds can tell."""
    eligible = state.eligible
    if eligible is None:
        eligible = state.eligible = _is_eligible(state, law)
    return eligible


def _is_eligible(state: WorkerState, law: Law) -> bool:
    for member in state.members.values():
        if member.feed == EMPLOYMENTS:
            _, first_day, end_day, _, sector, months = member.kept
            if (
                end_day is None
                and first_day is not None
                and eligibility(sector, months, None, first_day, law) == "eligible"
            ):
                return True
    return False


def _employers_of(state: WorkerState) -> tuple[str, ...]:
    jobs = [member.kept for member in state.members.values() if member.feed == EMPLOYMENTS]
    return tuple(sorted({kept[0] for kept in jobs if kept[2] is None and kept[0] is not None}))


def _person_of(state: WorkerState) -> Person:
    enrolled = False
    permit_valid_until: int | None = None
    health_cover_until: int | None = None
    members = state.members.values()
    for member in members:
        feed = member.feed
        if feed == WORK_PERMITS:
            end = member.kept[3]
            if end is not None and (permit_valid_until is None or end > permit_valid_until):
                permit_valid_until = end
        elif feed == HEALTH_COVER:
            end = member.kept[3]
            if end is not None and (health_cover_until is None or end > health_cover_until):
                health_cover_until = end
        elif feed == INSURED_PERSONS:
            kept = member.kept
            if kept[3] == "33" and kept[7] is None:
                enrolled = True
    nationality, sex, birth_date = _believed(members)
    return _person(
        (
            None if nationality is None else nationality.kept[0],
            None if sex is None else sex.kept[1],
            None if birth_date is None else _year_of(birth_date.kept[2]),
            enrolled,
            permit_valid_until,
            health_cover_until,
        )
    )


#: Many people are born on the same days.
@lru_cache(maxsize=65_536)
def _year_of(day: int) -> int:
    return days_to_date(day).year


def person_sources(state: WorkerState) -> dict[str, Member]:
    """Which record each attribute of the person in :func:`view` was taken from; an attribute that none says is absent.

    Keys: nationality, sex, birth_date.
    """
    names = ("nationality", "sex", "birth_date")
    believed = _believed(state.members.values())
    return {name: member for name, member in zip(names, believed, strict=True) if member is not None}


def _believed(members: Iterable[Member]) -> Sequence[Member | None]:
    """The member to believe for each of nationality, sex and birth date, which every such record keeps first."""
    newest: dict[str, Member] = {}
    for member in members:
        feed = member.feed
        if feed == EMPLOYMENTS:
            continue
        known = newest.get(feed)
        if known is None or _NEWNESS(member) > _NEWNESS(known):
            newest[feed] = member
    ranked = [newest[feed] for feed in _PRECEDENCE if feed in newest]
    # Mostly the first registry says it all.
    if ranked and None not in ranked[0].kept[:3]:
        return ranked[:1] * 3
    return [next((member for member in ranked if member.kept[place] is not None), None) for place in range(3)]


def reference(member: Member) -> RecordReference:
    """Where the record stands in its feed."""
    return _reference((member.feed, member.record_id, member.version, member.partition, member.offset))


def employments(state: WorkerState) -> dict[int, Employment]:
    """The worker's employments that name an employer and a first day, by record number; link lets no others pass."""
    return {
        number: _employment((reference(m), *m.kept[:3]))
        for number, m in state.members.items()
        if m.feed == EMPLOYMENTS and m.kept[0] is not None and m.kept[1] is not None
    }


def insurances(state: WorkerState) -> list[Insurance]:
    """The worker's insurances."""
    return [
        Insurance(reference(m), m.kept[3], m.kept[4], m.kept[5], m.kept[6], m.kept[7])
        for m in state.members.values()
        if m.feed == INSURED_PERSONS
    ]
