"""Whether a run says two things about one version of a record: then nobody could say which holds."""

import hashlib
from array import array

_FIRST_SLOTS = 1 << 12
_CONTENT_BITS = 24
_CONTENT_MASK = (1 << _CONTENT_BITS) - 1


class SeenRecords:
    """The versions of records of one run in 8 bytes each (twice that with the free slots): 4 million rows take 64 MiB.

    An id is known by 40 bits and its place in the table, so that two ids of millions are taken for one with a chance
    of about one in a million million.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FIRST_SLOTS))
        self._used = 0

    def add(self, record_id: str, content: bytes) -> bool | None:
        """None for a new record, True for one seen with the same content, False for one seen with another."""
        digest = hashlib.blake2b(record_id.encode("utf-8"), digest_size=8).digest()
        identity = int.from_bytes(digest, "big") | 1 << 63  # a used slot is never 0
        mark = int.from_bytes(hashlib.blake2b(content, digest_size=3).digest(), "big")
        place = self._place(identity)
        word = self._slots[place]
        if word:
            return word & _CONTENT_MASK == mark
        self._slots[place] = (identity & ~_CONTENT_MASK) | mark
        self._used += 1
        if self._used * 2 > len(self._slots):
            self._grow()
        return None

    def _place(self, identity: int) -> int:
        """Where this id is, or the free slot where it belongs. The upper 40 bits decide, also where it starts."""
        slots, top = self._slots, identity >> _CONTENT_BITS
        place = top % len(slots)
        while slots[place] and slots[place] >> _CONTENT_BITS != top:
            place = (place + 1) % len(slots)
        return place

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", bytes(16 * len(old)))
        for word in old:
            if word:
                self._slots[self._place(word)] = word
