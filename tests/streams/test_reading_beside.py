"""That the process beside link reads as link does, and that link loses nothing when it dies, hangs or talks nonsense."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP
from feed_messages import BYTES_MAX, CODEC, brought, chunk_of, message_of
from good_records import good

from saphan_infra.clock import monotonic_seconds, wait_seconds
from saphan_schemas.topics import EMPLOYMENTS
from saphan_streams import reading_ahead, reading_beside
from saphan_streams.feed_chunks import read_feed_chunk
from saphan_streams.reading_ahead import ReadingAhead
from saphan_streams.reading_beside import ReaderBeside

GOOD = message_of(EMPLOYMENTS, good(EMPLOYMENTS))
CHUNK = chunk_of(EMPLOYMENTS, [GOOD, (b"other", GOOD[1]), (None, None), (GOOD[0], bytes(BYTES_MAX + 1))] * 80)
READ_HERE = brought(read_feed_chunk(CODEC, CHUNK, BYTES_MAX))
FETCHED = {TP(*CHUNK.place): CHUNK.records}


@pytest.fixture
def beside() -> Iterator[ReaderBeside]:
    reader = ReaderBeside(CODEC.catalogue, BYTES_MAX)
    yield reader
    reader.close()


@pytest.fixture
def ahead(beside: ReaderBeside) -> Iterator[ReadingAhead]:
    """Its process is up."""
    reading = ReadingAhead(CODEC, BYTES_MAX, beside)
    reading.send(FETCHED)
    assert not reading._pieces, "nobody waits for its start"
    until(lambda: beside.is_ready)
    yield reading
    reading.close()


def until(is_so: Callable[[], bool]) -> None:
    end = monotonic_seconds() + 30
    while not is_so():
        assert monotonic_seconds() < end
        wait_seconds(0.01)


def pid_of(beside: ReaderBeside) -> int:
    assert beside._process is not None
    return beside._process.pid


def is_there(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_it_reads_as_link_does_also_after_an_interrupt_and_something_that_breaks_the_code(
    ahead: ReadingAhead, beside: ReaderBeside
) -> None:
    os.kill(pid_of(beside), signal.SIGINT)
    assert brought(beside.read(CHUNK)) == READ_HERE
    no_bytes: Any = 7
    assert beside.read(chunk_of(EMPLOYMENTS, [(b"a", no_bytes)])) is None
    assert brought(beside.read(CHUNK)) == READ_HERE
    ahead.send(FETCHED)
    assert brought(ahead.read(CHUNK)) == READ_HERE


@pytest.mark.parametrize("fetched", [{}, FETCHED], ids=["idle", "at work"])
def test_nothing_is_left_of_it_when_link_closes_it(
    ahead: ReadingAhead, beside: ReaderBeside, fetched: dict[TP, list[Any]]
) -> None:
    process = beside._process
    assert process is not None
    ahead.send(fetched)
    ahead.close()
    assert process.returncode is not None
    assert [pipe is not None and pipe.closed for pipe in (process.stdin, process.stdout)] == [True, True]
    ahead.send(FETCHED)
    assert not ahead._pieces
    assert brought(ahead.read(CHUNK)) == READ_HERE
    assert not beside.may_start()


def test_it_ends_when_link_is_killed() -> None:
    program = """
        from feed_messages import BYTES_MAX, CODEC
        from saphan_infra.clock import wait_seconds
        from saphan_streams.reading_beside import ReaderBeside
        reader = ReaderBeside(CODEC.catalogue, BYTES_MAX)
        reader.start()
        print(reader._process.pid, reader.is_ready, flush=True)
        wait_seconds(600)
    """
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    link = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    )
    with link:
        assert link.stdout is not None
        pid, is_ready = link.stdout.readline().split()
        assert is_ready == b"True"
        link.kill()
    until(lambda: not is_there(int(pid)))


def test_when_it_dies_over_its_work_link_reads_by_itself_and_another_one_comes_after_a_while(
    ahead: ReadingAhead, beside: ReaderBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = pid_of(beside)
    os.kill(pid, signal.SIGSTOP)
    ahead.send(FETCHED)
    (piece,) = ahead._pieces[CHUNK.place]
    until(piece.answer.running)
    threading.Timer(0.1, os.kill, (pid, signal.SIGKILL)).start()
    assert brought(ahead.read(CHUNK)) == READ_HERE
    assert piece.answer.result() is None
    assert not is_there(pid)
    ahead.forget()
    ahead.send(FETCHED)
    assert not ahead._pieces
    assert beside._process is None
    monkeypatch.setattr(beside, "_start_seconds", 0.0)
    ahead.send(FETCHED)
    until(lambda: beside.is_ready)
    ahead.send(FETCHED)
    assert brought(ahead.read(CHUNK)) == READ_HERE


def test_when_it_hangs_link_waits_a_while_and_reads_by_itself(
    ahead: ReadingAhead, beside: ReaderBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_ahead, "_ANSWER_SECONDS_MAX", 0.1)
    pid = pid_of(beside)
    os.kill(pid, signal.SIGSTOP)
    ahead.send(FETCHED)
    until(ahead._pieces[CHUNK.place][0].answer.running)
    assert brought(ahead.read(CHUNK)) == READ_HERE
    until(lambda: not is_there(pid))


SAYS = "import sys; out = sys.stdout.buffer; out.write({}); out.flush(); sys.stdin.buffer.read()"
READY = b"\0\0\0\1\xc3"


@pytest.mark.parametrize("said", [
    READY + b"\xff\xff\xff\xff", READY + b"\0\0\0\1\xc1", READY + b"\0\0\0\1\x07", READY + b"\0\0\0\2\x91\x07",
])  # fmt: skip
def test_when_it_talks_nonsense_link_reads_by_itself(said: bytes) -> None:
    beside = ReaderBeside(CODEC.catalogue, BYTES_MAX, [sys.executable, "-c", SAYS.format(said)])
    beside.start()
    assert beside.is_ready
    pid = pid_of(beside)
    assert beside.read(CHUNK) is None
    assert not beside.is_ready
    assert not is_there(pid)
    beside.close()


@pytest.mark.parametrize("command", [
    ["/there/is/no/such/program"], [sys.executable, "-c", ""], [sys.executable, "-c", SAYS.format(b"\0\0\0\1\xc2")],
])  # fmt: skip
def test_when_it_cannot_be_started_link_reads_by_itself(command: list[str]) -> None:
    beside = ReaderBeside(CODEC.catalogue, BYTES_MAX, command)
    ahead = ReadingAhead(CODEC, BYTES_MAX, beside)
    beside.start()
    assert not beside.is_ready
    assert beside._process is None
    assert beside.read(CHUNK) is None
    assert brought(ahead.read(CHUNK)) == READ_HERE
    ahead.close()


def test_its_pipes_take_a_whole_question(ahead: ReadingAhead, beside: ReaderBeside) -> None:
    """Otherwise each of its parts would wait for the interpreter beside the busy commit."""
    import fcntl

    assert beside._process is not None
    assert beside._process.stdin is not None
    assert fcntl.fcntl(beside._process.stdin.fileno(), fcntl.F_GETPIPE_SZ) == reading_beside._PIPE_BYTES
