"""How a file that only its owner may read is written: aside, and under its name once it is whole."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from typing import IO

from saphan_infra.private_dirs import make_private

_PREFIX = ".saphan-"
_SUFFIX = ".partial"


class WrittenAside:
    """A file that takes the place of ``path`` at :meth:`close`; what stood there before is whole until then.

    It is a new file, which only its owner reads, whatever the rights of the one before were. A device or a pipe is
    written to as it is. Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        self._aside: Path | None = None
        if path.exists() and not path.is_file():
            self._file: IO[bytes] = path.open("wb")
            return
        # Where a link leads, so that the link stays.
        self._target = path.resolve()
        make_private(self._target.parent)
        descriptor, name = mkstemp(_SUFFIX, _PREFIX, self._target.parent)
        self._file = os.fdopen(descriptor, "wb")
        self._aside = Path(name)

    def write(self, content: bytes) -> None:
        """Append. When that fails, the file gets no name any more."""
        try:
            self._file.write(content)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Give up: what stood there before stays."""
        # What is still in the buffer may fail to be written; nobody wants it any more.
        with suppress(OSError):
            self._file.close()
        aside, self._aside = self._aside, None
        if aside is not None:
            aside.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the file its name. When it cannot be written to its end, what stood there before stays."""
        try:
            self._file.close()
        except OSError:
            self.discard()
            raise
        if self._aside is not None:
            self._aside.replace(self._target)
