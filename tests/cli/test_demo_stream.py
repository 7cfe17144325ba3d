"""The demo's publishing thread: it never keeps whoever stops the demo waiting for a Kafka that is away."""

import subprocess
import sys
from pathlib import Path

from saphan_infra.owned_process import free_port

_SCRIPT = """
import sys
from pathlib import Path
from saphan_cli import demo_stream
from saphan_infra.settings import Settings

demo_stream._STOP_SECONDS = 1
settings = Settings(data_dir=Path(sys.argv[1]), kafka_bootstrap=sys.argv[2])
stream = demo_stream.DemoStream(settings, demo_stream.Province(1, 10, 3), 1.0)
stream.start()
stream.stop()
print(stream.failure)
"""


def test_stopping_does_not_wait_for_a_kafka_that_is_away(tmp_path: Path) -> None:
    # In a process of its own: the thread ends with it.
    command = [sys.executable, "-c", _SCRIPT, str(tmp_path), f"127.0.0.1:{free_port()}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert "Kafka did not answer" in ended.stdout
