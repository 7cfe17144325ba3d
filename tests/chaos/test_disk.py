"""That a process whose disk is full can write nothing more, goes on, and can write again afterwards."""

import subprocess
import sys
from pathlib import Path

from saphan_cli.chaos import disk

#: Appends a line for each that it is asked for, and says whether it could.
WRITER = """
import sys
for line in sys.stdin:
    try:
        with open(sys.argv[1], "a") as file:
            file.write(line)
        print("written", flush=True)
    except OSError as error:
        print(error.strerror, flush=True)
"""


def test_nothing_can_be_written_while_the_disk_is_full(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "file")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def written() -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("a line\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        assert written() == "written"
        disk.fill([process.pid])
        assert written() == "File too large"
        disk.empty([process.pid])
        assert written() == "written"
        process.stdin.close()
    assert (tmp_path / "file").read_text(encoding="utf-8") == "a line\n" * 2


def test_a_process_that_is_gone_needs_no_disk() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        process.wait()
    disk.fill([process.pid])
