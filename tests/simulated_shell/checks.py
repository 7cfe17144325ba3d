"""What must hold when a simulated world has come to rest: compared with an oracle, a plain fold, and plain counting."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
from in_process import KEY
from oracle.differences import differences, printed
from oracle.oracle_outcome import compute
from oracle.platform_side import as_told, committed, told
from simulated_shell.history import CODEC, MESSAGE_BYTES_MAX, NONSENSE
from simulated_shell.world import World

from saphan_consumers.delivery import fingerprint_of
from saphan_projections.canonical import StateHash, state_hash
from saphan_projections.database import Database
from saphan_projections.law import default_law
from saphan_schemas.topics import (
    DEAD_LETTERS,
    ENROLMENT_ALERTS,
    FEEDS,
    HEARTBEATS,
    TOPICS,
    WORKER_INTEGRATED,
    WORKER_RECORDS,
)
from saphan_schemas.values import from_wire
from saphan_streams.replay import Replay
from saphan_streams.transport import Chunk
from saphan_streams.worker_batches import messages_of


def problems_of(world: World) -> list[str]:
    """Everything that does not hold."""
    found = [*world.failures, *world.loop.complaints]
    found += [*world.link_store.violations, *world.state_store.violations]
    for check in (_against_the_oracle, _dead_letters, _heartbeats, _file, _webhook):
        found += check(world)
    return found


def _against_the_oracle(world: World) -> Iterator[str]:
    history: dict[str, list[dict[str, Any]]] = {}
    for said in world.said:
        if said.row is not None:
            history.setdefault(said.topic, []).append(said.row)
    oracle = compute(history)
    with world.state_store.database.reading() as transaction:
        says = committed(transaction)
    heard = told(_sent(world, WORKER_INTEGRATED), _sent(world, ENROLMENT_ALERTS))
    for place, some in (
        ("settled anew", differences(oracle, says.settled)),
        ("rows of alerts", differences(oracle._replace(workers={}), says.stored)),
        ("as told", differences(as_told(oracle), heard)),
    ):
        if some:
            yield f"{place} is not what the oracle says:\n{printed(some)}"


def _dead_letters(world: World) -> Iterator[str]:
    letters = {(row["topic"], row["partition"], row["offset"]): row["reason"] for row in _sent(world, DEAD_LETTERS)}
    if letters.keys() != world.positions_of_bad:
        lost = sorted(world.positions_of_bad - letters.keys())
        wrong = sorted((place, letters[place]) for place in letters.keys() - world.positions_of_bad)
        yield f"dead letters: missing {lost}, of good messages {wrong}"
    if not all(letters.values()):
        yield f"dead letters without a reason: {letters}"


def _heartbeats(world: World) -> Iterator[str]:
    """Whether a heartbeat passed before everything that it covers: link's sequence says what came first."""
    first: dict[tuple[str, int, int], int] = {}
    passed: list[tuple[int, dict[str, Any]]] = []
    said = {(record.partition, record.offset): record.value for record in world.broker.messages(HEARTBEATS)}
    for record in world.broker.messages(WORKER_RECORDS):
        for message in messages_of(CODEC, record.value) if record.value != NONSENSE else ():
            if message.kind == "heartbeat":
                value = said[message.source_partition, message.source_offset]
                passed.append((message.sequence, CODEC.decode(HEARTBEATS, value)))
            elif message.kind == "record":
                place = message.feed, message.source_partition, message.source_offset
                first[place] = min(message.sequence, first.get(place, message.sequence))
    for sequence, heartbeat in passed:
        ends = {end["partition"]: end["offset"] for end in heartbeat["end_offsets"]}
        for (feed, partition, offset), number in first.items():
            if feed == heartbeat["feed"] and offset < ends[partition] and number > sequence:
                yield f"a heartbeat passed ahead of {feed}[{partition}] {offset}, which it covers"


def expected_ids(world: World) -> dict[str, list[str]]:
    """Each alert's delivery ids in order, worked out from the topic in the plainest way."""
    newest: dict[str, tuple[int, str]] = {}
    seen: Counter[tuple[str, str]] = Counter()
    ids: dict[str, list[str]] = {}
    for record in world.broker.messages(ENROLMENT_ALERTS):
        row = CODEC.decode(ENROLMENT_ALERTS, record.value)
        name, state = row["alert_id"], fingerprint_of(row)
        version, last = newest.get(name, (0, ""))
        if row["version"] <= version:
            continue
        if not last and row["state"] in {"resolved", "withdrawn"}:
            newest[name] = row["version"], ""
            continue
        newest[name] = row["version"], state
        if state != last:
            seen[name, state] += 1
            again = seen[name, state]
            ids.setdefault(name, []).append(f"{name}-{state}" + (f"-{again}" if again > 1 else ""))
    return ids


def _file(world: World) -> Iterator[str]:
    path = world.disk.folder / "alerts.jsonl"
    found: dict[str, list[str]] = {}
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            yield f"the file has a line that is none: {line!r}"
            return
        found.setdefault(row["data"]["alert_id"], []).append(row["id"])
    if found != expected_ids(world):
        yield f"the file has {found}, expected {expected_ids(world)}"


def _webhook(world: World) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    last: dict[str, dict[str, Any]] = {}
    for identifier, body in world.receiver.bodies.items():
        data = orjson.loads(body)["data"]
        found.setdefault(data["alert_id"], []).append(identifier)
        last[data["alert_id"]] = data
    if found != expected_ids(world):
        yield f"the receiver has {found}, expected {expected_ids(world)}"
    for alert_id, state, reason, hold in world.state_store.look("SELECT alert_id, state, reason, hold FROM alert"):
        heard = last.get(alert_id)
        if heard is None:
            if state not in {"resolved", "withdrawn"}:
                yield f"alert {alert_id} is {state}, the receiver never heard of it"
        elif (heard["state"], heard["reason"], heard["hold"]) != (state, reason, hold):
            yield f"alert {alert_id} is {state} {reason} {hold}, the receiver believes {heard}"


def undisturbed(world: World, database: Database) -> StateHash:
    """The state that a plain fold of the world's log comes to, in an empty database."""
    replay = Replay(database, database, CODEC, default_law(), KEY, MESSAGE_BYTES_MAX)
    for topic in FEEDS:
        for number in range(TOPICS[topic].partitions):
            rows = [
                row
                for row in world.broker.log[topic, number]
                if (row.topic, row.partition, row.offset) not in world.breaking
            ]
            if rows:
                replay.apply((Chunk(topic, number, rows),))
    replay.finish()
    with database.reading() as transaction:
        return state_hash(transaction, default_law())


def state_of(world: World) -> StateHash:
    """The state that the world has come to."""
    with world.state_store.database.reading() as transaction:
        return state_hash(transaction, default_law())


def _sent(world: World, topic: str) -> list[dict[str, Any]]:
    kinds = CODEC.catalogue.kinds(topic)
    return [from_wire(kinds, CODEC.decode(topic, record.value)) for record in world.broker.messages(topic)]
