"""That a replay of the log ends where the live processors end, whatever the order in which it reads the partitions."""

import random
from pathlib import Path

import pytest
from in_process import (
    CONTRIBUTIONS,
    EMPLOYMENTS,
    INSURED_PERSONS,
    KEY,
    NON_THAI_IDS,
    WORK_PERMITS,
    InProcessPlatform,
    contribution,
    insured,
    job,
    permit,
    person_number,
    tell_small_story,
)

from saphan_projections.canonical import StateHash, state_hash
from saphan_projections.database import Database, create_tables
from saphan_projections.law import default_law
from saphan_schemas.codec import Codec
from saphan_schemas.topics import FEEDS, HEARTBEATS, MESSAGE_BYTES_MAX, TOPICS
from saphan_schemas.values import parse_time_ms
from saphan_streams.replay import Replay
from saphan_streams.transport import Chunk


def tell_a_longer_story(platform: InProcessPlatform) -> None:
    """The small story with corrections, a merge that is undone, and messages that are refused."""
    tell_small_story(platform)
    platform.run()
    bridge = {"record_id": "D-1", "non_thai_id": person_number(1), "nationality": "MMR", "birth_date": "1990-05-17"}
    platform.publish(NON_THAI_IDS, {**bridge, "passport_number": "MB700002"})
    platform.publish(EMPLOYMENTS, job(2, version=2, end_date="2026-02-10"), job(6), job(7))
    platform.publish_raw(EMPLOYMENTS, b"E-1", b"nonsense")
    platform.publish_raw(INSURED_PERSONS, None, None)
    platform.run(chunk_records_max=3)
    platform.publish(NON_THAI_IDS, {**bridge, "version": 2})
    platform.publish(INSURED_PERSONS, insured(6), {"record_id": "I-1", "version": 2, "deleted": True})
    platform.publish(CONTRIBUTIONS, contribution(6), contribution(6, version=3, amount_satang=1))
    platform.publish(WORK_PERMITS, permit(6, passport_number="MB700007"))
    platform.heartbeat(INSURED_PERSONS, "2026-04-01T00:00:00Z")
    platform.run(chunk_records_max=2)


def replayed(platform: InProcessPlatform, folder: Path, shape: random.Random) -> StateHash:
    """The state of a replay that reads the feeds' partitions in any interleaving."""
    database = Database(f"sqlite:///{folder / f'{shape.random()}.db'}")
    create_tables(database)
    replay = Replay(database, database, Codec(), default_law(), KEY, MESSAGE_BYTES_MAX)
    waiting = [
        (topic, partition, list(rows))
        for topic in FEEDS
        for partition, rows in platform.log.get(topic, {}).items()
        if rows
    ]
    while waiting:
        some = shape.sample(waiting, shape.randint(1, min(3, len(waiting))))
        size = shape.choice([1, 2, 100])
        replay.apply(tuple(Chunk(topic, partition, rows[:size]) for topic, partition, rows in some))
        for _, _, rows in some:
            del rows[:size]
        waiting = [row for row in waiting if row[2]]
    replay.finish()
    assert replay.refused == sum(len(rows) for rows in platform.log.get("dead-letters.v1", {}).values())
    with database.reading() as transaction:
        found = state_hash(transaction, default_law())
    database.close()
    return found


@pytest.mark.parametrize("seed", range(6))
def test_a_replay_equals_the_live_state(in_process_platform: InProcessPlatform, tmp_path: Path, seed: int) -> None:
    tell_a_longer_story(in_process_platform)
    assert replayed(in_process_platform, tmp_path, random.Random(seed)) == in_process_platform.state()


def test_a_heartbeat_that_promises_more_than_the_log_holds_passes_neither_live_nor_in_a_replay(
    in_process_platform: InProcessPlatform, tmp_path: Path
) -> None:
    """A replay let it pass and made alerts overdue that live were not."""
    platform = in_process_platform
    platform.publish(EMPLOYMENTS, job(1))
    platform.heartbeat(INSURED_PERSONS, "2026-01-20T00:00:00Z")
    until = parse_time_ms("2026-03-01T00:00:00Z")
    ends = [{"partition": number, "offset": 1_000} for number in range(TOPICS[INSURED_PERSONS].partitions)]
    value = {"feed": INSURED_PERSONS, "complete_until": until, "end_offsets": ends, "sent_at": until}
    platform.publish_raw(HEARTBEATS, INSURED_PERSONS.encode(), platform.codec.encode(HEARTBEATS, value))
    platform.run()
    assert replayed(platform, tmp_path, random.Random(0)) == platform.state()
    with platform.state_database.reading() as transaction:
        assert transaction.rows("SELECT state FROM alert") == [("due",)]
