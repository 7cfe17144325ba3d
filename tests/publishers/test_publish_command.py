"""`saphan publish` as a script sees it: exit codes, standard output, reports."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from publishers.employer_pairs import pair
from typer.testing import CliRunner, Result

from saphan_cli.commands import publish
from saphan_schemas.topics import EMPLOYER_PAIRS, WORK_PERMITS

Saphan = Callable[..., Result]


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def saphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saphan:
    """The command with settings of its own; a closed port stands where the broker would be."""
    for name in [name for name in os.environ if name.startswith("SAPHAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SAPHAN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.callback()(lambda: None)
    publish.register(app)

    def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(app, ["publish", *map(str, arguments)], input=stdin)

    return run


def test_a_good_file_exits_0_with_a_summary_on_standard_output(saphan: Saphan, tmp_path: Path) -> None:
    result = saphan(EMPLOYER_PAIRS, write(tmp_path / "a.jsonl", pair(1), pair(2)), "--dry-run", "--json")
    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    assert (summary["rows"], summary["published"], summary["rejected"], summary["warnings"]) == (2, 2, 0, 0)
    assert summary["seconds"] >= 0
    assert summary["report"] is None


def test_rejected_rows_exit_4_and_the_report_is_named(saphan: Saphan, tmp_path: Path) -> None:
    result = saphan(
        EMPLOYER_PAIRS, write(tmp_path / "a.jsonl", pair(1), pair(2, sso_branch="0")), "--dry-run", "--json"
    )
    assert result.exit_code == 4
    summary = json.loads(result.stdout)
    report = Path(summary["report"])
    assert report.is_relative_to(tmp_path / "data" / "reports")
    assert str(report) in result.stderr
    assert json.loads(report.read_text("utf-8"))["line"] == 2


def test_the_report_goes_where_it_is_told_to_also_when_there_is_nothing_to_tell(saphan: Saphan, tmp_path: Path) -> None:
    wanted = tmp_path / "elsewhere" / "report.jsonl"
    assert saphan(EMPLOYER_PAIRS, write(tmp_path / "a.jsonl", pair(1)), "--dry-run", "--report", wanted).exit_code == 0
    assert wanted.read_bytes() == b""


def test_standard_input_is_read(saphan: Saphan) -> None:
    result = saphan(EMPLOYER_PAIRS, "-", "--dry-run", stdin=json.dumps(pair(1)).encode())
    assert result.exit_code == 0
    assert "1 of 1 rows would be published" in result.stdout


def test_a_file_that_cannot_be_read_exits_1_and_the_others_are_published(saphan: Saphan, tmp_path: Path) -> None:
    array = tmp_path / "array.jsonl"
    array.write_text("[{}]", "utf-8")
    result = saphan(EMPLOYER_PAIRS, array, write(tmp_path / "a.jsonl", pair(1)), "--dry-run", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["published"] == 1
    assert "one object a line" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "No feed was named"),
        (["doe.employment.v1", "a.jsonl"], "There is no feed"),
        ([EMPLOYER_PAIRS], "No file was named"),
        ([EMPLOYER_PAIRS, "absent.jsonl"], "There is no file"),
        ([EMPLOYER_PAIRS, "."], "--dir ."),
        ([EMPLOYER_PAIRS, "a.jsonl", "--order", "x"], "--order belongs to --dir"),
        ([EMPLOYER_PAIRS, "a.jsonl", "--dir", "."], "not both"),
        (["--dir", "absent"], "<topic>.jsonl"),
        ([EMPLOYER_PAIRS, "a.jsonl", "--format", "xml"], "jsonl, csv, monthly"),
        ([EMPLOYER_PAIRS, "a.jsonl", "--encoding", "latin-1"], "utf-8 or tis-620"),
        ([EMPLOYER_PAIRS, "a.jsonl", "--as-of", "23/11/2569"], "--as-of"),
        ([EMPLOYER_PAIRS, "a.jsonl", "--as-of", "2569-11-23"], "Buddhist"),
        ([EMPLOYER_PAIRS, "a.jsonl", "--heartbeat", "soon"], "--heartbeat"),
        ([EMPLOYER_PAIRS, "a.jsonl", "--heartbeat", "2099-01-01"], "give a time that has come"),
        ([EMPLOYER_PAIRS, "a.jsonl", "--heartbeat", "1999-01-01"], "a time from 2000-01-01 on"),
        ([EMPLOYER_PAIRS, "a.jsonl", "--mapping", "absent.toml"], "absent.toml"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_was_expected(
    saphan: Saphan, tmp_path: Path, arguments: list[str], said: str
) -> None:
    write(tmp_path / "a.jsonl", pair(1))
    result = saphan(*arguments, "--dry-run")
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_a_wrong_setting_exits_2(saphan: Saphan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPHAN_LOG_LEVEL", "LOUD")
    result = saphan(EMPLOYER_PAIRS, write(tmp_path / "a.jsonl", pair(1)))
    assert result.exit_code == 2
    assert "SAPHAN_LOG_LEVEL" in result.stderr


def test_a_broker_that_is_away_exits_3_after_waiting_and_says_so(saphan: Saphan, tmp_path: Path) -> None:
    result = saphan(EMPLOYER_PAIRS, write(tmp_path / "a.jsonl", pair(1)), "--wait-seconds", "0.3", "--json")
    assert result.exit_code == 3
    assert "Waiting for Kafka" in result.stderr
    assert "nothing is doubled" in result.stderr
    assert json.loads(result.stdout)["published"] == 0


def test_a_csv_file_is_read_by_its_mapping(saphan: Saphan, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(
        'record_id = { columns = ["เลขที่"] }\n[fields]\npermit_number = "เลขที่"\nfull_name = "ชื่อ"\n', "utf-8"
    )
    rows = tmp_path / "permits.csv"
    rows.write_bytes("เลขที่;ชื่อ\n7112345678;ธิดา\n".encode("cp874"))
    result = saphan(WORK_PERMITS, rows, "--mapping", mapping, "--as-of", "2026-11-23", "--dry-run", "--json")
    assert (result.exit_code, json.loads(result.stdout)["published"]) == (0, 1)


def test_a_directory_is_published_by_its_file_names(saphan: Saphan, tmp_path: Path) -> None:
    directory = tmp_path / "simulated"
    directory.mkdir()
    write(directory / f"{EMPLOYER_PAIRS}.jsonl", pair(1))
    write(directory / "feed-heartbeats.v1.jsonl", {"feed": EMPLOYER_PAIRS, "complete_until": "2026-11-22T17:00:00Z"})
    result = saphan("--dir", directory, "--dry-run", "--json")
    assert result.exit_code == 0
    assert [file["feed"] for file in json.loads(result.stdout)["files"]] == [EMPLOYER_PAIRS, "feed-heartbeats.v1"]


def test_a_dry_run_says_of_a_heartbeat_that_it_would_be_sent(saphan: Saphan, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", pair(1))
    result = saphan(EMPLOYER_PAIRS, path, "--dry-run", "--heartbeat", "2026-03-01")
    assert result.exit_code == 0
    assert f"heartbeat that would be sent: {EMPLOYER_PAIRS} 2026-02-28T17:00:00Z" in result.stdout


_ROW_WITHOUT_VERSION = b"record_id,sso_account,sso_branch,employer_id\nPAIR-1,7100000001,000000,D-1\n"


@pytest.mark.parametrize(
    ("content", "options", "code"),
    [
        (json.dumps(pair(1)).encode(), [], 0),
        (_ROW_WITHOUT_VERSION, ["--as-of", "2026-11-23"], 0),
        (_ROW_WITHOUT_VERSION, [], 1),
    ],
)
def test_a_pipe_is_read_and_what_has_no_versions_needs_its_day(
    saphan: Saphan, tmp_path: Path, content: bytes, options: list[str], code: int
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Opening waits for the other end, so that both begin together.
    writer = threading.Thread(target=pipe.write_bytes, args=(content,), daemon=True)
    writer.start()
    result = saphan(EMPLOYER_PAIRS, pipe, "--dry-run", *options)
    writer.join()
    assert result.exit_code == code
    assert "1 of 1 rows would be published" in result.stdout or "--as-of" in result.stderr


def test_no_value_of_a_row_is_written_to_the_screen(saphan: Saphan, tmp_path: Path) -> None:
    bad = pair(2, sso_branch="secret-branch", employer_id="secret-employer")
    result = saphan(EMPLOYER_PAIRS, write(tmp_path / "a.jsonl", bad), "--dry-run")
    assert result.exit_code == 4
    assert "secret" not in result.stdout + result.stderr


def test_importing_the_command_loads_nothing_heavy() -> None:
    script = (
        "import sys, saphan_cli.commands.publish; "
        "sys.exit(any(name.split('.')[0] in {'aiokafka', 'kafka', 'cavro', 'pydantic'} for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
