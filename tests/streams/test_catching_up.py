"""That integrate lets more come while link is behind, and never waits where nothing is to come."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saphan_streams.catching_up import Headers, Patience, behind_in, headers_of


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
    patience = Patience()
    assert not patience.lets_more_come(0.0)
    patience.saw([[sent(19_999)]], 0.0)
    assert not patience.lets_more_come(0.0)


def test_what_comes_waits_until_half_of_what_was_behind_it_has_come() -> None:
    patience = Patience()
    patience.saw([[sent(0), sent(800_000)]], 0.0)
    assert patience.lets_more_come(0.1)
    patience.saw([[sent(500_000)], [sent(400_001)]], 3.0)
    assert patience.lets_more_come(3.1)
    patience.saw([[]], 4.0)
    assert patience.lets_more_come(4.1)
    patience.saw([[sent(400_000)]], 6.0)
    assert not patience.lets_more_come(6.1)


def test_what_is_on_its_way_is_not_waited_with_and_the_next_starts_from_where_link_is_then() -> None:
    patience = Patience()
    patience.saw([[sent(800_000)]], 0.0)
    patience.begin_anew()
    assert not patience.lets_more_come(0.1)
    patience.saw([[sent(400_000)]], 15.0)
    assert patience.lets_more_come(34.9)


def test_a_link_that_says_nothing_more_is_waited_for_twenty_seconds() -> None:
    patience = Patience()
    patience.saw([[sent(800_000)]], 100.0)
    patience.saw([[sent(790_000)]], 110.0)
    assert patience.lets_more_come(119.9)
    assert not patience.lets_more_come(120.0)


def test_a_backlog_that_grows_does_not_stop_what_waits_from_being_folded() -> None:
    patience = Patience()
    for second in range(20):
        patience.saw([[sent(30_000 + 1_000 * second)]], float(second))
        assert patience.lets_more_come(float(second))
    assert not patience.lets_more_come(20.0)
