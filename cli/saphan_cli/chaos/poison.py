"""What a message that nobody can process looks like, and with which reason it must lie in the dead letters."""

from typing import NamedTuple

from saphan_infra.producer import Message
from saphan_schemas.codec import HEADER_BYTES
from saphan_schemas.topics import MESSAGE_BYTES_MAX

REASONS = ("corrupt", "unknown_schema_id", "too_large", "no_key", "wrong_key")
_UNKNOWN_ID = b"\x7f\xff\xff\xf0"


class Poison(NamedTuple):
    """One poisoned message and the feed that it goes to. Its key, or without one its value, tells it from the others."""

    feed: str
    reason: str
    message: Message

    @property
    def mark(self) -> bytes:
        """What tells it from every other poison."""
        return self.message.key or self.message.value or b""


def poisoned(number: int, reason: str, feed: str, good: Message) -> Poison:
    """The ``number``-th poison, made of a good message of this feed."""
    key: bytes | None = f"POISON-{number}".encode()
    value = good.value or b""
    match reason:
        case "corrupt":
            value = value[: HEADER_BYTES + (len(value) - HEADER_BYTES) // 2]
        case "unknown_schema_id":
            value = value[:1] + _UNKNOWN_ID + value[HEADER_BYTES:]
        case "too_large":
            value += bytes(MESSAGE_BYTES_MAX)
        case "no_key":
            key = None
        case _:
            pass  # a wrong key is one that the record's id is not
    return Poison(feed, reason, Message(key, value))
