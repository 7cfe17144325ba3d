"""Faults of what waits before an event: how it is cut, how long it waits, and whom it is waited for."""

from mutants.mutant import Mutant

_CATCHING_UP = "streams/test_catching_up.py::"
_TRANSPORT = "streams/test_transport.py::"
_WAITING = "streams/test_waiting.py::"
_JOINED = _WAITING + "test_groups_joined_are_the_whole_in_each_partitions_order_and_each_keeps_the_limits"


def _waiting(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_streams.waiting", fragment, replacement, killers)


def _patience(fault: str, fragment: str, replacement: str, *killers: str) -> Mutant:
    return Mutant(fault, "saphan_streams.catching_up", fragment, replacement, killers)


WAITING = (
    _waiting(
        "the last message of a fetch is lost when it stands alone",
        "while start < len(records):",
        "while start < len(records) - 1:",
        _JOINED,
    ),
    _waiting(
        "what waits grows without end",
        "return self.count < events_max * self._records_max and",
        "return",
        _TRANSPORT + "test_what_comes_while_the_agent_is_busy_is_one_event_up_to_the_limits",
    ),
    _waiting(
        "a piece is larger than it may be",
        "end = min(fitting, start + records_max - count)",
        "end = min(fitting, start + records_max)",
        _JOINED,
    ),
    _patience(
        "a link that is up to date is waited for",
        "if behind >= _BEHIND_MIN else ()",
        "if behind else ()",
        _CATCHING_UP + "test_a_message_says_how_far_behind_its_sender_is_or_nothing",
    ),
    _patience(
        "a link that died is waited for without end",
        "now_seconds - part.since_seconds >= _WAIT_SECONDS_MAX",
        "False",
        _CATCHING_UP + "test_a_link_that_says_nothing_more_is_waited_for_twenty_seconds",
    ),
    _patience(
        "what waits is held until link has read everything",
        "behind * (1 + _SHARE) <= part.behind",
        "behind * part.behind < 0",
        _CATCHING_UP + "test_a_partition_waits_until_what_waits_of_it_is_half_of_what_is_still_to_come",
    ),
    _patience(
        "what is enough waits for still more",
        "part.fills_an_event\n            or ",
        "",
        _CATCHING_UP + "test_what_fills_an_event_does_not_wait",
    ),
    _waiting(
        "the wait begins anew with each message",
        "self._put(self._piles.setdefault(tp, _Pile(now_seconds)), records)",
        "self._put(self._piles.setdefault(tp, _Pile(now_seconds)), records)\n"
        "                self._piles[tp].since_seconds = now_seconds",
        _WAITING + "test_a_partition_that_has_waited_twenty_seconds_goes_whatever_still_comes",
    ),
    _waiting(
        "an agency's header holds up its feed",
        "behind_in(records[-1]) if self._for_senders else 0",
        "behind_in(records[-1])",
        _TRANSPORT + "test_no_agency_can_hold_up_its_feed_by_saying_that_it_is_behind",
    ),
    _waiting(
        "what is left of a partition goes before the others",
        "if self._for_senders or not rest.records:",
        "if not rest.records:",
        _WAITING + "test_a_partition_that_fills_an_event_goes_and_what_is_left_of_it_waits_behind_the_others",
    ),
    _waiting(
        "when there is no more room nothing goes any more",
        "if not chosen and not self.has_room:",
        "if not chosen and not self._piles:",
        _WAITING + "test_four_events_may_wait_for_senders_and_then_the_largest_partition_goes",
    ),
)
