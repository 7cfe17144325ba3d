"""up, down, doctor and test, as a person meets them."""

import fcntl
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from registry_server import Registry, running
from typer.testing import CliRunner

import saphan_schemas
from saphan_cli.commands import doctor, up
from saphan_cli.commands import test as test_command
from saphan_infra import kafka_admin
from saphan_infra.machine import Finding, broker_findings, collect, machine_findings
from saphan_infra.owned_process import free_port
from saphan_infra.settings import Settings
from saphan_projections import database
from saphan_projections.migrate import migrate
from saphan_schemas.topics import TOPICS

runner = CliRunner()


@pytest.fixture(autouse=True)
def _own_data_directory(nothing_set: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAPHAN_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    for command in (up, doctor, test_command):
        command.register(app)
    return app


def _json(app: typer.Typer, *arguments: str) -> tuple[int, Any]:
    result = runner.invoke(app, arguments)
    return result.exit_code, json.loads(result.stdout)


def _ended(*arguments: str, path_first: Path | None = None) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([*([str(path_first)] if path_first else []), *sys.path])
    command = [sys.executable, "-m", "saphan_cli", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "PYTHONPATH": path}
    )


def _levels(findings: list[dict[str, str]], subject: str) -> set[str]:
    return {row["level"] for row in findings if row["subject"] == subject}


def test_doctor_names_what_is_missing_and_what_to_do(app: typer.Typer) -> None:
    code, shown = _json(app, "doctor", "--json")
    assert code == 1
    assert shown["ok"] is False
    findings = shown["findings"]
    assert _levels(findings, "python") == _levels(findings, "java") == _levels(findings, "schemas") == {"ok"}
    assert _levels(findings, "kafka") == {"wrong"}
    assert _levels(findings, "pseudonym key") == {"warning"}
    assert all(row["advice"] for row in findings if row["level"] in {"wrong", "warning"})


