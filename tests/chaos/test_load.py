"""That a chaos run's load sends everything in the end, whatever its producers do meanwhile, and an honest heartbeat."""

import pytest
from memory_broker import MemoryBroker

from saphan_cli.chaos.load import Load, Province, province
from saphan_cli.chaos.poison import REASONS
from saphan_schemas.topics import EMPLOYMENTS, HEARTBEATS, RECORD_FEEDS

WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Province:
    return province(tmp_path_factory.mktemp("province") / "files", 3, 300)


def keyed(world: Province, feed: str) -> list[tuple[str, int]]:
    return sorted((row["record_id"], row["version"]) for topic, row in world.events if topic == feed)


def sent(broker: MemoryBroker, feed: str) -> list[tuple[str, int]]:
    return [(row["record_id"], row["version"]) for row in broker.records(feed)]


def loaded(world: Province, broker: MemoryBroker, *modes: str, seconds: float = 1.5) -> Load:
    """A load that was left alone until everything was sent."""
    load = Load(lambda _client_id: broker, world, seconds, 1)
    load.modes.update(modes)
    load.start()
    assert load.join(WAIT_SECONDS)
    return load


def test_the_whole_province_is_sent_once_and_in_order(world: Province) -> None:
    broker = MemoryBroker()
    counts = loaded(world, broker).counts
    for feed in RECORD_FEEDS:
        assert sorted(sent(broker, feed)) == keyed(world, feed)
    in_order = [(row["record_id"], row["version"]) for topic, row in world.events if topic == EMPLOYMENTS]
    assert sent(broker, EMPLOYMENTS) == in_order
    assert counts["records"] == sum(topic != HEARTBEATS for topic, _ in world.events)


def test_a_broker_that_is_away_is_waited_for(world: Province) -> None:
    broker = MemoryBroker(failures=3)
    assert loaded(world, broker).counts["waits"] == 3
    assert sorted(sent(broker, EMPLOYMENTS)) == keyed(world, EMPLOYMENTS)


def test_reordered_producers_send_everything_in_another_order(world: Province) -> None:
    broker = MemoryBroker()
    loaded(world, broker, "reordered")
    in_order = [(row["record_id"], row["version"]) for topic, row in world.events if topic == EMPLOYMENTS]
    assert sent(broker, EMPLOYMENTS) != in_order
    assert sorted(sent(broker, EMPLOYMENTS)) == keyed(world, EMPLOYMENTS)


def test_duplicated_messages_come_beside_the_whole(world: Province) -> None:
    broker = MemoryBroker()
    load = loaded(world, broker, "duplicated")
    total = sum(len(sent(broker, feed)) for feed in RECORD_FEEDS)
    assert total == load.counts["records"] + load.counts["duplicated"]
    assert load.counts["duplicated"] > 0
    assert {row for feed in RECORD_FEEDS for row in sent(broker, feed)} == {
        row for feed in RECORD_FEEDS for row in keyed(world, feed)
    }


def test_poison_of_every_kind_is_sent_and_remembered(world: Province) -> None:
    broker = MemoryBroker()
    # One poison a step: a loaded machine makes few steps a second.
    load = loaded(world, broker, "poison", seconds=6.0)
    assert {poison.reason for poison in load.poisons.values()} == set(REASONS)
    everything = {(row.key, row.value) for feed in RECORD_FEEDS for row in broker.topics.get(feed, [])}
    assert {poison.message[:2] for poison in load.poisons.values()} <= everything


def test_a_heartbeat_is_the_newest_of_its_feed_and_names_the_ends_behind_which_it_lies(world: Province) -> None:
    broker = MemoryBroker()
    loaded(world, broker, "reordered")
    newest = {
        feed: max(row["complete_until"] for topic, row in world.events if topic == HEARTBEATS and row["feed"] == feed)
        for feed in {row["feed"] for topic, row in world.events if topic == HEARTBEATS}
    }
    last = {row["feed"]: row for row in broker.records(HEARTBEATS)}
    assert {feed: row["complete_until"] for feed, row in last.items()} == newest
    for feed, row in last.items():
        assert sum(end["offset"] for end in row["end_offsets"]) == len(broker.topics.get(feed, []))
