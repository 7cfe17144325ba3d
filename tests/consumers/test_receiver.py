import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest
from standardwebhooks.webhooks import Webhook
from structlog.testing import capture_logs

from saphan_consumers.receiver import Inbox, Receiver, Tally
from saphan_consumers.signing import signed_headers, signing_keys
from saphan_infra.clock import now_ms

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the standard's published test secret
KEYS = signing_keys(SECRET)
BODY = b'{"type":"alert.enrolment.due","data":{"alert_id":"A-a"}}'


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = Inbox(tmp_path / "inbox.jsonl")
    yield opened
    opened.close()


@pytest.fixture
def url(inbox: Inbox) -> Iterator[str]:
    receiver = Receiver(inbox, KEYS)
    thread = threading.Thread(target=receiver.serve, daemon=True)
    thread.start()
    yield receiver.url
    receiver.stop()
    thread.join()


def post(url: str, headers: dict[str, str], body: bytes = BODY) -> httpx.Response:
    return httpx.post(url, content=body, headers=headers, trust_env=False)


def test_a_signed_state_is_kept_once_and_every_repeat_is_acknowledged(url: str, tmp_path: Path) -> None:
    headers = signed_headers(KEYS, "A-a-1", now_ms() // 1000, BODY)
    assert [post(url, headers).status_code for _ in range(3)] == [204, 204, 204]
    (line,) = (tmp_path / "inbox.jsonl").read_bytes().splitlines()
    assert orjson.loads(line) == {"id": "A-a-1", **orjson.loads(BODY)}


def test_what_another_implementation_signs_is_accepted(url: str) -> None:
    seconds = now_ms() // 1000
    headers = signed_headers(KEYS, "A-a-1", seconds, BODY)
    Webhook(SECRET).verify(BODY, headers)
    assert post(url, headers).status_code == 204


def test_what_is_not_signed_or_too_large_or_no_json_is_refused_and_not_kept(url: str, inbox: Inbox) -> None:
    headers = signed_headers(KEYS, "A-a-1", now_ms() // 1000, BODY)
    assert post(url, {}).status_code == 401
    assert post(url, headers, BODY + b" ").status_code == 401
    assert post(url, signed_headers(KEYS, "A-a-1", 1000, BODY)).status_code == 401
    assert post(url, headers, b"x" * 30_000).status_code == 413
    assert post(url, signed_headers(KEYS, "A-b-1", now_ms() // 1000, b"[1]"), b"[1]").status_code == 400
    assert len(inbox) == 0


@pytest.mark.parametrize("length", [b"\xb2", b"", b"-1", b"0x10", b"1" * 5000])
def test_a_length_that_is_no_number_is_refused_with_an_answer(url: str, inbox: Inbox, length: bytes) -> None:
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port), 10) as client:
        client.sendall(b"POST /alerts HTTP/1.1\r\nHost: here\r\nContent-Length: " + length + b"\r\n\r\n")
        answer = client.makefile("rb").readline()
    assert answer.split()[1] == (b"413" if len(length) > 4 else b"411")
    assert len(inbox) == 0


def test_after_a_crash_an_unfinished_line_is_cut_off_and_known_ids_are_known(tmp_path: Path) -> None:
    path = tmp_path / "inbox.jsonl"
    path.write_bytes(b'{"id":"A-a-1"}\n{"id":"A-b')
    inbox = Inbox(path)
    assert not inbox.keep("A-a-1", BODY)
    assert inbox.keep("A-b-1", BODY)
    inbox.close()
    assert [orjson.loads(line)["id"] for line in path.read_bytes().splitlines()] == ["A-a-1", "A-b-1"]


def test_a_body_with_an_id_of_its_own_is_known_by_the_messages_id_after_a_restart_too(tmp_path: Path) -> None:
    """The file held the body's own id, so that the repeat was kept as another message."""
    path = tmp_path / "inbox.jsonl"
    for is_new in (True, False):
        inbox = Inbox(path)
        assert inbox.keep("A-a-1", b'{"id":"of the body","data":1}') == is_new
        inbox.close()
    assert [orjson.loads(line)["id"] for line in path.read_bytes().splitlines()] == ["A-a-1"]


@pytest.mark.parametrize("line", [b'{"data":1}', b"[1]", b"no JSON", b'{"id":7}'])
def test_a_file_that_is_no_inbox_is_named_as_such_and_left_as_it_is(tmp_path: Path, line: bytes) -> None:
    """A line without an id ended the command with an error that it does not explain."""
    path = tmp_path / "other.jsonl"
    held = b'{"id":"A-a-1"}\n' + line + b"\nunfinished"
    path.write_bytes(held)
    with pytest.raises(ValueError, match=r"line 2 of .*other\.jsonl"):
        Inbox(path)
    assert path.read_bytes() == held


def test_counts_are_told_now_and_then_and_nothing_is_left_out_of_them() -> None:
    tally = Tally()
    with capture_logs() as told:
        for number in range(25):
            tally.count(float(number), new=number % 2 == 0)
        tally.finish()
        tally.finish()
    assert [(row["log_level"], row["new"], row["repeated"]) for row in told] == [
        ("info", 1, 0), ("info", 6, 5), ("info", 11, 10), ("info", 13, 12),
    ]  # fmt: skip
