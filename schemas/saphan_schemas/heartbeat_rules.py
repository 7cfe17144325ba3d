"""Whether an agency's heartbeat ("my feed is complete up to T") can be believed."""

from collections.abc import Mapping
from typing import Any

from saphan_schemas.problem import Problem, error, warning
from saphan_schemas.rule_table import TABLES
from saphan_schemas.value_checks import check_time
from saphan_schemas.values import format_time_ms


def heartbeat_problems(record: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with a heartbeat in wire form; a claim about the future is only a warning: clocks differ."""
    found: list[Problem] = []
    feed = record.get("feed")
    complete_until: Any = record.get("complete_until")
    sent_at: Any = record.get("sent_at")
    if feed not in TABLES:
        found.append(error("feed", feed, "a feed of records: " + ", ".join(TABLES), "unknown_feed"))
    for name, moment in (("complete_until", complete_until), ("sent_at", sent_at)):
        if moment.__class__ is int:
            found.extend(check_time(name, moment))
        else:
            found.append(error(name, moment, "a time with Z or an offset", "required" if moment is None else "type"))
    if not found and complete_until > sent_at:
        found.append(
            warning("complete_until", format_time_ms(complete_until), "not after sent_at", "complete_in_future")
        )
    return found
