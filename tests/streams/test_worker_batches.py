"""That what link tells arrives as it was told, however many messages share a batch, and that one bad one harms no other."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_process import EMPLOYMENTS, InProcessPlatform, job, messages_in, told_by_link
from log_record import LogRecord

from saphan_projections.integrating import IntegrateEffects, Integrator, WorkerRecord
from saphan_projections.link_records import LinkMessage
from saphan_schemas.codec import Codec, UndecodableMessage
from saphan_schemas.topics import DEAD_LETTERS, TOPICS, WORKER_RECORDS
from saphan_streams import worker_batches
from saphan_streams.link import outgoing
from saphan_streams.transport import Chunk
from saphan_streams.worker_batches import BatchEncoder, messages_of, parts_of

CODEC = Codec()
ENCODER = BatchEncoder(CODEC)
LONG = st.integers(-(2**63), 2**63 - 1)
NUMBER = st.integers(0, 40)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
messages = st.lists(
    st.builds(
        LinkMessage,
        st.sampled_from(["record", "moved", "pair", "heartbeat"]),
        NUMBER, NUMBER, NUMBER, TEXT, TEXT, LONG, LONG, st.booleans(), LONG, NUMBER, LONG, LONG,
        st.binary(max_size=12),
    ),
    max_size=30,
)  # fmt: skip


@pytest.fixture(params=[(1, 262_144), (3, 262_144), (1_000, 10), (1_000, 262_144)])
def limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    monkeypatch.setattr(worker_batches, "_MESSAGES_MAX", request.param[0])
    monkeypatch.setattr(worker_batches, "_PAYLOAD_BYTES_MAX", request.param[1])
    most: tuple[int, int] = request.param
    return most


def record(value: bytes | None, offset: int = 7) -> LogRecord:
    return LogRecord(WORKER_RECORDS, 0, offset, 77, None, value)


@pytest.mark.usefixtures("limits")
class TestAnyLimits:
    @given(told=messages)
    def test_a_partition_gets_its_messages_in_order_and_the_broadcast_ones_between_them(
        self, told: list[LinkMessage]
    ) -> None:
        count = TOPICS[WORKER_RECORDS].partitions
        arrived: dict[int, list[LinkMessage]] = {number: [] for number in range(count)}
        for message in outgoing(ENCODER, told):
            assert message.partition is not None
            arrived[message.partition] += messages_of(CODEC, message.value)
        for number, found in arrived.items():
            assert found == [row for row in told if row.worker_no == 0 or row.worker_no % count == number]

    @given(told=messages)
    def test_no_batch_goes_on_after_it_is_full(self, told: list[LinkMessage]) -> None:
        for value in ENCODER.batches(told):
            *before, _last = messages_of(CODEC, value)
            assert len(before) < worker_batches._MESSAGES_MAX
            assert sum(len(row.payload) for row in before) < worker_batches._PAYLOAD_BYTES_MAX


@given(told=messages)
def test_the_parts_of_a_batch_hold_a_message_each_at_the_place_of_the_batch(told: list[LinkMessage]) -> None:
    parts = [part for value in ENCODER.batches(told) for part in parts_of(CODEC, record(value))]
    assert [messages_of(CODEC, part.value) for part in parts] == [[row] for row in told]
    assert [part.part for part in parts] == list(range(len(told)))
    assert {part.offset for part in parts} <= {7}


@pytest.mark.parametrize("value", [None, b"nonsense"])
def test_what_is_no_batch_is_one_part_as_it_came(value: bytes | None) -> None:
    (part,) = parts_of(CODEC, record(value))
    assert (part.value, part.part) == (value, None)


def test_columns_of_different_length_are_no_batch() -> None:
    whole = LinkMessage("record", 1, 1, 1, EMPLOYMENTS, "E-1", 1, 0, False, 0, 0, 0, 0, b"")
    columns: dict[str, Sequence[Any]] = {name: [value] for name, value in whole._asdict().items()}
    value = CODEC.encode(WORKER_RECORDS, {**columns, "version": [1, 2]})
    with pytest.raises(UndecodableMessage, match="corrupt"):
        messages_of(CODEC, value)


class Breaking(Integrator):
    """Breaks on the records of one employment, before or after it has changed what it keeps."""

    bad: frozenset[str] = frozenset()
    late = False

    def apply(self, chunk: Sequence[WorkerRecord]) -> IntegrateEffects:
        is_bad = any(event.message.record_id in self.bad for event in chunk)
        if is_bad and not self.late:
            raise LookupError
        effects = super().apply(chunk)
        if is_bad:
            # Two workers of one number: the database refuses the second row.
            effects.watermarks["x"] = None  # type: ignore[assignment]
        return effects


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("bad", [{"E-1"}, {"E-3"}, {"E-8"}, {"E-2", "E-5"}])
def test_a_message_that_breaks_the_code_is_refused_alone_and_its_neighbours_in_the_batch_are_folded(
    in_process_platform: InProcessPlatform, monkeypatch: pytest.MonkeyPatch, bad: set[str], *, late: bool
) -> None:
    platform = in_process_platform
    platform.publish(EMPLOYMENTS, *(job(number) for number in range(1, 9)))
    _link(platform)
    monkeypatch.setattr("saphan_streams.integrate.Integrator", Breaking)
    monkeypatch.setattr(Breaking, "bad", frozenset(bad))
    monkeypatch.setattr(Breaking, "late", late)
    refused = []
    for number, rows in platform.log[WORKER_RECORDS].items():
        for row in rows:
            done = platform.integrate.commit((Chunk(WORKER_RECORDS, number, [row]),), set(), "processing raised X")
            assert done is not None
            refused += [message for message in messages_in(done) if message.topic == DEAD_LETTERS]
    letters = [CODEC.decode(DEAD_LETTERS, message.value) for message in refused]
    assert {letter["reason"] for letter in letters} == {"processing_failed"}
    names = [told_by_link(CODEC, letter["value"])[0]["record_id"] for letter in letters]
    assert sorted(names) == sorted(bad)
    assert len({message.key for message in refused}) == len(bad)
    with platform.state_database.reading() as transaction:
        found = {name for (name,) in transaction.rows("SELECT record_id FROM employment")}
    assert found == {f"E-{number}" for number in range(1, 9)} - bad
    # Put right, each letter brings its message back.
    monkeypatch.setattr(Breaking, "bad", frozenset())
    for letter in letters:
        again = record(letter["value"], 1_000 + letter["offset"])
        done = platform.integrate.commit((Chunk(WORKER_RECORDS, letter["partition"], [again]),), set(), None)
        assert done is not None
    with platform.state_database.reading() as transaction:
        assert transaction.rows("SELECT count(*) FROM employment") == [(8,)]


def _link(platform: InProcessPlatform) -> None:
    chunks = [Chunk(EMPLOYMENTS, number, rows) for number, rows in platform.log[EMPLOYMENTS].items()]
    done = platform.link.commit(tuple(chunks), set(), None)
    assert done is not None
    platform._append(messages_in(done))
