"""What an agency gets to read and to correct: every problem with its place, and every rejected row as it came."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import orjson

from saphan_publishers.rows import FileProblem, Row
from saphan_schemas.rules import Problem

#: So many warnings of one kind are told for each file; all are counted. Every error is told.
WARNINGS_TOLD_MAX = 1000
_EXAMPLES_MAX = 3
#: Reports show what was found, which may be personal: only the owner reads them.
_OWNER_ONLY = 0o600


class Report:
    """One publication's report: ``path`` (JSON Lines), a summary for people beside it, and the rejected rows.

    ``path`` = reports/hires.jsonl makes reports/hires.summary.txt and reports/hires.rejected/<name of the file>.
    Nothing is written before the first problem, unless ``always``.
    """

    def __init__(self, path: Path, *, always: bool = False) -> None:
        self.path = path
        self.summary_path = path.with_suffix(".summary.txt")
        self.rejected_dir = path.with_suffix(".rejected")
        self._problems: IO[bytes] | None = None
        self._rejected: IO[bytes] | None = None
        self._rejected_names: Counter[str] = Counter()
        self._preamble = b""
        self._file = ""
        self._counts: dict[tuple[str, str, str, str], int] = Counter()
        self._examples: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
        self._corrections: list[str] = []
        self._failures: list[str] = []
        if always:
            self._problems = _created(path)

    @property
    def written(self) -> bool:
        """Whether there is anything to read."""
        return self._problems is not None

    def start_file(self, name: str) -> None:
        """Problems from now on belong to this file."""
        self._close_rejected()
        self._file = name

    def row(self, row: Row, problems: Iterable[Problem], *, rejected: bool) -> None:
        """Note a row's problems; a rejected row is kept whole."""
        record_id = row.record.get("record_id") if row.record else None
        for problem in problems:
            self._note(row.line, record_id, problem, "rejected" if rejected else "published")
        if rejected:
            self._keep(row)

    def note(self, line: int, problem: Problem) -> None:
        """Note a problem that belongs to no single row."""
        self._note(line, None, problem, "file")

    def failure(self, problem: FileProblem) -> None:
        """Note that the file could not be read, or not to its end."""
        outcome = {"code": problem.code, "found": problem.found, "expected": problem.expected, "todo": problem.todo}
        self._write({"file": self._file, "line": None, "outcome": "file_failed", "severity": "error", **outcome})
        self._failures.append(f"{self._file}: {problem}")

    def close(self, summary: Iterable[str]) -> None:
        """Write the summary for people, beginning with these lines, and close all files."""
        self._close_rejected()
        if self._problems is None:
            return
        self._problems.close()
        with _created(self.summary_path) as file:
            file.write("\n".join([*summary, *self._told()]).encode("utf-8") + b"\n")

    def _note(self, line: int, record_id: Any, problem: Problem, outcome: str) -> None:
        kind = (self._file, problem.severity, problem.code, problem.field)
        self._counts[kind] += 1
        if len(self._examples[kind]) < _EXAMPLES_MAX:
            self._examples[kind].append(f"line {line}: found {problem.found!r}, expected {problem.expected}")
        if problem.severity == "warning" and self._counts[kind] > WARNINGS_TOLD_MAX:
            return
        row = {"file": self._file, "line": line, "record_id": record_id, "outcome": outcome, **problem._asdict()}
        self._write(row)

    def _write(self, row: dict[str, Any]) -> None:
        if self._problems is None:
            self._problems = _created(self.path)
        self._problems.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    def _keep(self, row: Row) -> None:
        if self._rejected is None:
            path = self._rejected_path()
            self._rejected = _created(path)
            self._preamble = b""
            self._corrections.append(f"{self._file}: rejected rows are in {path}")
        if row.preamble != self._preamble:
            self._rejected.write(row.preamble)
            self._preamble = row.preamble
        self._rejected.write(row.raw if row.raw.endswith(b"\n") else row.raw + b"\n")

    def _rejected_path(self) -> Path:
        name = Path(self._file).name.removesuffix(".gz").replace("standard input", "stdin")
        self._rejected_names[name] += 1
        again = self._rejected_names[name]
        return self.rejected_dir / (name if again == 1 else f"{again}-{name}")

    def _close_rejected(self) -> None:
        if self._rejected is not None:
            self._rejected.close()
            self._rejected = None

    def _told(self) -> Iterable[str]:
        yield from self._failures
        for kind, count in sorted(self._counts.items()):
            file, severity, code, field = kind
            yield ""
            more = (
                f" (the first {WARNINGS_TOLD_MAX} are in the report)"
                if severity == "warning" and count > WARNINGS_TOLD_MAX
                else ""
            )
            yield f"{file}: {count} x {severity} {code}" + (f" in {field}" if field else "") + more
            yield from (f"  {example}" for example in self._examples[kind])
        if self._corrections:
            yield ""
            yield from self._corrections
            yield "Correct them there (or at their source) and publish that file again with the same options."


def _created(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY), "wb")
