"""Which records speak of the same person: today by shared identifiers alone, as a pure function of the records."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

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
    """What of a record decides whose it is.

    ``identifiers`` are ``type:value`` strings, sorted, normalised and usable; ``birth_day`` counts from 1970-01-01.
    Two records with equal signatures always belong to the same person.
    """

    birth_day: int | None
    identifiers: tuple[str, ...]


#: Spellings whose identifiers are remembered: a worker's records bring the same ones and mostly come together.
_SPELLINGS_MAX = 65_536


@lru_cache(_SPELLINGS_MAX)
def _number_identifier(raw: str) -> str | None:
    number = normalise_person_number(raw)
    return "nid:" + number if usable_person_number(number) else None


@lru_cache(_SPELLINGS_MAX)
def _document_identifier(prefix: str, raw: str) -> str | None:
    number = normalise_passport(raw)
    return prefix + number if usable_passport(number) else None


def _person_number(record: Mapping[str, Any]) -> str | None:
    raw = record["non_thai_id"]
    return None if raw is None else _number_identifier(raw)


def _passport(record: Mapping[str, Any], field: str = "passport_number") -> str | None:
    raw, nationality = record[field], record["nationality"]
    # An empty text is no nationality: without one the number joins no records.
    if raw is None or not nationality:
        return None
    return _document_identifier(f"pp:{nationality}:", raw)


def _previous_passport(record: Mapping[str, Any]) -> str | None:
    return _passport(record, "previous_passport_number")


def _numbered(prefix: str, field: str) -> Callable[[Mapping[str, Any]], str | None]:
    def identifier(record: Mapping[str, Any]) -> str | None:
        raw = record[field]
        return None if raw is None else _document_identifier(prefix, raw)

    return identifier


_permit = _numbered("wp:", "permit_number")
_insured = _numbered("ins:", "insured_number")
_cover_card = _numbered("card:", "card_number")

_IDENTIFIERS: dict[str, tuple[Callable[[Mapping[str, Any]], str | None], ...]] = {
    WORK_PERMITS: (_person_number, _passport, _previous_passport, _permit),
    EMPLOYMENTS: (_person_number, _passport, _permit),
    NON_THAI_IDS: (_person_number, _passport),
    STAYS: (_passport, _previous_passport),
    INSURED_PERSONS: (_person_number, _passport, _insured),
    CONTRIBUTIONS: (_insured,),
    HEALTH_COVER: (_person_number, _passport, _cover_card),
}


def signature_of(feed: str, record: Mapping[str, Any]) -> Signature:
    """The signature of a record of a worker feed, in wire form. Raises KeyError for another feed."""
    found = []
    for identifier in _IDENTIFIERS[feed]:
        value = identifier(record)
        if value is not None:
            found.append(value)
    if len(found) > 1:
        found = sorted(set(found))
    return Signature(record.get("birth_date"), tuple(found))


@lru_cache(maxsize=65_536)
def identifier_hash(identifier: str) -> int:
    """64 signed bits of an identifier: an index that says where to look; equality is always checked on the text."""
    return int.from_bytes(blake2b(identifier.encode(), digest_size=8).digest(), "big", signed=True)


def signature_hash(signature: Signature) -> int:
    """64 signed bits of a signature, the same in every process; never 0, which stands for no signature."""
    text = f"{signature.birth_day}|{'|'.join(signature.identifiers)}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big", signed=True) or 1


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
    return {s.birth_day for s in signatures if s.birth_day is not None and identifier in s.identifiers}


def is_generic(identifier: str, signatures: Iterable[Signature]) -> bool:
    """Whether these signatures alone make an identifier one that joins nobody."""
    return len(birth_days_of(identifier, signatures)) >= GENERIC_BIRTH_DATES_MIN


def only_adds(before: Signature, signature: Signature) -> bool:
    """Whether a new signature takes nothing back of what an old one said."""
    return before.birth_day in {None, signature.birth_day} and set(before.identifiers).issubset(signature.identifiers)


def signature_order(signature: Signature) -> tuple[tuple[str, ...], bool, int]:
    """A key that puts signatures into the same order everywhere."""
    return signature.identifiers, signature.birth_day is None, signature.birth_day or 0


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
