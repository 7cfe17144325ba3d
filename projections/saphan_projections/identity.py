"""Which records speak of the same person: today by shared identifiers alone, as a pure function of the records."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any, NamedTuple

import msgpack

from saphan_projections.hashing import signed_hashes
from saphan_projections.naming import named
from saphan_projections.packing import pack
from saphan_schemas.identifiers import unusual_person_numbers
from saphan_schemas.rules import normalise_passport, normalise_person_number, usable_passport, usable_person_number
from saphan_schemas.topics import (
    CONTRIBUTIONS,
    EMPLOYMENTS,
    HEALTH_COVER,
    INSURED_PERSONS,
    NON_THAI_IDS,
    STAYS,
    WORK_PERMITS,
)

#: An identifier whose holders have this many different birth dates names nobody: a placeholder or an office's number.
GENERIC_BIRTH_DATES_MIN = 8


class Signature(NamedTuple):
    """The part of a record that decides which person it belongs to.

    ``identifiers`` are ``type:value`` strings, sorted, normalised and usable; ``birth_day`` counts from 1970-01-01.
    Two records with equal signatures always belong to the same person.
    """

    birth_day: int | None
    identifiers: tuple[str, ...]


#: A signature in bytes, as it is stored and goes from process to process.
pack_signature: Callable[[Signature], bytes] = pack
_signature = named(Signature)


def unpack_signature(packed: bytes) -> Signature:
    """The signature in bytes that :func:`pack_signature` made."""
    return Signature._make(msgpack.unpackb(packed, use_list=False))


def unpack_signatures(packed: bytes) -> list[Signature]:
    """The signatures in the array that :func:`saphan_projections.packing.packed_array` made of packed ones."""
    return list(map(_signature, msgpack.unpackb(packed, use_list=False)))


#: How many spellings are remembered with their identifiers: a worker's records repeat them and mostly come together.
_SPELLINGS_MAX = 65_536


@lru_cache(_SPELLINGS_MAX)
def _number_identifier(raw: str) -> str | None:
    number = normalise_person_number(raw)
    return _PERSON_NUMBER + number if usable_person_number(number) else None


@lru_cache(_SPELLINGS_MAX)
def _document_identifier(prefix: str, raw: str) -> str | None:
    number = normalise_passport(raw)
    return prefix + number if usable_passport(number) else None


def _identifier(field: str, raw: str, nationality: str | None) -> str | None:
    prefix = _PREFIXES[field]
    if prefix == _PERSON_NUMBER:
        return _number_identifier(raw)
    if prefix == _INSURED:
        return _number_identifier(raw) or _document_identifier(prefix, raw)
    if prefix != _PASSPORT:
        return _document_identifier(prefix, raw)
    # An empty text is no nationality: without one the number joins no records.
    return _document_identifier(f"{prefix}{nationality}:", raw) if nationality else None


#: An insured number is the person's 13-digit number where there is one; only who has none gets a number of the SSO's
#: own, whose form is unconfirmed: whatever reads as a person's number is taken for one.
_PERSON_NUMBER, _PASSPORT, _INSURED = "nid:", "pp:", "ins:"
_PREFIXES = {
    "card_number": "card:",
    "insured_number": _INSURED,
    "non_thai_id": _PERSON_NUMBER,
    "passport_number": _PASSPORT,
    "previous_passport_number": _PASSPORT,
    "permit_number": "wp:",
}
#: The fields that identify, in the order of their prefixes: so identifiers of different kinds come out sorted.
_FIELDS: dict[str, tuple[str, ...]] = {
    WORK_PERMITS: ("non_thai_id", "passport_number", "previous_passport_number", "permit_number"),
    EMPLOYMENTS: ("non_thai_id", "passport_number", "permit_number"),
    NON_THAI_IDS: ("non_thai_id", "passport_number"),
    STAYS: ("passport_number", "previous_passport_number"),
    INSURED_PERSONS: ("insured_number", "non_thai_id", "passport_number"),
    CONTRIBUTIONS: ("insured_number",),
    HEALTH_COVER: ("card_number", "non_thai_id", "passport_number"),
}
#: Fields whose identifiers may have the same prefix, and may be the same.
_OF_ONE_KIND = (("passport_number", "previous_passport_number"), ("insured_number", "non_thai_id"))


def is_of_old_form(identifier: str) -> bool:
    """Whether an earlier version made it: a person's own number as an insured number, which joins nothing any more."""
    return identifier.startswith(_INSURED) and _number_identifier(identifier.removeprefix(_INSURED)) is not None


def signature_of(feed: str, record: Mapping[str, Any]) -> Signature:
    """The signature of a record of a worker feed, in wire form. Raises KeyError for another feed."""
    found = []
    nationality = record.get("nationality")
    for field in _FIELDS[feed]:
        raw = record[field]
        value = None if raw is None else _identifier(field, raw, nationality)
        if value is not None:
            found.append(value)
    if len(found) > 1:
        found = sorted(set(found))
    return Signature(record.get("birth_date"), tuple(found))


