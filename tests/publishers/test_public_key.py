"""That ids are not made with the key that everybody knows without a word, and not at all for somebody else's cluster."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from saphan_cli.commands import publish
from saphan_publishers.mapping_file import parse_mapping
from saphan_schemas.topics import CONTRIBUTIONS, SSO_EMPLOYERS

Saphan = Callable[..., Result]
TOLD = "which everybody knows"
HASHED = 'record_id = { hash = ["account"] }\n[fields]\nsso_account = "account"\nsso_branch = "branch"\n'
PLAIN = HASHED.replace("hash", "columns")
ELSEWHERE = "192.0.2.1:9092"  # an address for documentation: nobody is there


@pytest.fixture
def saphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saphan:
    """`saphan publish` with the default key."""
    for name in [name for name in os.environ if name.startswith("SAPHAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SAPHAN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "employers.csv").write_text("account,branch\n7100012345,000000\n", "utf-8")
    (tmp_path / "hashed.toml").write_text(HASHED, "utf-8")
    (tmp_path / "plain.toml").write_text(PLAIN, "utf-8")
    app = typer.Typer()
    app.callback()(lambda: None)
    publish.register(app)
    return lambda *arguments: CliRunner().invoke(app, ["publish", *map(str, arguments), "--as-of", "2026-11-23"])


@pytest.mark.parametrize(("mapping", "told"), [("hashed.toml", 1), ("plain.toml", 0)])
def test_hashes_with_the_development_key_are_warned_of_once(saphan: Saphan, mapping: str, told: int) -> None:
    result = saphan(SSO_EMPLOYERS, "employers.csv", "employers.csv", "--mapping", mapping, "--dry-run")
    assert (result.exit_code, result.stderr.count(TOLD)) == (0, told)


def test_a_key_of_ones_own_is_not_warned_of(saphan: Saphan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPHAN_PSEUDONYM_KEY", "a key for these tests only")
    assert TOLD not in saphan(SSO_EMPLOYERS, "employers.csv", "--mapping", "hashed.toml", "--dry-run").stderr


@pytest.mark.parametrize(
    ("bootstrap", "code"), [(ELSEWHERE, 2), (f"127.0.0.1:1,{ELSEWHERE}", 2), ("127.0.0.1:1", 3), ("localhost:1", 3)]
)
def test_hashes_with_the_development_key_are_refused_for_a_cluster_elsewhere(
    saphan: Saphan, monkeypatch: pytest.MonkeyPatch, bootstrap: str, code: int
) -> None:
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRAP", bootstrap)
    result = saphan(SSO_EMPLOYERS, "employers.csv", "--mapping", "hashed.toml", "--wait-seconds", "0.3")
    assert result.exit_code == code
    assert TOLD in result.stderr


@pytest.mark.parametrize(
    ("start", "options", "told"),
    [
        (b"1" + b"0" * 134, [], True),
        (b"{}", [], False),
        (b"{}", ["--format", "monthly"], True),
        (b"1" + b"0" * 134, ["--format", "jsonl"], False),
    ],
)
def test_the_monthly_file_always_has_hashes(
    saphan: Saphan, tmp_path: Path, start: bytes, options: list[str], told: bool
) -> None:
    (tmp_path / "november.txt").write_bytes(start + b"\r\n")
    assert (TOLD in saphan(CONTRIBUTIONS, "november.txt", "--dry-run", *options).stderr) is told


def test_a_hash_in_a_field_counts_like_one_in_the_id() -> None:
    text = PLAIN.replace('sso_branch = "branch"', 'sso_branch = { hash = ["branch"], hash_as = "sso.employers.v1" }')
    assert parse_mapping(text, SSO_EMPLOYERS).hashes
    assert not parse_mapping(PLAIN, SSO_EMPLOYERS).hashes
