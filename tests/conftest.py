"""What tests share: one real Kafka and one real PostgreSQL for the whole session, empty topics and databases for a test."""

import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from saphan_infra.data_dir import checkout_cache_dir
from saphan_infra.local_kafka import LocalKafka
from saphan_infra.local_postgres import LocalPostgres
from saphan_infra.settings import Settings, unknown_variables
from saphan_schemas.topics import TOPICS

CHECKOUT = Path(__file__).parents[1]

# What a run says is said of the change, so its examples are the same each time; `--hypothesis-profile=default` looks
# for others.
settings.register_profile("same_examples", derandomize=True)
settings.load_profile("same_examples")

#: kafka-python's, not ours: how it reads its own files on Python 3.11 and 3.12, and that it drops the socket of a
#: refused connection unclosed (such a socket has no peer: "laddr=('0.0.0.0', …)>").
_KAFKA_PYTHON_WARNINGS = (
    "ignore:read_text is deprecated:DeprecationWarning",
    "ignore:open_text is deprecated:DeprecationWarning",
    r"ignore:Exception ignored in. <socket.socket fd=\d+.*laddr=.'0.0.0.0', \d+.>:pytest.PytestUnraisableExceptionWarning",
)


def pytest_configure(config: pytest.Config) -> None:
    """Let kafka-python be used while every other warning stays an error."""
    for line in _KAFKA_PYTHON_WARNINGS:
        config.addinivalue_line("filterwarnings", line)


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting comes from where the tests run: no variable, no file."""
    for name in [*unknown_variables(), *(f"SAPHAN_{name.upper()}" for name in Settings.model_fields), "SAPHAN_CONFIG"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def java_cache() -> Path:
    """Where downloads stay, the same as for `saphan demo` in this checkout: nothing is fetched twice."""
    named = os.environ.get("SAPHAN_CACHE_DIR")
    return Path(named).absolute() if named else checkout_cache_dir() or CHECKOUT / ".saphan" / "cache"


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory, java_cache: Path) -> Iterator[str]:
    """host:port of a Kafka broker that lives as long as the test session, with all topics of the table."""
    from saphan_infra import kafka_admin

    broker = LocalKafka(tmp_path_factory.mktemp("kafka"), java_cache)
    try:
        bootstrap = broker.start()
        kafka_admin.ensure_topics(bootstrap, TOPICS.values())
        yield bootstrap
    finally:
        broker.stop()


@pytest.fixture
def clean_topics(kafka_bootstrap: str) -> Callable[[Iterable[str]], None]:
    """A function that empties topics of the table: deletes them and makes them again."""

    from saphan_infra import kafka_admin

    def empty(names: Iterable[str]) -> None:
        wanted = [TOPICS[name] for name in names]
        kafka_admin.delete_topics(kafka_bootstrap, [topic.name for topic in wanted])
        kafka_admin.ensure_topics(kafka_bootstrap, wanted)

    return empty


@pytest.fixture
def fresh_broker(clean_topics: Callable[[Iterable[str]], None], kafka_bootstrap: str) -> str:
    """host:port of the session's broker after every topic of the table was emptied."""
    clean_topics(TOPICS)
    return kafka_bootstrap


@pytest.fixture(scope="session")
def postgres_server(java_cache: Path) -> Iterator[LocalPostgres]:
    """A PostgreSQL server that lives as long as the test session."""
    # Not below pytest's own directory, which other users may not enter: root runs PostgreSQL as nobody.
    with tempfile.TemporaryDirectory(prefix="saphan-postgres-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        server = LocalPostgres(Path(directory) / "server", java_cache, durable=False)
        try:
            server.start()
            yield server
        finally:
            server.stop()


_database_numbers = itertools.count(1)


@pytest.fixture
def postgres_url(postgres_server: LocalPostgres) -> Iterator[str]:
    """SQLAlchemy URL of an empty PostgreSQL database that nobody else uses."""
    name = f"test_{next(_database_numbers)}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)