def test_a_webhook_without_a_secret_stops_up_and_is_found_by_doctor(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAPHAN_WEBHOOK_URL", "https://sso.example/alerts")
    _, shown = _json(app, "doctor", "--json")
    assert _levels(shown["findings"], "webhook") == {"wrong"}
    refused = runner.invoke(app, ["up"])
    assert refused.exit_code == 2
    assert "SAPHAN_WEBHOOK_SECRET is not" in refused.stderr


@pytest.mark.broker
def test_doctor_finds_a_broker_with_all_topics_well(
    app: typer.Typer, fresh_broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRAP", fresh_broker)
    monkeypatch.setenv("SAPHAN_PSEUDONYM_KEY", "a key of this test only")
    code, shown = _json(app, "doctor", "--json")
    assert (code, shown["ok"]) == (0, True)
    assert _levels(shown["findings"], "topics") == _levels(shown["findings"], "pseudonym key") == {"ok"}


@pytest.mark.broker
def test_doctor_finds_a_missing_topic_and_too_few_brokers(fresh_broker: str) -> None:
    kafka_admin.delete_topics(fresh_broker, ["employers.pairs.v1"])
    try:
        found = list(broker_findings(Settings(kafka_bootstrap=fresh_broker, replication_factor=3)))
    finally:
        kafka_admin.ensure_topics(fresh_broker, TOPICS.values())
    assert Finding("topics", "wrong", "employers.pairs.v1 is missing", "`saphan up` makes it.") in found
    assert "replication" in {row.subject for row in found if row.level == "wrong"}


@pytest.mark.postgres
def test_doctor_looks_into_postgresql_and_hides_its_password(
    app: typer.Typer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAPHAN_DATABASE_URL", postgres_url)
    _, shown = _json(app, "doctor", "--json")
    (row,) = (row for row in shown["findings"] if row["subject"] == "database")
    assert row["level"] == "warning"
    assert postgres_url.split(":")[2].split("@", maxsplit=1)[0] not in json.dumps(shown)
    away = f"postgresql+psycopg://saphan:hush@127.0.0.1:{free_port()}/saphan"
    monkeypatch.setenv("SAPHAN_DATABASE_URL", away)
    _, shown = _json(app, "doctor", "--json")
    assert _levels(shown["findings"], "database") == {"wrong"}
    assert "hush" not in json.dumps(shown)


def _registry_row(app: typer.Typer) -> dict[str, str]:
    result = runner.invoke(app, ["doctor", "--json"])
    assert "hush" not in result.output
    (row,) = (row for row in json.loads(result.stdout)["findings"] if row["subject"] == "schema registry")
    return dict(row)


def test_doctor_asks_the_schema_registry_and_hides_its_password(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(Registry()) as registry:
        registry.password = "hush"  # noqa: S105 - no real one
        host = registry.url.removeprefix("http://")
        monkeypatch.setenv("SAPHAN_SCHEMA_REGISTRY_URL", f"http://pusher:hush@{host}")
        assert _registry_row(app) == {
            "subject": "schema registry", "level": "ok", "found": f"{registry.url}, 0 subjects", "advice": "",
        }  # fmt: skip
        registry.password = "another"  # noqa: S105 - no real one
        row = _registry_row(app)
        assert (row["level"], row["found"]) == ("wrong", f"{registry.url}: refused")
        assert "user and password" in row["advice"]
    row = _registry_row(app)
    assert (row["level"], row["found"]) == ("wrong", f"{registry.url}: no answer that can be used")
    assert "SAPHAN_SCHEMA_REGISTRY_URL" in row["advice"]


def test_doctor_finds_a_registry_that_is_none(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(Registry()) as registry:
        monkeypatch.setenv("SAPHAN_SCHEMA_REGISTRY_URL", registry.url)
        registry.answer = lambda *_: (200, 5)  # type: ignore[method-assign]
        assert _registry_row(app)["level"] == "wrong"


def test_doctor_names_a_schema_whose_file_is_missing(tmp_path: Path) -> None:
    package = Path(saphan_schemas.__file__).parent
    shutil.copytree(package, tmp_path / "schemas" / package.name)
    next((tmp_path / "schemas" / package.name / "avro").rglob("*.avsc")).unlink()
    ended = _ended("doctor", "--json", path_first=tmp_path / "schemas")
    (row,) = (row for row in json.loads(ended.stdout)["findings"] if row["subject"] == "schemas")
    assert row["level"] == "wrong"
    assert ".avsc" in row["found"]


@pytest.mark.parametrize("role", ["link", "integrate"])
def test_a_database_of_a_later_version_is_refused_for_good(role: str, tmp_path: Path) -> None:
    for file in ("link.db", "state.db"):
        migrate(f"sqlite:///{tmp_path / 'data' / file}")
        with sqlite3.connect(tmp_path / "data" / file) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.close()
    ended = _ended("run", role)
    # What a supervisor takes as final.
    assert ended.returncode == 2
    assert "later version: install that one, or use another database" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_doctor_tells_of_a_database_that_accepts_and_never_answers(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended with a traceback."""
    monkeypatch.setitem(database._KEEPALIVES, "connect_timeout", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg://saphan:hush@127.0.0.1:{silent.getsockname()[1]}/saphan"
        monkeypatch.setenv("SAPHAN_DATABASE_URL", url)
        code, shown = _json(app, "doctor", "--json")
    assert code == 1
    assert _levels(shown["findings"], "database") == {"wrong"}
    assert "hush" not in json.dumps(shown)


def test_a_check_that_raises_is_a_finding_and_the_others_are_made() -> None:
    def raising() -> Iterator[Finding]:
        yield Finding("one", "ok", "before")
        raise ZeroDivisionError

    found = collect(raising, lambda: iter([Finding("two", "ok", "after")]))
    assert [(row.subject, row.level) for row in found] == [("one", "ok"), ("doctor", "wrong"), ("two", "ok")]
    assert "ZeroDivisionError" in found[1].found


def test_doctor_tells_a_mistyped_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRP", "x:1")
    found = [row for row in machine_findings(Settings()) if row.subject == "environment"]
    assert [row.advice for row in found] == ["Did you mean SAPHAN_KAFKA_BOOTSTRAP?"]


@pytest.mark.parametrize("command", ["doctor", "up", "down"])
def test_wrong_settings_end_with_code_2(app: typer.Typer, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPHAN_METRICS_PORT", "abc")
    result = runner.invoke(app, [command])
    assert result.exit_code == 2
    assert "SAPHAN_METRICS_PORT" in result.stderr
    assert result.stdout == ""


def test_a_second_up_leaves_the_log_of_the_first_one_that_is_still_starting_as_it_is(tmp_path: Path) -> None:
    """It emptied the log, in which the first one then missed that everything runs, and stopped it all."""
    log = tmp_path / "data" / "logs" / "supervisor.log"
    log.parent.mkdir(parents=True)
    log.write_text("Kafka: starting …\n", encoding="utf-8")
    (tmp_path / "data" / "run").mkdir()
    with (tmp_path / "data" / "run" / "platform.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = _ended("up")
    assert ended.returncode == 1
    assert "runs already" in ended.stderr
    assert "Kafka: starting" not in ended.stderr
    assert log.read_text(encoding="utf-8").startswith("Kafka: starting …\n")


def test_down_without_up_ends_nothing(app: typer.Typer) -> None:
    assert _json(app, "down", "--json") == (0, {"ended": []})
    # Somebody else's directory may be meant: it says where it looked.
    told = runner.invoke(app, ["down"]).stderr
    assert "Nothing was running in " in told
    assert "SAPHAN_DATA_DIR" in told


def _check(name: str, code: int) -> Any:
    return test_command._Check(name, (sys.executable, "-c", f"print('{name} ran'); raise SystemExit({code})"))


def test_every_check_runs_and_the_first_failure_is_the_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    assert (
        test_command._run_all([_check("style", 0), _check("types", 3), _check("imports", 0), _check("pytest", 1)]) == 3
    )
    shown = capfd.readouterr()
    assert shown.out.split() == ["style", "ran", "types", "ran", "imports", "ran", "pytest", "ran"]
    assert shown.err.splitlines()[-1] == "Failed: types, pytest."


def test_when_all_pass_pytest_has_the_last_word(capfd: pytest.CaptureFixture[str]) -> None:
    assert test_command._run_all([_check("style", 0), _check("pytest", 0)]) == 0
    shown = capfd.readouterr()
    assert shown.out.splitlines()[-1] == "pytest ran"
    assert "Failed" not in shown.err


def test_the_checks_are_those_of_the_contract() -> None:
    names = [check.name for check in test_command._checks()]
    assert names == ["ruff check", "ruff format", "mypy", "import-linter", "schemas"]
    arguments = test_command._pytest(["-k", "x"]).command
    assert arguments[-2:] == ("-k", "x")


def test_settings_of_the_person_do_not_reach_the_tests(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRAP", "production:9092")
    script = "import os; print(sorted(name for name in os.environ if name.startswith('SAPHAN_')))"
    monkeypatch.setenv("SAPHAN_CACHE_DIR", "/somewhere")
    assert test_command._run_all([test_command._Check("x", (sys.executable, "-c", script))]) == 0
    assert capfd.readouterr().out.strip() == "['SAPHAN_CACHE_DIR']"
