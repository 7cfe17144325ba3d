"""Which heartbeats may pass on to integrate: the newest of each feed that is read up to where the heartbeat says."""

from collections.abc import Mapping, Sequence

from saphan_projections.link_records import PendingHeartbeat
from saphan_schemas.codec import Codec
from saphan_schemas.topics import HEARTBEATS


def passing(
    codec: Codec, waiting: Sequence[PendingHeartbeat], next_offsets: Mapping[tuple[str, int], int]
) -> list[PendingHeartbeat]:
    """Those that pass, by feed. ``next_offsets`` is how far is read: (topic, partition) → the next offset. Pure."""
    newest: dict[str, PendingHeartbeat] = {}
    for row in waiting:
        known = newest.get(row.feed)
        if known is not None and known.complete_until >= row.complete_until:
            continue
        ends = codec.decode(HEARTBEATS, row.payload)["end_offsets"]
        if all(next_offsets.get((row.feed, end["partition"]), 0) >= end["offset"] for end in ends):
            newest[row.feed] = row
    return [newest[feed] for feed in sorted(newest)]
