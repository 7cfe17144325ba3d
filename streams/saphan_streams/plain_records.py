"""How messages come from a fetch: as aiokafka parsed them, a batch at a time.

aiokafka's own ConsumerRecord adds only the partition and sizes, and its iterator notes the offset after each message;
either costs as much as all other parsing, so both are left out.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher


class _Batch:
    """A batch as aiokafka goes through it; ``rest`` is what of it was not gone through."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch
        self.rest: Iterator[Any] = iter(())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        self.rest = iter(list(self._batch))
        return self.rest


class _Batches:
    """A fetch's batches one after the other; ``latest`` is the one that is gone through."""

    latest: _Batch

    def __init__(self, records: Any) -> None:
        self._records = records
        self.has_next = records.has_next

    def next_batch(self) -> _Batch:
        self.latest = _Batch(self._records.next_batch())
        return self.latest


class PlainRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """One partition's part of a fetch. Its records have offset, timestamp, timestamp_type, key, value and headers."""

    def __init__(self, tp: Any, records: Any, *others: Any) -> None:
        self._batches = _Batches(records)
        super().__init__(tp, self._batches, *others)

    def taken(self, records_max: int | None) -> list[Any]:
        """The next records, at most so many; fewer only when there are no more."""
        found: list[Any] = []
        while records_max is None or len(found) < records_max:
            # aiokafka decides which batch is next and where in it to begin; what follows there is all to be read.
            first = next(self._records_iterator, None)
            if first is None:
                break
            found.append(first)
            found += islice(self._batches.latest.rest, None if records_max is None else records_max - len(found))
            self.next_fetch_offset = found[-1].offset + 1
        return found

    def _consumer_record(self, tp: Any, record: Any) -> Any:  # noqa: ARG002 - aiokafka's signature
        return record


class PlainFetch(fetcher.FetchResult):  # type: ignore[misc]
    """What waits of one partition until the consumer asks for it."""

    _partition_records: PlainRecords | None

    def getall(self, max_records: int | None = None) -> list[Any]:
        if self._partition_records is None or not self.check_assignment(self._topic_partition):
            return []
        found = self._partition_records.taken(max_records)
        self._update_position()
        if max_records is None or len(found) < max_records:
            self._partition_records = None
        return found


def keep_records_plain() -> None:
    """Let every aiokafka consumer of this process hand on plain records; it has no setting for that."""
    fetcher.PartitionRecords = PlainRecords
    fetcher.FetchResult = PlainFetch
