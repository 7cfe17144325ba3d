import json
import random
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from saphan_consumers.delivering import DeliveryPlan, deliver
from saphan_consumers.delivery import fingerprint_of
from saphan_consumers.measuring import measure
from saphan_consumers.measuring import open_ledger as open_metrics_ledger
from saphan_consumers.reading import LogReplaced, Source
from saphan_consumers.receiver import Inbox, Receiver
from saphan_consumers.signing import signing_keys
from saphan_infra import kafka_admin, kafka_client
from saphan_infra.clock import monotonic_seconds, wait_seconds
from saphan_infra.local_kafka import LocalKafka
from saphan_schemas.codec import Codec
from saphan_schemas.topics import DEAD_LETTERS, ENROLMENT_ALERTS, TOPICS, WORKER_INTEGRATED

PROGRAM = Path(__file__).with_name("consumer_process.py")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the standard's published test secret
STATES = ("due", "overdue", "resolved", "reopened")
DEADLINE_SECONDS = 90.0
Alert = dict[str, Any]


class FlakyInbox(Inbox):
    """Cannot be written each seventh time, and says so with 503. Counts every post."""

    posts = 0
    in_order: list[str]

    def keep(self, message_id: str, body: bytes) -> bool:
        self.posts += 1
        if self.posts % 7 == 0:
            raise OSError
        return super().keep(message_id, body)


@contextmanager
def receiving(file: Path) -> Iterator[tuple[FlakyInbox, str]]:
    inbox = FlakyInbox(file)
    receiver = Receiver(inbox, signing_keys(SECRET))
    thread = threading.Thread(target=receiver.serve, daemon=True)
    thread.start()
    try:
        yield inbox, receiver.url
    finally:
        receiver.stop()
        thread.join()
        inbox.close()


@contextmanager
def running(log: Path, **given: Any) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as stderr:
        process = subprocess.Popen([sys.executable, str(PROGRAM), json.dumps(given, default=str)], stderr=stderr)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def poll(done: Callable[[], bool], what: str) -> None:
    end = monotonic_seconds() + DEADLINE_SECONDS
    while not done():
        assert monotonic_seconds() < end, f"{what}: not before the deadline"
        wait_seconds(0.05)


def publish(bootstrap: str, topic: str, rows: Iterable[tuple[bytes, dict[str, Any] | bytes]]) -> None:
    codec = Codec()
    producer = kafka_client.producer(bootstrap)
    for key, row in rows:
        producer.send(topic, key=key, value=codec.encode(topic, row) if isinstance(row, dict) else row)
    producer.flush(timeout=30)
    producer.close()


def history(seed: int, make_alert: Callable[..., Alert], alerts: int) -> list[Alert]:
    """States of many alerts as a log may have them: interleaved, repeated, some late, some found again."""
    chance = random.Random(seed)
    rows: list[Alert] = []
    versions: Counter[str] = Counter()
    for _ in range(alerts * 6):
        name = f"A-{chance.randrange(alerts)}"
        versions[name] += chance.choice([1, 1, 2])
        row = make_alert(name, versions[name], chance.choice(STATES))
        rows.append(row)
        if chance.random() < 0.2:
            rows.append(row if chance.random() < 0.5 else {**row, "version": max(1, row["version"] - 1)})
    return rows


def expected_ids(rows: Iterable[Alert]) -> dict[str, list[str]]:
    """Each alert's delivery ids in order, worked out in the plainest way."""
    newest: dict[str, tuple[int, str]] = {}
    ids: dict[str, list[str]] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for row in rows:
        name, state = row["alert_id"], fingerprint_of(row)
        version, last = newest.get(name, (0, ""))
        if row["version"] <= version:
            continue
        if not last and row["state"] in {"resolved", "withdrawn"}:
            newest[name] = row["version"], ""
            continue
        newest[name] = row["version"], state
        if state == last:
            continue
        seen[name, state] += 1
        again = seen[name, state]
        ids.setdefault(name, []).append(f"{name}-{state}" + (f"-{again}" if again > 1 else ""))
    return ids


