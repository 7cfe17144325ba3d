"""A small receiver of the webhook for trials: checks each signature and keeps each alert state once, in a file."""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson

from saphan_consumers.delivery import BODY_BYTES_MAX
from saphan_consumers.signing import SignatureRefused, verify
from saphan_infra.clock import monotonic_seconds, now_ms
from saphan_infra.logs import get_logger

_REQUEST_SECONDS_MAX = 15.0
# Python makes no number of some thousand digits.
_LENGTH_DIGITS_MAX = 12
#: Counts are told at most this often: a line for each message would be thousands a minute.
_COUNT_SECONDS = 10.0

log = get_logger(__name__)


def length_refusal(length: str) -> int | None:
    """The status that refuses a body with this Content-Length; None for a body that is read."""
    if not (length.isascii() and length.isdigit()):
        return 411
    return 413 if len(length) > _LENGTH_DIGITS_MAX or int(length) > BODY_BYTES_MAX else None


class Inbox:
    """The file, and the ids that are in it. A state is on the disk before its sender is told so.

    Raises OSError, and ValueError when the file holds anything but messages with an id; it is then left as it is.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._ids: set[str] = set()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            end = self._read(path)
            # An unfinished last line was never acknowledged: its sender sends it again.
            os.ftruncate(self._descriptor, end)
        except BaseException:
            self.close()
            raise

    def _read(self, path: Path) -> int:
        """Note the ids of all whole lines; where the last of these lines ends."""
        end = 0
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.endswith(b"\n"):
                    end += len(line)
                    self._ids.add(_id_in(line, f"line {number} of {path}"))
        return end

    def __len__(self) -> int:
        return len(self._ids)

    def keep(self, message_id: str, body: bytes) -> bool:
        """Write a message down; False when it is already there. Raises OSError, ValueError (not a JSON object)."""
        # The message's id comes last, for it is the one to know repeats by, whatever the body calls its own id.
        line = orjson.dumps({**orjson.loads(body), "id": message_id}) + b"\n"
        with self._lock:
            if message_id in self._ids:
                return False
            start = os.fstat(self._descriptor).st_size
            try:
                written = 0
                while written < len(line):
                    written += os.write(self._descriptor, line[written:])
                os.fsync(self._descriptor)
            except OSError:
                os.ftruncate(self._descriptor, start)
                raise
            self._ids.add(message_id)
        return True

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _id_in(line: bytes, place: str) -> str:
    try:
        found = orjson.loads(line)["id"]
    except (ValueError, TypeError, KeyError):
        found = None
    if not isinstance(found, str):
        message = f"{place} is not a message with its id, as this receiver writes them"
        raise ValueError(message)  # noqa: TRY004 - the file is at fault, no caller's type
    return found


class Tally:
    """How many messages came; which ones only a log of level DEBUG says."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new = self._repeated = self._untold = 0
        self._told_at: float | None = None

    def count(self, now_seconds: float, *, new: bool) -> None:
        """One more; the first one is told at once, the others together."""
        with self._lock:
            self._new += new
            self._repeated += not new
            self._untold += 1
            if self._told_at is None or now_seconds - self._told_at >= _COUNT_SECONDS:
                self._told_at = now_seconds
                self._tell()

    def finish(self) -> None:
        """Tell of those of which nothing was told yet."""
        with self._lock:
            if self._untold:
                self._tell()

    def _tell(self) -> None:
        self._untold = 0
        log.info("Messages came in", new=self._new, repeated=self._repeated)


class Receiver:
    """Listens on this machine only. ``port`` 0 takes a free one."""

    def __init__(self, inbox: Inbox, keys: tuple[bytes, ...], port: int = 0) -> None:
        class Handler(_Handler):
            pass

        Handler.inbox = inbox
        Handler.keys = keys
        self._tally = Handler.tally = Tally()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/alerts"

    def serve(self) -> None:
        """Answer until :meth:`stop` is called from another thread."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """Let :meth:`serve` return, and close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._tally.finish()


class _Handler(BaseHTTPRequestHandler):
    inbox: Inbox
    keys: tuple[bytes, ...]
    tally: Tally
    protocol_version = "HTTP/1.1"
    timeout = _REQUEST_SECONDS_MAX
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        status = length_refusal(length)
        if status is not None:
            self.close_connection = True
            self._answer(status, "expected a body below 20 kB with its content-length")
            return
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            message_id = verify(self.keys, headers, body, now_ms() / 1000)
            new = self.inbox.keep(message_id, body)
        except SignatureRefused as refused:
            log.warning("A message was refused", reason=refused.code)
            self._answer(401, str(refused))
        except (ValueError, TypeError):
            self._answer(400, "expected a JSON object")
        except OSError as error:
            log.warning("The inbox cannot be written", cause=str(error))
            self._answer(503, "the inbox cannot be written now")
        else:
            self.tally.count(monotonic_seconds(), new=new)
            log.debug("A message came in" if new else "A repeated message was dropped", delivery_id=message_id)
            self._answer(204, "")

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        if status != 204:
            self.send_header("content-type", "text/plain; charset=utf-8")
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing in http.server's own way, which is not JSON."""
