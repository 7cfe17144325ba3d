"""Sending: order, retries while Kafka is away, heartbeats after the last acknowledgement, directories."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from publishers.employer_pairs import pair

from saphan_infra.availability import BrokerUnavailable
from saphan_infra.clock import now_ms
from saphan_publishers.delivery import Delivery, DeliveryRefused
from saphan_publishers.directories import NothingToPublish, feed_files
from saphan_publishers.formats import Reading
from saphan_publishers.outcomes import Outcome
from saphan_publishers.publishing import CHUNK_ROWS_MAX, Order, Publication
from saphan_publishers.reports import Report
from saphan_schemas.topics import EMPLOYER_PAIRS, EMPLOYMENTS, HEARTBEATS, RECORD_FEEDS
from saphan_schemas.values import parse_time_ms

PublishFiles = Callable[..., Outcome]
UNTIL = parse_time_ms("2026-11-23T00:00:00+07:00")


def write(directory: Path, topic: str, *rows: Any) -> Path:
    path = directory / f"{topic}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def publish_directory(
    directory: Path, broker: Any, tmp_path: Path, order: list[str] | None = None, **options: Any
) -> Outcome:
    files = feed_files(directory, order)
    delivery = Delivery(broker, lambda _sentence: None, 5)
    wanted = Order(files, Reading("a key for these tests", now_ms=now_ms()), tmp_path / "data", delivery, **options)
    return asyncio.run(Publication(wanted, Report(tmp_path / "report.jsonl"), lambda _outcome, _seconds: None).run())


def test_many_rows_leave_in_chunks_and_in_order(publish_files: PublishFiles, broker: Any, tmp_path: Path) -> None:
    count = 2 * CHUNK_ROWS_MAX + 17
    outcome = publish_files(EMPLOYER_PAIRS, write(tmp_path, EMPLOYER_PAIRS, *map(pair, range(count))))
    assert outcome.published == count
    assert broker.sizes == [CHUNK_ROWS_MAX, CHUNK_ROWS_MAX, 17]
    assert [message.key for message in broker.topics[EMPLOYER_PAIRS]] == [
        f"PAIR-{number}".encode() for number in range(count)
    ]


def test_while_kafka_is_away_it_waits_says_so_and_loses_nothing(new_broker: Any, tmp_path: Path) -> None:
    broker, said = new_broker(failures=2, absences=1), list[str]()
    delivery = Delivery(broker, said.append, 60)
    order = Order(
        [(EMPLOYER_PAIRS, str(write(tmp_path, EMPLOYER_PAIRS, pair(1))))],
        Reading("k", now_ms=now_ms()),
        tmp_path,
        delivery,
    )
    outcome = asyncio.run(Publication(order, Report(tmp_path / "r.jsonl"), lambda _outcome, _seconds: None).run())
    assert outcome.published == 1
    assert len(broker.records(EMPLOYER_PAIRS)) == 1
    assert len(said) == 3
    assert all("Waiting for Kafka" in sentence and "Nothing is lost" in sentence for sentence in said)


def test_it_gives_up_after_the_time_that_was_set_and_tells_how_far_it_came(new_broker: Any, tmp_path: Path) -> None:
    broker = new_broker(failures=10**9)
    delivery = Delivery(broker, lambda _sentence: None, 0.0)
    order = Order(
        [(EMPLOYER_PAIRS, str(write(tmp_path, EMPLOYER_PAIRS, pair(1))))],
        Reading("k", now_ms=now_ms()),
        tmp_path,
        delivery,
    )
    publication = Publication(order, Report(tmp_path / "r.jsonl"), lambda _outcome, _seconds: None)
    with pytest.raises(BrokerUnavailable, match="Gave up sending"):
        asyncio.run(publication.run())
    assert (publication.outcome.rows, publication.outcome.published) == (1, 0)


def test_a_broker_that_says_nothing_at_all_is_told_and_given_up(new_broker: Any, tmp_path: Path) -> None:
    said = list[str]()
    delivery = Delivery(new_broker(silent=True), said.append, 0.15, tell_seconds=0.05)
    order = Order(
        [(EMPLOYER_PAIRS, str(write(tmp_path, EMPLOYER_PAIRS, pair(1))))],
        Reading("k", now_ms=now_ms()),
        tmp_path,
        delivery,
    )
    publication = Publication(order, Report(tmp_path / "r.jsonl"), lambda _outcome, _seconds: None)
    with pytest.raises(BrokerUnavailable, match="no answer"):
        asyncio.run(publication.run())
    assert said
    assert all("no answer for" in sentence for sentence in said)


def test_a_refusal_is_not_waited_for(new_broker: Any, publish_files: PublishFiles, tmp_path: Path) -> None:
    with pytest.raises(DeliveryRefused, match="rights"):
        publish_files(EMPLOYER_PAIRS, write(tmp_path, EMPLOYER_PAIRS, pair(1)), to=new_broker(refuses=True))


def test_a_heartbeat_names_the_ends_of_the_feed_after_the_last_row(
    publish_files: PublishFiles, broker: Any, tmp_path: Path
) -> None:
    path = write(tmp_path, EMPLOYER_PAIRS, *map(pair, range(100)))
    outcome = publish_files(EMPLOYER_PAIRS, path, heartbeat_ms=UNTIL)
    assert outcome.heartbeats == [f"{EMPLOYER_PAIRS} 2026-11-22T17:00:00Z"]
    (heartbeat,) = broker.records(HEARTBEATS)
    assert (heartbeat["feed"], heartbeat["complete_until"]) == (EMPLOYER_PAIRS, UNTIL)
    assert {row["partition"]: row["offset"] for row in heartbeat["end_offsets"]} == broker.end_offsets(EMPLOYER_PAIRS)
    assert sum(row["offset"] for row in heartbeat["end_offsets"]) == 100
    assert broker.topics[HEARTBEATS][0].key == EMPLOYER_PAIRS.encode()


def test_an_order_of_a_heartbeat_about_the_future_is_refused_before_anything_is_published(
    publish_files: PublishFiles, broker: Any, tmp_path: Path
) -> None:
    path = write(tmp_path, EMPLOYER_PAIRS, pair(1))
    with pytest.raises(ValueError, match="heartbeat_ms: found 2099-"):
        publish_files(EMPLOYER_PAIRS, path, heartbeat_ms=parse_time_ms("2099-01-01T00:00:00Z"))
    assert broker.topics == {}


def test_no_heartbeat_goes_out_without_being_asked_for(
    publish_files: PublishFiles, broker: Any, tmp_path: Path
) -> None:
    publish_files(EMPLOYER_PAIRS, write(tmp_path, EMPLOYER_PAIRS, pair(1)))
    assert HEARTBEATS not in broker.topics


def test_a_feed_with_rejected_rows_is_not_called_complete_unless_told_to(
    publish_files: PublishFiles, broker: Any, tmp_path: Path
) -> None:
    path = write(tmp_path, EMPLOYER_PAIRS, pair(1), pair(2, sso_branch="1"))
    outcome = publish_files(EMPLOYER_PAIRS, path, heartbeat_ms=UNTIL)
    assert (outcome.heartbeats, outcome.withheld) == ([], [EMPLOYER_PAIRS])
    assert HEARTBEATS not in broker.topics
    assert publish_files(EMPLOYER_PAIRS, path, heartbeat_ms=UNTIL, heartbeat_anyway=True).withheld == []
    assert len(broker.records(HEARTBEATS)) == 1


def test_a_file_of_heartbeats_gets_the_end_offsets_that_it_leaves_open(
    publish_files: PublishFiles, broker: Any, tmp_path: Path
) -> None:
    publish_files(EMPLOYER_PAIRS, write(tmp_path, EMPLOYER_PAIRS, *map(pair, range(10))))
    given = [{"partition": 0, "offset": 3}, {"partition": 1, "offset": 4}]
    path = write(
        tmp_path,
        HEARTBEATS,
        {"feed": EMPLOYER_PAIRS, "complete_until": "2026-11-22T17:00:00Z"},
        {"feed": EMPLOYER_PAIRS, "complete_until": "2026-11-23T17:00:00Z", "end_offsets": [], "sent_at": None},
        {
            "feed": EMPLOYER_PAIRS,
            "complete_until": "2026-11-21T17:00:00Z",
            "end_offsets": given,
            "sent_at": "2026-11-21T17:00:01Z",
        },
    )
    assert publish_files(HEARTBEATS, path).published == 3
    first, second, third = broker.records(HEARTBEATS)
    assert sum(row["offset"] for row in first["end_offsets"]) == 10
    assert second["end_offsets"] == first["end_offsets"]
    assert (third["end_offsets"], third["sent_at"]) == (given, parse_time_ms("2026-11-21T17:00:01Z"))


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        ({"complete_until": "2026-11-22T17:00:00Z"}, "feed", "missing"),
        ({"feed": "worker.records.v2", "complete_until": "2026-11-22T17:00:00Z"}, "feed", "unknown_feed"),
        ({"feed": EMPLOYMENTS}, "complete_until", "missing"),
        ({"feed": EMPLOYMENTS, "complete_until": "2569-11-22T17:00:00Z"}, "complete_until", "buddhist_era"),
        ({"feed": EMPLOYMENTS, "complete_until": "2026-11-22"}, "complete_until", "time_unreadable"),
        ({"feed": EMPLOYMENTS, "complete_until": "2099-11-22T17:00:00Z"}, "complete_until", "complete_in_future"),
        ({"feed": EMPLOYMENTS, "complete_until": "2026-11-22T17:00:00Z", "until": 1}, "until", "unknown_field"),
        (
            {"feed": EMPLOYMENTS, "complete_until": "2026-11-22T17:00:00Z", "end_offsets": [{"partition": 0}]},
            "end_offsets",
            "wrong_type",
        ),
        ("no object", "", "not_an_object"),
    ],
)
def test_a_bad_heartbeat_is_rejected_and_told(
    publish_files: PublishFiles, tmp_path: Path, row: Any, field: str, code: str
) -> None:
    good = {"feed": EMPLOYMENTS, "complete_until": "2026-11-22T17:00:00Z"}
    outcome = publish_files(HEARTBEATS, write(tmp_path, HEARTBEATS, row, good))
    assert (outcome.published, outcome.rejected) == (1, 1)
    told = [json.loads(line) for line in (tmp_path / "report.jsonl").read_bytes().splitlines()]
    assert [(line["field"], line["code"]) for line in told] == [(field, code)]


@pytest.mark.parametrize(
    ("complete_until", "told"),
    [
        ("2099-11-22T17:00:00Z", ["complete_in_future", "sent_in_future"]),
        ("2026-11-22T17:00:00Z", ["sent_in_future"]),
    ],
)
def test_a_heartbeat_of_a_file_is_held_against_the_clock_whatever_time_of_sending_it_states(
    publish_files: PublishFiles, broker: Any, tmp_path: Path, complete_until: str, told: list[str]
) -> None:
    row = {"feed": EMPLOYMENTS, "complete_until": complete_until, "sent_at": "2099-11-22T17:00:01Z"}
    assert publish_files(HEARTBEATS, write(tmp_path, HEARTBEATS, row)).rejected == 1
    assert HEARTBEATS not in broker.topics
    report = (tmp_path / "report.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["code"] for line in report] == told


def test_heartbeats_in_a_json_array_are_told_as_such(publish_files: PublishFiles, tmp_path: Path) -> None:
    outcome = publish_files(HEARTBEATS, write(tmp_path, HEARTBEATS, [{"feed": EMPLOYMENTS}]))
    assert "one object a line" in str(outcome.files[0].failure)


def test_a_directory_is_published_feeds_first_and_heartbeats_last(broker: Any, tmp_path: Path) -> None:
    directory = tmp_path / "simulated"
    directory.mkdir()
    write(directory, HEARTBEATS, {"feed": EMPLOYER_PAIRS, "complete_until": "2026-11-22T17:00:00Z"})
    write(directory, EMPLOYER_PAIRS, pair(1), pair(2))
    write(directory, "truth", {"anything": 1})
    outcome = publish_directory(directory, broker, tmp_path)
    assert [file.feed for file in outcome.files] == [EMPLOYER_PAIRS, HEARTBEATS]
    (heartbeat,) = broker.records(HEARTBEATS)
    assert sum(row["offset"] for row in heartbeat["end_offsets"]) == 2


def test_an_order_puts_topics_first(broker: Any, tmp_path: Path) -> None:
    write(tmp_path, EMPLOYER_PAIRS, pair(1))
    write(tmp_path, EMPLOYMENTS)
    write(tmp_path, HEARTBEATS)
    files = [topic for topic, _ in feed_files(tmp_path, [HEARTBEATS, EMPLOYER_PAIRS])]
    assert files == [HEARTBEATS, EMPLOYER_PAIRS, EMPLOYMENTS]
    assert [topic for topic, _ in feed_files(tmp_path)] == [EMPLOYMENTS, EMPLOYER_PAIRS, HEARTBEATS]


def test_a_heartbeat_in_a_directory_waits_for_the_rejected_rows_of_its_feed(broker: Any, tmp_path: Path) -> None:
    directory = tmp_path / "simulated"
    directory.mkdir()
    write(directory, EMPLOYER_PAIRS, pair(1, sso_branch="x"))
    beats = [{"feed": feed, "complete_until": "2026-11-22T17:00:00Z"} for feed in (EMPLOYER_PAIRS, EMPLOYMENTS)]
    write(directory, HEARTBEATS, *beats)
    outcome = publish_directory(directory, broker, tmp_path)
    assert outcome.rejected == 2
    assert [row["feed"] for row in broker.records(HEARTBEATS)] == [EMPLOYMENTS]
    kept = tmp_path / "report.rejected" / f"{HEARTBEATS}.jsonl"
    assert json.loads(kept.read_text("utf-8"))["feed"] == EMPLOYER_PAIRS


def test_a_directory_without_feeds_and_an_order_without_files_say_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(NothingToPublish, match=RECORD_FEEDS[0]):
        feed_files(tmp_path)
    write(tmp_path, EMPLOYER_PAIRS)
    with pytest.raises(NothingToPublish, match=r"did you mean employers\.pairs\.v1"):
        feed_files(tmp_path, ["employer.pairs.v1"])
