"""Whether a publication would make ids with the key that everybody knows, and what is said about it."""

from collections.abc import Iterable
from pathlib import Path

from saphan_infra.settings import DEVELOPMENT_PSEUDONYM_KEY, Settings
from saphan_publishers.formats import Reading, decided_format
from saphan_publishers.input_files import open_input
from saphan_publishers.rows import FileProblem
from saphan_schemas.topics import CONTRIBUTIONS

#: What to say: anybody who has the source and reads the topic can try out all numbers.
WARNING = (
    "Ids of these rows are hashes with SAPHAN_PSEUDONYM_KEY, and that is the development default, which everybody knows: "
    "whoever reads the feed can find the numbers by trying. Before real data goes out, set a secret of the platform's own "
    "and keep it: with another key every record becomes a new one."
)


def is_public(settings: Settings) -> bool:
    """Whether the pseudonym key is the one in the source."""
    return settings.pseudonym_key.get_secret_value() == DEVELOPMENT_PSEUDONYM_KEY


def is_on_this_machine(settings: Settings) -> bool:
    """Whether the broker is the local platform's, or another one of this machine: that is for trying things out."""
    if settings.kafka_bootstrap is None:
        return True
    hosts = [address.strip().rpartition(":")[0].strip("[]") for address in settings.kafka_bootstrap.split(",")]
    return all(host in {"localhost", "::1"} or host.startswith("127.") for host in hosts)


def makes_hashes(files: Iterable[tuple[str, str]], reading: Reading) -> bool | None:
    """Whether ids in these files (topic, path) are hashes with the key; None where only reading them would tell."""
    if reading.mapping is not None:
        return reading.mapping.hashes
    found = {_is_monthly(path, reading) for topic, path in files if topic == CONTRIBUTIONS}
    if True in found:
        return True
    return None if None in found else False


def _is_monthly(path: str, reading: Reading) -> bool | None:
    """Whether a file of contributions is the SSO's monthly one, whose ids are always hashes."""
    if reading.format is not None:
        return reading.format == "monthly"
    if not Path(path).is_file():
        return None
    try:
        with open_input(path) as source:
            return decided_format(source, CONTRIBUTIONS, reading) == "monthly"
    except (FileProblem, OSError):
        return None  # told when it is published
