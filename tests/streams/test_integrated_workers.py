"""That a message put together from kept parts is, byte for byte, what the codec makes of the whole."""

from hypothesis import given
from hypothesis import strategies as st

from saphan_projections.integrating import WorkerChange
from saphan_projections.worker import Member, WorkerState
from saphan_projections.worker_view import View
from saphan_schemas.codec import Codec
from saphan_schemas.topics import HEALTH_COVER, STAYS, WORKER_INTEGRATED
from saphan_streams.integrated_workers import IntegratedEncoder

CODEC = Codec()
ENCODER = IntegratedEncoder(CODEC)
numbers = st.integers(0, 2**62)
members = st.builds(
    lambda sequence, feed, record_id, version, partition, offset: Member(
        sequence, feed, record_id, version, 0, 0, partition, offset, (None, None, None, None)
    ),
    numbers,
    st.sampled_from([STAYS, HEALTH_COVER]),
    st.text(max_size=40),
    numbers,
    st.integers(0, 100),
    numbers,
)
steps = st.lists(st.tuples(st.integers(1, 150), members | st.none()), max_size=200)


@given(history=st.lists(steps, min_size=1, max_size=3), number=numbers, employers=st.lists(st.text(), max_size=3))
def test_a_changing_worker_is_always_encoded_as_the_codec_does(
    history: list[list[tuple[int, Member | None]]], number: int, employers: list[str]
) -> None:
    state = WorkerState(number)
    for step in history:
        for sequence, (record_no, member) in enumerate(step):
            if member is None:
                state.remove(record_no, sequence)
            else:
                state.put(record_no, member)
        seen = View("MMR", None, 1990, tuple(employers), True, False, 20_000, None)
        change = WorkerChange(state, 5, "W-1", seen, eligible=True, integrated=True, renamed=False)
        assert ENCODER.encode(change) == CODEC.encode(WORKER_INTEGRATED, as_record(change))


def as_record(change: WorkerChange) -> dict[str, object]:
    own = {"worker_no": change.state.worker_no, "worker_id": change.worker_id, "sequence": change.sequence}
    records = [
        {"feed": m.feed, "record_id": m.record_id, "version": m.version, "partition": m.partition, "offset": m.offset}
        for m in change.state.members.values()
    ]
    told = [record | {"role": "member"} for record in records]
    return {**change.view._asdict(), **own, "eligible": change.eligible, "records": told}
