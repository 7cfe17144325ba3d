"""The way into the real Kafka and back: files, the class, heartbeats, twice the same."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from kafka_log import read_all
from publishers.employer_pairs import pair
from typer.testing import CliRunner, Result

from saphan_cli.commands import publish
from saphan_infra.kafka_admin import delete_topics, end_offsets, partition_counts
from saphan_infra.producer import partition_of
from saphan_publishers.delivery import DeliveryRefused
from saphan_publishers.publisher import Publisher
from saphan_schemas.codec import Codec
from saphan_schemas.topics import EMPLOYER_PAIRS, HEARTBEATS, SSO_EMPLOYERS
from saphan_schemas.values import parse_time_ms

pytestmark = pytest.mark.broker


@pytest.fixture
def saphan(kafka_bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("SAPHAN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRAP", kafka_bootstrap)
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.callback()(lambda: None)
    publish.register(app)
    return lambda *arguments: CliRunner().invoke(app, ["publish", *map(str, arguments)])


def test_a_file_is_published_read_back_and_published_again_unchanged(
    saphan: Callable[..., Result], kafka_bootstrap: str, clean_topics: Callable[[Iterable[str]], None], tmp_path: Path
) -> None:
    clean_topics([EMPLOYER_PAIRS, HEARTBEATS])
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(pair(number)) for number in range(5000)), "utf-8")
    for _ in range(2):
        result = saphan(EMPLOYER_PAIRS, path, "--json", "--heartbeat", "2026-11-23")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["published"] == 5000
    messages = read_all(kafka_bootstrap, EMPLOYER_PAIRS)
    assert len(messages) == 10_000
    codec = Codec()
    by_key: dict[bytes, set[tuple[bytes, tuple[tuple[str, bytes], ...]]]] = {}
    for message in messages:
        assert message.partition == partition_of(message.key, 2)
        assert codec.decode(EMPLOYER_PAIRS, message.value)["record_id"].encode() == message.key
        by_key.setdefault(message.key, set()).add((message.value, tuple(message.headers)))
    assert len(by_key) == 5000
    assert all(len(contents) == 1 for contents in by_key.values())
    beats = [codec.decode(HEARTBEATS, message.value) for message in read_all(kafka_bootstrap, HEARTBEATS)]
    assert [sum(row["offset"] for row in beat["end_offsets"]) for beat in beats] == [5000, 10_000]
    assert {beat["complete_until"] for beat in beats} == {parse_time_ms("2026-11-22T17:00:00Z")}


def test_the_class_publishes_and_its_heartbeat_names_the_real_end(
    kafka_bootstrap: str, clean_topics: Callable[[Iterable[str]], None]
) -> None:
    clean_topics([SSO_EMPLOYERS, HEARTBEATS])
    with Publisher(kafka_bootstrap, SSO_EMPLOYERS) as publisher:
        for number in range(10):
            publisher.publish(
                {
                    "record_id": f"71{number:08}-000000",
                    "version": 1,
                    "changed_at": datetime(2026, 11, 23, tzinfo=UTC),
                    "sso_account": f"71{number:08}",
                    "sso_branch": "000000",
                }
            )
        publisher.heartbeat(datetime(2026, 11, 23, tzinfo=UTC))
    assert len(read_all(kafka_bootstrap, SSO_EMPLOYERS)) == 10
    (message,) = read_all(kafka_bootstrap, HEARTBEATS)
    beat = Codec().decode(HEARTBEATS, message.value)
    assert {row["partition"]: row["offset"] for row in beat["end_offsets"]} == end_offsets(
        kafka_bootstrap, SSO_EMPLOYERS
    )


def test_the_class_makes_no_topic_of_the_platform_and_says_at_once_which_is_missing(
    kafka_bootstrap: str, clean_topics: Callable[[Iterable[str]], None]
) -> None:
    clean_topics([SSO_EMPLOYERS, HEARTBEATS])
    delete_topics(kafka_bootstrap, [SSO_EMPLOYERS])
    try:
        with pytest.raises(DeliveryRefused, match=rf"no topic {SSO_EMPLOYERS};"):
            Publisher(kafka_bootstrap, SSO_EMPLOYERS).open()
        assert partition_counts(kafka_bootstrap, [SSO_EMPLOYERS]) == {}
    finally:
        clean_topics([SSO_EMPLOYERS])
