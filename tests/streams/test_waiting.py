"""That what waits becomes events without a gap, a repeat or a change of order in a partition, and nothing waits for ever."""

import itertools
from collections import defaultdict
from collections.abc import Sequence

from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st
from log_record import LogRecord, record_at

from saphan_streams.catching_up import headers_of
from saphan_streams.waiting import Waiting, cut

ONE, TWO, THREE = TP("a", 0), TP("a", 1), TP("b", 0)


partitions = st.dictionaries(
    st.sampled_from([ONE, TWO, THREE]),
    st.lists(st.integers(-1, 60), max_size=40).map(
        lambda sizes: [record_at(offset, None if size < 0 else bytes(size)) for offset, size in enumerate(sizes)]
    ),
    max_size=3,
)
senders = st.lists(
    st.dictionaries(
        st.sampled_from([ONE, TWO, THREE]),
        st.lists(st.integers(0, 100_000).map(headers_of), min_size=1, max_size=5).map(
            lambda said: [record_at(0, headers=headers) for headers in said]
        ),
        max_size=3,
    ),
    max_size=12,
)


def size_of(rows: Sequence[LogRecord]) -> int:
    return sum(len(row.value or b"") for row in rows)


def behind(messages: int, offset: int = 0) -> list[LogRecord]:
    return [record_at(offset, headers=headers_of(messages))]


def for_senders(records_max: int = 5, bytes_max: int = 1_000) -> Waiting:
    return Waiting(records_max, bytes_max, for_senders=True)


@given(partitions, st.integers(1, 20), st.integers(1, 200))
def test_groups_joined_are_the_whole_in_each_partitions_order_and_each_keeps_the_limits(
    fetched: dict[TP, list[LogRecord]], records_max: int, bytes_max: int
) -> None:
    groups = list(cut(fetched, records_max, bytes_max))
    joined: dict[TP, list[LogRecord]] = {tp: [] for tp in fetched}
    for group in groups:
        assert len({tp for tp, _ in group}) == len(group), "a partition stands once in a group"
        for tp, piece in group:
            joined[tp] += piece
        together = [row for _, piece in group for row in piece]
        assert 1 <= len(together) <= records_max
        assert len(together) == 1 or size_of(together) <= bytes_max
    assert joined == fetched


@given(partitions, st.integers(1, 20), st.integers(1, 200))
def test_no_group_is_smaller_than_it_must_be(
    fetched: dict[TP, list[LogRecord]], records_max: int, bytes_max: int
) -> None:
    groups = [[row for _, piece in group for row in piece] for group in cut(fetched, records_max, bytes_max)]
    for group, following in itertools.pairwise(groups):
        assert len(group) == records_max or size_of([*group, following[0]]) > bytes_max


@given(st.lists(partitions, max_size=4), st.integers(1, 20), st.integers(1, 200))
def test_what_waits_is_handed_over_whole_in_each_partitions_order_and_within_the_limits(
    fetches: list[dict[TP, list[LogRecord]]], records_max: int, bytes_max: int
) -> None:
    waiting = Waiting(records_max, bytes_max, for_senders=False)
    expected: dict[TP, list[LogRecord]] = defaultdict(list)
    for fetched in fetches:
        waiting.add(fetched, 0.0)
        for tp, piece in fetched.items():
            expected[tp] += piece
    everything = [row for piece in expected.values() for row in piece]
    assert waiting.count == len(everything)
    assert waiting.has_room == (len(everything) < records_max and size_of(everything) < bytes_max)
    found: dict[TP, list[LogRecord]] = defaultdict(list)
    while waiting.count:
        group = waiting.take(0.0)
        together = [row for _, piece in group for row in piece]
        assert 1 <= len(together) <= records_max
        assert len(together) == 1 or size_of(together) <= bytes_max
        for tp, rows_of_one in group:
            found[tp] += rows_of_one
    assert {tp: piece for tp, piece in found.items() if piece} == {tp: piece for tp, piece in expected.items() if piece}


