"""What the process beside link does: it reads messages and answers with what they say, until nobody asks any more.

Each question and each answer is a frame: its length in four bytes, then msgpack. The first question is the catalogue,
for the numbers of schemas may be a registry's. The end of the questions is the end of the process, whatever became of
the one that asked: it holds the other end of the pipe, and nobody else does.
"""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

import msgpack

from saphan_schemas.catalogue import Catalogue, SchemaVersion
from saphan_schemas.codec import Codec
from saphan_streams.collecting import collecting_seldom
from saphan_streams.feed_reading import FeedColumns, Messages, read_columns

#: The answer to the first question.
READY = True
_LENGTH_BYTES = 4
#: More than any chunk is: a longer frame is none.
_FRAME_BYTES_MAX = 1 << 28


def write_frame(pipe: int, said: Any) -> None:
    """Write to a file descriptor with one call where the system takes it. Raises OSError."""
    body = msgpack.packb(said)
    left = memoryview(len(body).to_bytes(_LENGTH_BYTES, "big") + body)
    while left:
        left = left[os.write(pipe, left) :]


def read_frame(stream: BinaryIO) -> Any:
    """What was said. Raises EOFError when nobody speaks any more, ValueError when it is no frame."""
    length = int.from_bytes(_exactly(stream, _LENGTH_BYTES), "big")
    if length > _FRAME_BYTES_MAX:
        message = f"a frame of {length} bytes"
        raise ValueError(message)
    return msgpack.unpackb(_exactly(stream, length), use_list=False)


def _exactly(stream: BinaryIO, length: int) -> bytes:
    found = stream.read(length)
    if len(found) < length:
        raise EOFError
    return found


def introduction(catalogue: Catalogue, message_bytes_max: int) -> Any:
    """The first question: with what everything else is read."""
    written = [row for rows in catalogue.by_topic.values() for row in rows]
    return message_bytes_max, *([_row_of(row) for row in rows] for rows in (written, catalogue.also_read))


def _row_of(version: SchemaVersion) -> tuple[str, int, int, str]:
    return version.topic, version.version, version.schema_id, version.source


def introduced(said: Any) -> tuple[Catalogue, int]:
    """The catalogue and the limit that :func:`introduction` put into a question."""
    message_bytes_max, written, also_read = said
    by_topic: dict[str, tuple[SchemaVersion, ...]] = {}
    for row in written:
        version = SchemaVersion(*row)
        by_topic[version.topic] = (*by_topic.get(version.topic, ()), version)
    return Catalogue(by_topic, tuple(SchemaVersion(*row) for row in also_read)), message_bytes_max


def answer_of(read: FeedColumns) -> Any:
    """What was read as an answer."""
    return read._replace(indexes=list(read.indexes))


def read_in(answer: Any) -> FeedColumns:
    """What :func:`answer_of` put into an answer. Raises TypeError when it is none."""
    return FeedColumns(*answer)


def serve(questions: BinaryIO, answers: int) -> None:
    """Answer until nobody asks any more. Raises EOFError, OSError then."""
    catalogue, message_bytes_max = introduced(read_frame(questions))
    codec = Codec(catalogue)
    write_frame(answers, READY)
    while True:
        write_frame(answers, _answer(codec, read_frame(questions), message_bytes_max))


def _answer(codec: Codec, question: Sequence[Any], message_bytes_max: int) -> Any:
    try:
        return answer_of(read_columns(codec, Messages(*question), message_bytes_max))
    except Exception:  # noqa: BLE001 - messages that break the code: whoever asked finds out which one it is
        return None


def main() -> None:
    """Serve link, which has started this process."""
    # Whoever interrupts link in a terminal interrupts this one as well; link ends it when it has finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What any code prints must not come between the answers.
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        with collecting_seldom():
            serve(sys.stdin.buffer, answers)
    except (EOFError, OSError):
        return


if __name__ == "__main__":
    main()
