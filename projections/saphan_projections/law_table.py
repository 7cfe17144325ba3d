"""What a table of the law must be like: rows with a source and dates, no overlap, a deadline for every day."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise, zip_longest
from typing import Any, Literal, TypeVar, get_args

from saphan_schemas.values import date_to_days, days_to_date

ExemptWhen = Literal["always", "never", "contract_months_below", "employer_is_person"]


class LawError(ValueError):
    """The table of the law contradicts itself or lacks something. The text names the row and what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What every row of the table has.

    ``rule_version`` names the row and nothing else. Days are Bangkok days since 1970-01-01, both ends included;
    None means without end on that side. ``confirmed`` is False until the agency has confirmed the rule; it decides nothing.
    """

    rule_version: str
    valid_from_day: int | None
    valid_until_day: int | None
    source: str
    confirmed: bool
    note: str

    def holds_on(self, day: int) -> bool:
        """Whether the row is in force on ``day``."""
        return (self.valid_from_day is None or self.valid_from_day <= day) and (
            self.valid_until_day is None or day <= self.valid_until_day
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline(Row):
    """Days that an employer has for the enrolment; the first day of the employment is day 0."""

    deadline_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption(Row):
    """Whose employees may stand outside section 33. ``contract_months_min`` counts for ``contract_months_below``."""

    class_name: str
    sectors: frozenset[str]
    exempt_when: ExemptWhen
    contract_months_min: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContributionRate(Row):
    """Shares of the wage in basis points (500 is 5 %)."""

    employee_rate_bp: int
    employer_rate_bp: int
    state_rate_bp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WageLimit(Row):
    """Least and greatest monthly wage, in satang, on which contributions are counted."""

    floor_satang: int
    ceiling_satang: int


@dataclass(frozen=True, slots=True)
class Law:
    """All rows, each table with its newest row first. Build it with :func:`parse_law`, which checks the rows."""

    deadlines: tuple[Deadline, ...]
    exemptions: tuple[Exemption, ...]
    contribution_rates: tuple[ContributionRate, ...]
    wage_limits: tuple[WageLimit, ...]

    def deadline_on(self, day: int) -> Deadline:
        """The deadline row in force on ``day``. There is always one: :func:`parse_law` allows no gap."""
        for row in self.deadlines:
            if row.valid_from_day is None or row.valid_from_day <= day:
                return row
        return self.deadlines[-1]

    def rows(self) -> tuple[Row, ...]:
        """Every row of every table."""
        return (*self.deadlines, *self.exemptions, *self.contribution_rates, *self.wage_limits)


_COMMON_KEYS = {"rule_version", "valid_from", "valid_until", "source", "confirmed", "note"}
#: Keys of each table beyond the common ones, with the type that a value must have.
_TABLES: dict[str, dict[str, type]] = {
    "deadline": {"deadline_days": int},
    "exemption": {"class": str, "sectors": list, "exempt_when": str, "contract_months_min": int},
    "contribution_rate": {"employee_rate_bp": int, "employer_rate_bp": int, "state_rate_bp": int},
    "wage_limit": {"floor_satang": int, "ceiling_satang": int},
}
_OPTIONAL_KEYS = {"valid_from", "valid_until", "note", "contract_months_min"}


def parse_law(text: str) -> Law:
    """The table from its TOML text. Raises LawError for an unknown key, a missing source, an overlap or a gap."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"the law table is not valid TOML ({error}); correct it at that place"
        raise LawError(message) from error
    if set(tables) != set(_TABLES):
        message = f"the law table has the tables {sorted(tables)}, expected exactly {sorted(_TABLES)}"
        raise LawError(message)
    for kind, rows in tables.items():
        for raw in rows:
            _check_keys(kind, raw)
    law = Law(
        _dated([Deadline(**_common(raw), **_own("deadline", raw)) for raw in tables["deadline"]]),
        _exemptions([_exemption(raw) for raw in tables["exemption"]]),
        _dated(
            [ContributionRate(**_common(raw), **_own("contribution_rate", raw)) for raw in tables["contribution_rate"]]
        ),
        _dated([WageLimit(**_common(raw), **_own("wage_limit", raw)) for raw in tables["wage_limit"]]),
    )
    _check_names(law)
    _check_no_gap(law.deadlines)
    return law


