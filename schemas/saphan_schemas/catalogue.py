"""Which Avro schema, of which version and with which id, stands behind each topic."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from saphan_schemas.values import logical_type

LOCK_FILE = "schemas.lock.json"
#: The lock file's ids are high, so that they never mean something else in a registry, which counts from 1.
LOCK_ID_MIN = 1_971_000_001


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """One version of a topic's schema. ``schema_id`` is the number in the message's first five bytes."""

    topic: str
    version: int
    schema_id: int
    source: str

    @property
    def subject(self) -> str:
        """Name in a schema registry: Confluent's TopicNameStrategy."""
        return f"{self.topic}-value"

    def parsed(self) -> dict[str, Any]:
        """The schema as JSON, with its documentation."""
        parsed: dict[str, Any] = json.loads(self.source)
        return parsed


@dataclass(frozen=True)
class Catalogue:
    """All versions of all schemas, by topic (rising versions).

    The rows' own ids are written. ``also_read`` are the same versions under other ids that messages may carry: those
    of the lock file, where a registry gives the ids.
    """

    by_topic: Mapping[str, tuple[SchemaVersion, ...]]
    also_read: tuple[SchemaVersion, ...] = ()
    _by_id: Mapping[tuple[str, int], SchemaVersion] = field(init=False, repr=False)
    _topics_by_id: Mapping[int, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        written = [row for rows in self.by_topic.values() for row in rows]
        # A registry gives one id to equal schemas of two topics, so an id means something only within its topic.
        by_id = {(row.topic, row.schema_id): row for row in (*self.also_read, *written)}
        object.__setattr__(self, "_by_id", by_id)
        object.__setattr__(self, "_topics_by_id", {schema_id: topic for topic, schema_id in by_id})

    def latest(self, topic: str) -> SchemaVersion:
        """The version that is written today. Raises KeyError for a topic without a schema."""
        return self.by_topic[topic][-1]

    def find(self, topic: str, schema_id: int) -> SchemaVersion | None:
        """The version that an id means in a message of this topic, or None."""
        return self._by_id.get((topic, schema_id))

    def topic_of(self, schema_id: int) -> str | None:
        """A topic in whose messages this id is known."""
        return self._topics_by_id.get(schema_id)

    def kinds(self, topic: str) -> dict[str, str]:
        """Each field's name and :func:`~saphan_schemas.values.logical_type`, newest version, in order."""
        return {f["name"]: logical_type(f["type"]) for f in self.latest(topic).parsed()["fields"]}


def read_lock() -> dict[str, dict[str, int]]:
    """The ids of the lock file: topic → version → schema id."""
    lock = json.loads(_resource(LOCK_FILE))
    return {topic: {version: entry["id"] for version, entry in rows.items()} for topic, rows in lock.items()}


@cache
def default_catalogue() -> Catalogue:
    """The schemas in this package with the ids of the lock file; nothing else need run.

    Raises FileNotFoundError when the lock file names a version that has no file.
    """
    by_topic = {}
    for topic, versions in read_lock().items():
        rows = []
        for version, schema_id in sorted(versions.items(), key=lambda row: int(row[0])):
            rows.append(SchemaVersion(topic, int(version), schema_id, _resource(f"avro/{topic}/{version}.avsc")))
        by_topic[topic] = tuple(rows)
    return Catalogue(by_topic)


class _Current:
    """The one catalogue of a process: every codec that is made without another uses it."""

    catalogue: Catalogue | None = None


def use_catalogue(catalogue: Catalogue) -> None:
    """From now on this process writes and reads with these ids: called once, where a process begins."""
    _Current.catalogue = catalogue


def current_catalogue() -> Catalogue:
    """The catalogue of this process: the one in use, else the package's own."""
    return _Current.catalogue or default_catalogue()


def _resource(name: str) -> str:
    return files("saphan_schemas").joinpath(name).read_text(encoding="utf-8")
