"""That the fold of a worker's records is the same in any order, with any repeats, in any parts."""

from random import Random

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from saphan_projections.worker import KEPT, KnownAlert, Member, WorkerState
from saphan_projections.worker_view import view, worker_id
from saphan_schemas.topics import EMPLOYMENTS, INSURED_PERSONS, WORK_PERMITS

#: (record number, sequence): every sequence says one thing of one record, as link's numbers do.
Step = tuple[int, int, bool]


def steps() -> st.SearchStrategy[list[Step]]:
    one = st.tuples(st.integers(1, 4), st.integers(0, 30), st.booleans())
    return st.lists(one, max_size=25, unique_by=lambda step: step[1])


def member(record_no: int, sequence: int) -> Member:
    return Member(sequence, WORK_PERMITS, f"R{record_no}", 1, 0, 0, 0, 0, (None, None, None, sequence))


KEPT_OF_ONE = {
    EMPLOYMENTS: ("1", 2, None, None, None, None),
    INSURED_PERSONS: ("MMR", None, 3, "33", None, None, 4, None),
}
FEEDS = sorted(KEPT)
ids = st.sampled_from(["R1", "R2", "R3", "1", ""])
members = st.builds(
    lambda content, day: Member(0, "", "", 1, day, content, 3, 4, (day,)),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 5),
)
known_alerts = st.builds(
    KnownAlert,
    st.integers(0, 2**40),
    st.tuples(ids, st.integers(0, 9), st.integers(0, 9), st.none() | ids, ids),
    st.integers(-(2**63), 2**63 - 1),
    ids,
    ids | st.just("1"),
    ids,
)
#: What is put, what goes away and what is noted of an alert, by record number.
changes = st.lists(st.tuples(st.integers(1, 9), members | st.none() | known_alerts), max_size=25)


def changed(state: WorkerState, history: list[tuple[int, Member | KnownAlert | None]], start: int = 0) -> WorkerState:
    for sequence, (number, what) in enumerate(history, start):
        if isinstance(what, KnownAlert):
            state.know_alert(number, what)
        elif what is None:
            state.remove(number, sequence)
        else:
            # A record never changes its feed or its id.
            feed = FEEDS[number % len(FEEDS)]
            kept = KEPT_OF_ONE.get(feed, ("MMR", "F", None, *what.kept))
            state.put(number, what._replace(sequence=sequence, feed=feed, record_id=f"R{number}", kept=kept))
    return state


def everything(state: WorkerState) -> tuple[object, ...]:
    return list(state.members.items()), state.gone, state.alerts


@given(changes, changes)
def test_a_state_is_packed_and_read_again_as_it_is_whatever_was_packed_before(
    before: list[tuple[int, Member | KnownAlert | None]], after: list[tuple[int, Member | KnownAlert | None]]
) -> None:
    state = changed(WorkerState(1), before)
    for number in list(state.alerts)[:1]:
        state.pack()
        state.forget_alert(number)
    again = WorkerState.unpack(1, state.pack())
    assert everything(again) == everything(state)
    for one in (state, again):
        changed(one, after, len(before))
        assert everything(WorkerState.unpack(1, one.pack())) == everything(one)
        assert list(one.encoded) == list(one.members)


@given(changes)
def test_a_state_of_the_first_form_is_read(history: list[tuple[int, Member | KnownAlert | None]]) -> None:
    state = changed(WorkerState(1), history)
    alerts = {number: ("A-id", *known) for number, known in state.alerts.items()}
    assert everything(WorkerState.unpack(1, msgpack.packb((state.members, state.gone, alerts)))) == everything(state)


@given(changes)
def test_what_a_worker_is_after_each_change_is_what_all_its_members_say_anew(
    history: list[tuple[int, Member | KnownAlert | None]],
) -> None:
    state = WorkerState(1)
    for sequence, change in enumerate(history):
        changed(state, [change], sequence)
        anew = WorkerState(1, state.members)
        assert view(state) == view(anew)
        if state.members:
            assert state.first() == anew.first()


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
    assert state.pack() == WorkerState(1, state.members, state.gone, state.alerts).pack()


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
