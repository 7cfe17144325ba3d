"""How a history reaches the platform: shuffled, repeated, in random chunks of random partitions, with crashes.

What the applications send may come again much later, as from a process that slept with its messages in hand.
"""

import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from in_process import InProcessPlatform, messages_in, on_sqlite
from oracle.histories import HEARTBEATS, Event
from oracle.oracle_outcome import Outcome
from oracle.platform_side import PlatformSays, committed, told

from saphan_projections.offsets import OutgoingMessage
from saphan_schemas.topics import ENROLMENT_ALERTS, TOPICS, WORKER_INTEGRATED
from saphan_streams.shell import Processor
from saphan_streams.transport import Chunk

CHUNKS = (1, 2, 5, 20, 100, 4000)


def migrated(folder: Path) -> Path:
    """A folder with empty databases to copy, which is quicker than making their tables for each history."""
    on_sqlite(folder).close()
    return folder


def platform_in(folder: Path, template: Path) -> InProcessPlatform:
    """A platform with databases of its own."""
    for name in ("link.db", "state.db"):
        shutil.copy(template / name, folder / name)
    return on_sqlite(folder)


def arrive(platform: InProcessPlatform, records: list[Event], heartbeats: list[Event], draw: random.Random) -> None:
    """Publish and process everything in an order that ``draw`` decides."""
    events = [event for event in records for _ in range(draw.choice((1, 1, 1, 2)))]
    events += heartbeats
    draw.shuffle(events)
    late: list[Sequence[OutgoingMessage]] = []
    while events:
        count = draw.choice((1, 10, 100, 1000))
        part, events = events[:count], events[count:]
        for feed, row in part:
            if feed == HEARTBEATS:
                platform.heartbeat(row["feed"], row["complete_until"])
            else:
                platform.publish(feed, row)
        for _ in range(draw.randint(0, 10)):
            _step(platform, draw, late)
        if draw.random() < 0.2:
            platform.restart()
    while _step(platform, draw, late):
        pass


def _step(platform: InProcessPlatform, draw: random.Random, late: list[Sequence[OutgoingMessage]]) -> bool:
    """One random fetch of some partitions that have something waiting; False when nothing waits nor comes late."""
    places = list(_waiting(platform))
    if late and (not places or draw.random() < 0.1):
        platform._append(late.pop(draw.randrange(len(late))))
        return True
    if not places:
        return False
    app, processor, *_ = draw.choice(places)
    own = [(topic, partition) for name, _, topic, partition in places if name == app]
    fetch = []
    for topic, partition in draw.sample(own, min(len(own), draw.choice((1, 1, 2, 30)))):
        start = platform._read.get((app, topic, partition), 0)
        records = platform.log[topic][partition][start : start + draw.choice(CHUNKS)]
        fetch.append(Chunk(topic, partition, records))
        platform._read[app, topic, partition] = start + len(records)
    done = processor.commit(tuple(fetch), set(), None)
    assert done is not None
    messages = messages_in(done)
    platform._append(messages)
    if messages and draw.random() < 0.1:
        late.append(messages)
    processor.tidy({number for number, _ in done})
    return True


def _waiting(platform: InProcessPlatform) -> Iterator[tuple[str, Processor, str, int]]:
    for app, processor, topics in platform._apps():
        for topic in topics:
            for partition in range(TOPICS[topic].partitions):
                waiting = platform.log.get(topic, {}).get(partition, ())
                if platform._read.get((app, topic, partition), 0) < len(waiting):
                    yield app, processor, topic, partition


def said_by(platform: InProcessPlatform, as_of_ms: int | None = None) -> tuple[PlatformSays, Outcome]:
    """What the platform's tables hold, and what its receivers were told."""
    with platform.state_database.reading() as transaction:
        says = committed(transaction, as_of_ms)
    return says, told(platform.sent(WORKER_INTEGRATED), platform.sent(ENROLMENT_ALERTS))
