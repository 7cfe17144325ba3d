"""How messages come from a fetch: as aiokafka parsed them, without its copy of each into a Python object.

The copy says nothing more of a message than its partition and sizes, and costs as much as all the rest of the parsing.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher


class PlainRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """One partition's part of a fetch. Its records have offset, timestamp, timestamp_type, key, value and headers."""

    def __iter__(self) -> Iterator[Any]:
        # What iterates would otherwise run a Python function for each record, only to ask this one.
        return iter(self._records_iterator)

    def _consumer_record(self, tp: Any, record: Any) -> Any:  # noqa: ARG002 - aiokafka's signature
        return record


def keep_records_plain() -> None:
    """Let every aiokafka consumer of this process hand on plain records; it has no setting for that."""
    fetcher.PartitionRecords = PlainRecords
