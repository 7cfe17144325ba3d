"""Which part of an agency's record link hands on to integrate: what views and alerts need, no names, no numbers.

Bytes hold the values in the order of :data:`HANDED_ON` as an array in msgpack. A new value goes last, and integrate,
which is upgraded first, must still read the shorter arrays of an older link.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgpack

from saphan_projections.packing import pack
from saphan_projections.worker import KEPT, Attributes
from saphan_schemas.topics import CONTRIBUTIONS, EMPLOYER_PAIRS, HEARTBEATS

#: The fields of each feed's records; integrate is told nothing of other feeds.
HANDED_ON: Mapping[str, tuple[str, ...]] = {
    **KEPT,
    CONTRIBUTIONS: ("month", "sso_account", "sso_branch", "wage_satang", "amount_satang", "paid_on"),
    EMPLOYER_PAIRS: ("sso_account", "sso_branch", "employer_id"),
    HEARTBEATS: ("complete_until",),
}

#: A record's values as bytes; :func:`unpack_kept` is its inverse.
pack_kept: Callable[[Attributes], bytes] = pack


def unpack_kept(packed: bytes) -> Attributes | None:
    """The values in bytes that :func:`pack_kept` made; None for no bytes at all. Raises ValueError."""
    if not packed:
        return None
    kept = msgpack.unpackb(packed, use_list=False)
    if not isinstance(kept, tuple):
        message = "not an array"
        raise ValueError(message)  # noqa: TRY004 - bytes are at fault, no caller's type
    return kept


def kept_of(feed: str, record: Mapping[str, Any]) -> Attributes:
    """The values of a record that are handed on. Raises KeyError for a feed of which integrate is told nothing."""
    return tuple([record[name] for name in HANDED_ON[feed]])
