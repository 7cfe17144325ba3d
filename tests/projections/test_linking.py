"""That linking gives, whatever the way there, exactly the groups that the definition gives over the present records."""

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from linked_histories import Change, Link, assert_as_defined, changes, feed_records, present

from saphan_projections import identity, regrouping
from saphan_projections.identity import Signature, generic_identifiers
from saphan_projections.link_records import FeedRecord
from saphan_schemas.topics import EMPLOYER_PAIRS

#: With the real number of birth dates a generic identifier takes long histories; properties use a smaller one, too.
FEW_BIRTH_DATES = 3


@pytest.fixture
def few_birth_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three birth dates make an identifier generic, so that short histories make it so and undo it again."""
    monkeypatch.setattr(identity, "GENERIC_BIRTH_DATES_MIN", FEW_BIRTH_DATES)
    monkeypatch.setattr(regrouping, "GENERIC_BIRTH_DATES_MIN", FEW_BIRTH_DATES)


def run(events: Sequence[FeedRecord], shape: random.Random, link: Link) -> None:
    """Feed events in, in chunks of any size, sometimes with a restart in between."""
    start = 0
    while start < len(events):
        size = shape.choice([1, 2, 3, 10, 50])
        if shape.random() < 0.25:
            link.restart()
        link.apply(events[start : start + size])
        start += size


@pytest.mark.usefixtures("few_birth_dates")
class TestWithFewBirthDates:
    """Histories in which identifiers become generic and specific again."""

    @settings(max_examples=120, deadline=None)
    @given(
        history=changes, shape=st.randoms(use_true_random=False), cached_workers_max=st.sampled_from([0, 2, 250_000])
    )
    def test_any_order_repeats_chunks_and_restarts_give_the_defined_groups(
        self, history: list[Change], shape: random.Random, cached_workers_max: int
    ) -> None:
        events = feed_records(history)
        events += shape.sample(events, len(events) // 3)
        shape.shuffle(events)
        link = Link(cached_workers_max)
        run(events, shape, link)
        assert_as_defined(link, present(history))

    @settings(max_examples=60, deadline=None)
    @given(history=changes, shape=st.randoms(use_true_random=False))
    def test_after_every_chunk_the_groups_are_those_of_the_records_until_then(
        self, history: list[Change], shape: random.Random
    ) -> None:
        events = feed_records(history)
        link = Link()
        start = 0
        while start < len(events):
            end = start + shape.choice([1, 2, 5])
            link.apply(events[start:end])
            assert_as_defined(link, present(history[:end]))
            start = end

    @settings(max_examples=60, deadline=None)
    @given(history=changes, extra=changes, shape=st.randoms(use_true_random=False))
    def test_every_change_can_be_taken_back(
        self, history: list[Change], extra: list[Change], shape: random.Random
    ) -> None:
        """Whatever other records join, split or poison: once they are gone, all is as it was."""
        others = [change._replace(record=change.record + 100) for change in extra]
        gone = [Change(record, None, "", True) for record in sorted({change.record for change in others})]
        link = Link()
        run(feed_records([*history, *others, *gone]), shape, link)
        assert_as_defined(link, present(history))

    @settings(max_examples=120, deadline=None)
    @given(history=changes, cuts=st.sets(st.integers(0, 60)))
    def test_who_remembers_what_the_workers_said_says_the_same_as_who_looks_everything_up(
        self, history: list[Change], cuts: set[int]
    ) -> None:
        events = feed_records(history)
        events += events[::3]
        remembering, forgetting = Link(), Link()
        for start, end in pairwise([0, *sorted(cuts - {0}), len(events)]):
            remembering.apply(events[start:end])
            forgetting.restart()
            forgetting.apply(events[start:end])
        assert remembering.messages == forgetting.messages
        for table in ("record", "link_worker", "link_identifier", "generic_identifier", "link_numbers"):
            rows = [sorted(link.query(f"SELECT * FROM {table}")) for link in (remembering, forgetting)]  # noqa: S608
            assert rows[0] == rows[1]

    @settings(max_examples=60, deadline=None)
    @given(history=changes, shape=st.randoms(use_true_random=False))
    def test_publishing_everything_twice_says_nothing_new(self, history: list[Change], shape: random.Random) -> None:
        link = Link()
        run(feed_records(history), shape, link)
        before = len(link.messages)
        run(feed_records(history), shape, link)
        assert len(link.messages) == before


def test_the_histories_make_identifiers_generic_and_specific_again(few_birth_dates: None) -> None:
    """They did so in none of 120, and the properties above proved nothing of it."""
    became, ended = [0], [0]

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(changes)
    def look(history: list[Change]) -> None:
        generic = [generic_identifiers(present(history[:end]).values()) for end in range(1, len(history) + 1)]
        became[0] += any(generic)
        ended[0] += any(before - after for before, after in pairwise(generic))

    look()
    assert min(became[0], ended[0]) >= 20


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), holders=st.integers(6, 12))
@example(seed=0, holders=8)
def test_the_real_number_of_birth_dates_makes_an_identifier_generic_and_its_going_undoes_it(
    seed: int, holders: int
) -> None:
    shape = random.Random(seed)
    history = [Change(number, number, f"x{chr(ord('a') + number)}", False) for number in range(holders)]
    history += [Change(50 + number, number, chr(ord("a") + number), False) for number in range(holders)]
    shape.shuffle(history)
    link = Link()
    run(feed_records(history), shape, link)
    assert_as_defined(link, present(history))
    assert len(link.members()) == (1 if holders < identity.GENERIC_BIRTH_DATES_MIN else holders)
    leaving = [Change(number, None, "", True) for number in shape.sample(range(holders), holders // 2)]
    run(feed_records([*history, *leaving])[len(history) :], shape, link)
    assert_as_defined(link, present([*history, *leaving]))


def test_a_wrong_merge_is_undone_by_the_correction_of_the_record_that_made_it() -> None:
    one, other = Change(1, 1, "a", False), Change(2, 2, "b", False)
    bridge, corrected = Change(3, 1, "ab", False), Change(3, 1, "a", False)
    link = Link()
    link.apply(feed_records([one, other]))
    link.apply(feed_records([bridge]))
    assert [sorted(group) for group in link.members().values()] == [["R1", "R2", "R3"]]
    link.apply(feed_records([bridge, corrected])[1:])
    assert {frozenset(group) for group in link.members().values()} == {frozenset({"R1", "R3"}), frozenset({"R2"})}


def test_a_generic_identifier_becomes_specific_again_right_after_a_restart_too() -> None:
    """The linker that started anew had not read the identifiers that a deleted record used to have."""
    history = [Change(number, number, f"x{chr(ord('a') + number)}", False) for number in range(8)]
    leaving = Change(3, None, "", True)
    link = Link()
    link.apply(feed_records(history))
    assert len(link.members()) == 8
    link.restart()
    link.apply(feed_records([*history, leaving])[-1:])
    assert_as_defined(link, present([*history, leaving]))
    assert len(link.members()) == 1


def test_a_record_that_moves_is_told_with_the_time_of_the_message_that_moved_it() -> None:
    link = Link()
    one, other, bridge = feed_records([Change(1, 1, "a", False), Change(2, 1, "b", False), Change(3, 1, "ab", False)])
    link.apply([one, other, bridge._replace(received_at=50)])
    moved = [message for message in link.messages if message.kind == "moved"]
    assert [message.received_at for message in moved] == [50]
    again = [message for message in link.messages if message.record_no == moved[0].record_no][-1]
    assert (again.kind, again.received_at) == ("record", 50)


def test_a_record_without_identifiers_stands_alone() -> None:
    history = [Change(1, 5, "", False), Change(2, 5, "", False)]
    events = feed_records(history)
    for chunks in ([events], [events[:1], events[1:]]):
        link = Link()
        for chunk in chunks:
            link.apply(chunk)
        assert_as_defined(link, present(history))
        assert len(link.members()) == 2


def test_a_record_that_was_first_heard_of_deleted_comes_to_life() -> None:
    link = Link()
    dead, alive = feed_records([Change(1, 1, "a", True), Change(1, 1, "a", False)])
    link.apply([dead])
    assert link.members() == {}
    assert link.messages == []
    link.apply([alive])
    assert [sorted(group) for group in link.members().values()] == [["R1"]]


def test_of_two_versions_alike_the_later_change_and_then_the_content_decides_in_any_order() -> None:
    base, later, last = [feed_records([Change(1, 1, said, False)])[0] for said in "abc"]
    rivals = [base, later._replace(changed_at=5), last._replace(changed_at=5, content_hash=9)]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]):
        link = Link()
        for index in order:
            link.apply([rivals[index]])
        assert_as_defined(link, {"R1": Signature(1, ("c",))})
    # When it was changed goes before what it holds.
    for pair in ([rivals[1], rivals[0]._replace(content_hash=9)], [rivals[0]._replace(content_hash=9), rivals[1]]):
        link = Link()
        for event in pair:
            link.apply([event])
        assert_as_defined(link, {"R1": Signature(1, ("b",))})


def test_a_pair_is_told_to_everybody_once_for_each_newer_version_also_when_deleted() -> None:
    def word(version: int, *, deleted: bool = False) -> FeedRecord:
        return FeedRecord(EMPLOYER_PAIRS, "P-1", version, 0, 0, deleted, 0, version, 0, None, 0, b"p", b"k")

    link = Link()
    link.apply([word(1), word(1)])
    link.restart()
    link.apply([word(1), word(3), word(2), word(4, deleted=True)])
    assert [(m.kind, m.worker_no, m.version, m.deleted) for m in link.messages] == [
        ("pair", 0, 1, False),
        ("pair", 0, 3, False),
        ("pair", 0, 4, True),
    ]
    sequences = [message.sequence for message in link.messages]
    assert sequences == sorted(set(sequences))


def test_what_a_record_said_before_it_said_more_may_be_said_by_another_one() -> None:
    """Its worker keeps what no record says any more, as another says more; then one says it again."""
    history = [Change(1, 1, "a", False), Change(1, 1, "ab", False), Change(2, 1, "a", False)]
    link = Link()
    for event in feed_records(history):
        link.apply([event])
    assert_as_defined(link, present(history))


def test_a_generic_identifier_brings_nobody_to_the_only_worker_of_whom_the_linker_knows_that_he_holds_it() -> None:
    """After a restart its other holders are not looked up, and the one who comes then seemed to be its owner."""
    history = [Change(number, number, f"x{chr(ord('a') + number)}", False) for number in range(8)]
    history += [Change(20, 3, "jx", False), Change(21, 4, "x", False)]
    events = feed_records(history)
    link = Link()
    link.apply(events[:8])
    link.restart()
    for event in events[8:]:
        link.apply([event])
    assert_as_defined(link, present(history))
    assert len(link.members()) == 10
