"""Whether an agency's heartbeat ("my feed is complete up to T") can be believed."""

from collections.abc import Mapping
from typing import Any

from saphan_schemas.problem import Problem, error, warning
from saphan_schemas.rule_table import TABLES
from saphan_schemas.value_checks import check_time
from saphan_schemas.values import format_time_ms

#: So far two clocks may differ. What is claimed beyond it has not happened yet, so nobody can have published it.
CLOCKS_DIFFER_MS_MAX = 5 * 60_000


def heartbeat_problems(record: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with a heartbeat in wire form.

    The future begins at the heartbeat's own ``sent_at``, not at anybody's clock: a log read again gives the same.
    """
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
    return found or claim_problems(complete_until, sent_at)


def claim_problems(complete_until_ms: int, sent_at_ms: int) -> list[Problem]:
    """What is wrong with saying, at ``sent_at_ms``, that a feed is complete up to ``complete_until_ms``.

    A claim about the future would make every alert overdue before its day, and no later heartbeat could take it back.
    """
    found = [*check_time("complete_until", complete_until_ms), *check_time("sent_at", sent_at_ms)]
    if found or complete_until_ms <= sent_at_ms:
        return found
    told = error if complete_until_ms - sent_at_ms > CLOCKS_DIFFER_MS_MAX else warning
    shown = format_time_ms(complete_until_ms)
    return [told("complete_until", shown, "a time that is not after the heartbeat's sending", "complete_in_future")]
