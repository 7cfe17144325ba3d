"""What these tests share: the platform in one process, over an in-memory log."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# in_process is a plain module for every test folder; pytest's importlib mode puts none on the path.
sys.path.insert(0, str(Path(__file__).parents[1]))

from in_process import InProcessPlatform, on_sqlite, opened


@pytest.fixture
def in_process_platform(tmp_path: Path) -> Iterator[InProcessPlatform]:
    """link and integrate over two SQLite files, nothing published yet."""
    with opened(lambda: on_sqlite(tmp_path)) as platform:
        yield platform
