"""A process that behaves as its arguments say, in the place of link, integrate and the consumers."""

import os
import signal
import sys
import threading
from pathlib import Path

from saphan_infra.roles import announce


def main(behaviour: str, name: str) -> int:
    """Announce and wait for SIGTERM; or end with a code; or never announce."""
    directory = Path(os.environ["SAPHAN_DATA_DIR"])
    sys.stderr.write(f"{name} says hello\n")
    if behaviour.startswith("exit"):
        return int(behaviour.removeprefix("exit"))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if behaviour != "silent":
        announce(directory, name, int(os.environ["SAPHAN_METRICS_PORT"]))
    while not stop.wait(1):
        pass
    with (directory / "order.txt").open("a") as order:
        order.write(name + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
