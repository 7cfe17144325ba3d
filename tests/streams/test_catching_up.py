"""That integrate lets more come while link is behind, and never waits where nothing is to come."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saphan_streams.catching_up import Headers, Part, behind_in, due, headers_of


class Sent(NamedTuple):
    headers: Headers | tuple[()] | None


def sent(behind: int) -> Sent:
    return Sent(headers_of(behind))


@given(st.integers(0, 10**9))
def test_a_message_says_how_far_behind_its_sender_is_or_nothing(behind: int) -> None:
    assert behind_in(sent(behind)) == (behind if behind >= 20_000 else 0)


@pytest.mark.parametrize(
    "headers", [None, (), (("saphan-behind", b""),), (("saphan-behind", b"-5"),), (("other", b"50000"),)]
)
def test_a_header_that_is_none_of_ours_says_nothing(headers: Headers) -> None:
    assert behind_in(Sent(headers)) == 0


def test_nothing_waits_for_a_link_that_is_up_to_date() -> None:
    assert due({"a": Part(0, 0.0, False), "b": Part(0, 0.0, False)}, 0, 0.0) == ["a", "b"]
    assert due({"a": Part(90_000, 0.0, False), "b": Part(0, 0.0, False)}, 0, 0.0) == ["a", "b"]
    assert due({}, 0, 0.0) == []


def test_a_partition_waits_until_what_waits_of_it_is_half_of_what_is_still_to_come() -> None:
    parts = {"a": Part(900_000, 0.0, False)}
    assert due(parts, 600_001, 19.9) == []
    assert due(parts, 600_000, 0.0) == ["a"]


def test_a_link_that_says_nothing_more_is_waited_for_twenty_seconds() -> None:
    parts = {"a": Part(900_000, 100.0, False), "b": Part(900_000, 99.0, False)}
    assert due(parts, 890_000, 118.9) == []
    assert due(parts, 890_000, 119.0) == ["b"]
    assert due(parts, 890_000, 120.0) == ["a"]


def test_what_fills_an_event_does_not_wait() -> None:
    assert due({"a": Part(900_000, 0.0, False), "b": Part(900_000, 0.0, True)}, 900_000, 0.0) == ["b"]


@given(
    st.dictionaries(st.integers(0, 5), st.builds(Part, st.integers(0, 10**6), st.floats(0, 30), st.booleans())),
    st.integers(0, 10**6),
    st.floats(0, 60),
)
def test_while_link_is_behind_one_partition_goes_and_those_that_may_still_wait_do(
    parts: dict[int, Part], behind: int, now_seconds: float
) -> None:
    chosen = due(parts, behind, now_seconds)
    if not behind:
        assert chosen == list(parts)
        return
    assert len(chosen) <= 1
    if not chosen:
        assert all(now_seconds - part.since_seconds < 20 and not part.fills_an_event for part in parts.values())
        assert all(part.behind < behind * 1.5 for part in parts.values())
