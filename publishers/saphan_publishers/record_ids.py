"""Which opaque id stands for a record whose agency's own number is a person's: a keyed hash."""

import base64
import hashlib
from collections.abc import Sequence

_DIGEST_BYTES = 15  # 120 bits: 24 letters without padding
_SEPARATOR = "\x1f"


class KeyedHash:
    """Hashes with the platform's pseudonym key: the same parts under the same name give the same id, here and later.

    Whoever lacks the key cannot try out numbers; whoever changes the key makes every record a new one.
    """

    def __init__(self, key: str) -> None:
        # BLAKE2b takes at most 64 bytes of key.
        self._key = hashlib.blake2b(key.encode("utf-8"), digest_size=32, person=b"saphan-recordid").digest()

    def __call__(self, scope: str, parts: Sequence[str]) -> str:
        """The id of ``parts`` within ``scope`` (a topic): 24 lower-case letters and digits."""
        text = _SEPARATOR.join((scope, *parts)).encode("utf-8")
        digest = hashlib.blake2b(text, key=self._key, digest_size=_DIGEST_BYTES).digest()
        return base64.b32encode(digest).decode("ascii").lower()
