"""What becomes of each mutant: its killers run in a process of their own, forked from one that has loaded the libraries.

    python tests/mutants/trial.py    reads a list of trials as JSON from standard input, prints one result a line

Only libraries are loaded before the fork, nothing of the platform, so that the fault is in place before anything reads
the module. A fork costs milliseconds where a new interpreter with all libraries costs seconds.
"""

import gc
import json
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

#: What the killers' modules import besides the platform; who is not here is only loaded later.
_LIBRARIES = (
    "pytest", "_pytest.assertion.rewrite", "hypothesis", "hypothesis.strategies", "faust",
    "faust.transport.drivers.aiokafka", "aiokafka", "kafka", "kafka.admin", "sqlmodel", "alembic.command",
    "alembic.autogenerate", "sqlalchemy.dialects.sqlite", "sqlite3", "psycopg", "msgpack", "orjson", "avro.io",
    "avro.schema", "cavro", "structlog", "prometheus_client", "pydantic_settings", "httpx", "typer", "rich.console",
)  # fmt: skip
_AT_ONCE = 2
#: A fault that loops for ever must not hold up the suite. It is no verdict: a hung mutant counts as not caught.
_SECONDS_MAX = 300
#: What says that the changed code cannot even run, or that the test itself is at fault.
_UNFAIR = ("ImportError", "ModuleNotFoundError", "SyntaxError", "NameError", "UnboundLocalError", "CodeMoved")


class Trial(NamedTuple):
    """Node ids to run, with a mutant's fields or (None) with the code as it is."""

    name: str
    mutant: tuple[Any, ...] | None
    killers: tuple[str, ...]


class Recorder:
    """A pytest plugin that sets the examples and notes how each test ended: passed, failed, broken (which proves nothing)."""

    def __init__(self) -> None:
        self.ended: dict[str, str] = {}
        self.why: dict[str, str] = {}

    def pytest_configure(self) -> None:
        """After the tests' own settings of examples (conftest), before any test is read."""
        from hypothesis import Phase, settings

        # No fault may be caught by luck or by a slow machine; nobody reads the smallest example.
        quick = [Phase.explicit, Phase.generate]
        settings.register_profile("trial", derandomize=True, database=None, deadline=None, phases=quick)
        settings.load_profile("trial")

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self._note(report.nodeid, "broken", str(report.longrepr))

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        """Called for setup, call and teardown of each test."""
        if call.excinfo is None:
            if call.when == "call":
                self.ended.setdefault(item.nodeid, "passed")
        elif call.excinfo.typename == "Skipped":
            self._note(item.nodeid, "skipped", str(call.excinfo.value))
        else:
            fair = call.when == "call" and not any(_is_unfair(one) for one in _leaves(call.excinfo.value))
            self._note(item.nodeid, "failed" if fair else "broken", f"{call.when}: {call.excinfo.exconly()}")

    def _note(self, node: str, ended: str, why: str) -> None:
        self.ended[node] = ended
        self.why[node] = why[-2000:]


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]


def _is_unfair(error: BaseException) -> bool:
    return type(error).__name__ in _UNFAIR or type(error).__module__.startswith("hypothesis")


def _run(trial: Trial, folder: Path) -> dict[str, Any]:
    """In the forked process: the killers' outcomes."""
    if not trial.killers:
        # Without names pytest would take the whole suite.
        return {"name": trial.name, "exit_code": 0, "ended": {}, "why": {}}
    import pytest

    if trial.mutant is not None:
        from mutants.mutant import Mutant, install

        install(Mutant(*trial.mutant))
    recorder = Recorder()
    options = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", "--basetemp", str(folder)]
    # Libraries that are loaded already cannot have their assertions explained; nobody reads them here.
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    if trial.mutant is not None:
        options.append("--exitfirst")
    code = pytest.main([*options, *trial.killers], plugins=[recorder])
    return {"name": trial.name, "exit_code": int(code), "ended": recorder.ended, "why": recorder.why}


def _begin(trial: Trial, folder: Path) -> int:
    """Fork; the child writes its result into ``folder`` and ends."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.alarm(_SECONDS_MAX if trial.mutant is not None else 0)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)
        try:
            result = _run(trial, folder / "temporary")
        except BaseException as error:  # noqa: BLE001 - told to the test, there is nobody else
            result = {"name": trial.name, "exit_code": -1, "ended": {}, "why": {"": repr(error)}}
        (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
        status = 0
    finally:
        os._exit(status)


def _result(trial: Trial, folder: Path, status: int) -> dict[str, Any]:
    written = folder / "result.json"
    if written.exists():
        found: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
        return found
    why = "it ran for too long" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM else "it died"
    return {"name": trial.name, "exit_code": -1, "ended": {}, "why": {"": why}}


def main() -> None:
    """Run all trials of standard input, some at once."""
    asked = json.load(sys.stdin)
    waiting = [Trial(row["name"], row["mutant"], tuple(row["killers"])) for row in asked["trials"]][::-1]
    folders = Path(asked["folder"])
    # Plugins that happen to be installed would be loaded by every trial, at twice the price of the trial itself.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in _LIBRARIES:
        import_module(name)
    gc.freeze()  # pytest looks for garbage at its end, which need not be looked for in the libraries again and again
    running: dict[int, tuple[Trial, Path]] = {}
    count = 0
    while waiting or running:
        while waiting and len(running) < _AT_ONCE:
            trial, count = waiting.pop(), count + 1
            folder = folders / str(count)
            folder.mkdir()
            running[_begin(trial, folder)] = trial, folder
        child, status = os.wait()
        trial, folder = running.pop(child)
        sys.stdout.write(json.dumps(_result(trial, folder, status)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    # A script finds its own folder first; the modules are found from the one above, as in the tests.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    main()
