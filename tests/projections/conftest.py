"""What these tests share: the platform in one process, over an in-memory log, and an empty database of each kind."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# in_process is a plain module for every test folder; pytest's importlib mode puts none on the path.
sys.path.insert(0, str(Path(__file__).parents[1]))

from in_process import InProcessPlatform, on_sqlite, opened

from saphan_projections.database import Database, create_tables


@pytest.fixture
def in_process_platform(tmp_path: Path) -> Iterator[InProcessPlatform]:
    """link and integrate over two SQLite files, nothing published yet."""
    with opened(lambda: on_sqlite(tmp_path)) as platform:
        yield platform


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind with all tables."""
    on_sqlite = request.param == "sqlite"
    made = Database(f"sqlite:///{tmp_path / 'test.db'}" if on_sqlite else request.getfixturevalue("postgres_url"))
    create_tables(made)
    yield made
    made.close()
