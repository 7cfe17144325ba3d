"""That what cannot be processed is kept with its reason, holds nobody up, and comes back once it is repaired."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from running_platform import NO_SETTINGS, Event, RunningPlatform, running
from typer.testing import CliRunner, Result

from saphan_cli.commands import dlq as dlq_commands
from saphan_infra.producer import Message, partition_of
from saphan_infra.settings import environment_of
from saphan_schemas.codec import Codec
from saphan_schemas.topics import EMPLOYMENTS, TOPICS
from saphan_schemas.values import to_wire

pytestmark = pytest.mark.broker

CODEC = Codec()
#: What is published between good records of the same partition, by the reason for which it is refused.
BAD_REASONS = ("corrupt", "unknown_schema_id", "too_large", "no_key")


def employment(record_id: str, **more: Any) -> dict[str, Any]:
    plain = {
        "record_id": record_id, "version": 1, "changed_at": "2026-01-01T00:00:00Z", "deleted": False,
        "non_thai_id": "0019300000018", "nationality": "MMR", "employer_id": "EMP-A", "workplace_district": "7101",
        "sector": "manufacturing", "start_date": "2026-01-01",
    }  # fmt: skip
    return {**dict.fromkeys(CODEC.catalogue.kinds(EMPLOYMENTS)), **plain, **more}


def encoded(record: dict[str, Any]) -> bytes:
    return CODEC.encode(EMPLOYMENTS, to_wire(CODEC.catalogue.kinds(EMPLOYMENTS), record))


def bad_message(reason: str) -> Message:
    record_id = f"BAD-{reason}"
    value = encoded(employment(record_id))
    values = {
        "corrupt": value[:-4],
        "unknown_schema_id": value[:1] + b"\x7f\xff\xff\xf0" + value[5:],
        "too_large": value + bytes(10_000_000),
        "no_key": value,
    }
    return Message(None if reason == "no_key" else record_id.encode(), values[reason], partition=0)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, java_cache: Path) -> Iterator[RunningPlatform]:
    """A platform that was sent each bad message between two good ones."""
    with running(tmp_path_factory.mktemp("letters") / "data", java_cache) as made:
        for reason in BAD_REASONS:
            made.publish([good(f"GOOD-{reason}-before")])
            made.publish([Event(EMPLOYMENTS, bad_message(reason))])
            made.publish([good(f"GOOD-{reason}-after")])
        yield made


def good(record_id: str) -> Event:
    return Event(EMPLOYMENTS, Message(record_id.encode(), encoded(employment(record_id)), partition=0))


def dlq(platform: RunningPlatform, *arguments: str) -> Result:
    """Run `saphan dlq` in this process, which saves the start of one for each look."""
    app = typer.Typer()
    dlq_commands.register(app)
    nothing = platform.settings.data_dir / "no-settings.toml"
    nothing.write_text(NO_SETTINGS, encoding="utf-8")
    environment = {**environment_of(platform.settings), "SAPHAN_CONFIG": str(nothing)}
    return CliRunner().invoke(app, ["dlq", *arguments], env=environment, catch_exceptions=False)


def known_employments(platform: RunningPlatform) -> set[str]:
    return {record_id for (record_id,) in platform.rows("SELECT record_id FROM employment")}


def letters(platform: RunningPlatform) -> dict[str, dict[str, Any]]:
    ran = dlq(platform, "list", "--json")
    assert ran.exit_code == 0, ran.stderr
    return {row["reason"]: row for row in json.loads(ran.stdout)}


def test_the_neighbours_of_bad_messages_are_processed_and_each_bad_one_is_kept_with_reason_and_origin(
    platform: RunningPlatform,
) -> None:
    expected = {f"GOOD-{reason}-{side}" for reason in BAD_REASONS for side in ("before", "after")}
    assert platform.becomes(lambda: known_employments(platform) >= expected)
    found: dict[str, dict[str, Any]] = {}

    def all_there() -> bool:
        found.update(letters(platform))
        return found.keys() >= set(BAD_REASONS)

    assert platform.becomes(all_there)
    for number, reason in enumerate(BAD_REASONS):
        row = found[reason]
        assert (row["stage"], row["topic"], row["partition"], row["offset"]) == ("link", EMPLOYMENTS, 0, 3 * number + 1)
    assert found["too_large"]["value_bytes"] > 10_000_000
    assert platform.rows("SELECT rejected FROM feed_freshness WHERE partition = 0", platform.settings.link_url) == [
        (4,)
    ]


def test_a_repaired_letter_comes_back_and_is_marked_as_retried(platform: RunningPlatform, tmp_path: Path) -> None:
    assert platform.becomes(lambda: "corrupt" in letters(platform))
    letter = letters(platform)["corrupt"]["id"]
    refused = dlq(platform, "retry", letter)
    assert refused.exit_code == 1
    assert "refused again" in refused.stderr
    repaired = tmp_path / "repaired.json"
    repaired.write_text(json.dumps(employment("BAD-corrupt")), encoding="utf-8")
    ran = dlq(platform, "retry", letter, "--value-file", str(repaired))
    assert ran.exit_code == 0, ran.stderr
    assert platform.becomes(lambda: "BAD-corrupt" in known_employments(platform))
    assert letters(platform)["corrupt"]["retried_at"] is not None


def test_a_message_without_a_key_comes_back_with_the_key_of_its_record(platform: RunningPlatform) -> None:
    assert platform.becomes(lambda: "no_key" in letters(platform))
    ran = dlq(platform, "retry", "--reason", "no_key")
    assert ran.exit_code == 0, ran.stderr
    assert platform.becomes(lambda: "BAD-no_key" in known_employments(platform))
    assert partition_of(b"BAD-no_key", TOPICS[EMPLOYMENTS].partitions) in (0, 1)


def test_the_logs_name_the_refused_messages_by_place_and_no_person(platform: RunningPlatform) -> None:
    for role in ("link", "integrate-0"):
        assert "0019300000018" not in platform.log(role)
