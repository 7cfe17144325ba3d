"""What keeps a record out at publishing alone, while somebody at the agency can still correct it."""

from collections.abc import Iterator, Mapping
from typing import Any

from saphan_publishers.rows import row_error
from saphan_schemas.rules import Problem
from saphan_schemas.values import bangkok_day, days_to_date


def admission_problems(feed: str, record: Mapping[str, Any], now_ms: int) -> list[Problem]:
    """The errors of a record in wire form that the rules of ``link`` do not know; ``now_ms`` is when it is published.

    These rules know what day it is, or may become stricter, and ``link`` must read what was published long ago. Pure.
    """
    if record.get("deleted"):
        return []
    return [*_births_to_come(record, now_ms)]


def _births_to_come(record: Mapping[str, Any], now_ms: int) -> Iterator[Problem]:
    born = record.get("birth_date")
    if born is not None and born > bangkok_day(now_ms):
        expected = "a day of the past; a two-digit common-era year in a Buddhist column looks like this, too"
        yield row_error("birth_in_future", "birth_date", days_to_date(born).isoformat(), expected)
