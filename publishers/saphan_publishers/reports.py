"""What an agency gets to read and to correct: every problem with its place, and every rejected row as it came."""

import itertools
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from saphan_publishers.input_files import STDIN
from saphan_publishers.rows import FileProblem, Row
from saphan_publishers.text import shown_path
from saphan_publishers.written_aside import WrittenAside
from saphan_schemas.rules import Problem

#: So many warnings of one kind are told for each file; all are counted. Every error is told.
WARNINGS_TOLD_MAX = 1000
_EXAMPLES_MAX = 3
_STDIN_DESCRIPTOR = 0


class ReportFailed(Exception):
    """The report cannot be written where it was asked for. The text says what was found and what to do."""


class Report:
    """One publication's report: ``path`` (JSON Lines), a summary for people beside it, and the rejected rows.

    ``path`` = reports/hires.jsonl makes reports/hires.summary.txt and reports/hires.rejected/<name of the file>.
    Nothing is written before the first problem, unless ``always``. Each file gets its name when it is whole. Reports
    show what was found, which may be personal: only the owner reads them. None takes the place of one of ``inputs``,
    the files that are published: they may be the corrected rows of the last report. Every method raises ReportFailed.
    """

    def __init__(self, path: Path, inputs: Iterable[str] = (), *, always: bool = False) -> None:
        self.path = path
        self.summary_path = path.with_suffix(".summary.txt")
        self.rejected_dir = path.with_suffix(".rejected")
        self._inputs = {found for name in inputs if (found := _identity(name)) is not None}
        self._problems: WrittenAside | None = None
        self._rejected: WrittenAside | None = None
        self._rejected_names: set[str] = set()
        self._preamble = b""
        self._file = ""
        self._counts: dict[tuple[str, str, str, str], int] = Counter()
        self._examples: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
        self._corrections: list[str] = []
        self._failures: list[str] = []
        for place in (path, self.summary_path):
            if _identity(str(place)) in self._inputs:
                raise ReportFailed(
                    f"The report would take the place of {place}, which is to be published. Name another place."
                )
        if always:
            with _told_of(path):
                self._problems = WrittenAside(path)

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
        try:
            self._close_rejected()
        finally:
            self._close_problems(summary)

    def _close_problems(self, summary: Iterable[str]) -> None:
        if self._problems is None:
            return
        with _told_of(self.path):
            self._problems.close()
        text = "\n".join([*summary, *self._told()]).encode("utf-8") + b"\n"
        with _told_of(self.summary_path):
            file = WrittenAside(self.summary_path)
            file.write(text)
            file.close()

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
        with self._writing(self.path):
            if self._problems is None:
                self._problems = WrittenAside(self.path)
            self._problems.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    def _keep(self, row: Row) -> None:
        with self._writing(self.rejected_dir):
            if self._rejected is None:
                path = self._rejected_path()
                self._rejected = WrittenAside(path)
                self._preamble = b""
                self._corrections.append(f"{self._file}: rejected rows are in {shown_path(path)}")
            if row.preamble != self._preamble:
                self._rejected.write(row.preamble)
                self._preamble = row.preamble
            self._rejected.write(row.raw if row.raw.endswith(b"\n") else row.raw + b"\n")

    @contextmanager
    def _writing(self, place: Path) -> Iterator[None]:
        """A report that lacks something is never whole: what was written of it goes, and the earlier one stays."""
        try:
            with _told_of(place):
                yield
        except BaseException:
            for file in (self._problems, self._rejected):
                if file is not None:
                    file.discard()
            self._problems = self._rejected = None
            raise

    def _rejected_path(self) -> Path:
        """The first name that neither an earlier file of this run nor an input has."""
        name = Path(self._file).name.removesuffix(".gz").replace("standard input", "stdin")
        names = itertools.chain([name], (f"{number}-{name}" for number in itertools.count(2)))
        free = next(name for name in names if name not in self._rejected_names and not self._is_input(name))
        self._rejected_names.add(free)
        return self.rejected_dir / free

    def _is_input(self, name: str) -> bool:
        return _identity(str(self.rejected_dir / name)) in self._inputs

    def _close_rejected(self) -> None:
        kept, self._rejected = self._rejected, None
        if kept is not None:
            with _told_of(self.rejected_dir):
                kept.close()

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


def _identity(path: str) -> tuple[int, int] | None:
    """What is the same for all names of one file; None when there is no file (yet)."""
    try:
        found = os.fstat(_STDIN_DESCRIPTOR) if path == STDIN else Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        place = f"{path} ({error.filename})" if error.filename not in {None, str(path)} else str(path)
        raise ReportFailed(
            f"The report cannot be written to {place}: {why}. Name another place with --report, or make room and rights "
            "there."
        ) from error
