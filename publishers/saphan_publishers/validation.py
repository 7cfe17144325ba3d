"""Whether a row goes out: the rules of its feed and what the reader found, told once for each field."""

from collections.abc import Mapping, Sequence
from typing import Any

from saphan_infra.producer import Message
from saphan_publishers.admission import admission_problems
from saphan_publishers.messages import MessageMaker, NotEncodable
from saphan_publishers.repeats import SeenRecords
from saphan_publishers.rows import Row, row_error, row_warning
from saphan_schemas import rules
from saphan_schemas.rules import Problem


def record_problems(feed: str, record: Mapping[str, Any], found: Sequence[Problem] = ()) -> list[Problem]:
    """``found`` by the reader, and then what the rules say about fields that the reader could read.

    ``record`` is in wire form. A field that could not be read is not called missing as well.
    """
    if not found:
        return rules.problems(feed, record)
    told = {problem.field for problem in found if problem.severity == "error"}
    return [*found, *(problem for problem in rules.problems(feed, record) if problem.field not in told)]


def publishing_problems(
    feed: str, record: Mapping[str, Any], now_ms: int, found: Sequence[Problem] = ()
) -> list[Problem]:
    """:func:`record_problems` of a record of a feed, and what can only be said here and now."""
    told = {problem.field for problem in found if problem.severity == "error"}
    refused = [problem for problem in admission_problems(feed, record, now_ms) if problem.field not in told]
    return record_problems(feed, record, [*found, *refused] if refused else found)


def is_rejected(problems: Sequence[Problem]) -> bool:
    """Whether one of the problems keeps the row out."""
    return any(problem.severity == "error" for problem in problems)


class RowJudge:
    """Judges the rows of one feed, in order. ``now_ms`` is when they are read; ``seen`` what the run read before."""

    def __init__(self, feed: str, now_ms: int, seen: SeenRecords | None = None) -> None:
        self._feed = feed
        self._now_ms = now_ms
        self._maker = MessageMaker(feed)
        self._seen = SeenRecords() if seen is None else seen

    def judge(self, row: Row) -> tuple[Message | None, list[Problem]]:
        """The row's message, or None when it is rejected, and all its problems."""
        record = row.record
        if record is None:
            return None, row.problems
        problems = publishing_problems(self._feed, record, self._now_ms, row.problems)
        if problems and is_rejected(problems):
            return None, problems
        try:
            message = self._maker.message(record)
        except NotEncodable as refused:
            return None, [*problems, row_error(refused.code, "", "the row", refused.expected)]
        repeated = self._repeated(record, message.value or b"", is_versioned=row.repeatable)
        if repeated is not None:
            problems = [*problems, repeated]
            if repeated.severity == "error":
                return None, problems
        return message, problems

    def _repeated(self, record: Mapping[str, Any], content: bytes, *, is_versioned: bool) -> Problem | None:
        record_id = record["record_id"]
        match self._seen.add(f"{record_id}\x1f{record['version']}", content):
            case None:
                return None
            case True:
                # With versions, saying the same twice is no mistake: whoever repeats a change may be sure of it.
                expected = "each record once; this row says the same again"
                return None if is_versioned else row_warning("repeated_row", "record_id", record_id, expected)
            case False:
                reason = (
                    "with the same version" if is_versioned else "and the file has no column for version or changed_at"
                )
                expected = (
                    f"each version once: an earlier row says something else {reason}, so nobody can say which holds"
                )
                return row_error("contradicting_row", "record_id", record_id, expected)
