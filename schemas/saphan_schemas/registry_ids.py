"""With which ids an application writes: the registry's where there is one, as last fetched, else the lock file's."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile

from saphan_schemas.catalogue import Catalogue, default_catalogue
from saphan_schemas.registry import Registered, RegistryRefused, SchemaRegistry, address_of

#: Name of the file in the data folder.
REGISTRY_IDS_FILE = "registry-ids.json"

_Ids = dict[tuple[str, int], int]


def read_ids(url: str, path: Path) -> _Ids:
    """(topic, version) → id as stored for this registry; empty without a file or for another registry.

    Raises ValueError when the file is not what :func:`store_ids` writes.
    """
    if not path.exists():
        return {}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["registry"] != address_of(url):
            return {}
        return {
            (topic, int(version)): int(schema_id)
            for topic, rows in stored["ids"].items()
            for version, schema_id in rows.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged. Remove it and run `saphan schemas push`.") from error


def store_ids(url: str, path: Path, registered: Iterable[Registered]) -> None:
    """Store the ids of a registry, whole or not at all."""
    ids: dict[str, dict[str, int]] = {}
    for row in registered:
        ids.setdefault(row.topic, {})[str(row.version)] = row.schema_id
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=path.name, delete=False) as out:
        json.dump({"registry": address_of(url), "ids": ids}, out, indent=2)
    Path(out.name).replace(path)


def catalogue_for(url: str | None, path: Path, connect: Callable[[str], SchemaRegistry] = SchemaRegistry) -> Catalogue:
    """The catalogue for an application: with the registry's ids if ``url`` is set, and the lock file's for reading.

    The ids come from the file at ``path``; only when it lacks some is the registry asked, and the file completed.
    Raises RegistryUnavailable, RegistryRefused when a schema was never pushed, ValueError for a damaged file.
    """
    own = default_catalogue()
    if url is None:
        return own
    ids = read_ids(url, path)
    wanted = [row for versions in own.by_topic.values() for row in versions]
    if any((row.topic, row.version) not in ids for row in wanted):
        with connect(url) as registry:
            found = [Registered(row.topic, row.version, _known(registry, row.subject, row.source)) for row in wanted]
        store_ids(url, path, found)
        ids = {(row.topic, row.version): row.schema_id for row in found}
    by_topic = {
        topic: tuple(replace(row, schema_id=ids[topic, row.version]) for row in versions)
        for topic, versions in own.by_topic.items()
    }
    return Catalogue(by_topic, also_read=tuple(wanted))


def _known(registry: SchemaRegistry, subject: str, source: str) -> int:
    schema_id = registry.lookup(subject, source)
    if schema_id is None:
        raise RegistryRefused(
            404, f"Registry {registry.address} does not have the schema of {subject}. Run `saphan schemas push` first."
        )
    return schema_id
