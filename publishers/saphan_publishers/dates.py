"""Which day a written date means: patterns, Buddhist and common era, two-digit years, and the usual shifts of 543."""

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timezone
from functools import lru_cache
from typing import Literal, Self

from saphan_publishers.rows import Unreadable
from saphan_publishers.text import clean_code
from saphan_schemas.values import BANGKOK_OFFSET, bangkok_midnight_ms, date_to_days, parse_time_ms, time_to_ms

Era = Literal["CE", "BE"]
#: A tuple, for what a mapping says may be a list, which no set can look for.
ERAS: tuple[Era, ...] = ("CE", "BE")

_BE_SHIFT = 543
_YEAR_MIN = 1900
_YEAR_MAX = 2100
#: A common-era year above this is a Buddhist one; a Buddhist year below it is a common-era one.
_ERA_BORDER = 2400
#: So far back a two-digit year is believed. A common-era year that is taken for a Buddhist one comes out 43 years
#: too early: this tells the two apart for years up to 12 from now, and leaves room for who has worked here long.
_SHORT_YEARS_BEFORE = 30
_BANGKOK = timezone(BANGKOK_OFFSET)
_ISO_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
# "²" is a digit to str.isdigit, and int() refuses it.
_YEAR = re.compile(r"[0-9]{4}")

_TOKENS = re.compile(r"YYYY|YY|MMM|MM|M|DD|D|HH|mm|ss")
_TOKEN_PATTERNS = {
    "YYYY": r"(?P<year>[0-9]{4})",
    "YY": r"(?P<short_year>[0-9]{2})",
    "MMM": r"(?P<month_name>[^\W\d_][^\d\s/-]*?)",
    "MM": r"(?P<month>[0-9]{2})",
    "M": r"(?P<month>[0-9]{1,2})",
    "DD": r"(?P<day>[0-9]{2})",
    "D": r"(?P<day>[0-9]{1,2})",
    "HH": r"(?P<hour>[0-9]{2})",
    "mm": r"(?P<minute>[0-9]{2})",
    "ss": r"(?P<second>[0-9]{2})",
}
_MONTH_NAMES = (
    ("มกราคม", "ม.ค.", "january", "jan"),
    ("กุมภาพันธ์", "ก.พ.", "february", "feb"),
    ("มีนาคม", "มี.ค.", "march", "mar"),
    ("เมษายน", "เม.ย.", "april", "apr"),
    ("พฤษภาคม", "พ.ค.", "may", "may"),
    ("มิถุนายน", "มิ.ย.", "june", "jun"),
    ("กรกฎาคม", "ก.ค.", "july", "jul"),
    ("สิงหาคม", "ส.ค.", "august", "aug"),
    ("กันยายน", "ก.ย.", "september", "sep"),
    ("ตุลาคม", "ต.ค.", "october", "oct"),
    ("พฤศจิกายน", "พ.ย.", "november", "nov"),
    ("ธันวาคม", "ธ.ค.", "december", "dec"),
)
_MONTHS = {
    spelling.replace(".", ""): number for number, names in enumerate(_MONTH_NAMES, start=1) for spelling in names
}


def common_year(year: int, era: Era) -> int:
    """The common-era year of a four-digit year, before any date is built (29/02/2567 exists, 29/02/2024 too).

    Raises Unreadable with code buddhist_era, common_era, year_shifted_twice, year_shifted_back or
    year_out_of_range.
    """
    if _YEAR_MIN <= year - 2 * _BE_SHIFT <= _YEAR_MAX:
        once = year - 2 * _BE_SHIFT if era == "CE" else year - _BE_SHIFT
        raise Unreadable("year_shifted_twice", f"543 added once at most; {year} looks shifted twice, perhaps {once}")
    if era == "CE" and _ERA_BORDER < year <= _YEAR_MAX + _BE_SHIFT:
        raise Unreadable(
            "buddhist_era", f"a common-era year; {year} is probably Buddhist era, that is {year - _BE_SHIFT}"
        )
    if era == "BE" and _YEAR_MIN <= year <= _YEAR_MAX:
        raise Unreadable("common_era", f"a Buddhist year; {year} is probably common era, that is {year + _BE_SHIFT}")
    common = year - _BE_SHIFT if era == "BE" else year
    if _YEAR_MIN - _BE_SHIFT <= common <= _YEAR_MAX - _BE_SHIFT:
        raise Unreadable(
            "year_shifted_back", f"a year from {_YEAR_MIN}; {year} looks like 543 taken off once too often"
        )
    if not _YEAR_MIN <= common <= _YEAR_MAX:
        expected = f"a year from {_YEAR_MIN} to {_YEAR_MAX} (common era); nothing at all where there is no such day"
        raise Unreadable("year_out_of_range", expected)
    return common


