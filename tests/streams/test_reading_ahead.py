"""That what was read beside is what link would have read by itself, of the very same messages, and is given up in time."""

import gc
import itertools
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import msgpack
import pytest
from faust.types import TP
from feed_messages import BYTES_MAX, CODEC, brought, chunk_of, message_of, messages_of
from good_records import good
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_process import InProcessPlatform, on_sqlite, opened, tell_small_story

from saphan_schemas.catalogue import Catalogue, SchemaVersion, default_catalogue
from saphan_schemas.codec import Codec
from saphan_schemas.topics import EMPLOYMENTS, FEEDS
from saphan_streams import reading_ahead
from saphan_streams.feed_chunks import FeedChunk, feed_chunk, read_feed_chunk
from saphan_streams.feed_chunks import messages_of as messages_in
from saphan_streams.feed_reading import Messages
from saphan_streams.reading_ahead import ReadingAhead
from saphan_streams.reading_beside import ReaderBeside
from saphan_streams.reading_process import _answer, introduced, introduction, read_in
from saphan_streams.transport import Chunk


def through_frames(said: Any) -> Any:
    return msgpack.unpackb(msgpack.packb(said), use_list=False)


class InThisProcess(ReaderBeside):
    """Answers as the process does, at once, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(CODEC.catalogue, BYTES_MAX)
        self.asked: list[Chunk] = []
        self.is_ready = True

    def read(self, chunk: Chunk) -> FeedChunk | None:
        self.asked.append(chunk)
        answer = through_frames(_answer(CODEC, through_frames(messages_in(chunk)), BYTES_MAX))
        return None if answer is None else feed_chunk(chunk, read_in(answer))


class AtOnce:
    """As much of a thread pool as is asked for, without a thread."""

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        found: Future[Any] = Future()
        found.set_result(work(*arguments))
        return found


class Later:
    """Nothing has begun when it is asked for."""

    def submit(self, *_: Any) -> Future[Any]:
        return Future()


def ahead_of(beside: ReaderBeside, pool: Any = None) -> ReadingAhead:
    ahead = ReadingAhead(CODEC, BYTES_MAX, beside)
    ahead._thread = cast(Any, pool or AtOnce())
    return ahead


@pytest.fixture(autouse=True)
def no_piece_is_too_small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading_ahead, "_MESSAGES_MIN", 1)
        patch.setattr(reading_ahead, "_MESSAGES_MAX", 5)
        yield


def send(ahead: ReadingAhead, chunk: Chunk, records: Sequence[Any]) -> None:
    ahead.send({TP(*chunk.place): records})


def read_here(chunk: Chunk) -> FeedChunk:
    return read_feed_chunk(CODEC, chunk, BYTES_MAX)


def jobs(count: int) -> Chunk:
    return chunk_of(EMPLOYMENTS, [message_of(EMPLOYMENTS, good(EMPLOYMENTS))] * count)


@pytest.mark.parametrize("topic", FEEDS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_was_read_beside_is_what_is_read_here_wherever_it_is_cut(topic: str, data: st.DataObject) -> None:
    chunk = chunk_of(topic, data.draw(st.lists(messages_of(topic), max_size=12)))
    others = chunk_of(topic, [message_of(topic, good(topic))] * len(chunk.records))
    count, beside = len(chunk.records), InThisProcess()
    ahead = ahead_of(beside)
    for start, end in pieces(data, count):
        # Some are not sent, and some messages that were sent come no more: others stand in their place.
        kind = data.draw(st.sampled_from(["sent", "sent", "not sent", "others", "others first"]))
        if kind.startswith("others"):
            send(ahead, chunk, others.records[start:end])
        if kind in {"sent", "others first"}:
            send(ahead, chunk, chunk.records[start:end])
    for start, end in pieces(data, count):
        part = chunk._replace(records=chunk.records[start:end])
        read = ahead.read(part)
        assert brought(read) == brought(read_here(part))
        ahead.passed(part)
    assert not any(ahead._pieces.values())


def pieces(data: st.DataObject, count: int) -> list[tuple[int, int]]:
    cuts = sorted({0, count, *data.draw(st.lists(st.integers(0, count), max_size=4))})
    return list(itertools.pairwise(cuts))


def test_what_was_read_beside_is_not_read_again() -> None:
    chunk, beside = jobs(12), InThisProcess()
    ahead = ahead_of(beside)
    send(ahead, chunk, chunk.records)
    assert [len(asked.records) for asked in beside.asked] == [5, 5, 2]
    ahead._codec = Codec(Catalogue({}))
    assert len(ahead.read(chunk).events.offset) == 12


def test_what_is_not_begun_when_it_is_needed_is_read_here_and_not_beside_any_more() -> None:
    chunk = jobs(3)
    ahead = ahead_of(InThisProcess(), Later())
    send(ahead, chunk, chunk.records)
    assert brought(ahead.read(chunk)) == brought(read_here(chunk))
    assert [piece.answer.cancelled() for piece in ahead._pieces[chunk.place]] == [True]


def test_messages_that_break_the_code_are_read_here_where_it_is_found_out_which_one_it_is() -> None:
    no_bytes: Any = 7
    assert _answer(CODEC, Messages(EMPLOYMENTS, [b"a"], [no_bytes]), BYTES_MAX) is None
    assert _answer(CODEC, (), BYTES_MAX) is None


def test_a_few_messages_are_not_worth_a_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_ahead, "_MESSAGES_MIN", 4)
    beside = InThisProcess()
    send(ahead_of(beside), jobs(3), jobs(3).records)
    assert beside.asked == []


def test_the_process_reads_with_the_numbers_of_link_whoever_gave_them() -> None:
    rows = default_catalogue().by_topic
    moved = {topic: tuple(_numbered(row, 7 + row.version) for row in versions) for topic, versions in rows.items()}
    catalogue = Catalogue(moved, tuple(row for versions in rows.values() for row in versions))
    assert introduced(through_frames(introduction(catalogue, 123))) == (catalogue, 123)


def _numbered(version: SchemaVersion, schema_id: int) -> SchemaVersion:
    return SchemaVersion(version.topic, version.version, schema_id, version.source)


def answers_of(ahead: ReadingAhead) -> list["weakref.ref[Any]"]:
    return [weakref.ref(piece.answer) for row in ahead._pieces.values() for piece in row]


def test_with_a_new_assignment_link_gives_up_what_was_read_for_the_last_one(
    in_process_platform: InProcessPlatform,
) -> None:
    link, chunk = in_process_platform.link, jobs(12)
    link.ahead = ahead_of(InThisProcess())
    send(link.ahead, chunk, chunk.records)
    answers = answers_of(link.ahead)
    assert len(answers) == 3
    link.resume([chunk.place])
    gc.collect()
    assert [answer() for answer in answers] == [None] * 3


@pytest.mark.parametrize("poison", [None, "it breaks the code"])
def test_with_a_commit_link_gives_up_what_is_behind_it(
    in_process_platform: InProcessPlatform, poison: str | None
) -> None:
    link, chunk = in_process_platform.link, jobs(12)
    link.resume([chunk.place])
    link.ahead = ahead_of(InThisProcess())
    send(link.ahead, chunk, chunk.records)
    link.commit((chunk._replace(records=chunk.records[:6]),), set(), poison)
    assert len(answers_of(link.ahead)) == 2, "the second one is half done"
    foreign = chunk._replace(partition=chunk.partition + 1)
    send(link.ahead, foreign, foreign.records)
    assert link.commit((foreign,), set(), poison) is None
    assert len(answers_of(link.ahead)) == 2, "what is not ours is not asked for again"


def test_link_ends_with_the_same_state_and_messages_when_it_was_read_ahead(
    in_process_platform: InProcessPlatform, tmp_path: Path
) -> None:
    platform, beside = in_process_platform, InThisProcess()
    platform.link.ahead = ahead_of(beside)
    tell_small_story(platform)
    for topic, partitions in platform.log.items():
        platform.link.ahead.send({TP(topic, partition): rows for partition, rows in partitions.items()})
    assert beside.asked
    platform.run(chunk_records_max=3)
    (tmp_path / "other").mkdir()
    with opened(lambda: on_sqlite(tmp_path / "other")) as other:
        tell_small_story(other)
        other.run(chunk_records_max=3)
        assert platform.log == other.log
        assert platform.state() == other.state()
    assert not answers_of(platform.link.ahead)
