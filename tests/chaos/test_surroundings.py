"""That poison is refused for its reason, a bad receiver behaves as it is told, and a stepped clock is off by so much."""

import http.client
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from good_records import good
from log_record import LogRecord

from saphan_cli.chaos import comparing
from saphan_cli.chaos.gate import Gate, receiver_behind_gate
from saphan_cli.chaos.place import Clock
from saphan_cli.chaos.poison import REASONS, poisoned
from saphan_consumers.signing import signed_headers, signing_keys
from saphan_infra.clock import now_ms
from saphan_publishers.messages import MessageMaker
from saphan_schemas.codec import Codec
from saphan_schemas.topics import EMPLOYMENTS, MESSAGE_BYTES_MAX
from saphan_streams.feed_chunks import read_feed_chunk
from saphan_streams.transport import Chunk

SECRET = "whsec_c2FwaGFuLXRlc3Qtc2VjcmV0LTAxMjM0NTY3ODk="  # noqa: S105 - of this test's receiver
BODY = b'{"data":{}}'


@pytest.mark.parametrize("reason", REASONS)
def test_each_poison_is_refused_for_its_reason(reason: str) -> None:
    message = MessageMaker(EMPLOYMENTS).message(good(EMPLOYMENTS))
    made = poisoned(7, reason, EMPLOYMENTS, message).message
    record = LogRecord(EMPLOYMENTS, 0, 0, 0, made.key, made.value)
    read = read_feed_chunk(Codec(), Chunk(EMPLOYMENTS, 0, [record]), MESSAGE_BYTES_MAX)
    assert [refusal.reason for refusal in read.refusals] == [reason]


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    with receiver_behind_gate(tmp_path / "inbox.jsonl", SECRET) as made:
        yield made


def post(gate: Gate, identity: str, seconds: float = 5) -> int | None:
    """The status of one post; None: no answer."""
    url = urlsplit(gate.url)
    connection = http.client.HTTPConnection(url.netloc, timeout=seconds)
    try:
        connection.request(
            "POST", url.path, BODY, signed_headers(signing_keys(SECRET), identity, now_ms() // 1000, BODY)
        )
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def arrived(tmp_path: Path) -> list[str]:
    return [row["id"] for row in comparing.lines_of(tmp_path / "inbox.jsonl")]


@pytest.mark.parametrize(
    ("mode", "status", "arrives"),
    [
        ("open", 204, True),
        ("slow", 204, True),
        ("failing", 500, False),
        ("resetting", None, False),
        ("answer_lost", None, True),
    ],
)
def test_a_receiver_behaves_as_it_is_told(
    gate: Gate, tmp_path: Path, mode: str, status: int | None, arrives: bool
) -> None:
    gate.set(mode)
    assert post(gate, "one") == status
    assert arrived(tmp_path) == (["one"] if arrives else [])
    assert gate.hurt == (mode != "open")


def test_a_silent_receiver_answers_nobody_and_lets_go_when_it_is_over(gate: Gate, tmp_path: Path) -> None:
    gate.set("silent")
    found: list[int | None] = []
    thread = threading.Thread(target=lambda: found.append(post(gate, "one", 20)))
    thread.start()
    while not gate.hurt:
        assert thread.is_alive()
    gate.set("open")
    thread.join()
    assert found == [None]
    assert arrived(tmp_path) == []
    assert post(gate, "one") == 204


def test_a_process_with_a_stepped_clock_sees_another_time_and_nobody_else_does(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "offset")
    clock.set(-3600)
    shown = subprocess.run(
        [sys.executable, "-c", "from saphan_infra.clock import now_ms; print(now_ms())"],
        env=clock.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert 3_000_000 < now_ms() - int(shown.stdout) < 3_700_000


def test_a_clock_is_stepped_while_the_process_runs(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "offset")
    code = "import time\nprint(time.time(), flush=True)\ninput()\nprint(time.time())"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=clock.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = float(process.stdout.readline())
        clock.set(600)
        second, _ = process.communicate("\n")
    assert 590 < float(second) - first < 700
