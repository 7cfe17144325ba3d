"""How fast this machine runs Python just now, on one core and on all of them at once.

Cores of a guest may share one real core, and its neighbours change its speed within minutes: figures of two runs say
something of two programs only where these agree.
"""

import subprocess
import sys
from contextlib import ExitStack
from typing import NamedTuple

from saphan_infra.clock import monotonic_seconds

_SECONDS = 1.0
#: What a unit makes: as much as stays in no processor's nearest caches, like the records that link and integrate hold.
_RECORDS_PER_UNIT = 20_000


class Speed(NamedTuple):
    """Units of one and the same Python work a second: on one core while the others rest, and on all cores together.

    ``cores_worth`` is how many resting machines' single cores all of them together are worth.
    """

    one_core: float
    all_cores: float
    cores_worth: float


def speed(cores: int) -> Speed:
    """Measure; takes two seconds. Raises CalledProcessError when a process of the measurement fails."""
    alone, together = _units_per_second(1), _units_per_second(cores)
    return Speed(round(alone, 2), round(together, 2), round(together / alone, 2))


def _units_per_second(processes: int) -> float:
    command = [sys.executable, "-m", __name__, str(_SECONDS)]
    with ExitStack() as stack:
        running = []
        for _ in range(processes):
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))  # noqa: S603
            # One that is left behind would take a core from whatever comes next.
            stack.callback(process.kill)
            running.append(process)
        said = [process.communicate()[0] for process in running]
    for process in running:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
    return sum(map(float, said))


def _rate(seconds: float) -> float:
    """Units a second of this process."""
    began = monotonic_seconds()
    units, passed = 0, 0.0
    while passed < seconds:
        _unit()
        units += 1
        passed = monotonic_seconds() - began
    return units / passed


def _unit() -> int:
    # Small objects, texts and look-ups: what the two applications do most.
    records = {f"record-{number}": (number, str(number), [number]) for number in range(_RECORDS_PER_UNIT)}
    return sum(number for number, text, _ in records.values() if f"record-{text}" in records)


if __name__ == "__main__":
    sys.stdout.write(f"{_rate(float(sys.argv[1]))}\n")
