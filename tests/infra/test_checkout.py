"""What makes a checkout run anywhere: the script, the lock files, the container files."""

import os
import pwd
import re
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from saphan_consumers import watching
from saphan_infra import metrics, waiting_metrics

CHECKOUT = Path(__file__).parents[2]
_RULES = CHECKOUT / "infra" / "prometheus" / "alerts.yml"
LOCKS = ("requirements.lock", "requirements-test.lock")
_ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}


def _locked(name: str) -> dict[str, str]:
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    return {row[0].lower(): row[1] for row in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.MULTILINE)}


def _required(section: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~!; ]", row, maxsplit=1)[0].lower() for row in section}


@pytest.mark.parametrize("script", ["saphan", ".ci/run", "infra/relock.sh"])
def test_scripts_are_plain_shell_and_may_be_run(script: str) -> None:
    assert os.access(CHECKOUT / script, os.X_OK)
    subprocess.run(["sh", "-n", CHECKOUT / script], check=True)


def _checkout_copy(tmp_path: Path) -> Path:
    copy = tmp_path / "checkout"
    (copy / "infra").mkdir(parents=True)
    for name in ("saphan", "pyproject.toml", *LOCKS, "infra/environment.py"):
        shutil.copy(CHECKOUT / name, copy / name)
    return copy


def test_without_a_recent_python_the_script_says_what_to_install(tmp_path: Path) -> None:
    copy = _checkout_copy(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "cat", "cksum", "dirname", "readlink"):
        (tools / name).symlink_to(str(shutil.which(name)))
    # An old one and a broken one (as version managers leave on the PATH) do not help.
    for name, text in (("python3", "exit 1"), ("python3.13", "echo 'command not found' >&2; exit 127")):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    ended = subprocess.run(
        [copy / "saphan", "--help"], capture_output=True, text=True, check=False, env={"PATH": str(tools)}
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "Python 3.11 or later" in ended.stderr


def test_a_complete_environment_is_used_at_once_from_any_directory(tmp_path: Path) -> None:
    copy = _checkout_copy(tmp_path)
    fake = copy / ".venv" / "bin" / "python"
    fake.parent.mkdir(parents=True)
    fake.write_text('#!/bin/sh\necho "ran $*"\n')
    fake.chmod(0o755)
    stamped = f"{copy}\n".encode() + b"".join((copy / name).read_bytes() for name in ("pyproject.toml", *LOCKS))
    digest = subprocess.run(["cksum"], input=stamped, capture_output=True, check=True).stdout.decode().strip()
    (copy / ".venv" / "saphan-run.stamp").write_text(digest)
    link = tmp_path / "elsewhere"
    link.symlink_to(copy / "saphan")
    hostile = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHOME": "/nowhere", "PIP_TARGET": "/nowhere"}
    ended = subprocess.run(
        [link, "status", "a b"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**_ENVIRONMENT, **hostile},
    )
    assert (ended.returncode, ended.stdout) == (0, "ran -m saphan_cli status a b\n")


def _nobody_may_pass(directory: Path) -> bool:
    found = directory.stat()
    return found.st_gid == pwd.getpwnam("nobody").pw_gid and bool(found.st_mode & stat.S_IXGRP)


def test_when_packages_cannot_be_installed_the_script_fails_with_advice_and_tries_again_next_time(
    tmp_path: Path,
) -> None:
    copy = _checkout_copy(tmp_path)
    (copy / "requirements.lock").write_text("no-such-package==1.0 --hash=sha256:" + "0" * 64 + "\n")
    ended = subprocess.run(
        [copy / "saphan", "status"],
        capture_output=True, text=True, check=False,
        env={**_ENVIRONMENT, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)},
    )  # fmt: skip
    assert ended.returncode == 1
    # The next command keeps its data in there: its owner's alone, and root's PostgreSQL must get through.
    assert (copy / ".saphan").stat().st_mode & 0o067 == 0
    assert os.geteuid() or _nobody_may_pass(copy / ".saphan")
    assert "run this again" in ended.stderr
    assert not (copy / ".venv" / "saphan-run.stamp").exists()


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_hashes_and_no_file_names_a_host(name: str) -> None:
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    assert not re.search(r"https?://|--index-url|--find-links|--trusted-host", text)
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    assert [block.splitlines()[0] for block in blocks if "==" in block and "--hash=sha256:" not in block] == []


def test_the_lock_files_hold_what_pyproject_asks_for() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    run, test = _locked("requirements.lock"), _locked("requirements-test.lock")
    assert _required(project["dependencies"]) - set(run) == set(), "run infra/relock.sh"
    assert _required(project["optional-dependencies"]["test"]) - set(test) == set(), "run infra/relock.sh"


def test_tests_run_with_the_versions_that_are_shipped() -> None:
    run, test = _locked("requirements.lock"), _locked("requirements-test.lock")
    assert {name: test.get(name) for name in run} == run


def _compose_works() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _compose_works(), reason="there is no docker compose here")
def test_docker_compose_accepts_the_compose_file() -> None:
    variables = {"SAPHAN_POSTGRES_PASSWORD": "x", "SAPHAN_PSEUDONYM_KEY": "x" * 16}
    command = ["docker", "compose", "-f", str(CHECKOUT / "infra" / "compose.yaml"), "config", "--quiet"]
    subprocess.run(command, check=True, env={**_ENVIRONMENT, **variables})


def test_the_container_image_copies_every_source_root() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    dockerfile = (CHECKOUT / "infra" / "Dockerfile").read_text(encoding="utf-8")
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        root = package.split("/")[0]
        assert f"COPY {root} {root}\n" in dockerfile


def test_prometheus_rules_ask_only_for_metrics_that_exist() -> None:
    rules = _RULES.read_text(encoding="utf-8")
    known = {family.name for family in metrics.REGISTRY.collect()}
    names = re.findall(r"(?:saphan|process)_[a-z_]+", rules)
    asked = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in names}
    assert asked - known == set()


@pytest.mark.parametrize(
    "metric",
    [watching._OFF, watching._PARKED, watching._FAILING_SECONDS, watching._SET_ASIDE, waiting_metrics._WAITING],
)
def test_prometheus_rules_ask_for_what_stands_still_without_an_operator(metric: MetricWrapperBase) -> None:
    assert metric._name in _RULES.read_text(encoding="utf-8")


def test_a_counter_that_is_born_with_its_first_message_calls_at_that_one() -> None:
    """increase() of a counter that is first seen at 1 is 0: the first dead letter called nobody."""
    rules = _RULES.read_text(encoding="utf-8")
    for name in ("saphan_rejected_total", "saphan_consumer_set_aside_total"):
        (line,) = (line for line in rules.splitlines() if f"increase({name}" in line)
        assert re.search(rf"or \({name}( > 0)? unless {name} offset \w+\)", line)


def test_every_alarm_is_explained_to_operators() -> None:
    told = re.findall(
        r"^\| (Saphan\w+) \|", (CHECKOUT / "docs" / "operations.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert told == re.findall(r"- alert: (\w+)", _RULES.read_text(encoding="utf-8"))
