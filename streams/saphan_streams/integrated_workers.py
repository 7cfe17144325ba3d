"""How an integrated worker becomes a message: put together by hand from parts, the same bytes as the codec's.

The codec would look at every reference to a record with each change of the worker; most are as they were.
"""

from functools import lru_cache
from typing import Any

from saphan_projections.integrating import WorkerChange
from saphan_projections.worker import Member, WorkerState
from saphan_projections.worker_view import View
from saphan_schemas.codec import Codec
from saphan_schemas.topics import WORKER_INTEGRATED
from saphan_streams.avro_bytes import (
    END_OF_ARRAY,
    array_of_texts,
    known_text,
    number,
    optional_number,
    optional_text,
    require_same_bytes,
    text,
)

_ROLE = "member"
_SAMPLE = Member(0, "a", "b" * 65, 1, 0, 0, 2, 300, ())
_SAMPLE_VIEWS = (
    View(None, None, None, (), employed=False, enrolled=True, permit_valid_until=None, health_cover_until=20_000),
    View("MMR", "F", 1990, ("b" * 65, "c"), employed=True, enrolled=False, permit_valid_until=-1, health_cover_until=0),
)


class IntegratedEncoder:
    """Encodes worker.integrated.v1. Raises RuntimeError when the schema is no longer the one that is written here."""

    def __init__(self, codec: Codec) -> None:
        self._header = codec.header(WORKER_INTEGRATED)
        for seen in _SAMPLE_VIEWS:
            members = dict.fromkeys(range(65 if seen.employed else 0), _SAMPLE)
            state = WorkerState(2**40, members)
            change = WorkerChange(state, 8_192, "W-1", seen, eligible=seen.enrolled, integrated=True, renamed=False)
            require_same_bytes(codec, WORKER_INTEGRATED, _plain(change), self.encode(change))

    def encode(self, change: WorkerChange) -> bytes:
        """The message of a changed worker; the same bytes as the codec gives."""
        state = change.state
        encoded = state.encoded
        for record_no, kept in encoded.items():
            if not kept:
                member = state.members[record_no]
                encoded[record_no] = record_reference(
                    member.feed, member.record_id, member.version, member.partition, member.offset, _ROLE
                )
        nationality, sex, birth_year, employers, employed, enrolled, permit_valid_until, health_cover_until = (
            change.view
        )
        parts = [
            self._header,
            number(state.worker_no),
            text(change.worker_id),
            number(change.sequence),
            _person(nationality, sex, birth_year),
            array_of_texts(employers),
            _FLAGS[employed, change.eligible, enrolled],
            _day(permit_valid_until),
            _day(health_cover_until),
        ]
        if encoded:
            parts.append(number(len(encoded)))
            parts += encoded.values()
        parts.append(END_OF_ARRAY)
        return b"".join(parts)


def _plain(change: WorkerChange) -> dict[str, Any]:
    state = change.state
    return {
        "worker_no": state.worker_no,
        "worker_id": change.worker_id,
        "sequence": change.sequence,
        **change.view._asdict(),
        "eligible": change.eligible,
        "records": [
            {
                "feed": member.feed,
                "record_id": member.record_id,
                "version": member.version,
                "partition": member.partition,
                "offset": member.offset,
                "role": _ROLE,
            }
            for member in state.members.values()
        ],
    }


def record_reference(feed: str, record_id: str, version: int, partition: int, offset: int, role: str) -> bytes:
    """One record of an array of references."""
    return b"".join(
        (known_text(feed), text(record_id), number(version), number(partition), number(offset), known_text(role))
    )


_BOOLEANS = (False, True)
_FLAGS = {(one, two, three): bytes((one, two, three)) for one in _BOOLEANS for two in _BOOLEANS for three in _BOOLEANS}
#: There are only some days, and nationalities with a sex and a year.
_day = lru_cache(maxsize=65_536)(optional_number)


@lru_cache(maxsize=65_536)
def _person(nationality: str | None, sex: str | None, birth_year: int | None) -> bytes:
    return optional_text(nationality) + optional_text(sex) + optional_number(birth_year)
