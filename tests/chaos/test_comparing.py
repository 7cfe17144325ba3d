"""That each comparison at the end of a chaos run sees what it is there for: a loss, a repeat, a change."""

import json
from pathlib import Path
from typing import Any

from saphan_cli.chaos import comparing
from saphan_cli.chaos.poison import Poison, poisoned
from saphan_cli.dead_letters import DeadLetter
from saphan_infra.producer import Message

FEED = "doe.employments.v1"
GOOD = Message(b"E-1", b"\x00\x00\x00\x00\x01a good record")


def told(alert_id: str, version: int, state: str = "due", employer_id: str = "EMP-A") -> dict[str, Any]:
    data = {
        "alert_id": alert_id, "version": version, "state": state, "reason": "in_time", "hold": None,
        "due_on": "2026-02-01", "state_since": "2026-01-02", "employer_id": employer_id,
    }  # fmt: skip
    return {"id": f"{alert_id}-{version}", "data": data}


STORED = {"A": "due in_time - 2026-02-01 2026-01-02 EMP-A", "B": "resolved enrolled - 2026-02-01 2026-01-05 EMP-A"}


def test_a_receiver_that_has_the_newest_state_of_each_alert_differs_in_nothing() -> None:
    lines = [told("A", 2), told("A", 1, "overdue")]
    assert comparing.with_receiver("webhook", STORED, lines) == comparing.Comparison("webhook", 0)


def test_a_state_that_never_arrived_is_a_difference() -> None:
    assert comparing.with_receiver("webhook", STORED, []).shown == (f"alert A: arrived None, stored {STORED['A']}",)


def test_an_older_state_that_arrived_is_a_difference() -> None:
    assert comparing.with_receiver("webhook", STORED, [told("A", 1, "overdue")]).differences == 1


def test_an_older_employer_that_arrived_is_a_difference() -> None:
    assert comparing.with_receiver("webhook", STORED, [told("A", 2, employer_id="EMP-B")]).differences == 1


def test_an_alert_that_nobody_stores_and_an_id_that_came_twice_are_differences() -> None:
    found = comparing.with_receiver("file", STORED, [told("A", 2), told("A", 2), told("C", 1)])
    assert found.shown == ("alert C: arrived, but is not stored", "id A-2: arrived 2 times")


def letter(poison: Poison, **more: Any) -> DeadLetter:
    fields = {
        "letter_id": "x", "stage": "link", "reason": poison.reason, "detail": "", "topic": poison.feed, "partition": 0,
        "offset": 4, "refused_at": 0, "key": poison.message.key, "value": poison.message.value, "key_bytes": 1,
        "value_bytes": 1,
    }  # fmt: skip
    return DeadLetter(**{**fields, **more})


POISON = poisoned(1, "corrupt", FEED, GOOD)
POISONS = {POISON.mark: POISON}
MARKS = {(FEED, 0, 4): POISON.mark}


def test_a_letter_for_each_poison_differs_in_nothing_also_when_a_producer_sent_it_twice() -> None:
    twice = [letter(POISON), letter(POISON, offset=5)]
    found = comparing.with_poison(POISONS, twice, {**MARKS, (FEED, 0, 5): POISON.mark})
    assert found.differences == 0


def test_a_poison_without_a_letter_is_a_difference() -> None:
    assert comparing.with_poison(POISONS, [], MARKS).differences == 1


def test_a_letter_of_a_good_message_is_a_difference() -> None:
    found = comparing.with_poison(POISONS, [letter(POISON), letter(POISON, key=b"E-1", offset=9)], MARKS)
    assert found.shown == (f"{FEED}[0] offset 9: a letter (corrupt) of a message that was no poison",)


def test_a_letter_with_another_reason_or_origin_is_a_difference() -> None:
    assert comparing.with_poison(POISONS, [letter(POISON, reason="no_key")], MARKS).differences == 1
    assert comparing.with_poison(POISONS, [letter(POISON, offset=7)], MARKS).differences == 1


def alert(employment: str, state: str = "overdue") -> dict[str, Any]:
    return {
        "alert_id": f"A-{employment}", "employment_record_id": employment, "kind": "not_enrolled", "state": state,
        "reason": "no_record", "hold": None, "hold_as_of": None, "due_on": "2026-02-01", "state_since": "2026-02-02",
    }  # fmt: skip


def test_a_settled_alert_too_many_too_few_or_in_another_state_is_a_difference() -> None:
    expected = [alert("1"), alert("2"), alert("3")]
    settled = [alert("1"), alert("3", "resolved"), alert("4")]
    found = comparing.with_simulation(expected, settled)
    assert [line.split(":")[0] for line in found.shown] == ["employment 2", "employment 3", "employment 4"]
    assert comparing.with_simulation(expected, expected).differences == 0


def test_an_oracle_that_does_not_run_is_no_proof(tmp_path: Path) -> None:
    found = comparing.with_oracle(tmp_path / "nothing", "sqlite:///nothing.db")
    assert found.differences == 1
    assert "the oracle itself failed" in found.shown[0]


def test_lines_of_a_file_that_is_missing_are_none(tmp_path: Path) -> None:
    assert comparing.lines_of(tmp_path / "none.jsonl") == []
    (tmp_path / "one.jsonl").write_text(json.dumps({"id": "1"}) + "\n", encoding="utf-8")
    assert comparing.lines_of(tmp_path / "one.jsonl") == [{"id": "1"}]
