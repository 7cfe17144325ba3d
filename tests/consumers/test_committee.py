import threading
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from saphan_consumers.chunks import Chunk, LogMessage
from saphan_consumers.committee import (
    AlertSeen,
    DeadLetterSeen,
    Kept,
    Numbers,
    Seen,
    Standing,
    WorkerSeen,
    changes_for,
)
from saphan_consumers.ledger import Place
from saphan_consumers.measuring import CommitteeNumbers, open_ledger
from saphan_infra import metrics
from saphan_projections.alerts import STATES
from saphan_projections.coverage import Coverage
from saphan_schemas.codec import Codec
from saphan_schemas.topics import DEAD_LETTERS, ENROLMENT_ALERTS, WORKER_INTEGRATED

workers = st.builds(
    lambda number, sequence, known, employed, eligible, enrolled: WorkerSeen(
        number,
        {
            "sequence": sequence,
            "records": [1] if known else [],
            "employed": employed,
            "eligible": eligible,
            "enrolled": enrolled,
        },
    ),
    st.integers(1, 4),
    st.integers(1, 9),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
alerts = st.builds(
    lambda name, version, state: AlertSeen(
        {"alert_id": name, "version": version, "state": state, "caused_at": 1000}, 1250
    ),
    st.sampled_from("abc"),
    st.integers(1, 9),
    st.sampled_from(STATES),
)
letters = st.builds(
    lambda offset, reason: DeadLetterSeen(
        {"stage": "link", "reason": reason, "topic": "t", "partition": 0, "offset": offset}
    ),
    st.integers(0, 5),
    st.sampled_from(["corrupt", "no_value"]),
)
logs = st.lists(workers | alerts | letters, max_size=40)


class Memory:
    """The smallest ledger."""

    def __init__(self) -> None:
        self.workers: dict[int, tuple[int, Standing]] = {}
        self.alerts: dict[str, tuple[int, str]] = {}
        self.letters: dict[str, tuple[str, str]] = {}
        self.numbers = Numbers()
        self.latencies: list[float] = []

    def take(self, seen: list[Seen]) -> None:
        changes = changes_for(seen, Kept(self.workers, self.alerts, frozenset(self.letters)))
        for number, row in changes.worker_rows.items():
            if row is None:
                self.workers.pop(number, None)
            else:
                self.workers[number] = row
        self.alerts.update(changes.alert_rows)
        self.letters.update(changes.dead_letter_rows)
        self.numbers.apply(changes)
        self.latencies += changes.latencies_seconds


@given(logs, st.lists(st.integers(0, 40)))
def test_the_counts_are_those_of_the_newest_rows_however_the_log_is_cut_and_repeated(
    log: list[Seen], cuts: list[int]
) -> None:
    memory = Memory()
    edges = sorted({0, len(log), *(cut % (len(log) + 1) for cut in cuts)})
    for edge in edges:
        memory.take(log[:edge])  # from the start each time: everything but the end is a repeat
    coverage = memory.numbers.coverage()
    standings = [standing for _, standing in memory.workers.values()]
    assert coverage == Coverage(
        sum(one.known for one in standings),
        sum(one.employed for one in standings),
        sum(one.enrolled for one in standings),
        sum(one.eligible for one in standings),
        sum(one.eligible and one.enrolled for one in standings),
    )
    assert +memory.numbers.alerts == Counter(state for _, state in memory.alerts.values())
    assert +memory.numbers.dead_letters == Counter(memory.letters.values())


@given(logs)
def test_an_alert_state_is_timed_once_however_often_the_log_has_it(log: list[Seen]) -> None:
    once, again = Memory(), Memory()
    once.take(log)
    again.take(log)
    again.take(log)
    assert once.latencies == again.latencies
    assert set(once.latencies) <= {0.25}


def test_a_worker_that_was_merged_away_or_deleted_is_not_known() -> None:
    row = {"sequence": 1, "records": [1], "employed": True, "eligible": True, "enrolled": True}
    memory = Memory()
    memory.take([WorkerSeen(1, row), WorkerSeen(2, row)])
    memory.take([WorkerSeen(1, {**row, "sequence": 2, "records": []}), WorkerSeen(2, None)])
    assert memory.numbers.coverage() == Coverage(0, 0, 0, 0, 0)


def test_an_older_state_that_comes_late_does_not_count() -> None:
    def row(sequence: int, enrolled: bool) -> WorkerSeen:
        flags = {"employed": True, "eligible": True, "enrolled": enrolled}
        return WorkerSeen(1, {"sequence": sequence, "records": [1], **flags})

    memory = Memory()
    memory.take([row(5, True), row(4, False)])
    memory.take([row(3, False), AlertSeen({"alert_id": "a", "version": 2, "state": "overdue", "caused_at": 0}, 0)])
    memory.take([AlertSeen({"alert_id": "a", "version": 1, "state": "due", "caused_at": 0}, 0)])
    assert memory.numbers.coverage() == Coverage(1, 1, 1, 1, 1)
    assert +memory.numbers.alerts == Counter(overdue=1)


def chunk_of(*rows: tuple[str, dict[str, Any] | bytes | None]) -> Chunk:
    codec = Codec()
    messages = []
    for offset, (topic, record) in enumerate(rows):
        value = codec.encode(topic, record) if isinstance(record, dict) else record
        messages.append(LogMessage(Place(topic, 0), offset, b"7", value, 1_700_000_000_250))
    return Chunk(messages, {message.place: message.offset + 1 for message in messages})


def worker(
    number: int, sequence: int = 1, *, employed: bool = True, eligible: bool = True, enrolled: bool = False
) -> dict[str, Any]:
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


def letter(offset: int) -> dict[str, Any]:
    return {
        "stage": "link",
        "reason": "corrupt",
        "detail": "d",
        "topic": "doe.employments.v1",
        "partition": 0,
        "offset": offset,
        "refused_at": 0,
        "key": None,
        "value": b"x",
    }


def sample(name: str, labels: dict[str, str]) -> float | None:
    return metrics.REGISTRY.get_sample_value(name, labels)


def test_the_numbers_survive_a_restart_and_a_replay_and_are_shown(tmp_path: Path, make_alert: Any) -> None:
    chunk = chunk_of(
        (WORKER_INTEGRATED, worker(1, enrolled=True)),
        (WORKER_INTEGRATED, worker(2)),
        (WORKER_INTEGRATED, worker(4, eligible=False, enrolled=True)),
        (WORKER_INTEGRATED, worker(3, employed=False, eligible=False)),
        (WORKER_INTEGRATED, b"\x00broken!"),
        (ENROLMENT_ALERTS, make_alert("A-a")),
        (ENROLMENT_ALERTS, make_alert("A-b", 2, "overdue")),
        (DEAD_LETTERS, letter(4)),
        (DEAD_LETTERS, letter(4)),
        (WORKER_INTEGRATED, worker(7)),
        (WORKER_INTEGRATED, None),
    )
    for _life in range(3):
        with open_ledger(tmp_path) as ledger:
            committee = CommitteeNumbers(ledger)
            committee.begin()
            committee.take(chunk, {WORKER_INTEGRATED: "id-1"})
            assert committee.numbers.coverage() == Coverage(4, 3, 2, 2, 1)
            assert ledger.quarantined() == 1
    groups = {"known": 4, "employed": 3, "eligible": 2, "enrolled": 2, "eligible_enrolled": 1}
    assert {group: sample("saphan_workers", {"group": group}) for group in groups} == groups
    assert sample("saphan_coverage_ratio", {"denominator": "registered"}) == 0.5
    assert sample("saphan_coverage_ratio", {"denominator": "eligible"}) == 0.5
    assert sample("saphan_coverage_ratio", {"denominator": "employed"}) is None
    assert sample("saphan_alerts", {"state": "overdue"}) == 1
    assert sample("saphan_dead_letters", {"stage": "link", "reason": "corrupt"}) == 1
    with open_ledger(tmp_path) as ledger:
        committee = CommitteeNumbers(ledger)
        start = committee.begin()
        assert start.topic_ids == {WORKER_INTEGRATED: "id-1"}
        assert start.positions[Place(WORKER_INTEGRATED, 0)] == 11
        committee.start_over()
        assert committee.begin().positions == {}
        assert committee.numbers.coverage() == Coverage(0, 0, 0, 0, 0)


def test_the_ledger_works_from_the_thread_that_has_it(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        thread = threading.Thread(target=lambda: CommitteeNumbers(ledger).begin())
        thread.start()
        thread.join()
        assert CommitteeNumbers(ledger).begin().positions == {}


def test_a_ledger_from_before_eligibility_has_no_eligible_worker_until_the_next_message(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        with ledger.transaction():
            ledger.db.execute("INSERT INTO workers VALUES (1, 1, 7)")  # known, employed, enrolled
        committee = CommitteeNumbers(ledger)
        committee.begin()
        assert committee.numbers.coverage() == Coverage(1, 1, 1, 0, 0)
        committee.take(chunk_of((WORKER_INTEGRATED, worker(1, 2, enrolled=True))), {})
        assert committee.numbers.coverage() == Coverage(1, 1, 1, 1, 1)
        assert _recounted(committee) == Coverage(1, 1, 1, 1, 1)


def _recounted(committee: CommitteeNumbers) -> Coverage:
    committee.begin()
    return committee.numbers.coverage()
