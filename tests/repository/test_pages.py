"""What the pages point at exists: files, sections, modules, functions."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from repository.checkout import CHECKOUT, files, texts

PAGES = [path for path in files() if path.suffix == ".md"]
DECISION_PARTS = ["Context", "Decision", "Status", "Consequences"]
DECISION_LINES_MAX = 60
PAGE_LINES_MAX = 60
#: Pages beside a package, which must stay one page. The longer ones are the reference for what agencies send and get.
ONE_PAGE = ["CONTRIBUTING.md", "cli/README.md", "infra/README.md", "projections/README.md", "streams/README.md"]
_CODE_BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_NAME = re.compile(r"saphan_[a-z]+(?:\.[A-Za-z_]+)+")


def _text(path: Path) -> str:
    return (CHECKOUT / path).read_text(encoding="utf-8")


def _prose(path: Path) -> str:
    return _CODE_BLOCK.sub("", _text(path))


def _anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    heads = re.findall(r"^#+ (.*)$", _prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}


def _is_wrong(page: Path, link: str) -> bool:
    target, _, anchor = link.partition("#")
    if target.startswith(("https://", "mailto:")):
        return False
    aim = (CHECKOUT / page.parent / target).resolve() if target else (CHECKOUT / page).resolve()
    if not aim.exists() or not aim.is_relative_to(CHECKOUT.resolve()):
        return True
    return bool(anchor) and anchor not in _anchors(aim.relative_to(CHECKOUT.resolve()))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert [link for link in _LINK.findall(_prose(page)) if _is_wrong(page, link)] == []


def test_a_link_into_nothing_is_seen() -> None:
    page = Path("README.md")
    assert _is_wrong(page, "docs/nothing.md")
    assert _is_wrong(page, "docs/operations.md#nothing-of-this-name")
    assert not _is_wrong(page, "docs/operations.md")


def _names(page: Path) -> Iterator[str]:
    for code in _CODE.findall(_prose(page)):
        yield from _NAME.findall(code)


def _found(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(found, part) and part not in getattr(found, "__annotations__", ()):
                return False
            found = getattr(found, part, None)
        return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_module_and_function_that_a_page_names_exists(page: Path) -> None:
    assert sorted({name for name in _names(page) if not _found(name)}) == []


def test_a_name_of_nothing_is_seen() -> None:
    assert not _found("saphan_schemas.topics.NO_SUCH_TOPIC")
    assert not _found("saphan_schemas.no_such_module")
    assert _found("saphan_streams.link.LinkProcessor.commit")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    """Paths in code marks that begin with a top folder of the checkout."""
    tops = {path.parts[0] for path in files() if len(path.parts) > 1}
    named = {
        word
        for code in _CODE.findall(_prose(page))
        for word in re.findall(r"[\w.-]+(?:/[\w.-]+)+", code)
        if word.split("/")[0] in tops
        and Path(word).suffix in {".py", ".md", ".toml", ".yaml", ".yml", ".avsc", ".sh", ".json"}
    }
    assert sorted(word for word in named if not (CHECKOUT / word).exists()) == []


def _decisions() -> list[Path]:
    return [path for path in PAGES if path.parent == Path("docs/decisions") and path.name != "README.md"]


@pytest.mark.parametrize("page", _decisions(), ids=str)
def test_a_decision_has_its_four_parts_on_one_page(page: Path) -> None:
    assert re.findall(r"^## (.*)$", _text(page), re.MULTILINE) == DECISION_PARTS
    assert len(_text(page).splitlines()) <= DECISION_LINES_MAX


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    numbers = [int(path.name[:4]) for path in sorted(_decisions())]
    assert numbers == list(range(1, len(numbers) + 1))
    listed = _text(Path("docs/decisions/README.md"))
    assert [path.name for path in _decisions() if path.name not in listed] == []


@pytest.mark.parametrize("name", ONE_PAGE)
def test_a_page_is_one_page(name: str) -> None:
    assert len(_text(Path(name)).splitlines()) <= PAGE_LINES_MAX


def test_every_top_folder_of_code_has_a_page() -> None:
    packages = {path.parts[0] for path in files() if len(path.parts) > 2 and path.parts[1] == f"saphan_{path.parts[0]}"}
    assert [name for name in sorted(packages) if not (CHECKOUT / name / "README.md").is_file()] == []


def test_the_changelog_speaks_of_the_version_that_is_built() -> None:
    from repository.checkout import project

    heads = re.findall(r"^## \[?([\w.]+)\]?", _text(Path("CHANGELOG.md")), re.MULTILINE)
    assert project()["project"]["version"] in heads


def test_all_pages_are_read() -> None:
    assert {path for path, _ in texts(".md")} == set(PAGES)
