"""Which files the checkout consists of, for tests about the repository itself."""

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
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    )
    names = listed.stdout.decode().rstrip("\0").split("\0")
    return tuple(sorted(path for name in set(names) if (CHECKOUT / (path := Path(name))).is_file()))


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
