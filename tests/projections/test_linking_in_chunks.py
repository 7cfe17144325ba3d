"""What placing most records of a chunk at once could spoil: old versions, identifiers that others hold, what is loaded."""

import linked_histories
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linked_histories import Change, Link, assert_as_defined, changes, feed_records, present


def test_what_is_told_of_a_record_that_now_says_what_another_says_does_not_depend_on_a_restart() -> None:
    """Who remembered whose the signature is took the record by itself, after all others; who had restarted did not."""
    history = [Change(1, 1, "a", False), Change(2, 1, "ab", False), Change(4, 1, "b", False)]
    history += [Change(1, 1, "ab", False), Change(4, 1, "b", False)]
    events = feed_records(history)
    remembering, restarted = Link(), Link()
    for link in (remembering, restarted):
        link.apply(events[:3])
    restarted.restart()
    for link in (remembering, restarted):
        link.apply(events[3:])
        assert_as_defined(link, present(history))
    assert remembering.messages == restarted.messages


def test_a_worker_who_is_joined_to_one_that_was_smaller_before_the_chunk_brings_all_identifiers_along() -> None:
    """What is loaded ahead is what the workers as they were before the chunk will need."""
    history = [Change(1, 1, "ax", False), Change(2, 1, "by", False)]
    history += [
        Change(3, 1, "c", False),
        Change(4, 1, "cz", False),
        Change(5, 1, "cu", False),
        Change(6, 1, "cv", False),
    ]
    bridges = [Change(7, 1, "ab", False), Change(8, 1, "bc", False)]
    events = feed_records([*history, *bridges])
    link = Link()
    link.apply(events[: len(history)])
    link.restart()
    link.apply(events[len(history) :])
    assert_as_defined(link, present([*history, *bridges]))


def test_what_an_older_version_said_more_is_not_learnt() -> None:
    more, present_one = Change(1, 1, "ab", False), Change(1, 1, "a", False)
    events = feed_records([more, present_one])
    link = Link()
    link.apply(events[1:])
    link.apply(events[:1])
    assert_as_defined(link, present([more, present_one]))


def test_of_two_versions_of_a_stored_record_in_one_chunk_the_higher_one_holds_whichever_comes_last() -> None:
    first, higher, lower = feed_records([Change(1, 1, "a", False)])[0], 3, 2
    link = Link()
    link.apply([first])
    link.apply([first._replace(version=higher), first._replace(version=lower)])
    assert link.query("SELECT version FROM record") == [(higher,)]
    assert [message.version for message in link.messages] == [1, higher]


def test_a_record_that_comes_to_name_another_worker_too_joins_both() -> None:
    history = [Change(1, 1, "a", False), Change(2, 1, "b", False), Change(1, 1, "ab", False)]
    events = feed_records(history)
    link = Link()
    link.apply(events[:2])
    link.apply(events[2:])
    assert_as_defined(link, present(history))
    assert len(link.members()) == 1


def test_a_birth_date_that_is_added_may_be_one_too_many() -> None:
    history = [Change(number, number, f"x{chr(ord('a') + number)}", False) for number in range(7)]
    history += [Change(7, None, "xh", False), Change(7, 7, "xh", False)]
    events = feed_records(history)
    link = Link()
    link.apply(events[:8])
    assert len(link.members()) == 1
    link.apply(events[8:])
    assert_as_defined(link, present(history))
    assert len(link.members()) == 8


def test_who_is_only_named_by_the_record_that_makes_an_identifier_nobodys_does_not_move() -> None:
    history = [Change(number, number, f"x{chr(ord('a') + number)}", False) for number in range(7)]
    history += [Change(8, 7, "h", False), Change(7, 7, "xh", False)]
    events = feed_records(history)
    link = Link()
    link.apply(events[:8])
    link.apply(events[8:])
    assert_as_defined(link, present(history))
    assert [message.kind for message in link.messages if message.record_id == "R8"] == ["record"]


def test_whose_a_signature_was_before_everything_was_forgotten_counts_no_more() -> None:
    history = [Change(1, 1, "a", False), Change(1, 1, "a", True), Change(2, 1, "a", False)]
    link = Link(cached_workers_max=0)
    for event in feed_records(history):
        link.apply([event])
    assert_as_defined(link, present(history))


def test_a_record_that_changed_and_then_moves_in_one_chunk_moves_as_it_is_now() -> None:
    history = [Change(1, 1, "a", False), Change(2, 1, "b", False), Change(3, 1, "bc", False)]
    news = [Change(1, 1, "a", False), Change(4, 1, "ab", False)]
    events = feed_records([*history, *news])
    link = Link()
    link.apply(events[: len(history)])
    link.apply(events[len(history) :])
    assert_as_defined(link, present([*history, *news]))
    assert link.query("SELECT version FROM record WHERE record_id = 'R1'") == [(2,)]
    told_of = [(message.kind, message.version) for message in link.messages if message.record_id == "R1"]
    assert told_of == [("record", 1), ("record", 2), ("moved", 2), ("record", 2)]


@settings(max_examples=30, deadline=None)
@given(history=changes, size=st.integers(1, 10))
def test_records_whose_keys_have_one_hash_are_told_apart(history: list[Change], size: int) -> None:
    events = feed_records(history)
    link = Link()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(linked_histories, "record_key_hashes", lambda _feed, record_ids: (7,) * len(record_ids))
        for start in range(0, len(events), size):
            link.apply(events[start : start + size])
    assert_as_defined(link, present(history))
    assert link.query("SELECT count(DISTINCT record_id), count(*) FROM record") == [
        (len({change.record for change in history}),) * 2
    ]