@lru_cache(maxsize=1 << 16)
def iso_day(text: str) -> int:
    """Days since 1970-01-01 of a common-era ``YYYY-MM-DD``. Raises Unreadable."""
    match = _ISO_DATE.fullmatch(text) or _ISO_DATE.fullmatch(clean_code(text))
    if match is None:
        raise Unreadable("date_unreadable", "YYYY-MM-DD, common era, such as 2026-11-23")
    year, month, day = map(int, match.groups())
    return _day(common_year(year, "CE"), month, day)


def iso_time_ms(text: str) -> int:
    """Milliseconds UTC of an ISO 8601 time with Z or an offset, common era. Raises Unreadable."""
    text = clean_code(text)
    try:
        ms = parse_time_ms(text)
    except ValueError:
        if _YEAR.match(text):
            common_year(int(text[:4]), "CE")
        raise Unreadable("time_unreadable", "a time with Z or an offset, such as 2026-11-23T09:30:00+07:00") from None
    common_year(int(text[:4]), "CE")
    return ms


def as_of_ms(text: str) -> int:
    """The moment that a person names: an ISO time, or a date, which is its midnight in Bangkok. Raises Unreadable."""
    text = clean_code(text)
    if _ISO_DATE.fullmatch(text):
        return bangkok_midnight_ms(iso_day(text))
    return iso_time_ms(text)


