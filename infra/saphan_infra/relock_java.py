"""Which versions of Kafka and PostgreSQL the local services are: `python -m saphan_infra.relock_java` writes the lock file."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from saphan_infra.maven import LOCK_RESOURCE, maven_context, sha256_of, to_stderr

KAFKA = "org.apache.kafka:kafka_2.13:4.3.0"
#: Kafka logs through SLF4J 1.7 and brings Log4j 2, but not the piece between the two.
KAFKA_LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
POSTGRES = "io.zonky.test.postgres:embedded-postgres-binaries-{platform}:18.6.0"
PLATFORMS = ("linux-amd64", "linux-arm64v8", "darwin-amd64", "darwin-arm64v8")


def main() -> None:
    """Resolve, download, hash and write; look at the difference before committing it."""
    with tempfile.TemporaryDirectory() as incoming:
        directory = Path(incoming)
        lock = {"kafka": digests([*resolve_coordinates(KAFKA, directory), KAFKA_LOGGING], directory)}
        for platform in PLATFORMS:
            lock[f"postgres-{platform}"] = digests([POSTGRES.format(platform=platform)], directory)
    target = Path(__file__).with_name(LOCK_RESOURCE)
    target.write_text(json.dumps(lock, indent=1) + "\n", encoding="utf-8")
    to_stderr(f"{target.name}: {sum(map(len, lock.values()))} files")


def resolve_coordinates(root: str, incoming: Path) -> list[str]:
    """All coordinates that a Maven artifact needs at run time, itself first."""
    group, artifact, version = root.split(":")
    context = maven_context(incoming, os.environ.get("SAPHAN_MAVEN_REPOSITORY_URL"))
    _, nodes = context.pom_dependency_list(context.project(group, artifact).at_version(version).pom())
    rows = [node.dep for node in nodes if node.dep.scope in ("compile", "runtime")]
    return [root, *(f"{row.groupId}:{row.artifactId}:{row.version}" for row in rows)]


def digests(coordinates: Sequence[str], incoming: Path) -> dict[str, str]:
    """Coordinate → SHA-256 of what Maven Central serves now."""
    context = maven_context(incoming, os.environ.get("SAPHAN_MAVEN_REPOSITORY_URL"))
    found = {}
    for coordinate in coordinates:
        group, artifact, version, *classifier = coordinate.split(":")
        component = context.project(group, artifact).at_version(version)
        found[coordinate] = sha256_of(
            Path(component.artifact(classifier=classifier[0] if classifier else "").resolve())
        )
    return found


if __name__ == "__main__":
    main()
