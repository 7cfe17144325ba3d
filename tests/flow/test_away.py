"""That Kafka or the database away, at start or in mid-run, is told clearly, waited for, and costs nothing."""

import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from running_platform import Event, RunningPlatform, SimulatedWorld, running, slices, undisturbed

from saphan_infra.local_kafka import LocalKafka
from saphan_infra.local_postgres import LocalPostgres

pytestmark = [pytest.mark.broker, pytest.mark.postgres]


@dataclass(frozen=True)
class Services:
    """A broker and a database that are not the platform's own, so that only the test stops and starts them."""

    kafka: LocalKafka
    postgres: LocalPostgres


@pytest.fixture(scope="module")
def services(java_cache: Path) -> Iterator[Services]:
    """Both services, in a directory that PostgreSQL's own user can enter."""
    with tempfile.TemporaryDirectory(prefix="saphan-away-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        kafka = LocalKafka(Path(directory) / "kafka", java_cache, heap_mb=256)
        postgres = LocalPostgres(Path(directory) / "postgres", java_cache)
        try:
            kafka.start()
            postgres.start()
            yield Services(kafka, postgres)
        finally:
            postgres.stop()
            kafka.stop()


@pytest.fixture(scope="module")
def platform(
    services: Services, tmp_path_factory: pytest.TempPathFactory, java_cache: Path
) -> Iterator[RunningPlatform]:
    """A platform that uses these services."""
    settings = {"kafka_bootstrap": services.kafka.bootstrap, "database_url": services.postgres.url()}
    with running(tmp_path_factory.mktemp("away"), java_cache, chunk_records_max=20, **settings) as made:
        yield made


@pytest.fixture(scope="module")
def parts(hamlet: SimulatedWorld) -> list[list[Event]]:
    """The world's events in four parts."""
    return slices(hamlet.events, 4, random.Random(1))


def says(platform: RunningPlatform, role: str, text: str, already: int = 0) -> bool:
    """Whether a role's log comes to hold a text once more than it did."""
    return platform.becomes(lambda: platform.log(role).count(text) > already)


def test_kafka_away_in_mid_run_and_at_start_is_waited_for(
    platform: RunningPlatform, services: Services, parts: list[list[Event]]
) -> None:
    platform.publish(parts[0])
    assert platform.becomes(platform.drained)
    lines = len(platform.log("integrate-0").splitlines())
    waiting = platform.log("link").count("waiting for the broker")
    services.kafka.stop()  # in order, so that for a moment no partition has a leader
    assert says(platform, "integrate-0", "waiting for the broker"), platform.log("integrate-0", 30)
    platform.kill("link")
    assert says(platform, "link", "waiting for the broker", waiting), platform.log("link", 30)
    assert len(platform.log("integrate-0").splitlines()) < lines + 200, (
        "a broker that is away is told now and then only"
    )
    services.kafka.start()
    platform.publish(parts[1])
    assert platform.becomes(platform.drained), (platform.log("link", 30), platform.log("integrate-0", 30))


def test_postgresql_away_in_mid_run_and_at_start_is_waited_for(
    platform: RunningPlatform, services: Services, parts: list[list[Event]]
) -> None:
    waiting = platform.log("link").count("waiting for the database")
    services.postgres.stop()
    platform.publish(parts[2])
    assert says(platform, "link", "waiting for the database", waiting), platform.log("link", 30)
    waiting = platform.log("integrate-0").count("waiting for the database")
    platform.kill("integrate-0")
    assert says(platform, "integrate-0", "waiting for the database", waiting), platform.log("integrate-0", 30)
    services.postgres.start()
    platform.publish(parts[3])
    assert platform.becomes(platform.drained), (platform.log("link", 30), platform.log("integrate-0", 30))


def test_after_all_that_the_state_is_that_of_an_undisturbed_run(
    platform: RunningPlatform, hamlet: SimulatedWorld, tmp_path: Path
) -> None:
    expected = undisturbed(hamlet, tmp_path, platform.settings)
    platform.publish(hamlet.events)
    platform.publish_heartbeats(hamlet.newest_heartbeats())
    assert platform.reaches(expected), (platform.hash(), expected)
