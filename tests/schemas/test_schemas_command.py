"""`saphan schemas`: what it prints, and its exit codes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from registry_server import Registry, running
from typer.testing import CliRunner

from saphan_cli.commands import bench_codec
from saphan_cli.commands.schemas import register
from saphan_schemas import checking
from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.lock import Finding
from saphan_schemas.registry_ids import REGISTRY_IDS_FILE, read_ids
from saphan_schemas.topics import EMPLOYMENTS, TOPICS


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SAPHAN_SCHEMA_REGISTRY_URL", raising=False)
    monkeypatch.setenv("SAPHAN_DATA_DIR", str(tmp_path / "data"))
    found = typer.Typer()
    register(found)
    return found


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with running(Registry()) as found:
        monkeypatch.setenv("SAPHAN_SCHEMA_REGISTRY_URL", found.url)
        yield found


def test_list_shows_every_topic(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, ["schemas", "list"])
    assert shown.exit_code == 0
    assert all(name in shown.stdout for name in TOPICS)
    found = json.loads(CliRunner().invoke(app, ["schemas", "list", "--json"]).stdout)
    assert [row["topic"] for row in found] == list(TOPICS)
    assert found[1]["schema_version"] == 1
    assert found[1]["partitions"] == TOPICS[EMPLOYMENTS].partitions


def test_show_explains_each_field_in_both_languages(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, ["schemas", "show", EMPLOYMENTS])
    assert shown.exit_code == 0
    assert "Last day of work; empty while employed." in shown.stdout
    assert "วันสุดท้ายที่ทำงาน" in shown.stdout
    found = json.loads(CliRunner().invoke(app, ["schemas", "show", "alerts.enrolment.v1", "--json"]).stdout)
    fields = {field["field"]: field for field in found["fields"]}
    assert fields["due_on"]["type"] == "date"
    assert fields["evidence[].record_id"]["pii"] == "pseudonym"
    avro = json.loads(CliRunner().invoke(app, ["schemas", "show", EMPLOYMENTS, "--avro"]).stdout)
    assert avro["name"] == "Employment"


def test_show_of_an_unknown_topic_is_wrong_usage(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, ["schemas", "show", "doe.employment"])
    assert shown.exit_code == 2
    assert EMPLOYMENTS in shown.stderr


def test_check_is_content_with_this_repository(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, ["schemas", "check"])
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert f"{len(TOPICS)} topics are in order" in shown.stderr
    assert json.loads(CliRunner().invoke(app, ["schemas", "check", "--json"]).stdout) == []


def test_check_tells_file_fault_and_remedy_and_fails(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "findings", lambda: [Finding("avro/x/1.avsc", "has no doc", "write it")])
    shown = CliRunner().invoke(app, ["schemas", "check"])
    assert shown.exit_code == 1
    assert shown.stdout == "avro/x/1.avsc: has no doc. What to do: write it.\n"
    found = json.loads(CliRunner().invoke(app, ["schemas", "check", "--json"]).stdout)
    assert found == [{"file": "avro/x/1.avsc", "found": "has no doc", "remedy": "write it"}]


def test_lock_has_nothing_to_do_when_all_is_settled(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, ["schemas", "lock"])
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert shown.stderr.startswith("0 files written.")


def test_push_stores_the_registry_s_ids_in_the_data_folder(
    app: typer.Typer, registry: Registry, tmp_path: Path
) -> None:
    shown = CliRunner().invoke(app, ["schemas", "push", "--json"])
    assert shown.exit_code == 0, shown.stderr
    assert {row["topic"] for row in json.loads(shown.stdout)} == set(TOPICS)
    settled = {(topic, row.version) for topic, rows in default_catalogue().by_topic.items() for row in rows}
    assert set(read_ids(registry.url, tmp_path / "data" / REGISTRY_IDS_FILE)) == settled
    again = CliRunner().invoke(app, ["schemas", "push"])
    assert again.exit_code == 0
    assert EMPLOYMENTS in again.stdout


def test_push_without_a_registry_is_wrong_usage(app: typer.Typer) -> None:
    shown = CliRunner().invoke(app, ["schemas", "push"])
    assert shown.exit_code == 2
    assert "SAPHAN_SCHEMA_REGISTRY_URL" in shown.stderr


def test_push_to_a_registry_that_refuses_fails_and_stores_nothing(
    app: typer.Typer, registry: Registry, tmp_path: Path
) -> None:
    registry.read_only = True
    shown = CliRunner().invoke(app, ["schemas", "push"])
    assert shown.exit_code == 1
    assert "read-only mode" in shown.stderr
    assert not (tmp_path / "data" / REGISTRY_IDS_FILE).exists()


def test_push_to_a_registry_that_is_away_has_its_own_exit_code(
    app: typer.Typer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(Registry()) as gone:
        pass
    monkeypatch.setenv("SAPHAN_SCHEMA_REGISTRY_URL", gone.url)
    shown = CliRunner().invoke(app, ["schemas", "push"])
    assert shown.exit_code == 3
    assert gone.url in shown.stderr


def test_the_codec_benchmark_measures_every_library_and_says_how_they_compare() -> None:
    found = bench_codec.run(50)
    measured = found["cpu_microseconds_per_record"]
    assert {"avro", "cavro", "cavro (chunk)"} <= measured.keys()
    assert all(row.keys() == {"encode", "decode"} for row in measured.values())
    assert min(row["decode"] for row in found["times_the_quickest"].values()) == 1.0
    with pytest.raises(ValueError, match="at least one record"):
        bench_codec.run(0)
