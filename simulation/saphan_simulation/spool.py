"""How any number of lines gets sorted in little memory: sorted runs on disk, merged at the end."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from heapq import merge
from pathlib import Path

#: Memory for the lines that wait to be sorted.
RUN_BYTES_MAX = 96_000_000
_LINE_OVERHEAD_BYTES = 41
#: Linux lets a process open 1,024 files. 4 million workers are 400 blocks, so they merge in one go.
_RUNS_OPEN_MAX = 450


class Spool:
    """Takes lines (bytes that end in a line break and hold no other) and gives them back in order.

    Run files go into ``directory``, which must exist; who made the directory removes it.
    """

    def __init__(self, directory: Path, run_bytes_max: int = RUN_BYTES_MAX) -> None:
        self._directory = directory
        self._run_bytes_max = run_bytes_max
        self._lines: list[bytes] = []
        self._bytes = 0
        self._runs: list[Path] = []
        self._run_count = 0

    def add(self, line: bytes) -> None:
        """Keep one line."""
        self._lines.append(line)
        self._bytes += len(line) + _LINE_OVERHEAD_BYTES
        if self._bytes >= self._run_bytes_max:
            self._write_run()

    def runs(self) -> list[Path]:
        """All lines as sorted files, for :meth:`adopt` of another spool; this one is empty afterwards."""
        if self._lines:
            self._write_run()
        runs, self._runs = self._runs, []
        return runs

    def adopt(self, runs: Iterable[Path]) -> None:
        """Take sorted files of lines as if each line had been added."""
        self._runs.extend(runs)

    def lines(self) -> Iterator[bytes]:
        """All lines in order; the spool is empty afterwards."""
        if not self._runs:
            self._lines.sort()
            yield from self._lines
            self._lines = []
            return
        if self._lines:
            self._write_run()
        while len(self._runs) > _RUNS_OPEN_MAX:
            self._shorten()
        with ExitStack() as stack:
            yield from merge(*[stack.enter_context(run.open("rb")) for run in self._runs])
        for run in self._runs:
            run.unlink()
        self._runs = []

    def _write_run(self) -> None:
        self._lines.sort()
        path = self._next_path()
        with path.open("wb") as file:
            file.writelines(self._lines)
        self._runs.append(path)
        self._lines = []
        self._bytes = 0

    def _shorten(self) -> None:
        """Make one run of the oldest ones, so that not too many files are open at once."""
        oldest, self._runs = self._runs[:_RUNS_OPEN_MAX], self._runs[_RUNS_OPEN_MAX:]
        path = self._next_path()
        with ExitStack() as stack, path.open("wb") as file:
            file.writelines(merge(*[stack.enter_context(run.open("rb")) for run in oldest]))
        for run in oldest:
            run.unlink()
        self._runs.append(path)

    def _next_path(self) -> Path:
        self._run_count += 1
        return self._directory / f"run-{self._run_count:05d}"
