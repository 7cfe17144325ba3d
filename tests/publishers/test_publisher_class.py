"""The class by which an agency's own program publishes."""

import asyncio
import gc
from datetime import UTC, date, datetime
from typing import Any

import pytest

from saphan_infra.availability import BrokerUnavailable
from saphan_publishers.publisher import FeedIncomplete, InvalidRecord, Publisher
from saphan_schemas.identifiers import check_digit
from saphan_schemas.topics import EMPLOYMENTS, HEARTBEATS
from saphan_schemas.values import date_to_days, parse_time_ms

PINK_CARD = "001712345678" + check_digit("001712345678")


def hire(**changes: Any) -> dict[str, Any]:
    record = {
        "record_id": "E-1",
        "version": 1,
        "changed_at": datetime(2026, 11, 23, 2, 30, tzinfo=UTC),
        "non_thai_id": PINK_CARD,
        "employer_id": "D-5512",
        "start_date": date(2026, 11, 1),
    }
    return {**record, **changes}


def test_what_was_published_is_acknowledged_when_the_block_ends(broker: Any) -> None:
    with Publisher(broker, EMPLOYMENTS) as publisher:
        assert publisher.publish(hire()) == []
        assert publisher.publish(hire(record_id="E-2", start_date="2026-11-02")) == []
        assert EMPLOYMENTS not in broker.topics
    first, second = broker.records(EMPLOYMENTS)
    assert first["changed_at"] == parse_time_ms("2026-11-23T02:30:00Z")
    assert [row["start_date"] for row in (first, second)] == [date_to_days(date(2026, 11, day)) for day in (1, 2)]


def test_a_full_batch_leaves_by_itself(broker: Any) -> None:
    with Publisher(broker, EMPLOYMENTS, batch_records_max=2) as publisher:
        for number in range(5):
            publisher.publish(hire(record_id=f"E-{number}"))
        assert broker.sizes == [2, 2]
    assert broker.sizes == [2, 2, 1]


def test_an_invalid_record_is_refused_with_every_problem_and_no_value_in_the_text(broker: Any) -> None:
    with Publisher(broker, EMPLOYMENTS) as publisher, pytest.raises(InvalidRecord) as refused:
        publisher.publish(hire(non_thai_id="0715550123453", start_date="2569-11-01", sector="โรงงาน"))
    assert {problem.field for problem in refused.value.problems} >= {"start_date", "sector"}
    assert "2569" not in str(refused.value)
    assert "buddhist_era" in str(refused.value)
    assert broker.topics == {}


def test_a_warning_is_returned_and_the_record_published(broker: Any) -> None:
    wrong = PINK_CARD[:12] + str((int(PINK_CARD[12]) + 1) % 10)
    with Publisher(broker, EMPLOYMENTS) as publisher:
        assert [problem.severity for problem in publisher.publish(hire(non_thai_id=wrong))] == ["warning"]
    assert len(broker.records(EMPLOYMENTS)) == 1


def test_a_heartbeat_follows_all_records(broker: Any) -> None:
    with Publisher(broker, EMPLOYMENTS) as publisher:
        publisher.publish(hire())
        publisher.heartbeat(datetime(2026, 11, 23, tzinfo=UTC))
        publisher.heartbeat("2026-11-24T00:00:00+07:00")
    first, second = broker.records(HEARTBEATS)
    assert sum(row["offset"] for row in first["end_offsets"]) == 1
    assert second["complete_until"] == parse_time_ms("2026-11-23T17:00:00Z")


@pytest.mark.parametrize("moment", [datetime(2026, 11, 23), "2026-11-23"])  # noqa: DTZ001 - that is what is refused
def test_a_heartbeat_without_a_time_zone_is_refused(broker: Any, moment: Any) -> None:
    with Publisher(broker, EMPLOYMENTS) as publisher, pytest.raises(ValueError, match="complete_until"):
        publisher.heartbeat(moment)


@pytest.mark.parametrize(
    "moment", ["2099-01-01T00:00:00+07:00", datetime(2569, 11, 23, tzinfo=UTC), datetime(1999, 1, 1, tzinfo=UTC)]
)
def test_a_heartbeat_that_nobody_could_believe_is_refused_and_nothing_is_sent(broker: Any, moment: Any) -> None:
    with Publisher(broker, EMPLOYMENTS) as publisher, pytest.raises(ValueError, match="complete_until: found"):
        publisher.heartbeat(moment)
    assert HEARTBEATS not in broker.topics


