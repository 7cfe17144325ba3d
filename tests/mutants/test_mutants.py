"""That the suite catches each deliberate fault of the list, by tests that pass without it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from mutants.mutant import CodeMoved, Mutant, faulty_source, source_path
from mutants.mutants import MUTANTS

TESTS = Path(__file__).parents[1]
_AS_IT_IS = "the code as it is"


class Trials:
    """The results of trials, in whatever order they come."""

    def __init__(self, trials: Iterable[tuple[str, Mutant | None, tuple[str, ...]]], folder: Path) -> None:
        asked = [
            {"name": name, "mutant": mutant, "killers": [f"{TESTS.name}/{node}" for node in killers]}
            for name, mutant, killers in trials
        ]
        folder.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("trial.py"))],
            cwd=TESTS.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"trials": asked, "folder": str(folder)}))
        self._process.stdin.close()
        self._found: dict[str, dict[str, Any]] = {}

    def result(self, name: str) -> dict[str, Any]:
        """Waits until this trial has ended."""
        assert self._process.stdout is not None
        while name not in self._found:
            line = self._process.stdout.readline()
            assert line, f"no result of {name!r}: the trials ended with code {self._process.wait()}"
            row = json.loads(line)
            self._found[row["name"]] = row
        return self._found[name]

    def close(self) -> None:
        """End what still runs."""
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def wanted(session: pytest.Session) -> list[Mutant]:
    """The mutants of the tests that were asked for."""
    asked = [item.callspec.params for item in session.items if hasattr(item, "callspec")]
    return [params["mutant"] for params in asked if isinstance(params.get("mutant"), Mutant)]


@pytest.fixture(scope="module")
def trials(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All trials of this run, begun at once: the killers without a fault first, then each mutant."""
    mutants = wanted(request.session)
    killers = tuple(dict.fromkeys(killer for mutant in mutants for killer in mutant.killers))
    asked: list[tuple[str, Mutant | None, tuple[str, ...]]] = [(_AS_IT_IS, None, killers)]
    asked += [(mutant.fault, mutant, mutant.killers) for mutant in mutants if is_in_place(mutant)]
    found = Trials(asked, tmp_path_factory.mktemp("mutants") / "trials")
    yield found
    found.close()


def is_in_place(mutant: Mutant) -> bool:
    try:
        faulty_source(mutant, source_path(mutant.module).read_text(encoding="utf-8"))
    except (CodeMoved, SyntaxError):
        return False
    return True


def escape(mutant: Mutant, result: dict[str, Any]) -> str | None:
    """Why the mutant does not count as caught, or None.

    Only a killer that ran and failed proves anything: not an error at collection or in a fixture, nor code that
    cannot be imported.
    """
    ended = {node.partition("/")[2]: how for node, how in result["ended"].items()}
    why = "\n".join(f"{node}: {text}" for node, text in result["why"].items())
    if "broken" in ended.values():
        return f"the fault broke the code instead of changing what it does; another one is needed\n{why}"
    failed = [node for node, how in ended.items() if how == "failed"]
    if result["exit_code"] == 1 and any(node == killer or node.startswith((killer + "[", killer + "::"))
                                        for node in failed for killer in mutant.killers):  # fmt: skip
        return None
    return f"nothing noticed: {mutant.fault} (exit code {result['exit_code']}, ended {ended}) {why}"


@pytest.mark.parametrize("mutant", [pytest.param(mutant, id=mutant.fault) for mutant in MUTANTS])
def test_a_fault_is_caught(mutant: Mutant, trials: Trials) -> None:
    faulty_source(mutant, source_path(mutant.module).read_text(encoding="utf-8"))
    found = escape(mutant, trials.result(mutant.fault))
    assert found is None, found


def test_without_a_fault_every_killer_passes(trials: Trials, request: pytest.FixtureRequest) -> None:
    result = trials.result(_AS_IT_IS)
    assert set(result["ended"].values()) <= {"passed"}, result["why"]
    expected = {killer for mutant in wanted(request.session) for killer in mutant.killers}
    ran = {node.partition("/")[2] for node in result["ended"]}
    missing = [killer for killer in sorted(expected) if not any(_covers(killer, node) for node in ran)]
    assert missing == [], "these killers are no tests any more"
    assert result["exit_code"] in {0, 5}


def _covers(killer: str, node: str) -> bool:
    return node == killer or node.startswith((killer + "[", killer + "::"))


def test_each_fault_has_its_own_name_and_changes_something() -> None:
    assert len({mutant.fault for mutant in MUTANTS}) == len(MUTANTS)
    assert [mutant.fault for mutant in MUTANTS if mutant.fragment == mutant.replacement or not mutant.killers] == []


# -- that the check itself can fail --------------------------------------------------------------------------------

_KILLER = "projections/test_worker_fold.py::test_of_each_record_the_highest_sequence_counts"


def tried(tmp_path: Path, mutant: Mutant) -> dict[str, Any]:
    trials = Trials([(mutant.fault, mutant, mutant.killers)], tmp_path / "trials")
    try:
        return trials.result(mutant.fault)
    finally:
        trials.close()


@pytest.mark.parametrize(
    ("replacement", "expected"),
    [
        ("return sequence > known  # nothing else", "nothing noticed"),
        ("return no_such_name", "broke the code"),
        ("import no_such_module", "broke the code"),
        ("return sequence < known", None),
    ],
)
def test_only_a_change_of_behaviour_that_a_killer_sees_counts_as_caught(
    tmp_path: Path, replacement: str, expected: str | None
) -> None:
    fault = Mutant(
        "a trial of the trials", "saphan_projections.worker", "return sequence > known", replacement, (_KILLER,)
    )
    found = escape(fault, tried(tmp_path, fault))
    assert found is None if expected is None else found is not None and expected in found


def test_a_killer_that_is_no_test_any_more_catches_nothing(tmp_path: Path) -> None:
    gone = _KILLER + "_no_more"
    fault = Mutant("a killer is gone", "saphan_projections.worker", "return sequence > known", "return False", (gone,))
    assert escape(fault, tried(tmp_path, fault)) is not None


@pytest.mark.parametrize("fragment", ["no such line", "self"])
def test_a_mutant_whose_code_moved_says_so(fragment: str) -> None:
    fault = Mutant("a fault", "saphan_projections.worker", fragment, "", (_KILLER,))
    tell: Callable[[], str] = lambda: faulty_source(fault, source_path(fault.module).read_text(encoding="utf-8"))  # noqa: E731
    with pytest.raises(CodeMoved, match="The code moved: renew this mutant"):
        tell()