@dataclass(frozen=True)
class CalendarFormat:
    """How one column writes its dates.

    ``pattern`` is made of YYYY YY MMM (a month's name, Thai or English) MM M DD D HH mm ss and the signs between.
    ``century`` is what a two-digit year is added to: 2500 for the Buddhist era (69 is 2569 is 2026); the common era
    has no safe choice, so a pattern with YY must name it. ``unknown_parts`` decides on a day or month written 00:
    None refuses the row, "first" takes the first day or month, "empty" leaves the date out. ``short_years`` are the
    first and the last year that a two-digit one may mean (see :meth:`near`); None takes any.
    """

    pattern: str
    era: Era
    century: int | None = None
    unknown_parts: Literal["first", "empty"] | None = None
    short_years: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        names = self.parts
        if "short_year" in names and self._century() is None:
            message = f"pattern {self.pattern!r} has a two-digit common-era year; add century = 1900 or 2000"
            raise ValueError(message)
        if not names & {"year", "short_year"} or not names & {"month", "month_name"}:
            message = f"pattern {self.pattern!r} needs a year (YYYY or YY) and a month (MM, M or MMM)"
            raise ValueError(message)

    @property
    def parts(self) -> frozenset[str]:
        """What the pattern holds: year or short_year, month or month_name, day, hour, minute, second."""
        return frozenset(_compiled(self.pattern).groupindex)

    def near(self, year: int, years_after: int = 1) -> Self:
        """The same format for data of this year: two digits mean at most so many years after it, or 30 before."""
        return replace(self, short_years=(year - _SHORT_YEARS_BEFORE, year + years_after))

    def day(self, text: str) -> int | None:
        """Days since 1970-01-01. None only for unknown parts left out. Raises Unreadable."""
        return _cached_day(self, text)

    def month(self, text: str) -> str:
        """The month as YYYY-MM, common era. Raises Unreadable."""
        found = self._match(text)
        year, month = self._year(found), _month(found)
        if not 1 <= month <= 12:
            raise Unreadable("date_unreadable", f"a month from 01 to 12 in {self.expected}")
        return f"{year:04}-{month:02}"

    def time_ms(self, text: str) -> int:
        """Milliseconds UTC; what is written is Bangkok time, and midnight where it has no hour. Raises Unreadable."""
        found = self._match(text)
        day = _day(self._year(found), _month(found), int(found.get("day", 1)))
        clock = [int(found.get(part, 0)) for part in ("hour", "minute", "second")]
        try:
            moment = datetime.fromordinal(date(1970, 1, 1).toordinal() + day)
            return time_to_ms(moment.replace(hour=clock[0], minute=clock[1], second=clock[2], tzinfo=_BANGKOK))
        except ValueError:
            raise Unreadable("time_unreadable", f"a time of day in {self.expected}") from None

    def find_day(self, text: str) -> int | None:
        """The day written somewhere in ``text``, such as a file's name; None when there is none."""
        found = re.search(rf"(?<!\d){_compiled(self.pattern).pattern}(?!\d)", clean_code(text))
        return None if found is None else _cached_day(self, found.group())

    @property
    def expected(self) -> str:
        """The format in words."""
        return f"{self.pattern} ({'Buddhist' if self.era == 'BE' else 'common'} era)"

    def _century(self) -> int | None:
        return self.century if self.century is not None else {"BE": 2500, "CE": None}[self.era]

    def _match(self, text: str) -> dict[str, str]:
        match = _compiled(self.pattern).fullmatch(clean_code(text))
        if match is None:
            raise Unreadable("date_unreadable", self.expected)
        return match.groupdict()

    def _year(self, found: dict[str, str]) -> int:
        if "year" in found:
            return common_year(int(found["year"]), self.era)
        year = common_year((self._century() or 0) + int(found["short_year"]), self.era)
        if self.short_years is not None and not self.short_years[0] <= year <= self.short_years[1]:
            raise self._unlikely(found["short_year"], self.short_years)
        return year

    def _unlikely(self, written: str, years: tuple[int, int]) -> Unreadable:
        """What is said of a two-digit year far from the data's own: perhaps it is of the other era."""
        short, back = int(written), _BE_SHIFT % 100
        first, last = years
        if self.era == "BE" and first <= 2000 + short <= last:
            meant = f"{(short + back) % 100:02}"
            return Unreadable("common_era", f"a Buddhist year; {written} looks like a common-era year, that is {meant}")
        if self.era == "CE" and first <= 2500 + short - _BE_SHIFT <= last:
            meant = f"{(short - back) % 100:02}"
            return Unreadable(
                "buddhist_era", f"a common-era year; {written} looks like a Buddhist year, that is {meant}"
            )
        return Unreadable(
            "year_out_of_range", f"a year from {first} to {last} (common era), or four digits in the file"
        )


@lru_cache(maxsize=1 << 16)
def _cached_day(form: CalendarFormat, text: str) -> int | None:
    found = form._match(text)  # noqa: SLF001 - a method in all but name: the cache must not hold on to instances' dicts
    year = form._year(found)  # noqa: SLF001
    month, day = _month(found), int(found.get("day", 1))
    if month == 0 or day == 0:
        if form.unknown_parts == "empty":
            return None
        if form.unknown_parts is None:
            raise Unreadable(
                "date_part_unknown",
                f"a whole date in {form.expected}; the mapping may say unknown_parts = 'first' or 'empty'",
            )
    return _day(year, month or 1, day or 1)


def _month(found: dict[str, str]) -> int:
    if "month" in found:
        return int(found["month"])
    name = found["month_name"].replace(".", "").lower()
    number = _MONTHS.get(name)
    if number is None:
        raise Unreadable("date_unreadable", "a month's name in Thai or English, whole or short, such as พ.ย. or Nov")
    return number


def _day(year: int, month: int, day: int) -> int:
    try:
        return date_to_days(date(year, month, day))
    except ValueError:
        raise Unreadable("date_unreadable", f"a day of the calendar; {year:04}-{month:02} has no such day") from None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts, end = [], 0
    for token in _TOKENS.finditer(pattern):
        parts += [re.escape(pattern[end : token.start()]), _TOKEN_PATTERNS[token.group()]]
        end = token.end()
    parts.append(re.escape(pattern[end:]))
    try:
        return re.compile("".join(parts))
    except re.error:
        message = f"pattern {pattern!r} names a part twice; write each of YYYY MM DD HH mm ss once"
        raise ValueError(message) from None