def ids_by_alert(file: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in file.read_bytes().splitlines():
        row = orjson.loads(line)
        found.setdefault(row["data"]["alert_id"], []).append(row["id"])
    return found


def lines_in(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


@pytest.mark.broker
def test_killed_ten_times_in_mid_load_receiver_and_file_end_with_each_state_once_and_a_replay_adds_nothing(
    kafka_bootstrap: str,
    clean_topics: Callable[[Iterable[str]], None],
    tmp_path: Path,
    make_alert: Callable[..., Alert],
) -> None:
    clean_topics([ENROLMENT_ALERTS])
    rows = history(3, make_alert, 300)
    half = len(rows) // 2
    expected = expected_ids(rows)
    total = sum(map(len, expected.values()))
    chance = random.Random(11)
    publish(kafka_bootstrap, ENROLMENT_ALERTS, ((row["alert_id"].encode(), row) for row in rows[:half]))
    file, log = tmp_path / "alerts.jsonl", tmp_path / "log"
    with receiving(tmp_path / "inbox.jsonl") as (inbox, url):
        given = {"role": "delivery", "bootstrap": kafka_bootstrap, "data_dir": tmp_path, "url": url, "secret": SECRET}
        for life in range(10):
            if life == 5:
                publish(kafka_bootstrap, ENROLMENT_ALERTS, ((row["alert_id"].encode(), row) for row in rows[half:]))
            posts, lines = inbox.posts, lines_in(file)
            with running(log, **given) as process:
                # Die somewhere after the first effect of this life (or after a while, when all is done).
                moved = monotonic_seconds() + 4
                while inbox.posts == posts and lines_in(file) == lines and monotonic_seconds() < moved:
                    wait_seconds(0.005)
                wait_seconds(chance.uniform(0, 0.4))
                assert process.poll() is None, log.read_text()
                process.kill()
        with running(log, **given) as process:
            poll(lambda: len(inbox) >= total and lines_in(file) >= total, "all states")
            process.terminate()
            assert process.wait(30) == 0
        for sink in ("file", "webhook"):
            forget_positions(tmp_path / f"delivery-{sink}.db")
        posts = inbox.posts
        with running(log, **given) as process:
            for sink in ("file", "webhook"):
                poll(lambda sink=sink: positions(tmp_path / f"delivery-{sink}.db") >= len(rows), "replay")  # type: ignore[misc]
            process.terminate()
            assert process.wait(30) == 0
        assert inbox.posts == posts
    assert ids_by_alert(file) == expected
    assert ids_by_alert(tmp_path / "inbox.jsonl") == expected


def forget_positions(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE positions SET next_offset = 0")


def positions(path: Path) -> int:
    """How many messages a ledger has passed; 0 before it is there."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path, timeout=30)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'positions'").fetchone():
            return 0
        return int(db.execute("SELECT sum(next_offset) FROM positions").fetchone()[0] or 0)


def worker(number: int, sequence: int, *, employed: bool, eligible: bool, enrolled: bool) -> dict[str, Any]:
    reference = {
        "feed": "doe.employments.v1",
        "record_id": "E1",
        "version": 1,
        "partition": 0,
        "offset": 7,
        "role": "m",
    }
    return {
        "worker_no": number,
        "worker_id": f"W-{number}",
        "sequence": sequence,
        "nationality": None,
        "sex": None,
        "birth_year": None,
        "employers": [],
        "employed": employed,
        "eligible": eligible,
        "enrolled": enrolled,
        "permit_valid_until": None,
        "health_cover_until": None,
        "records": [reference],
    }


@pytest.mark.broker
def test_the_committees_numbers_are_right_after_any_number_of_kills(
    kafka_bootstrap: str,
    clean_topics: Callable[[Iterable[str]], None],
    tmp_path: Path,
    make_alert: Callable[..., Alert],
) -> None:
    clean_topics([WORKER_INTEGRATED, ENROLMENT_ALERTS, DEAD_LETTERS])
    chance = random.Random(5)
    workers = {}
    rows = []
    for sequence in range(6000):
        number = chance.randrange(1500)
        employed = chance.random() < 0.6
        eligible = employed and chance.random() < 0.8
        row = worker(number, sequence, employed=employed, eligible=eligible, enrolled=chance.random() < 0.3)
        workers[number] = row
        rows.append((str(number).encode(), row))
    alerts = history(5, make_alert, 200)
    newest: dict[str, Alert] = {}
    for row in alerts:
        if row["version"] > newest.get(row["alert_id"], {"version": 0})["version"]:
            newest[row["alert_id"]] = row
    publish(kafka_bootstrap, ENROLMENT_ALERTS, ((row["alert_id"].encode(), row) for row in alerts))
    given = {"role": "metrics", "bootstrap": kafka_bootstrap, "data_dir": tmp_path}
    ledger = tmp_path / "metrics.db"
    for life in range(5):
        # Each life finds more to read, so that the kill falls into the load however fast the machine is.
        publish(kafka_bootstrap, WORKER_INTEGRATED, rows[life * 1000 : (life + 1) * 1000])
        before = positions(ledger)
        with running(tmp_path / "log", **given) as process:
            poll(lambda before=before: positions(ledger) > before, "progress")  # type: ignore[misc]
            wait_seconds(chance.uniform(0, 0.05))
            assert process.poll() is None, (tmp_path / "log").read_text()
        assert before < positions(ledger) < len(rows) + 1 + len(alerts)
    publish(kafka_bootstrap, WORKER_INTEGRATED, [*rows[5000:], (b"x", b"\x00broken")])
    with running(tmp_path / "last-log", **given) as process:
        poll(lambda: "Reading from" in (tmp_path / "last-log").read_text(), "begun")
        poll(lambda: positions(ledger) >= len(rows) + 1 + len(alerts), "all read")
        process.terminate()
        assert process.wait(30) == 0
    with open_metrics_ledger(tmp_path) as opened:
        known = dict(opened.db.execute("SELECT worker_no, standing FROM workers"))
        states = dict(opened.db.execute("SELECT alert_id, state FROM alerts"))
        assert opened.quarantined() == 1
    assert known == {
        no: 1 | row["employed"] << 1 | row["enrolled"] << 2 | row["eligible"] << 3 for no, row in workers.items()
    }
    assert states == {name: row["state"] for name, row in newest.items()}


@pytest.mark.broker
def test_kafka_away_at_the_start_and_in_mid_run_is_told_and_waited_for_and_nothing_is_lost(
    tmp_path: Path, java_cache: Path, make_alert: Callable[..., Alert]
) -> None:
    broker = LocalKafka(tmp_path / "kafka", java_cache)
    log, file = tmp_path / "log", tmp_path / "alerts.jsonl"
    bootstrap = broker.start()
    try:
        kafka_admin.ensure_topics(bootstrap, [TOPICS[ENROLMENT_ALERTS]])
        publish(bootstrap, ENROLMENT_ALERTS, [(b"A-a", make_alert("A-a"))])
        broker.stop()
        with running(log, role="delivery", bootstrap=bootstrap, data_dir=tmp_path) as process:
            poll(lambda: log.read_text().count("Waiting for Kafka") >= 2, "told at the start")
            assert broker.start() == bootstrap
            poll(lambda: lines_in(file) == 1, "first state")
            broker.stop()
            seen = log.read_text().count("Waiting for Kafka")
            poll(lambda: log.read_text().count("Waiting for Kafka") > seen, "told in mid-run")
            assert broker.start() == bootstrap
            publish(bootstrap, ENROLMENT_ALERTS, [(b"A-b", make_alert("A-b"))])
            poll(lambda: lines_in(file) == 2, "second state")
            process.terminate()
            assert process.wait(30) == 0
    finally:
        broker.stop()
    assert sorted(ids_by_alert(file)) == ["A-a", "A-b"]
    assert bootstrap in log.read_text()


@pytest.mark.broker
def test_a_topic_that_was_made_anew_stops_delivery_with_advice_and_lets_the_numbers_begin_anew(
    kafka_bootstrap: str,
    clean_topics: Callable[[Iterable[str]], None],
    tmp_path: Path,
    make_alert: Callable[..., Alert],
) -> None:
    clean_topics([WORKER_INTEGRATED, ENROLMENT_ALERTS, DEAD_LETTERS])
    publish(kafka_bootstrap, ENROLMENT_ALERTS, [(b"A-a", make_alert("A-a", 7))])
    plan = DeliveryPlan(
        lambda group: Source(lambda: kafka_bootstrap, f"renewed-{group}", (ENROLMENT_ALERTS,)),
        tmp_path,
        tmp_path / "alerts.jsonl",
        None,
    )
    with working(lambda stop: deliver(plan, stop)):
        poll(lambda: lines_in(tmp_path / "alerts.jsonl") == 1, "first state")
    offsets = kafka_admin.group_offsets(kafka_bootstrap, "renewed-saphan-delivery-file")
    assert sum(offsets.values()) == 1, "the broker has our positions as a hint"
    numbers = Source(lambda: kafka_bootstrap, "renewed-metrics", (WORKER_INTEGRATED, ENROLMENT_ALERTS, DEAD_LETTERS))
    with working(lambda stop: measure(numbers, tmp_path, stop)):
        poll(lambda: positions(tmp_path / "metrics.db") == 1, "first count")
    clean_topics([ENROLMENT_ALERTS])
    publish(kafka_bootstrap, ENROLMENT_ALERTS, [(b"A-b", make_alert("A-b")), (b"A-c", make_alert("A-c"))])
    with pytest.raises(LogReplaced, match="made anew"):
        deliver(plan, threading.Event())
    with working(lambda stop: measure(numbers, tmp_path, stop)):
        poll(lambda: positions(tmp_path / "metrics.db") == 2, "counted anew")
    with open_metrics_ledger(tmp_path) as ledger:
        assert sorted(row[0] for row in ledger.db.execute("SELECT alert_id FROM alerts")) == ["A-b", "A-c"]


@contextmanager
def working(work: Callable[[threading.Event], None]) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
