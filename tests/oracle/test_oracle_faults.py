"""Faults of the platform that the oracle found, each as small as it can be told."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import EMPLOYMENTS, NON_THAI_IDS, WORK_PERMITS, InProcessPlatform, job, on_sqlite, opened, permit
from oracle.platform_side import committed

from saphan_projections.identity import signature_of
from saphan_schemas.catalogue import default_catalogue


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[InProcessPlatform]:
    with opened(lambda: on_sqlite(tmp_path)) as made:
        yield made


def workers(platform: InProcessPlatform) -> dict[str, dict[str, object]]:
    platform.run()
    with platform.state_database.reading() as transaction:
        return committed(transaction).settled.workers


def test_passports_with_an_empty_nationality_join_nobody() -> None:
    blank = dict.fromkeys(default_catalogue().kinds(WORK_PERMITS))
    said = {**blank, "passport_number": "MB700001"}
    assert signature_of(WORK_PERMITS, {**said, "nationality": ""}).identifiers == ()
    assert signature_of(WORK_PERMITS, {**said, "nationality": "MMR"}).identifiers == ("pp:MMR:MB700001",)


def test_an_empty_text_hides_nothing_that_another_registry_says(platform: InProcessPlatform) -> None:
    platform.publish(WORK_PERMITS, permit(1, sex="M", nationality="MMR"))
    identity = {name: permit(1)[name] for name in ("non_thai_id", "birth_date")}
    platform.publish(NON_THAI_IDS, {**identity, "record_id": "D-1", "nationality": "", "sex": ""})
    (worker,) = workers(platform).values()
    assert (worker["nationality"], worker["sex"]) == ("MMR", "M")


def test_an_employment_with_an_empty_sector_is_not_surely_eligible(platform: InProcessPlatform) -> None:
    platform.publish(EMPLOYMENTS, job(1, sector=""))
    (worker,) = workers(platform).values()
    assert worker["employed"]
    assert not worker["eligible"]
