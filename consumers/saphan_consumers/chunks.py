"""What a consumer is handed at once: messages as the broker has them, and where to read on after them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from saphan_consumers.ledger import Place


class LogMessage(NamedTuple):
    """One message as the broker has it; ``timestamp_ms`` is UTC."""

    place: Place
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


class Chunk(NamedTuple):
    """Messages of one poll, in order within each partition, and where to read on after them."""

    messages: list[LogMessage]
    positions: dict[Place, int]


@dataclass(frozen=True, slots=True)
class Start:
    """What the ledger knows of the log: next offset per partition, and each topic's id at the broker."""

    positions: Mapping[Place, int]
    topic_ids: Mapping[str, str]
