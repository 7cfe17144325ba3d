"""From which moment a file without a date of its own counts: when its bytes were first published from here."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saphan_infra.private_dirs import make_private
from saphan_publishers.input_files import open_input
from saphan_publishers.rows import FileProblem

_BYTES_AT_ONCE = 1 << 20


class FirstSeen:
    """A directory with one small file for each content that was ever published: its name the hash, its text the time.

    The same bytes (packed or not) read by the same mapping always get the same time, so that publishing again changes
    nothing; a corrected file has other bytes, a later time, and wins.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def content_hash(self, path: str, reading: str) -> str:
        """Hash of the file's bytes and of ``reading``, the mapping's text and whatever else decides what they mean."""
        digest = hashlib.blake2b(reading.encode("utf-8"), digest_size=20)
        with open_input(path) as source:
            for _, line in source.lines():
                digest.update(line)
        return digest.hexdigest()

    def known_ms(self, content_hash: str) -> int | None:
        """When this content was first published, None for never. Raises FileProblem."""
        with self._told():
            try:
                text = (self._directory / content_hash).read_text(encoding="ascii")
            except FileNotFoundError:
                return None
        try:
            return int(text)
        except ValueError:
            found = f"{self._directory / content_hash} without a time in it"
            todo = "Give --as-of with the day of the file, then delete that file."
            raise FileProblem("first_seen_unreadable", found, "milliseconds since 1970", todo) from None

    def remember(self, content_hash: str, now_ms: int) -> int:
        """Note ``now_ms`` unless a time is known already; the time that counts. Raises FileProblem."""
        known = self.known_ms(content_hash)
        if known is not None:
            return known
        with self._told():
            self._note(content_hash, now_ms)
        return self.known_ms(content_hash) or now_ms

    def _note(self, content_hash: str, now_ms: int) -> None:
        make_private(self._directory)
        # Written aside and linked, so that of two publishers at once both take the first one's time, and a crash
        # leaves no empty file.
        aside = self._directory / f".{content_hash}.{os.getpid()}"
        aside.write_text(str(now_ms), encoding="ascii")
        try:
            os.link(aside, self._directory / content_hash)
        except FileExistsError:
            pass
        finally:
            aside.unlink()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Trouble with what is noted here, which is not trouble with the agency's file."""
        try:
            yield
        except OSError as error:
            found = f"{self._directory}, where it is noted when a file was first published: {error.strerror}"
            todo = "Make room and rights there, or give --as-of with the day of the file."
            raise FileProblem("first_seen_unusable", found, "a directory to read and to write", todo) from error
