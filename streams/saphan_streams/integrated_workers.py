"""How an integrated worker becomes a message: the references to its records are encoded once, not with each change."""

from functools import lru_cache
from typing import Any

from saphan_projections.integrating import WorkerChange
from saphan_projections.worker import Member
from saphan_schemas.codec import Codec
from saphan_schemas.topics import WORKER_INTEGRATED

_BLANK: dict[str, Any] = {
    "worker_no": 0,
    "worker_id": "",
    "sequence": 0,
    "nationality": None,
    "sex": None,
    "birth_year": None,
    "employers": (),
    "employed": False,
    "eligible": False,
    "enrolled": False,
    "permit_valid_until": None,
    "health_cover_until": None,
    "records": [],
}
_ROLE = "member"
_SAMPLE = Member(0, "a", "b" * 65, 1, 0, 0, 2, 300, ())
_END_OF_ARRAY = b"\0"


class IntegratedEncoder:
    """Encodes worker.integrated.v1. Its last field is the array of references: their bytes are kept and put together.

    Raises RuntimeError when the schema no longer ends so.
    """

    def __init__(self, codec: Codec) -> None:
        self._encode = codec.encode
        plain = self._encode(WORKER_INTEGRATED, {**_BLANK, "records": [_reference(_SAMPLE)] * 65})
        if self._with_records(_BLANK, [_reference_bytes(_SAMPLE)] * 65) != plain:
            message = f"the schema of {WORKER_INTEGRATED} no longer ends with the array of records"
            raise RuntimeError(message)

    def encode(self, change: WorkerChange) -> bytes:
        """The message of a changed worker; the same bytes as the codec gives."""
        state, seen = change.state, change.view
        encoded = state.encoded
        for record_no, member in state.members.items():
            if record_no not in encoded:
                encoded[record_no] = _reference_bytes(member)
        fields = {
            "worker_no": state.worker_no,
            "worker_id": change.worker_id,
            "sequence": change.sequence,
            "nationality": seen.nationality,
            "sex": seen.sex,
            "birth_year": seen.birth_year,
            "employers": seen.employers,
            "employed": seen.employed,
            "eligible": change.eligible,
            "enrolled": seen.enrolled,
            "permit_valid_until": seen.permit_valid_until,
            "health_cover_until": seen.health_cover_until,
            "records": (),
        }
        return self._with_records(fields, [encoded[record_no] for record_no in state.members])

    def _with_records(self, fields: dict[str, Any], references: list[bytes]) -> bytes:
        plain: bytes = self._encode(WORKER_INTEGRATED, fields)
        if not references:
            return plain
        return b"".join((plain[:-1], _long(len(references)), *references, _END_OF_ARRAY))


def _reference(member: Member) -> dict[str, Any]:
    return {
        "feed": member.feed,
        "record_id": member.record_id,
        "version": member.version,
        "partition": member.partition,
        "offset": member.offset,
        "role": _ROLE,
    }


def _reference_bytes(member: Member) -> bytes:
    """The bytes of :func:`_reference` in the array."""
    _, feed, record_id, version, _, _, partition, offset, _ = member
    id_bytes = record_id.encode()
    return b"".join(
        (_feed(feed), _long(len(id_bytes)), id_bytes, _long(version), _long(partition), _long(offset), _ROLE_BYTES)
    )


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _long(len(encoded)) + encoded


#: There are only some feeds.
_feed = lru_cache(_text)


def _long(number: int) -> bytes:
    """A number from 0 as Avro writes it."""
    return _SMALL[number] if number < _SMALL_NUMBERS else _varint(number)


def _varint(number: int) -> bytes:
    """Zigzag, seven bits a byte, the lowest first."""
    left = number << 1
    found = bytearray()
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    found.append(left)
    return bytes(found)


#: Lengths, versions and partitions are small, and so are many offsets.
_SMALL_NUMBERS = 8_192
_SMALL = tuple(map(_varint, range(_SMALL_NUMBERS)))
_ROLE_BYTES = _text(_ROLE)