def test_a_heartbeat_is_withheld_until_every_refused_record_was_published(broker: Any) -> None:
    with Publisher(broker, EMPLOYMENTS) as publisher:
        publisher.publish(hire())
        for number in (2, 3):
            with pytest.raises(InvalidRecord):
                publisher.publish(hire(record_id=f"E-{number}", start_date="2569-11-01"))
        with pytest.raises(FeedIncomplete, match="refused: 2") as withheld:
            publisher.heartbeat("2026-11-23T00:00:00+07:00")
        assert (withheld.value.refused, HEARTBEATS in broker.topics) == (2, False)
        assert len(broker.records(EMPLOYMENTS)) == 1, "what was taken is flushed all the same"
        publisher.publish(hire(record_id="E-2"))
        with pytest.raises(FeedIncomplete, match="refused: 1"):
            publisher.heartbeat("2026-11-23T00:00:00+07:00")
        publisher.publish(hire(record_id="E-3", version=2))
        publisher.heartbeat("2026-11-23T00:00:00+07:00")
    assert len(broker.records(HEARTBEATS)) == 1


def test_a_refused_record_without_an_id_withholds_heartbeats_unless_told_otherwise(broker: Any) -> None:
    with Publisher(broker, EMPLOYMENTS) as publisher:
        with pytest.raises(InvalidRecord):
            publisher.publish({"version": 1})
        publisher.publish(hire())
        with pytest.raises(FeedIncomplete):
            publisher.heartbeat("2026-11-23T00:00:00+07:00")
        publisher.heartbeat("2026-11-23T00:00:00+07:00", anyway=True)
    assert len(broker.records(HEARTBEATS)) == 1


def test_what_kafka_did_not_take_goes_with_the_next_call(new_broker: Any) -> None:
    broker = new_broker(failures=1)
    with Publisher(broker, EMPLOYMENTS, wait_seconds_max=0) as publisher:
        publisher.publish(hire())
        with pytest.raises(BrokerUnavailable):
            publisher.flush()
        publisher.publish(hire(record_id="E-2"))
        publisher.flush()
    assert [row["record_id"] for row in broker.records(EMPLOYMENTS)] == ["E-1", "E-2"]


def test_records_that_were_taken_are_sent_also_when_the_block_ends_by_an_error(broker: Any) -> None:
    def work() -> None:
        with Publisher(broker, EMPLOYMENTS) as publisher:
            publisher.publish(hire())
            raise LookupError("the agency's own")

    with pytest.raises(LookupError):
        work()
    assert len(broker.records(EMPLOYMENTS)) == 1


def test_an_unknown_feed_is_refused_at_once(broker: Any) -> None:
    with pytest.raises(ValueError, match=r"doe\.employments\.v1"):
        Publisher(broker, "doe.employment.v1")


def test_a_broker_that_is_away_is_told_at_once(new_broker: Any) -> None:
    with pytest.raises(BrokerUnavailable), Publisher(new_broker(absences=1), EMPLOYMENTS, wait_seconds_max=0):
        raise AssertionError


def test_a_publisher_that_was_never_opened_or_could_not_be_can_be_closed(new_broker: Any) -> None:
    Publisher(new_broker(), EMPLOYMENTS).close()
    publisher = Publisher(new_broker(absences=1), EMPLOYMENTS, wait_seconds_max=0)
    with pytest.raises(BrokerUnavailable):
        publisher.open()
    publisher.close()
    publisher.close()


def test_a_publisher_that_is_not_used_leaves_no_event_loop_behind(broker: Any) -> None:
    # Closed ones are earlier tests': they go whenever the memory is swept.
    loops = open_loops()
    publisher = Publisher(broker, EMPLOYMENTS)
    publisher.publish(hire())
    assert open_loops() == loops


def open_loops() -> list[asyncio.AbstractEventLoop]:
    found = [thing for thing in gc.get_objects() if isinstance(thing, asyncio.AbstractEventLoop)]
    return [loop for loop in found if not loop.is_closed()]


def test_a_record_that_waits_is_not_dropped_in_silence_where_nobody_opened(broker: Any) -> None:
    publisher = Publisher(broker, EMPLOYMENTS)
    publisher.publish(hire())
    for send in (publisher.flush, publisher.close):
        with pytest.raises(RuntimeError, match="not open"):
            send()


def test_a_publisher_can_be_opened_again_but_not_twice_at_once(new_broker: Any) -> None:
    broker = new_broker(absences=1)
    publisher = Publisher(broker, EMPLOYMENTS, wait_seconds_max=0)
    with pytest.raises(BrokerUnavailable):
        publisher.open()
    for number in range(3):
        with publisher:
            publisher.publish(hire(record_id=f"E-{number}"))
            with pytest.raises(RuntimeError, match="already"):
                publisher.open()
    assert [row["record_id"] for row in broker.records(EMPLOYMENTS)] == ["E-0", "E-1", "E-2"]
