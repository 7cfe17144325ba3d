"""What an agency may say about the completeness of its feed, and when it must not be passed on."""

from collections.abc import Collection, Mapping
from typing import Any

from saphan_publishers.dates import iso_time_ms
from saphan_publishers.rows import Unreadable, row_error
from saphan_schemas.heartbeat_rules import CLOCKS_DIFFER_MS_MAX, claim_problems
from saphan_schemas.rules import Problem
from saphan_schemas.topics import RECORD_FEEDS
from saphan_schemas.values import format_time_ms

_FIELDS = ("feed", "complete_until", "end_offsets", "sent_at")
_OFFSET_MAX = 2**63 - 1


def parsed_heartbeat(value: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """A heartbeat in wire form from its plain form, and what is wrong with it.

    Its ``end_offsets`` and ``sent_at`` are None where the plain form leaves them open.
    """
    record: dict[str, Any] = dict.fromkeys(_FIELDS)
    problems = [
        row_error("unknown_field", name, value[name], f"one of {', '.join(_FIELDS)}")
        for name in value
        if name not in _FIELDS
    ]
    for name, convert in (("feed", _feed), ("complete_until", _time), ("sent_at", _time), ("end_offsets", _offsets)):
        found = value.get(name)
        if found is None or found == []:
            if name in {"feed", "complete_until"}:
                problems.append(row_error("missing", name, "nothing", "a value"))
            continue
        try:
            record[name] = convert(found)
        except Unreadable as refused:
            problems.append(row_error(refused.code, name, found, refused.expected))
    return record, problems


def withheld(feed: str, incomplete: Collection[str]) -> Problem | None:
    """Why a heartbeat may not go out: rows of its feed are missing, so an alert could accuse somebody wrongly."""
    if feed not in incomplete:
        return None
    expected = (
        "every row of this feed published: some were rejected or a file could not be read to its end in this run. "
        "Correct and publish them, then send the heartbeat again, or say --heartbeat-anyway"
    )
    return row_error("feed_incomplete", "feed", feed, expected)


def refused_claim(complete_until_ms: int, now_ms: int) -> Problem | None:
    """Why a heartbeat that says this now cannot go out; None when it can be believed."""
    return next((found for found in claim_problems(complete_until_ms, now_ms) if found.severity == "error"), None)


def unbelievable(record: Mapping[str, Any], now_ms: int) -> list[Problem]:
    """Why a heartbeat that a file states cannot be true now, whatever time of sending it states itself."""
    claim, sent_at = refused_claim(record["complete_until"], now_ms), record["sent_at"]
    found = [] if claim is None else [claim]
    if sent_at is not None and sent_at - now_ms > CLOCKS_DIFFER_MS_MAX:
        found.append(row_error("sent_in_future", "sent_at", format_time_ms(sent_at), "a time that has come"))
    return found


def completed(record: Mapping[str, Any], ends: Mapping[int, int], now_ms: int) -> dict[str, Any]:
    """The heartbeat with the feed's ``ends`` (partition → next offset) and the time of sending, where it left them open."""
    offsets = record["end_offsets"]
    if offsets is None:
        offsets = [{"partition": partition, "offset": offset} for partition, offset in sorted(ends.items())]
    sent_at = record["sent_at"]
    return {**record, "end_offsets": offsets, "sent_at": now_ms if sent_at is None else sent_at}


def _feed(value: Any) -> str:
    if value not in RECORD_FEEDS:
        raise Unreadable("unknown_feed", f"one of {', '.join(RECORD_FEEDS)}")
    return str(value)


def _time(value: Any) -> int:
    if type(value) is not str:
        raise Unreadable("wrong_type", "a time with Z or an offset, as text, such as 2026-11-23T09:30:00+07:00")
    return iso_time_ms(value)


def _offsets(value: Any) -> list[dict[str, int]]:
    rows: list[Any] = value if isinstance(value, list) else [None]
    if not all(
        isinstance(row, dict)
        and row.keys() == {"partition", "offset"}
        and all(type(number) is int and 0 <= number <= _OFFSET_MAX for number in row.values())
        for row in rows
    ):
        raise Unreadable("wrong_type", 'a list of {"partition": 0, "offset": 12}, or nothing to have it filled in')
    return rows