def signatures_of(
    feed: str, columns: Mapping[str, Sequence[Any]], numbers: Mapping[str, Sequence[str | None]]
) -> list[Signature]:
    """:func:`signature_of` for many records, field by field. ``numbers`` are normalised and usable, or None or empty."""
    fields = [field for field in _FIELDS[feed] if any(numbers[field])]
    found = [_identifiers(field, numbers[field], columns) for field in fields]
    rows: list[tuple[str, ...]] = list(zip(*found, strict=True)) if found else [()] * len(columns["record_id"])
    if any(None in column for column in found):
        rows = [tuple(filter(None, row)) if None in row else row for row in rows]
    for one, other in _OF_ONE_KIND:
        if one in fields and other in fields:
            for at in [at for at, pair in enumerate(zip(numbers[one], numbers[other], strict=True)) if all(pair)]:
                rows[at] = tuple(sorted(set(rows[at])))
    # A feed without birth dates gives None for each record.
    return list(map(_signature, zip(columns.get("birth_date") or repeat(None), rows, strict=False)))


def _identifiers(
    field: str, numbers: Sequence[str | None], columns: Mapping[str, Sequence[Any]]
) -> Sequence[str | None]:
    prefix = _PREFIXES[field]
    if prefix == _INSURED:
        return _insured(numbers)
    if prefix != _PASSPORT:
        return [prefix + number if number else None for number in numbers]
    holders = zip(columns["nationality"], numbers, strict=True)
    return [f"{prefix}{nationality}:{number}" if number and nationality else None for nationality, number in holders]


def _insured(numbers: Sequence[str | None]) -> Sequence[str | None]:
    found = [_PERSON_NUMBER + number if number else None for number in numbers]
    for at in unusual_person_numbers(numbers):
        number = numbers[at]
        if number and not usable_person_number(number):
            found[at] = _INSURED + number
    return found


@lru_cache(maxsize=65_536)
def identifier_hash(identifier: str) -> int:
    """64 signed bits of an identifier: an index that says where to look; equality is always checked on the text."""
    return signed_hashes((identifier.encode(),))[0]


def signature_hashes(signatures: Iterable[Signature]) -> Sequence[int]:
    """64 signed bits of each signature, the same in every process; never 0, which stands for no signature."""
    texts = [f"{birth_day}|{'|'.join(identifiers)}" for birth_day, identifiers in signatures]
    hashes = signed_hashes(map(str.encode, texts))
    return [number or 1 for number in hashes] if 0 in hashes else hashes


def generic_identifiers(signatures: Iterable[Signature]) -> set[str]:
    """Identifiers that join nobody, judged over these signatures alone."""
    birth_days: dict[str, set[int]] = {}
    for signature in signatures:
        if signature.birth_day is not None:
            for identifier in signature.identifiers:
                birth_days.setdefault(identifier, set()).add(signature.birth_day)
    return {identifier for identifier, days in birth_days.items() if len(days) >= GENERIC_BIRTH_DATES_MIN}


def birth_days_of(identifier: str, signatures: Iterable[Signature]) -> set[int]:
    """The birth dates that these signatures give an identifier."""
    holders = (signature for signature in signatures if identifier in signature.identifiers)
    return {signature.birth_day for signature in holders if signature.birth_day is not None}


def is_generic(identifier: str, signatures: Iterable[Signature]) -> bool:
    """Whether these signatures alone make an identifier one that joins nobody."""
    return len(birth_days_of(identifier, signatures)) >= GENERIC_BIRTH_DATES_MIN


def only_adds(before: Signature, signature: Signature) -> bool:
    """Whether a new signature still says everything that the old one said."""
    return before.birth_day in {None, signature.birth_day} and set(before.identifiers).issubset(signature.identifiers)


def groups(signatures: Sequence[Signature], generic: set[str]) -> list[list[int]]:
    """Indexes of ``signatures`` by person: connected through shared identifiers that are not generic.

    Pure and independent of order but for the order of the groups; a record without a usable identifier stands alone.
    """
    holders: dict[str, list[int]] = {}
    for index, signature in enumerate(signatures):
        for identifier in signature.identifiers:
            if identifier not in generic:
                holders.setdefault(identifier, []).append(index)
    seen = [False] * len(signatures)
    found: list[list[int]] = []
    for start in range(len(signatures)):
        if seen[start]:
            continue
        seen[start] = True
        group, frontier = [], [start]
        while frontier:
            index = frontier.pop()
            group.append(index)
            for identifier in signatures[index].identifiers:
                for neighbour in holders.pop(identifier, ()):
                    if not seen[neighbour]:
                        seen[neighbour] = True
                        frontier.append(neighbour)
        found.append(group)
    return found
