"""That a batch written by columns is, byte for byte, what the codec makes of it, and that the codec has the last word."""

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saphan_projections.link_records import LinkMessage
from saphan_schemas.codec import Codec
from saphan_schemas.topics import WORKER_RECORDS
from saphan_streams import worker_batches
from saphan_streams.worker_batches import BatchEncoder, messages_of

CODEC = Codec()
ENCODER = BatchEncoder(CODEC)
#: Where a number takes one more byte or bit, on either side of zero.
EDGES = sorted({sign * 2**bit + near for bit in range(63) for sign in (1, -1) for near in (-1, 0)} | {-(2**63)})
number = st.integers(-70, 70) | st.sampled_from(EDGES) | st.integers(-(2**63), 2**63 - 1)
text = st.sampled_from(["", "a" * 63, "a" * 64, "แรงงาน", "\0"]) | st.text(st.characters(exclude_categories=["Cs"]))
messages = st.lists(
    st.builds(
        LinkMessage, text, number, number, number, text, text, number, number, st.booleans(), number, number, number,
        number, st.binary(max_size=80) | st.sampled_from([b"x" * 8_191, b"x" * 8_192]),
    ),
    min_size=1,
    max_size=20,
)  # fmt: skip
PLAIN = LinkMessage("record", 1, 1, 1, "f", "r", 1, 1, False, 1, 1, 1, 1, b"p")


@pytest.fixture
def always_by_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_batches, "_BY_COLUMNS_MIN", 1)


@pytest.mark.usefixtures("always_by_columns")
class TestByColumns:
    @given(told=messages)
    def test_any_messages_are_written_as_the_codec_does(self, told: list[LinkMessage]) -> None:
        assert ENCODER.batches(told) == [by_the_codec(told)]

    def test_a_number_is_written_as_the_codec_does_wherever_it_takes_one_byte_more(self) -> None:
        for edge in EDGES:
            alone = [PLAIN._replace(content_hash=edge)]
            beside = [PLAIN._replace(version=edge), PLAIN._replace(version=-3), PLAIN]
            assert ENCODER.batches(alone) == [by_the_codec(alone)]
            assert ENCODER.batches(beside) == [by_the_codec(beside)]

    def test_nothing_to_tell_is_no_batch(self) -> None:
        assert ENCODER.batches([]) == []

    @pytest.mark.parametrize(
        "wrong",
        [
            {"version": 2**63},
            {"version": -(2**63) - 1},
            {"version": "1"},
            {"version": 1.0},
            {"deleted": 1},
            {"deleted": None},
            {"feed": b"f"},
            {"record_id": None},
            {"record_id": b"r"},
            {"record_id": "\ud800"},
            {"payload": memoryview(b"p")},
        ],
        # A memoryview names itself by its address, which is another one in each process that runs the tests.
        ids=lambda wrong: str({name: type(value) if name == "payload" else value for name, value in wrong.items()}),
    )
    def test_what_the_codec_refuses_is_refused_in_its_words(self, wrong: dict[str, Any]) -> None:
        told = [PLAIN, PLAIN._replace(**wrong)]
        with pytest.raises(ValueError) as expected:  # noqa: PT011 - whatever it says
            by_the_codec(told)
        with pytest.raises(ValueError) as found:  # noqa: PT011
            ENCODER.batches(told)
        assert str(found.value) == str(expected.value)


def test_full_batches_are_written_as_the_codec_does_and_read_again() -> None:
    drawn = Random(7)
    told = [
        PLAIN._replace(
            worker_no=index * 5, changed_at=1_790_000_000_000 + drawn.randrange(10**9),
            record_id=f"E-{drawn.randrange(10**6)}", content_hash=drawn.randrange(-(2**63), 2**63),
            payload=drawn.randbytes(drawn.randrange(150)),
        )
        for index in range(2_300)
    ]  # fmt: skip
    values = ENCODER.batches(told)
    assert values == [by_the_codec(told[start : start + 1_000]) for start in (0, 1_000, 2_000)]
    assert [row for value in values for row in messages_of(CODEC, value)] == told


class OneFieldMore(Codec):
    """A codec whose schemas end with one more optional field, as the next version of a topic may."""

    def encode(self, topic: str, record: Mapping[str, Any]) -> bytes:
        return super().encode(topic, record) + b"\0"


def test_a_schema_that_is_another_one_is_noticed_before_anything_is_sent() -> None:
    with pytest.raises(RuntimeError, match="is not the one that is written by hand"):
        BatchEncoder(OneFieldMore())


def by_the_codec(told: list[LinkMessage]) -> bytes:
    columns = dict(zip(LinkMessage._fields, zip(*told, strict=True), strict=True))
    return CODEC.encode(WORKER_RECORDS, columns)
