import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.testing import CliRunner

from saphan_cli.commands import consumers
from saphan_consumers import pending
from saphan_consumers.delivery import AlertMessage, deliveries_for
from saphan_consumers.pending import Attempt
from saphan_consumers.retrying import Verdict
from saphan_consumers.signing import signed_headers, signing_keys
from saphan_consumers.told import open_ledger
from saphan_infra.clock import now_ms


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    consumers.register(made)
    return made


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAPHAN_DATA_DIR", str(tmp_path))
    return tmp_path


def test_before_anything_ran_the_commands_say_so(app: typer.Typer, data_dir: Path) -> None:
    found = CliRunner().invoke(app, ["deliveries", "status", "--json"])
    assert json.loads(found.stdout) == {"webhook": None, "file": None}
    refused = CliRunner().invoke(app, ["deliveries", "retry"])
    assert refused.exit_code == 1
    assert "SAPHAN_DATA_DIR" in refused.stderr


def test_people_get_a_table_without_pythons_braces_and_none(
    app: typer.Typer, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown() -> dict[str, list[str]]:
        result = CliRunner().invoke(app, ["deliveries", "status"])
        assert not set("{}'") & set(result.stdout)
        assert "None" not in result.stdout
        return {line.split()[0]: line.split("  ") for line in result.stdout.splitlines() if line.strip()}

    assert "not configured" in " ".join(shown()["webhook"])
    assert "nothing delivered yet" in " ".join(shown()["file"])
    monkeypatch.setenv("SAPHAN_WEBHOOK_URL", "https://sso.example/alerts")
    monkeypatch.setenv("SAPHAN_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    with open_ledger(data_dir, "webhook") as ledger, ledger.transaction():
        pending.switch(ledger, 5)
    assert "off since 1970-01-01T00:00:00.005Z" in " ".join(shown()["webhook"])
    assert "not configured" in " ".join(shown()["file"])
    # An operator's settings need not be those of the platform: what is off is off.
    monkeypatch.delenv("SAPHAN_WEBHOOK_URL")
    monkeypatch.delenv("SAPHAN_WEBHOOK_SECRET")
    assert "off since 1970-01-01T00:00:00.005Z, not configured here" in " ".join(shown()["webhook"])


def test_parked_deliveries_and_a_switched_off_endpoint_are_shown_and_let_go(
    app: typer.Typer, data_dir: Path, make_alert: Callable[..., dict[str, Any]]
) -> None:
    decision = deliveries_for([AlertMessage(make_alert(), 0)], {}, lambda *_: 0)
    # While the consumer has the ledger, an operator may look and act.
    with open_ledger(data_dir, "webhook") as ledger:
        with ledger.transaction():
            pending.enqueue(ledger, decision.deliveries, 0)
            (row,) = pending.due(ledger, 0, 10)
            pending.settle(ledger, [Attempt(row, 0, Verdict("parked"), "500")], 5)
            pending.switch(ledger, 5)
        found = json.loads(CliRunner().invoke(app, ["deliveries", "status", "--json"]).stdout)["webhook"]
        assert (found["waiting"], found["parked"]) == (1, 1)
        assert found["off_since"] == "1970-01-01T00:00:00.005Z"
        assert found["parked_deliveries"][0]["last_cause"] == "500"
        shown = CliRunner().invoke(app, ["deliveries", "status"]).stdout
        assert any("A-abc" in line and "500" in line for line in shown.splitlines())
        assert "Parked delivery" in shown
        assert json.loads(CliRunner().invoke(app, ["deliveries", "retry", "--json"]).stdout) == {"retried": 1}
        assert json.loads(CliRunner().invoke(app, ["deliveries", "enable", "--json"]).stdout) == {"was_off": True}
        assert pending.backlog(ledger).parked == 0
        assert pending.switched_off_ms(ledger) is None


def test_a_new_secret_is_usable(app: typer.Typer) -> None:
    (key,) = signing_keys(CliRunner().invoke(app, ["deliveries", "secret"]).stdout.strip())
    assert len(key) == 32


def test_the_receiver_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the standard's published test secret
    process = subprocess.Popen(
        [sys.executable, "-m", "saphan_cli", "deliveries", "receive", "--file", "inbox.jsonl", "--json"],
        cwd=tmp_path,
        env={**os.environ, "SAPHAN_DATA_DIR": str(tmp_path), "SAPHAN_WEBHOOK_SECRET": secret},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        headers = signed_headers(signing_keys(secret), "A-1", now_ms() // 1000, b"{}")
        assert httpx.post(url, content=b"{}", headers=headers, trust_env=False).status_code == 204
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    assert (tmp_path / "inbox.jsonl").read_bytes() == b'{"id":"A-1"}\n'


def test_the_receiver_without_a_secret_says_what_to_set(app: typer.Typer, data_dir: Path) -> None:
    refused = CliRunner().invoke(app, ["deliveries", "receive", "--file", "inbox.jsonl"])
    assert refused.exit_code == 2
    assert "SAPHAN_WEBHOOK_SECRET" in refused.stderr
