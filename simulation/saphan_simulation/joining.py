"""Which of the published records share an identifier, directly or through others: what can be joined without guessing."""

from collections.abc import Iterable, Sequence

from saphan_schemas.rules import normalise_passport, normalise_person_number, usable_passport, usable_person_number
from saphan_simulation.book import Final, Record

#: A number with so many different birth dates is an office's or a placeholder: it joins nobody.
BIRTH_DATES_GENERIC_MIN = 8

#: (type, number); a passport's type is its nationality.
Identifier = tuple[str, str]


def identifiers_of(record: Record) -> list[Identifier]:
    """The usable identifiers of a record; a deleted record has none."""
    found: list[Identifier] = []
    number = record.get("non_thai_id")
    if number is not None:
        number = normalise_person_number(number)
        if usable_person_number(number):
            found.append(("person", number))
    nationality = record.get("nationality")
    if nationality is not None:
        for field in ("passport_number", "previous_passport_number"):
            _add(found, nationality, record.get(field))
    _add(found, "permit", record.get("permit_number"))
    insured = record.get("insured_number")
    if insured is not None:
        # The SSO's number of a person is the person's own where there is one.
        number = normalise_person_number(insured)
        if usable_person_number(number):
            found.append(("person", number))
        else:
            _add(found, "insured", insured)
    _add(found, "card", record.get("card_number"))
    return found


def _add(found: list[Identifier], kind: str, number: str | None) -> None:
    if number is not None:
        number = normalise_passport(number)
        if usable_passport(number):
            found.append((kind, number))


def generic_numbers(finals: Iterable[Final]) -> set[Identifier]:
    """Identifiers that join nobody, judged over these records."""
    birth_days: dict[Identifier, set[int]] = {}
    for final in finals:
        birth_day = final.record.get("birth_date")
        if birth_day is not None:
            for identifier in identifiers_of(final.record):
                birth_days.setdefault(identifier, set()).add(birth_day)
    return {identifier for identifier, days in birth_days.items() if len(days) >= BIRTH_DATES_GENERIC_MIN}


def components(records: Sequence[Sequence[Identifier]], generic: set[Identifier]) -> list[int]:
    """For each record, given by its identifiers, the number of its component: equal for those that shared ones connect.

    Plain relabelling: slow for many records, but a worker has few.
    """
    labels = list(range(len(records)))
    holder: dict[Identifier, int] = {}
    members: dict[int, list[int]] = {place: [place] for place in labels}
    for place, identifiers in enumerate(records):
        for identifier in identifiers:
            if identifier in generic:
                continue
            other = holder.setdefault(identifier, place)
            kept, gone = labels[other], labels[place]
            if kept != gone:
                if len(members[kept]) < len(members[gone]):
                    kept, gone = gone, kept
                for moved in members[gone]:
                    labels[moved] = kept
                members[kept] += members.pop(gone)
    return labels
