"""What the feeds hold from their beginning up to a moment: every message, for a rebuild."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from saphan_schemas.topics import FEEDS, TOPICS, partition_count
from saphan_streams.transport import Chunk, Fetch, partition_bytes_max
from saphan_streams.waiting import cut


class LogReader:
    """Reads all feeds without a consumer group: it moves nobody's position."""

    def __init__(
        self, bootstrap: str, security: Mapping[str, Any], chunk_records_max: int, chunk_bytes_max: int
    ) -> None:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # As live: what an agency's transaction took back was never said.
            isolation_level="read_committed",
            max_partition_fetch_bytes=partition_bytes_max(chunk_bytes_max, partition_count(FEEDS)),
            **security,
        )
        self._records_max = chunk_records_max
        self._bytes_max = chunk_bytes_max
        #: (topic, partition) → the offset at which reading ends; set by :meth:`start`.
        self.ends: dict[tuple[str, int], int] = {}

    async def start(self) -> int:
        """Connect and note where the feeds end now; how many offsets there are to read. Raises aiokafka's KafkaError."""
        await self._consumer.start()
        partitions = [TopicPartition(name, number) for name in FEEDS for number in range(TOPICS[name].partitions)]
        self._consumer.assign(partitions)
        begins = await self._consumer.beginning_offsets(partitions)
        ends = await self._consumer.end_offsets(partitions)
        self.ends = {(tp.topic, tp.partition): offset for tp, offset in ends.items()}
        return sum(ends[tp] - begins[tp] for tp in partitions)

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def fetches(self) -> AsyncIterator[Fetch]:
        """Every message before the noted ends; partitions in any order, each one's messages in theirs."""
        left = {tp for tp in self._consumer.assignment() if self.ends[tp.topic, tp.partition] > 0}
        for tp in list(left):
            if await self._consumer.position(tp) >= self.ends[tp.topic, tp.partition]:
                left.discard(tp)
        while left:
            fetched = await self._consumer.getmany(*left, timeout_ms=500, max_records=self._records_max)
            wanted = {
                tp: [record for record in records if record.offset < self.ends[tp.topic, tp.partition]]
                for tp, records in fetched.items()
            }
            for group in cut(wanted, self._records_max, self._bytes_max):
                yield tuple(Chunk(tp.topic, tp.partition, piece) for tp, piece in group)
            for tp in list(left):
                # The last offsets may be gone (compaction, transaction marks): the position tells, not the messages.
                if await self._consumer.position(tp) >= self.ends[tp.topic, tp.partition]:
                    left.discard(tp)