def _check_keys(kind: str, raw: Mapping[str, Any]) -> None:
    types: dict[str, type] = {"rule_version": str, "source": str, "confirmed": bool, "note": str, **_TABLES[kind]}
    name = f"row {raw.get('rule_version', '(without rule_version)')} of {kind}"
    missing = (_COMMON_KEYS | set(_TABLES[kind])) - _OPTIONAL_KEYS - set(raw)
    unknown = set(raw) - _COMMON_KEYS - set(_TABLES[kind])
    if missing or unknown:
        message = f"{name}: missing {sorted(missing)}, unknown {sorted(unknown)}; correct the keys of this row"
        raise LawError(message)
    for key, value in raw.items():
        if key in {"valid_from", "valid_until"}:
            fits = isinstance(value, date) and not isinstance(value, datetime)
            expected = "a date such as 2026-01-01"
        else:
            fits, expected = type(value) is types[key], types[key].__name__
        if not fits or value == "":
            message = f"{name}: {key} is {value!r}, expected {expected}, not empty"
            raise LawError(message)


def _common(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "rule_version": raw["rule_version"],
        "valid_from_day": date_to_days(raw["valid_from"]) if "valid_from" in raw else None,
        "valid_until_day": date_to_days(raw["valid_until"]) if "valid_until" in raw else None,
        "source": raw["source"],
        "confirmed": raw["confirmed"],
        "note": raw.get("note", ""),
    }


def _own(kind: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: raw[key] for key in _TABLES[kind]}


def _exemption(raw: Mapping[str, Any]) -> Exemption:
    when, months = raw["exempt_when"], raw.get("contract_months_min")
    if when not in get_args(ExemptWhen) or (when == "contract_months_below") != (months is not None):
        message = (
            f"row {raw['rule_version']}: exempt_when is {when!r} with contract_months_min {months!r}; expected one of "
            f"{get_args(ExemptWhen)}, and contract_months_min with contract_months_below only"
        )
        raise LawError(message)
    return Exemption(
        **_common(raw),
        class_name=raw["class"],
        sectors=frozenset(raw["sectors"]),
        exempt_when=when,
        contract_months_min=months,
    )


_R = TypeVar("_R", bound=Row)


def _first_day(row: Row) -> float:
    return float("-inf") if row.valid_from_day is None else row.valid_from_day


def _dated(rows: Sequence[_R]) -> tuple[_R, ...]:
    """Rows of one key, newest first; a row without an end of its own ends the day before the next. No overlap."""
    oldest_first = sorted(rows, key=_first_day)
    dated = []
    for row, following in zip_longest(oldest_first, oldest_first[1:]):
        if row.valid_until_day is not None and row.valid_until_day < _first_day(row):
            message = f"row {row.rule_version} ends before it begins; correct valid_from or valid_until"
            raise LawError(message)
        if following is None:
            dated.append(row)
            continue
        last = row.valid_until_day
        begins = following.valid_from_day
        if begins is None or _first_day(row) == begins or (last is not None and last >= begins):
            message = (
                f"rows {row.rule_version} and {following.rule_version} overlap; let one begin after the other ends"
            )
            raise LawError(message)
        dated.append(row if last is not None else replace(row, valid_until_day=begins - 1))
    return tuple(reversed(dated))


def _exemptions(rows: Sequence[Exemption]) -> tuple[Exemption, ...]:
    classes = sorted({row.class_name for row in rows})
    by_class = {name: _dated([row for row in rows if row.class_name == name]) for name in classes}
    owner: dict[str, str] = {}
    for row in rows:
        for sector in row.sectors:
            if owner.setdefault(sector, row.class_name) != row.class_name:
                message = (
                    f"row {row.rule_version}: sector {sector!r} is also in class {owner[sector]!r}; keep it in one"
                )
                raise LawError(message)
    return tuple(row for name in classes for row in by_class[name])


def _check_names(law: Law) -> None:
    names = [row.rule_version for row in law.rows()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"rule_version {twice} names more than one row; give each row a name of its own"
        raise LawError(message)


def _check_no_gap(deadlines: Sequence[Deadline]) -> None:
    """Every employment needs a deadline, whatever its day."""
    if not deadlines or deadlines[-1].valid_from_day is not None or deadlines[0].valid_until_day is not None:
        message = (
            "the deadline rows must begin without valid_from and end without valid_until, so that each day has one"
        )
        raise LawError(message)
    for newer, older in pairwise(deadlines):
        if older.valid_until_day is None or newer.valid_from_day != older.valid_until_day + 1:
            last = "" if older.valid_until_day is None else f" (last day {days_to_date(older.valid_until_day)})"
            message = f"no deadline row between {older.rule_version}{last} and {newer.rule_version}; leave no gap"
            raise LawError(message)
