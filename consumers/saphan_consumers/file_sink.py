"""How alert states get into a JSON Lines file exactly once, also when the process dies between file and ledger."""

import os
from hashlib import blake2b
from pathlib import Path

import orjson

from saphan_consumers.delivery import Delivery, Told, parts_of
from saphan_consumers.ledger import Ledger
from saphan_consumers.told import adopt

_LENGTH = "file_length"
_MARK = "file_mark"
_MARK_BYTES = 4096
_READ_BYTES = 1 << 20


class FileSink:
    """Appends to one file and knows how much of it the ledger has accounted for.

    The file belongs to this consumer: others read it, or rename it away while the consumer runs or after it has
    stopped cleanly. Readers never see a line taken back.
    """

    def __init__(self, path: Path, ledger: Ledger) -> None:
        self.path = path
        self._ledger = ledger
        self._descriptor = -1
        self._length = 0
        self._mark = ""

    def recover(self) -> int:
        """Bring ledger and file together. Returns how many lines were in the file but not yet in the ledger.

        What follows the ledger's length in the same file are lines written just before a crash: whole lines count as
        delivered, an unfinished one is cut off. Any other file is taken as it is. Raises OSError, sqlite3.Error.
        """
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        _sync_folder(self.path.parent)
        size = os.fstat(self._descriptor).st_size
        known, mark = int(self._ledger.note(_LENGTH) or 0), self._ledger.note(_MARK)
        if mark is None:
            # The ledger is new: lines of ours that an earlier ledger wrote count, and nothing is cut off.
            size = self._end_last_line(size)
        elif size < known or self._mark_at(known) != mark:
            self._take_as_it_is(size)
            return 0
        lines, end = self._adopt(known, size)
        if end < size:
            os.ftruncate(self._descriptor, end)
            os.fsync(self._descriptor)
        return lines

    def append(self, deliveries: list[Delivery]) -> None:
        """Write and flush to the disk; then :meth:`remember` in the ledger's transaction. Raises OSError."""
        if not deliveries:
            return
        if self._moved_away():
            self.recover()
        lines = b"".join(line_of(delivery) for delivery in deliveries)
        written = 0
        while written < len(lines):
            written += os.write(self._descriptor, lines[written:])
        os.fsync(self._descriptor)
        self._length += len(lines)
        self._mark = self._mark_at(self._length)

    def remember(self) -> None:
        """Inside a transaction: the ledger accounts for everything that was appended."""
        self._ledger.keep(_LENGTH, str(self._length))
        self._ledger.keep(_MARK, self._mark)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _moved_away(self) -> bool:
        mine = os.fstat(self._descriptor)
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return True
        return (there.st_ino, there.st_dev) != (mine.st_ino, mine.st_dev) or mine.st_size != self._length

    def _take_as_it_is(self, size: int) -> None:
        # Before the first byte is written here, so that a crash later finds this file and not the one before.
        size = self._end_last_line(size)
        self._length, self._mark = size, self._mark_at(size)
        with self._ledger.transaction():
            self.remember()

    def _end_last_line(self, size: int) -> int:
        if size == 0 or os.pread(self._descriptor, 1, size - 1) == b"\n":
            return size
        os.write(self._descriptor, b"\n")
        os.fsync(self._descriptor)
        return size + 1

    def _adopt(self, start: int, size: int) -> tuple[int, int]:
        """Take whole lines into the ledger; how many, and where the last of them ends."""
        count, rest, place, end = 0, b"", start, start
        with self._ledger.transaction():
            while place < size:
                block = os.pread(self._descriptor, min(_READ_BYTES, size - place), place)
                if not block:
                    # Only this consumer should write here. The next beginning takes the file as it is then.
                    message = f"{self.path} was cut short to {place} bytes while it was read, expected {size}"
                    raise OSError(message)
                place += len(block)
                *lines, rest = (rest + block).split(b"\n")
                end = place - len(rest)
                known = [identity for line in lines if (identity := _identity(line)) is not None]
                adopt(self._ledger, known)
                count += len(known)
            self._length, self._mark = end, self._mark_at(end)
            self.remember()
        return count, end

    def _mark_at(self, length: int) -> str:
        start = max(0, length - _MARK_BYTES)
        block = os.pread(self._descriptor, length - start, start)
        return blake2b(block, digest_size=16).hexdigest()


def line_of(delivery: Delivery) -> bytes:
    """The webhook's body with its id in front, as one line."""
    return b'{"id":"' + delivery.delivery_id.encode() + b'",' + delivery.body[1:] + b"\n"


def _identity(line: bytes) -> tuple[str, Told, int] | None:
    """Alert, state and occurrence of a line of ours; None for a line that somebody else put there."""
    try:
        row = orjson.loads(line)
        alert_id, version, identifier = row["data"]["alert_id"], row["data"]["version"], row["id"]
        fingerprint, occurrence = parts_of(alert_id, identifier)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return alert_id, Told(version, fingerprint), occurrence


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
