"""How modules are written: they open with a sentence, stay short, and hold nothing of one machine."""

import ast
import re
from pathlib import Path

import pytest
from repository.checkout import CHECKOUT, files, is_of_a_package, texts

LINES_MAX = 300
#: A suite of tests reads from top to bottom and is not imported by anybody.
TEST_LINES_MAX = 400
#: Modules that may be longer, and why.
LONGER: dict[str, tuple[int, str]] = {
    "projections/saphan_projections/integrating.py": (350, "one fold over one state: halves would share every field"),
}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc"}
PYTHON = [path for path in files() if path.suffix == ".py"]
PACKAGED = [path for path in PYTHON if is_of_a_package(path)]

# Put together here, so that this file does not find itself.
_NOTES = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X:", "HA" + "CK:")))
_MACHINE_PATHS = re.compile(
    "|".join(
        ("/ho" + r"me/\w", "/ro" + r"ot/", "/Us" + r"ers/\w", "/wo" + r"rk/\w", r"[A-Z]:\\Us" + r"ers", "/mn" + r"t/\w")
    )
)
_REGISTRIES = re.compile(
    "|".join(
        (
            "py" + r"pi\.org",
            "python" + r"hosted\.org",
            "repo1?" + r"\.maven",
            "index" + "-url[ =]+http",
            "registry" + r"\.npmjs",
        )
    ),
    re.IGNORECASE,
)


def _first_paragraph(path: Path) -> str:
    text = ast.get_docstring(ast.parse((CHECKOUT / path).read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


@pytest.mark.parametrize("path", [path for path in PYTHON if path.parts[0] != "tests"], ids=str)
def test_a_module_opens_with_a_sentence(path: Path) -> None:
    sentence = _first_paragraph(path)
    assert sentence, f"{path} has no docstring"
    assert sentence.endswith((".", "?", ":")), f"{path}: {sentence!r} is no sentence"


@pytest.mark.parametrize("path", PYTHON, ids=str)
def test_a_module_stays_short(path: Path) -> None:
    limit, _ = LONGER.get(str(path), (TEST_LINES_MAX if path.parts[0] == "tests" else LINES_MAX, ""))
    lines = (CHECKOUT / path).read_text(encoding="utf-8").count("\n")
    assert lines <= limit, f"{path} has {lines} lines, at most {limit}: divide it, or say in LONGER why not"


def test_the_list_of_longer_modules_holds_only_such() -> None:
    for name in LONGER:
        assert (CHECKOUT / name).read_text(encoding="utf-8").count("\n") > LINES_MAX, f"{name} is short enough now"


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [str(path) for path in PACKAGED if path.stem in VAGUE_NAMES] == []


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, text in texts()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_is_left_to_be_done() -> None:
    assert _lines_with(_NOTES) == []


def test_no_file_holds_a_path_of_one_machine() -> None:
    assert _lines_with(_MACHINE_PATHS) == []


def test_no_file_names_a_package_registry() -> None:
    assert _lines_with(_REGISTRIES) == []


def test_planted_faults_are_seen() -> None:
    assert _NOTES.search("# TO" + "DO later")
    assert _MACHINE_PATHS.search('open("/ho' + 'me/somebody/data")')
    assert _REGISTRIES.search("--index" + "-url https://example")
