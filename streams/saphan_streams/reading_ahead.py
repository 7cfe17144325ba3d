"""Which messages are read by the process beside link while link is at work, and which of them are the ones it needs.

Reading is a pure function of the messages, and nothing else of link is: so it is what the other core can do. Link takes
what was read of a message only if it is the very same message, and reads by itself whatever was not read.
"""

import threading
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

from faust.types import TP

from saphan_projections.link_records import joined
from saphan_schemas.codec import Codec
from saphan_streams.feed_chunks import FeedChunk, read_feed_chunk
from saphan_streams.reading_beside import ReaderBeside
from saphan_streams.transport import Chunk

#: Fewer messages are read as soon as they are sent; and more at once would be waited for too long.
_MESSAGES_MIN, _MESSAGES_MAX = 256, 4_096
#: Without an answer for so long the process beside counts as dead; an answer takes some 50 ms.
_ANSWER_SECONDS_MAX = 5.0

_offset_of = attrgetter("offset")


class _Piece(NamedTuple):
    """Messages that are read beside, or will be, and the answer."""

    chunk: Chunk
    answer: Future[FeedChunk | None]

    @property
    def first_offset(self) -> int:
        return int(self.chunk.records[0].offset)

    def part_in(self, records: Sequence[Any], start: int) -> slice:
        """Which of these messages, from ``start`` on, are the very same as the piece's; an empty slice for none."""
        mine = self.chunk.records
        first = bisect_left(records, self.first_offset, lo=start, key=_offset_of)
        last = bisect_right(records, mine[-1].offset, lo=first, key=_offset_of)
        if first == last:
            return slice(first, first)
        at = bisect_left(mine, records[first].offset, key=_offset_of)
        same = list(records[first:last]) == list(mine[at : at + last - first])
        return slice(first, last if same else first)


class ReadingAhead:
    """Reads for link: beside it what it is told in good time, here what it is asked for."""

    def __init__(self, codec: Codec, message_bytes_max: int, beside: ReaderBeside | None = None) -> None:
        self._codec = codec
        self._message_bytes_max = message_bytes_max
        self._beside = beside or ReaderBeside(codec.catalogue, message_bytes_max)
        self._lock = threading.Lock()
        self._pieces: dict[tuple[str, int], deque[_Piece]] = {}
        self._closed = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="saphan-reading")

    def send(self, fetched: Mapping[TP, Sequence[Any]]) -> None:
        """Let be read beside what will be asked for later; a partition's messages in order. Never waits."""
        chunks = [
            Chunk(tp.topic, tp.partition, records[start : start + _MESSAGES_MAX])
            for tp, records in fetched.items()
            for start in range(0, len(records), _MESSAGES_MAX)
            if len(records) - start >= _MESSAGES_MIN
        ]
        if not chunks:
            return
        with self._lock:
            if self._closed:
                return
            if self._beside.is_ready:
                for chunk in chunks:
                    piece = _Piece(chunk, self._thread.submit(self._beside.read, chunk))
                    self._pieces.setdefault(chunk.place, deque()).append(piece)
            elif self._beside.may_start():
                # Nothing is asked before it is there, so that nobody waits for it.
                self._thread.submit(self._beside.start)

    def read(self, chunk: Chunk) -> FeedChunk:
        """What a chunk brings: the same whether it was read beside or is read here."""
        records, parts, start = chunk.records, [], 0
        with self._lock:
            pieces = tuple(self._pieces.get(chunk.place, ()))
        for piece in pieces:
            found = piece.part_in(records, start)
            if found.start == found.stop or (answer := self._answer(piece)) is None:
                continue
            if found.start > start:
                parts.append(self._read_here(chunk, start, found.start))
            parts.append(_between(answer, records[found.start].offset, records[found.stop - 1].offset))
            start = found.stop
        if start < len(records):
            parts.append(self._read_here(chunk, start, len(records)))
        return parts[0] if len(parts) == 1 else _all_of(parts)

    def passed(self, chunk: Chunk) -> None:
        """A chunk is not asked for any more, nor is anything before its end."""
        with self._lock:
            pieces = self._pieces.get(chunk.place)
            while pieces and pieces[0].chunk.next_offset <= chunk.next_offset:
                pieces.popleft().answer.cancel()

    def forget(self) -> None:
        """Nothing of what was sent will be asked for: it comes again."""
        with self._lock:
            pieces = [piece for row in self._pieces.values() for piece in row]
            self._pieces.clear()
        for piece in pieces:
            piece.answer.cancel()

    def close(self) -> None:
        """End the process beside; from now on everything is read here."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._thread.submit(self._beside.close)
        self.forget()
        self._beside.kill_for_good()
        self._thread.shutdown(wait=True)

    def _read_here(self, chunk: Chunk, start: int, end: int) -> FeedChunk:
        return read_feed_chunk(self._codec, chunk._replace(records=chunk.records[start:end]), self._message_bytes_max)

    def _answer(self, piece: _Piece) -> FeedChunk | None:
        if piece.answer.cancel():
            # Not begun: it is read here as fast, while the one beside goes on with the next.
            return None
        try:
            return piece.answer.result(_ANSWER_SECONDS_MAX)
        except TimeoutError:
            self._beside.kill()
            return None


def _between(read: FeedChunk, first_offset: int, last_offset: int) -> FeedChunk:
    """What of it stands at these offsets."""

    def cut(rows: list[Any], offset_of: Callable[[Any], int]) -> list[Any]:
        start = bisect_left(rows, first_offset, key=offset_of)
        return rows[start : bisect_right(rows, last_offset, lo=start, key=offset_of)]

    events = read.events
    return FeedChunk(
        events.cut(bisect_left(events.offset, first_offset), bisect_right(events.offset, last_offset)),
        cut(read.heartbeats, _offset_of),
        cut(read.refusals, attrgetter("record.offset")),
    )


def _all_of(parts: Sequence[FeedChunk]) -> FeedChunk:
    events, heartbeats, refusals = zip(*parts, strict=True)
    return FeedChunk(joined(events), list(chain.from_iterable(heartbeats)), list(chain.from_iterable(refusals)))
