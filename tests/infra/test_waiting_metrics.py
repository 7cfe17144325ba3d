"""That a wait is shown from its first question on, and is over with the last answer."""

import pytest

from saphan_infra import waiting_metrics
from saphan_infra.metrics import REGISTRY
from saphan_infra.waiting_metrics import Wait


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, to be set."""
    found = [100.0]
    monkeypatch.setattr(waiting_metrics, "monotonic_seconds", lambda: found[0])
    return found


def test_a_wait_is_as_long_as_its_oldest_question_and_ends_with_it(now: list[float]) -> None:
    wait = Wait("one", "database")
    assert wait.seconds() == 0
    with wait.under_way():
        now[0] = 130
        with wait.under_way():
            now[0] = 140
            assert wait.seconds() == 40
        assert wait.seconds() == 40
    assert wait.seconds() == 0


def test_a_question_that_fails_is_no_wait_any_more(now: list[float]) -> None:
    wait = Wait("two", "broker")
    with pytest.raises(ZeroDivisionError), wait.under_way():
        raise ZeroDivisionError
    now[0] = 130
    assert wait.seconds() == 0


def test_a_question_asked_now_and_then_is_a_wait_from_the_first_in_vain_to_the_next_answer(now: list[float]) -> None:
    wait = Wait("three", "broker")
    wait.note(is_answered=True)
    for now[0] in (110, 120, 130):
        wait.note(is_answered=False)
        assert wait.seconds() == now[0] - 110
    wait.note(is_answered=True)
    assert wait.seconds() == 0


def test_an_answer_to_one_question_ends_no_wait_for_another_one(now: list[float]) -> None:
    wait = Wait("four", "broker")
    wait.note(is_answered=False)
    now[0] = 130
    wait.note(is_answered=False, question="another")
    now[0] = 140
    assert REGISTRY.get_sample_value("saphan_waiting_seconds", {"app": "four", "service": "broker"}) == 40
    wait.note(is_answered=True)
    assert wait.seconds() == 10
    wait.note(is_answered=True, question="another")
    assert wait.seconds() == 0
