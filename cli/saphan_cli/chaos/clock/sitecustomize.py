"""How far a process's wall clock is off: seconds that a file holds are added to what Python's clock says.

Python imports a module of this name at its start when the folder is on PYTHONPATH. So the machine's clock stays as it
is and the platform knows nothing of it.
"""

import mmap
import os
import struct
import time

OFFSET_FILE_VARIABLE = "CHAOS_CLOCK_OFFSET_FILE"
_SECONDS = struct.Struct("<d")
_NS = 1_000_000_000


def _shift(path: str) -> None:
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib would load in every process before its own imports
        offset = mmap.mmap(file.fileno(), _SECONDS.size, access=mmap.ACCESS_READ)
    real_seconds, real_ns = time.time, time.time_ns

    def seconds() -> float:
        return real_seconds() + float(_SECONDS.unpack_from(offset)[0])

    def nanoseconds() -> int:
        return real_ns() + int(_SECONDS.unpack_from(offset)[0] * _NS)

    time.time, time.time_ns = seconds, nanoseconds


if OFFSET_FILE_VARIABLE in os.environ:
    _shift(os.environ[OFFSET_FILE_VARIABLE])
