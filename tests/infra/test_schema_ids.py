"""Whether a process writes a registry's ids when one is set, and says what to do when it cannot."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from registry_server import Registry, running

from saphan_infra.availability import ServiceUnavailable
from saphan_infra.schema_ids import use_schema_ids
from saphan_infra.settings import Settings, SettingsError
from saphan_schemas.catalogue import current_catalogue, default_catalogue, use_catalogue
from saphan_schemas.codec import Codec, schema_id_of
from saphan_schemas.registry import SchemaRegistry, push
from saphan_schemas.topics import EMPLOYER_PAIRS

PAIR = {
    "record_id": "P-1", "version": 1, "changed_at": 1_770_000_000_000, "deleted": False,
    "sso_account": "7100042318", "sso_branch": "000000", "employer_id": "E-1",
}  # fmt: skip


@pytest.fixture(autouse=True)
def own_ids_afterwards() -> Iterator[None]:
    yield
    use_catalogue(default_catalogue())


def test_without_a_registry_the_lock_files_ids_are_used(tmp_path: Path) -> None:
    use_schema_ids(Settings(data_dir=tmp_path))
    assert current_catalogue() is default_catalogue()


def test_with_a_registry_its_ids_are_written_and_the_lock_files_are_still_read(tmp_path: Path) -> None:
    before = Codec().encode(EMPLOYER_PAIRS, PAIR)
    with running(Registry()) as registry:
        with SchemaRegistry(registry.url) as client:
            push(client, default_catalogue())
        use_schema_ids(Settings(data_dir=tmp_path, schema_registry_url=registry.url))
        codec = Codec()
        message = codec.encode(EMPLOYER_PAIRS, PAIR)
        assert schema_id_of(message) == registry.subjects[f"{EMPLOYER_PAIRS}-value"][-1]
    assert codec.decode_many(EMPLOYER_PAIRS, [message, before]) == [PAIR, PAIR]


def test_a_registry_that_was_never_pushed_to_is_told_with_what_to_do(tmp_path: Path) -> None:
    with running(Registry()) as registry, pytest.raises(SettingsError) as refusal:
        use_schema_ids(Settings(data_dir=tmp_path, schema_registry_url=registry.url))
    assert str(refusal.value).count("Run `saphan schemas push` first.") == 1


def test_a_registry_that_wants_a_password_is_told_with_another_remedy_than_a_push(tmp_path: Path) -> None:
    closed = Registry()
    closed.password = "hush"  # noqa: S105 - of the fake
    with running(closed), pytest.raises(SettingsError, match="user and password") as refusal:
        use_schema_ids(Settings(data_dir=tmp_path, schema_registry_url=closed.url))
    assert "schemas push" not in str(refusal.value)


def test_a_registry_that_is_away_is_a_service_that_is_away(tmp_path: Path) -> None:
    with running(Registry()) as registry:
        url = registry.url
    with pytest.raises(ServiceUnavailable):
        use_schema_ids(Settings(data_dir=tmp_path, schema_registry_url=url))
