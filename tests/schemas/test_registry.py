"""The schema registry: pushing over real HTTP, ids that are then written and read, and every way it can go wrong."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from registry_server import Registry, running

from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.codec import Codec, UndecodableMessage, schema_id_of
from saphan_schemas.registry import RegistryRefused, RegistryUnavailable, SchemaRegistry, push
from saphan_schemas.registry_ids import REGISTRY_IDS_FILE, catalogue_for, read_ids, store_ids
from saphan_schemas.topics import EMPLOYER_PAIRS, STAYS, TOPICS

PAIR = {
    "record_id": "P-1", "version": 1, "changed_at": 1_770_000_000_000, "deleted": False,
    "sso_account": "7100042318", "sso_branch": "000000", "employer_id": "E-1",
}  # fmt: skip


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running(Registry()) as found:
        yield found


def connect(url: str) -> SchemaRegistry:
    """A client that does not wait between its tries."""
    return SchemaRegistry(url, pause=lambda _: None)


def test_pushing_registers_every_version_and_sets_the_compatibility(registry: Registry) -> None:
    with connect(registry.url) as client:
        registered = push(client, default_catalogue())
    assert {row.topic for row in registered} == set(TOPICS)
    assert registry.levels == {f"{topic}-value": "FULL_TRANSITIVE" for topic in TOPICS}
    for row in registered:
        assert registry.subjects[f"{row.topic}-value"][row.version - 1] == row.schema_id
        assert json.loads(registry.schemas[row.schema_id])["fields"][0]["doc_th"]


def test_pushing_again_gives_the_same_ids(registry: Registry) -> None:
    with connect(registry.url) as client:
        assert push(client, default_catalogue()) == push(client, default_catalogue())
    assert len(registry.schemas) == sum(map(len, default_catalogue().by_topic.values()))


def test_after_a_push_the_registry_s_ids_are_written_and_both_are_read(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / REGISTRY_IDS_FILE
    with connect(registry.url) as client:
        store_ids(registry.url, path, push(client, default_catalogue()))
    before = len(registry.calls)
    codec, own = Codec(catalogue_for(registry.url, path, connect)), Codec()
    assert len(registry.calls) == before, "the stored ids are enough: an application starts without the registry"
    message = codec.encode(EMPLOYER_PAIRS, PAIR)
    assert schema_id_of(message) == registry.subjects[f"{EMPLOYER_PAIRS}-value"][0]
    assert codec.decode_many(EMPLOYER_PAIRS, [message, own.encode(EMPLOYER_PAIRS, PAIR)]) == [PAIR, PAIR]
    with pytest.raises(UndecodableMessage) as refused:
        codec.decode(STAYS, message)
    assert refused.value.reason == "wrong_schema"


def test_without_stored_ids_the_registry_is_asked_once_and_nothing_is_registered(
    registry: Registry, tmp_path: Path
) -> None:
    path = tmp_path / "data" / REGISTRY_IDS_FILE
    with connect(registry.url) as client:
        push(client, default_catalogue())
    registry.read_only = True
    first = catalogue_for(registry.url, path, connect)
    calls = len(registry.calls)
    assert catalogue_for(registry.url, path, connect) == first
    assert len(registry.calls) == calls
    assert first.latest(STAYS).schema_id == registry.subjects[f"{STAYS}-value"][0]


def test_without_a_registry_the_lock_file_s_ids_are_used(tmp_path: Path) -> None:
    assert catalogue_for(None, tmp_path / REGISTRY_IDS_FILE) is default_catalogue()


def test_schemas_that_were_never_pushed_are_told_of(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(RegistryRefused, match=r"Run `saphan schemas push` first"):
        catalogue_for(registry.url, tmp_path / REGISTRY_IDS_FILE, connect)
    assert not (tmp_path / REGISTRY_IDS_FILE).exists()


def test_ids_of_another_registry_are_not_used(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / REGISTRY_IDS_FILE
    with connect(registry.url) as client:
        store_ids("http://registry.example", path, push(client, default_catalogue()))
    assert read_ids(registry.url, path) == {}
    assert catalogue_for(registry.url, path, connect).latest(STAYS).schema_id in registry.schemas
    assert read_ids(registry.url, path)


@pytest.mark.parametrize("content", ["{", "[]", '{"registry": 1}', '{"ids": {}}', ""])
def test_a_damaged_file_of_ids_is_told_of(content: str, tmp_path: Path) -> None:
    path = tmp_path / REGISTRY_IDS_FILE
    path.write_text(content, encoding="utf-8")
    damaged = content != '{"registry": 1}'
    if damaged:
        with pytest.raises(ValueError, match=r"is damaged. Remove it and run"):
            read_ids("http://127.0.0.1:1", path)
    else:
        assert read_ids("http://127.0.0.1:1", path) == {}


def test_user_and_password_go_to_the_registry_and_nowhere_else(registry: Registry, tmp_path: Path) -> None:
    registry.password = "s3cret/word"  # noqa: S105 - of the fake
    url = registry.url.replace("http://", "http://pusher:s3cret%2Fword@")
    path = tmp_path / REGISTRY_IDS_FILE
    with connect(url) as client:
        store_ids(url, path, push(client, default_catalogue()))
    assert "s3cret" not in path.read_text(encoding="utf-8")
    assert read_ids(url, path) == read_ids(registry.url, path)
    other = connect(registry.url.replace("http://", "http://pusher:wrong@"))
    with other as client, pytest.raises(RegistryRefused, match=r"401.*put user and password") as refused:
        push(client, default_catalogue())
    assert "wrong" not in str(refused.value)


@pytest.mark.parametrize("faults", [[500], [503, 429, 502], [500, 500, 500, 500]])
def test_a_registry_that_stumbles_is_asked_again(registry: Registry, faults: list[int]) -> None:
    registry.faults = list(faults)
    pauses: list[float] = []
    with SchemaRegistry(registry.url, pause=pauses.append) as client:
        push(client, default_catalogue())
    assert len(pauses) == len(faults)
    assert pauses == sorted(pauses)


def test_a_registry_that_keeps_failing_is_unavailable(registry: Registry) -> None:
    registry.faults = [500] * 50
    with connect(registry.url) as client, pytest.raises(RegistryUnavailable, match=r"HTTP 500.*Check SAPHAN_"):
        push(client, default_catalogue())


def test_a_registry_that_is_away_is_told_of_with_its_address(registry: Registry) -> None:
    with running(Registry()) as gone:
        pass
    away = connect(gone.url.replace("http://", "http://pusher:pw@"))
    with away as client, pytest.raises(RegistryUnavailable) as unavailable:
        push(client, default_catalogue())
    assert gone.url in str(unavailable.value)
    assert "pw@" not in str(unavailable.value)


def test_a_schema_that_the_registry_finds_incompatible_is_told_of(registry: Registry) -> None:
    strange = {"type": "record", "name": "Stay", "namespace": "th.saphan.immigration"}
    fields = [{"name": "record_id", "type": "long"}]
    registry.answer(
        "POST", ["subjects", f"{STAYS}-value", "versions"], {"schema": json.dumps(strange | {"fields": fields})}
    )
    with connect(registry.url) as client, pytest.raises(RegistryRefused, match=r"409.*another history") as refused:
        push(client, default_catalogue())
    assert refused.value.code == 409


def test_a_registry_that_is_read_only_says_so(registry: Registry) -> None:
    registry.read_only = True
    with connect(registry.url) as client, pytest.raises(RegistryRefused, match="read-only mode") as refused:
        push(client, default_catalogue())
    assert refused.value.code == 42205


def test_an_id_that_stands_for_another_schema_is_not_believed(registry: Registry) -> None:
    registry.forged_schema = json.dumps({"type": "record", "name": "R", "fields": []})
    with (
        connect(registry.url) as client,
        pytest.raises(RegistryRefused, match=r"is not .*-value version 1 but another"),
    ):
        push(client, default_catalogue())


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[1]),
        httpx.Response(200, json={"id": "7"}),
        httpx.Response(200, json={"id": True}),
        httpx.Response(200, json={"id": 2**32}),
        httpx.Response(200, json={}),
        httpx.Response(302, headers={"Location": "http://127.0.0.1:1"}),
        httpx.Response(404, text="Not Found"),
    ],
)
def test_something_that_is_no_registry_is_recognised(response: httpx.Response) -> None:
    transport = httpx.MockTransport(lambda _: response)
    said = pytest.raises(RegistryUnavailable, match="does not answer like a Confluent-compatible schema registry")
    with SchemaRegistry("http://127.0.0.1:1/api", transport) as client, said:
        client.register("s-value", "{}")


def test_a_subject_is_quoted_and_the_registry_s_path_is_kept() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        return httpx.Response(200, json={"id": 7})

    with SchemaRegistry("http://127.0.0.1:1/apis/ccompat/v7", httpx.MockTransport(answer)) as client:
        assert client.register("a/b ü-value", "{}") == 7
    assert asked == ["/apis/ccompat/v7/subjects/a%2Fb%20%C3%BC-value/versions"]
