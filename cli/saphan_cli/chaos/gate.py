"""How a webhook's receiver misbehaves: a door before the real receiver that passes posts on, or does not."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from saphan_consumers.receiver import Inbox, Receiver
from saphan_consumers.signing import signing_keys
from saphan_infra.clock import wait_seconds

_SLOW_SECONDS = 1.5
_ANSWER_SECONDS_MAX = 30.0


class Gate:
    """The address that the platform posts to. ``mode`` may change at any time; ``hurt`` counts what it did not let by.

    Modes are open, slow, failing, resetting, silent (never answers) and answer_lost (lets the post in and hangs up).
    """

    def __init__(self, receiver_url: str) -> None:
        class Handler(_Handler):
            gate = self

        self.mode = "open"
        self.hurt = 0
        self.opened = threading.Event()
        self.receiver = urlsplit(receiver_url)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{self.receiver.path}"

    def serve(self) -> None:
        """Answer until :meth:`stop` is called from another thread."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """Let :meth:`serve` return, and close the port."""
        self.set("open")
        self._server.shutdown()
        self._server.server_close()

    def set(self, mode: str) -> None:
        """Behave like this from now on; posts that are held without an answer are dropped when the door opens."""
        self.mode = mode
        if mode == "open":
            self.opened.set()
        else:
            self.opened.clear()


class _Handler(BaseHTTPRequestHandler):
    gate: ClassVar[Gate]
    protocol_version = "HTTP/1.1"
    timeout = _ANSWER_SECONDS_MAX

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        mode = self.gate.mode
        if mode != "open":
            self.gate.hurt += 1
        match mode:
            case "failing":
                self._answer(500, b"the receiver is broken")
            case "resetting":
                self._hang_up()
            case "silent":
                self.gate.opened.wait(_ANSWER_SECONDS_MAX)
                self._hang_up()
            case "answer_lost":
                self._passed_on(body)
                self._hang_up()
            case _:
                if mode == "slow":
                    wait_seconds(_SLOW_SECONDS)
                self._answer(*self._passed_on(body))

    def _passed_on(self, body: bytes) -> tuple[int, bytes]:
        receiver = self.gate.receiver
        connection = http.client.HTTPConnection(receiver.netloc, timeout=_ANSWER_SECONDS_MAX)
        try:
            connection.request("POST", receiver.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing: the platform's side tells what came of it."""


@contextmanager
def receiver_behind_gate(inbox_path: Path, secret: str) -> Iterator[Gate]:
    """A receiver that keeps each state once in a file, and the door before it."""
    inbox = Inbox(inbox_path)
    receiver = Receiver(inbox, signing_keys(secret))
    gate = Gate(receiver.url)
    threads = [threading.Thread(target=serve, daemon=True) for serve in (receiver.serve, gate.serve)]
    for thread in threads:
        thread.start()
    try:
        yield gate
    finally:
        gate.stop()
        receiver.stop()
        for thread in threads:
            thread.join()
        inbox.close()