@given(senders, st.integers(1, 8), st.lists(st.integers(0, 2), min_size=12, max_size=12))
def test_whatever_senders_say_each_message_goes_once_in_its_order_and_within_twenty_seconds_of_asking(
    fetches: list[dict[TP, list[LogRecord]]], records_max: int, takes: list[int]
) -> None:
    waiting = for_senders(records_max)
    expected: dict[TP, list[int]] = defaultdict(list)
    found: dict[TP, list[int]] = defaultdict(list)

    def take(now_seconds: float) -> None:
        for tp, piece in waiting.take(now_seconds):
            assert len(piece) <= records_max
            found[tp] += [row.offset for row in piece]

    for second, (fetched, count) in enumerate(zip(fetches, takes, strict=False)):
        numbered = {}
        for tp, piece in fetched.items():
            first = len(expected[tp])
            numbered[tp] = [row._replace(offset=first + at) for at, row in enumerate(piece)]
            expected[tp] += range(first, first + len(piece))
        waiting.add(numbered, float(second))
        for _ in range(count):
            take(float(second))
    while waiting.count:
        before = waiting.count
        take(len(fetches) + 20.0)
        assert waiting.count < before, "what has waited long enough is held up by nothing"
    assert {tp: piece for tp, piece in found.items() if piece} == expected


def test_while_its_sender_is_behind_each_partition_goes_alone_the_longest_waiting_first() -> None:
    waiting = for_senders()
    waiting.add({ONE: behind(90_000), TWO: behind(89_000)}, 0.0)
    assert waiting.take(0.0) == []
    waiting.add({ONE: behind(60_001, 1)}, 1.0)
    assert waiting.take(1.0) == []
    waiting.add({TWO: behind(60_000, 1)}, 2.0)
    assert [(tp, len(rows)) for tp, rows in waiting.take(2.0)] == [(ONE, 2)]
    assert waiting.take(2.0) == [], "its share is not reached yet"
    waiting.add({ONE: behind(59_000, 2)}, 3.0)
    assert [(tp, len(rows)) for tp, rows in waiting.take(3.0)] == [(TWO, 2)]
    assert waiting.take(3.0) == []


def test_once_the_sender_is_up_to_date_everything_that_waits_is_one_event() -> None:
    waiting = for_senders()
    waiting.add({ONE: behind(90_000), TWO: behind(90_000)}, 0.0)
    waiting.add({TWO: behind(0, 1)}, 1.0)
    assert [(tp, len(rows)) for tp, rows in waiting.take(1.0)] == [(ONE, 1), (TWO, 2)]
    assert not waiting.count


def test_a_partition_that_fills_an_event_goes_and_what_is_left_of_it_waits_behind_the_others() -> None:
    waiting = for_senders(records_max=2)
    waiting.add({ONE: [*behind(90_000), *behind(90_000, 1), *behind(90_000, 2)], TWO: behind(90_000)}, 0.0)
    assert [(tp, [row.offset for row in rows]) for tp, rows in waiting.take(0.0)] == [(ONE, [0, 1])]
    assert waiting.take(0.0) == []
    assert [tp for tp, _ in waiting.take(20.0)] == [TWO]
    assert [(tp, [row.offset for row in rows]) for tp, rows in waiting.take(20.0)] == [(ONE, [2])]


def test_a_partition_that_has_waited_twenty_seconds_goes_whatever_still_comes() -> None:
    waiting = for_senders(records_max=100)
    for second in range(20):
        waiting.add({ONE: behind(90_000, second)}, float(second))
        assert waiting.take(float(second)) == []
    assert [(tp, len(rows)) for tp, rows in waiting.take(20.0)] == [(ONE, 20)]


def test_four_events_may_wait_for_senders_and_then_the_largest_partition_goes() -> None:
    waiting = for_senders(records_max=100, bytes_max=25)
    for offset in range(2):
        waiting.add({tp: behind(90_000, offset) for tp in (ONE, TWO, THREE)}, 0.0)
    assert waiting.has_room
    waiting.add({TP("b", number): behind(90_000) for number in (1, 2, 3, 4)}, 0.0)
    assert not waiting.has_room
    assert [(tp, len(rows)) for tp, rows in waiting.take(0.0)] == [(ONE, 2)]
    assert waiting.has_room
    assert waiting.take(0.0) == []


def test_without_senders_to_wait_for_a_header_says_nothing() -> None:
    waiting = Waiting(5, 1_000, for_senders=False)
    waiting.add({ONE: behind(90_000), TWO: behind(90_000)}, 0.0)
    assert [tp for tp, _ in waiting.take(0.0)] == [ONE, TWO]
