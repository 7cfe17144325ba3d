"""That cycles of garbage are still found, and that what was seen once is left alone."""

import gc
import weakref

from saphan_streams.collecting import collecting_seldom


class Node:
    other: "Node | None" = None


def cycle() -> "weakref.ref[Node]":
    one, two = Node(), Node()
    one.other, two.other = two, one
    return weakref.ref(one)


def test_a_cycle_that_is_garbage_when_a_look_comes_is_found() -> None:
    with collecting_seldom():
        gone = cycle()
        gc.collect(0)
        assert gone() is None


def test_what_a_look_has_seen_alive_is_not_walked_through_again() -> None:
    with collecting_seldom():
        kept = [[number] for number in range(1000)]
        frozen = gc.get_freeze_count()
        gc.collect(0)
        assert gc.get_freeze_count() - frozen >= len(kept)
        assert not any(entry is kept for entry in gc.get_objects())


def test_afterwards_everything_is_as_before() -> None:
    before = gc.get_threshold(), list(gc.callbacks), gc.get_freeze_count()
    with collecting_seldom():
        assert gc.get_threshold() != before[0]
    assert (gc.get_threshold(), list(gc.callbacks), gc.get_freeze_count()) == before
