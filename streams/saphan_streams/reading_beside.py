"""How link holds the process that reads beside it: started when it is first of use, and again when it has died."""

import contextlib
import fcntl
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import cast

from saphan_infra import clock
from saphan_infra.logs import get_logger
from saphan_schemas.catalogue import Catalogue
from saphan_streams.feed_chunks import FeedChunk, feed_chunk, messages_of
from saphan_streams.reading_process import READY, introduction, read_frame, read_in, write_frame
from saphan_streams.transport import Chunk

_COMMAND = (sys.executable, "-m", "saphan_streams.reading_process")
#: A process that died is started again after so long at the earliest.
_START_SECONDS_MIN = 10.0
#: A whole question in one call: each call that lets go of the interpreter waits for it beside the busy commit.
_PIPE_BYTES = 1 << 20

log = get_logger("saphan.reading")


class ReaderBeside:
    """One process, never more. ``start``, ``read`` and ``close`` take their time and are for one thread; the rest for any."""

    def __init__(self, catalogue: Catalogue, message_bytes_max: int, command: Sequence[str] = _COMMAND) -> None:
        self._introduction = introduction(catalogue, message_bytes_max)
        self._command = command
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._start_seconds = clock.monotonic_seconds()
        self._closed = False
        self.is_ready = False

    def may_start(self) -> bool:
        """Whether it is time to start it; who is told so does."""
        with self._lock:
            now_seconds = clock.monotonic_seconds()
            if self._closed or self._process is not None or now_seconds < self._start_seconds:
                return False
            self._start_seconds = now_seconds + _START_SECONDS_MIN
            return True

    def start(self) -> None:
        """Start it and wait until it answers; when it does not, there is none."""
        try:
            with self._lock:
                if self._closed or self._process is not None:
                    return
                process = self._process = subprocess.Popen(  # noqa: S603 - this Python and a module of ours
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            self._introduce(process)
        except Exception as error:  # noqa: BLE001 - link reads by itself then
            self._ended(error)

    def _introduce(self, process: subprocess.Popen[bytes]) -> None:
        for pipe in (process.stdin, process.stdout):
            _widen(pipe.fileno())  # type: ignore[union-attr]
        write_frame(process.stdin.fileno(), self._introduction)  # type: ignore[union-attr]
        if read_frame(process.stdout) is not READY:  # type: ignore[arg-type]
            message = "it does not say that it is ready"
            raise ValueError(message)
        self.is_ready = True

    def read(self, chunk: Chunk) -> FeedChunk | None:
        """What a chunk brings; None when the process could not say, or is not there."""
        process = self._process
        if process is None:
            return None
        try:
            write_frame(process.stdin.fileno(), messages_of(chunk))  # type: ignore[union-attr]
            answer = read_frame(process.stdout)  # type: ignore[arg-type]
            return None if answer is None else feed_chunk(chunk, read_in(answer))
        except Exception as error:  # noqa: BLE001 - it died, or what it says makes no sense: link reads by itself
            self._ended(error)
            return None

    def kill(self) -> None:
        """End the process; whoever waits for its answer gets none."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def kill_for_good(self) -> None:
        """The same, and there will be no other."""
        with self._lock:
            self._closed = True
        self.kill()

    def close(self) -> None:
        """End the process for good and leave nothing of it."""
        self.kill_for_good()
        self._bury()

    def _ended(self, error: Exception) -> None:
        self._bury()
        if not self._closed:
            log.warning("the process that reads beside link is gone, link reads by itself", why=type(error).__name__)

    def _bury(self) -> None:
        with self._lock:
            process, self._process = self._process, None
            self.is_ready = False
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


def _widen(pipe: int) -> None:
    operation = cast(int | None, getattr(fcntl, "F_SETPIPE_SZ", None))
    if operation is not None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, operation, _PIPE_BYTES)
