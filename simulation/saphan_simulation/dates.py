"""How days and moments are written, from tables, and how months are counted."""

from datetime import date

from saphan_schemas.topics import DAY_MS
from saphan_schemas.values import bangkok_midnight_ms, date_to_days, days_to_date

_FIRST = date(1900, 1, 1)
_LAST = date(2120, 12, 31)
_OFFSET = -date_to_days(_FIRST)
_ISO = tuple(days_to_date(day).isoformat() for day in range(-_OFFSET, date_to_days(_LAST) + 1))
_FIRST_MONTH = _FIRST.year * 12
_MONTHS = tuple(int(text[:4]) * 12 + int(text[5:7]) - 1 for text in _ISO)
_FIRST_DAYS = tuple(place - _OFFSET for place, text in enumerate(_ISO) if text.endswith("-01"))
_CLOCK = tuple(f"T{h:02d}:{m:02d}:{s:02d}" for h in range(24) for m in range(60) for s in range(60))
_OFFICE_OPENS_MS = bangkok_midnight_ms(0) + 8 * 3_600_000
_OFFICE_SECONDS = 9 * 3_600
#: Buddhist years run ahead of the common era by this much.
BUDDHIST_YEARS = 543
_BUDDHIST_FROM_DAY = date_to_days(date(2400, 1, 1))


def iso_day(day: int) -> str:
    """YYYY-MM-DD of days since 1970-01-01, from 1900 on."""
    try:
        return _ISO[day + _OFFSET]
    except IndexError:
        return days_to_date(day).isoformat()


def iso_time(ms: int) -> str:
    """ISO 8601 in UTC of milliseconds since 1970; milliseconds only where there are any."""
    day, within_ms = divmod(ms, DAY_MS)
    rest = within_ms % 1000
    if rest:
        return f"{_ISO[day + _OFFSET]}{_CLOCK[within_ms // 1000]}.{rest:03d}Z"
    return f"{_ISO[day + _OFFSET]}{_CLOCK[within_ms // 1000]}Z"


def month_of(day: int) -> int:
    """Months since year 0 of a day from 1900 to 2120: ``year * 12 + month - 1``."""
    return _MONTHS[day + _OFFSET]


def month_text(month: int) -> str:
    """YYYY-MM of months since year 0."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


def month_first_day(month: int) -> int:
    """First day of a month, as days since 1970-01-01."""
    return _FIRST_DAYS[month - _FIRST_MONTH]


def months_later(day: int, months: int) -> int:
    """The same day of the month ``months`` later, or the last one that the month has."""
    month = month_of(day)
    later = month_first_day(month + months) + day - month_first_day(month)
    return min(later, month_first_day(month + months + 1) - 1)


def buddhist(day: int) -> int:
    """The date that someone meant who wrote the year in the Buddhist era and was read in the common era."""
    moment = days_to_date(day)
    leap_safe = moment.replace(day=28) if (moment.month, moment.day) == (2, 29) else moment
    return date_to_days(leap_safe.replace(year=moment.year + BUDDHIST_YEARS))


def is_buddhist(day: int) -> bool:
    """Whether a date must have been written in the Buddhist era, because it is too late for the common era."""
    return day >= _BUDDHIST_FROM_DAY


def office_time_ms(day: int, u: float) -> int:
    """A moment (ms UTC, whole seconds) between 08:00 and 17:00 in Bangkok, chosen by ``u`` from 0 to 1."""
    return day * DAY_MS + _OFFICE_OPENS_MS + int(u * _OFFICE_SECONDS) * 1000
