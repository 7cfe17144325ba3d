"""What holds for the repository as a whole: licence, CI, layers, schemas' words, and what is installed."""

import json
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from repository.checkout import CHECKOUT, files, git, is_of_a_package, package_folders, project

_PII_CLASSES = {"none", "pseudonym", "attribute", "name", "identifier", "birth_date", "sensitive", "inherited"}


def test_the_licence_is_apache_2_0() -> None:
    text = (CHECKOUT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert project()["project"]["license"] == "Apache-2.0"
    assert project()["project"]["license-files"] == ["LICENSE"]


@pytest.mark.parametrize("name", ["saphan", ".ci/run"])
def test_a_script_can_be_run(name: str) -> None:
    assert os.access(CHECKOUT / name, os.X_OK)
    listed = git("ls-files", "--stage", name)
    assert listed is None or listed.startswith("100755"), "git does not keep it as executable"
    assert stat.S_ISREG((CHECKOUT / name).stat().st_mode)


def test_ci_calls_the_one_command_of_tests_and_nothing_else() -> None:
    lines = (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    does = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert does == ["exec ./saphan test"]


def test_every_package_is_installed_linted_and_layered() -> None:
    packages = sorted(
        {path.parts[1] for path in files() if len(path.parts) > 2 and path.parts[1].startswith("saphan_")}
    )
    assert sorted(folder.name for folder in package_folders()) == packages
    linter = project()["tool"]["importlinter"]
    assert sorted(linter["root_packages"]) == packages
    layers = next(row for row in linter["contracts"] if row["type"] == "layers")["layers"]
    assert sorted(name.strip() for layer in layers for name in layer.split("|")) == packages
    assert {folder.parts[0] for folder in package_folders()} <= set(project()["tool"]["mypy"]["files"])


def test_the_contracts_of_imports_are_kept() -> None:
    ended = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def _fields(schema: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(record name, field) of every field, in nested records too."""
    if isinstance(schema, list):
        for part in schema:
            yield from _fields(part)
    elif isinstance(schema, dict):
        for row in schema.get("fields", ()):
            yield schema["name"], row
            yield from _fields(row["type"])
        for part in ("items", "values"):
            yield from _fields(schema.get(part, ()))


@pytest.mark.parametrize("path", [path for path in files() if path.suffix == ".avsc"], ids=str)
def test_every_field_of_a_schema_is_explained_in_two_languages_and_classified(path: Path) -> None:
    schema = json.loads((CHECKOUT / path).read_text(encoding="utf-8"))
    assert schema.get("doc")
    assert schema.get("doc_th")
    for record, row in _fields(schema):
        where = f"{record}.{row['name']}"
        assert row.get("doc"), f"{where} has no doc"
        assert any("\u0e00" <= letter <= "\u0e7f" for letter in row.get("doc_th", "")), f"{where} has no Thai"
        assert row.get("pii") in _PII_CLASSES, f"{where}: pii is {row.get('pii')}"


def _wanted() -> set[str]:
    """Every file below a package folder, as a wheel names it."""
    return {str(Path(*path.parts[1:])) for path in files() if is_of_a_package(path)}


def test_the_packages_hold_data_as_well_as_code() -> None:
    endings = {Path(name).suffix for name in _wanted()}
    assert {".py", ".avsc", ".json", ".toml"} <= endings


@pytest.mark.skipif(
    find_spec("hatchling") is None, reason="the build back end is not in this environment; ./saphan test brings it"
)
def test_the_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    # Without isolation: nothing is fetched.
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        metadata = packed.read(next(name for name in names if name.endswith("dist-info/METADATA"))).decode()
        entry_points = packed.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert {name for name in names if ".dist-info/" not in name} == _wanted()
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "License-Expression: Apache-2.0" in metadata
    assert "saphan = saphan_cli.main:main" in entry_points
    assert "saphan = saphan_streams.transport:Transport" in entry_points
