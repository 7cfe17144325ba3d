"""Whether a run says two things about one version of a record: then nobody could say which holds."""

import hashlib
from array import array

_FIRST_SLOTS = 1 << 12


class SeenRecords:
    """The versions of records of one run in 16 to 32 bytes each: 4 million rows take 96 MiB.

    An id is known by 64 bits, so that among 4 million ids two are taken for one with a chance of one in two million.
    """

    def __init__(self) -> None:
        self._identities = array("Q", bytes(8 * _FIRST_SLOTS))
        self._contents = array("I", bytes(4 * _FIRST_SLOTS))
        self._used = 0

    def add(self, record_id: str, content: bytes) -> bool | None:
        """None for a new record, True for one seen with the same content, False for one seen with another."""
        digest = hashlib.blake2b(record_id.encode("utf-8"), digest_size=8).digest()
        identity = int.from_bytes(digest, "big") or 1  # a used slot is never 0
        mark = int.from_bytes(hashlib.blake2b(content, digest_size=4).digest(), "big")
        place = self._place(identity)
        if self._identities[place]:
            return self._contents[place] == mark
        self._identities[place], self._contents[place] = identity, mark
        self._used += 1
        if self._used * 4 > len(self._identities) * 3:
            self._grow()
        return None

    def _place(self, identity: int) -> int:
        """Where this id is, or the free slot where it belongs."""
        slots = self._identities
        place = identity % len(slots)
        while slots[place] and slots[place] != identity:
            place = (place + 1) % len(slots)
        return place

    def _grow(self) -> None:
        identities, contents = self._identities, self._contents
        self._identities = array("Q", bytes(16 * len(identities)))
        self._contents = array("I", bytes(8 * len(contents)))
        for identity, mark in zip(identities, contents, strict=True):
            if identity:
                place = self._place(identity)
                self._identities[place], self._contents[place] = identity, mark
