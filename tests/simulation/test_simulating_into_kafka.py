"""Whether a province sent straight to Kafka is the one of the files, and an interrupted sending can go on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from kafka_log import read_all
from typer.testing import CliRunner, Result

from saphan_cli.commands.simulate import register
from saphan_infra.kafka_admin import end_offsets
from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.codec import Codec
from saphan_schemas.topics import HEARTBEATS, RECORD_FEEDS, TOPICS
from saphan_schemas.values import to_wire

WORLD = ("--workers", "80", "--months", "6", "--seed", "5", "--jobs", "2", "--json")


@pytest.fixture
def simulate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("SAPHAN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return lambda *arguments: CliRunner().invoke(app, ["simulate", *WORLD, *map(str, arguments)])


def sent(bootstrap: str, topic: str) -> list[dict[str, Any]]:
    """The records of a topic, each partition in order of its offsets."""
    codec = Codec()
    return [codec.decode(topic, row.value) for row in read_all(bootstrap, topic)]


def as_set(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(repr(sorted(row.items())) for row in rows)


@pytest.mark.broker
def test_what_reaches_kafka_is_what_the_files_hold(
    simulate: Callable[..., Result], fresh_broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRAP", fresh_broker)
    assert simulate("--out", tmp_path / "files").exit_code == 0
    result = simulate("--publish", "--out", tmp_path / "truth")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["published"]["events"] == report["events"]
    for feed in RECORD_FEEDS:
        kinds = default_catalogue().kinds(feed)
        lines = (tmp_path / "files" / f"{feed}.jsonl").read_text("utf-8").splitlines()
        rows = sent(fresh_broker, feed)
        assert as_set(rows) == as_set([to_wire(kinds, json.loads(line)) for line in lines]), feed
    for name in ("truth.jsonl", "expected-alerts.jsonl", "parameters.toml"):
        assert (tmp_path / "truth" / name).read_bytes() == (tmp_path / "files" / name).read_bytes()
    assert not list((tmp_path / "truth").glob("*.v1.jsonl"))
    for beat in sent(fresh_broker, HEARTBEATS):
        ends = end_offsets(fresh_broker, beat["feed"])
        assert {row["partition"] for row in beat["end_offsets"]} == set(range(TOPICS[beat["feed"]].partitions))
        assert all(row["offset"] <= ends[row["partition"]] for row in beat["end_offsets"])


@pytest.mark.broker
def test_a_second_run_sends_what_the_first_left_out(
    simulate: Callable[..., Result], fresh_broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRAP", fresh_broker)
    whole = json.loads(simulate("--publish").stdout)["published"]["events"]
    result = simulate("--publish", "--skip", "700")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["published"] | {"seconds": 0, "events_per_second": 0} == {
        "skipped": 700, "events": whole - 700, "seconds": 0, "events_per_second": 0
    }  # fmt: skip


def test_without_kafka_nothing_is_simulated(
    simulate: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    result = simulate("--publish", "--out", tmp_path / "out", "--wait-seconds", "0.5")
    assert result.exit_code == 3
    assert "Nothing was sent" in result.stderr
    assert not (tmp_path / "out").exists()


def test_somewhere_to_go_is_asked_for(simulate: Callable[..., Result], tmp_path: Path) -> None:
    nowhere = simulate()
    assert nowhere.exit_code == 2
    assert "--publish" in nowhere.stderr
    skipping = simulate("--out", tmp_path / "out", "--skip", "3")
    assert skipping.exit_code == 2
    assert "--skip belongs to --publish" in skipping.stderr


def test_all_parameters_are_printed_in_the_form_of_a_file_for_params(
    simulate: Callable[..., Result], tmp_path: Path
) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[people]\nmale_share = 0.5\n")
    printed = simulate("--show-params", "--params", own).stdout
    (tmp_path / "all.toml").write_text(printed, encoding="utf-8")
    again = simulate("--show-params", "--params", tmp_path / "all.toml").stdout
    assert again == printed
    assert 'assumption = "set in' in printed
    assert printed.count("\nsource = ") + printed.count("\nassumption = ") == printed.count("\nvalue = ")
