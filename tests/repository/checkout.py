"""Which files the checkout consists of, for tests about the repository itself."""

import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[2]


@cache
def files() -> tuple[Path, ...]:
    """Every file that is, or is about to be, under version control; relative to the checkout."""
    names = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if names is None:
        return tuple(sorted(_walked(CHECKOUT)))
    found = {Path(name) for name in names.rstrip("\0").split("\0")}
    return tuple(sorted(path for path in found if (CHECKOUT / path).is_file()))


def git(*arguments: str) -> str | None:
    """What git says about the checkout; None where there is no git, or the sources were unpacked without it."""
    if not (CHECKOUT / ".git").exists() or shutil.which("git") is None:
        return None
    ended = subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, check=False)
    return ended.stdout.decode() if ended.returncode == 0 else None


def _walked(directory: Path) -> Iterator[Path]:
    ignored = [line.rstrip("/") for line in (CHECKOUT / ".gitignore").read_text(encoding="utf-8").split()]
    for path in directory.iterdir():
        if path.name == ".git" or any(path.match(pattern) for pattern in ignored):
            continue
        if (path / "CACHEDIR.TAG").exists():
            continue
        if path.is_dir():
            yield from _walked(path)
        else:
            yield path.relative_to(CHECKOUT)


def texts(*endings: str) -> Iterator[tuple[Path, str]]:
    """(path, text) of every text file, or of those with these endings."""
    for path in files():
        if endings and path.suffix not in endings:
            continue
        data = (CHECKOUT / path).read_bytes()
        if b"\0" not in data:
            yield path, data.decode("utf-8", errors="replace")


@cache
def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))


def package_folders() -> list[Path]:
    """The packages that are installed, relative to the checkout."""
    return [Path(name) for name in project()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]


def is_of_a_package(path: Path) -> bool:
    """Whether a file is installed with the platform."""
    return any(path.is_relative_to(folder) for folder in package_folders())
