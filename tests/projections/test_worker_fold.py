"""That the fold of a worker's records is the same in any order, with any repeats, in any parts."""

from random import Random

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from saphan_projections.worker import Member, WorkerState, view, worker_id
from saphan_schemas.topics import WORK_PERMITS

#: (record number, sequence): every sequence says one thing of one record, as link's numbers do.
Step = tuple[int, int, bool]


def steps() -> st.SearchStrategy[list[Step]]:
    one = st.tuples(st.integers(1, 4), st.integers(0, 30), st.booleans())
    return st.lists(one, max_size=25, unique_by=lambda step: step[1])


def member(record_no: int, sequence: int) -> Member:
    return Member(sequence, WORK_PERMITS, f"R{record_no}", 1, 0, 0, 0, 0, (None, None, None, sequence))


def folded(history: list[Step], state: WorkerState | None = None) -> WorkerState:
    found = state if state is not None else WorkerState(1)
    for record_no, sequence, stays in history:
        if stays:
            found.put(record_no, member(record_no, sequence))
        else:
            found.remove(record_no, sequence)
    return found


def content(state: WorkerState) -> tuple[dict[int, Member], dict[int, int]]:
    return state.members, state.gone


@given(steps(), st.randoms(use_true_random=False))
def test_any_order_gives_the_same_state(history: list[Step], shape: object) -> None:
    shuffled = list(history)
    shape.shuffle(shuffled)  # type: ignore[attr-defined]
    assert content(folded(shuffled)) == content(folded(history))


@given(steps(), st.integers(0, 25))
def test_a_repeat_of_any_part_changes_nothing(history: list[Step], start: int) -> None:
    assert content(folded([*history, *history[start:]])) == content(folded(history))


@given(steps(), st.integers(0, 25))
def test_a_state_that_was_packed_in_between_goes_on_as_if_it_had_not_been(history: list[Step], cut: int) -> None:
    half = folded(history[:cut])
    assert content(folded(history[cut:], WorkerState.unpack(1, half.pack()))) == content(folded(history))


@given(steps(), st.integers(0, 25), st.integers(0, 40))
def test_the_bytes_that_are_kept_of_members_make_the_same_state_as_all_packed_anew(
    history: list[Step], cut: int, others: int
) -> None:
    half = folded([*((10 + number, 0, True) for number in range(others)), *history[:cut]])
    half.pack()
    state = folded(history[cut:], half)
    assert state.pack() == msgpack.packb((state.members, state.gone, state.alerts))


@given(steps())
def test_of_each_record_the_highest_sequence_counts(history: list[Step]) -> None:
    newest: dict[int, Step] = {}
    for step in history:
        if step[0] not in newest or step[1] > newest[step[0]][1]:
            newest[step[0]] = step
    members, gone = content(folded(history))
    assert {number: one.sequence for number, one in members.items()} == {
        n: s for n, s, stays in newest.values() if stays
    }
    assert gone == {n: s for n, s, stays in newest.values() if not stays}


@given(steps())
def test_a_step_says_whether_it_was_news(history: list[Step]) -> None:
    state = WorkerState(1)
    for step in history:
        before = WorkerState.unpack(1, state.pack())
        news = state.put(step[0], member(*step[:2])) if step[2] else state.remove(*step[:2])
        assert news == (content(state) != content(before))


@given(steps())
def test_a_repeat_is_no_news(history: list[Step]) -> None:
    state = folded(history)
    for step in history:
        assert not (state.put(step[0], member(*step[:2])) if step[2] else state.remove(*step[:2]))


def merged(*parts: WorkerState) -> WorkerState:
    """What parts of a history say together: each part's newest word on each record, told to an empty worker."""
    found = WorkerState(1)
    for part in parts:
        for record_no, one in part.members.items():
            found.put(record_no, one)
        for record_no, sequence in part.gone.items():
            found.remove(record_no, sequence)
    return found


@given(steps(), st.integers(0, 25), st.integers(0, 25))
def test_parts_that_are_folded_apart_and_merged_in_any_grouping_and_order_are_the_whole(
    history: list[Step], one: int, other: int
) -> None:
    """Associative, commutative and idempotent: what makes every order, repeat and cut of a history the same."""
    start, end = sorted((one, other))
    a, b, c = folded(history[:start]), folded(history[start:end]), folded(history[end:])
    whole = content(folded(history))
    assert content(merged(merged(a, b), c)) == content(merged(a, merged(b, c))) == whole
    assert content(merged(c, a, b)) == content(merged(b, c, a)) == whole
    assert content(merged(a, b, c, b, a)) == content(merged(folded(history), b)) == whole
    assert content(merged(a, WorkerState(1))) == content(merged(WorkerState(1), a)) == content(a)


@given(steps(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_shows_in_nothing_that_is_said_of_the_worker(history: list[Step], shape: Random) -> None:
    shuffled = shape.sample(history, len(history))
    one, other = folded(history), folded(shuffled)
    assert view(one) == view(other)
    if one.members:
        assert worker_id(one, b"key") == worker_id(other, b"key")
