"""The whole way of an event without Kafka: the real link and integrate processors over an in-memory log.

A plain module for tests: the fixtures ``in_process_platform`` (SQLite) and ``platform_on`` (any databases) build it.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from log_record import LogRecord

from saphan_infra.producer import partition_of
from saphan_projections.canonical import StateHash, state_hash
from saphan_projections.database import Database
from saphan_projections.law import default_law
from saphan_projections.migrate import migrate
from saphan_projections.offsets import OutgoingMessage
from saphan_schemas.codec import Codec
from saphan_schemas.identifiers import check_digit
from saphan_schemas.topics import FEEDS, HEARTBEATS, MESSAGE_BYTES_MAX, TOPICS, WORKER_RECORDS
from saphan_schemas.values import from_wire, parse_time_ms, to_wire
from saphan_streams.integrate import IntegrateProcessor, IntegrateSettings
from saphan_streams.link import LinkProcessor, LinkSettings
from saphan_streams.shell import Processor, Unsent
from saphan_streams.transport import Chunk
from saphan_streams.worker_batches import messages_of, parts_of

#: The wall clock of the platform stands still here, so that nothing can depend on it.
NOW_MS = parse_time_ms("2026-10-01T00:00:00Z")
#: When a change happened if a test does not say.
CHANGED_AT = "2026-01-01T00:00:00Z"
KEY = b"a key for tests only"


#: A feed and a record of it in plain JSON.
Event = tuple[str, dict[str, Any]]


@dataclasses.dataclass
class InProcessPlatform:
    """link and integrate with databases of their own. ``log`` is topic → partition → messages."""

    link_url: str
    state_url: str
    codec: Codec = dataclasses.field(default_factory=Codec)
    log: dict[str, dict[int, list[LogRecord]]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for url in dict.fromkeys((self.link_url, self.state_url)):
            migrate(url)
        self.link_database = Database(self.link_url)
        self.state_database = Database(self.state_url)
        self._read: dict[tuple[str, str, int], int] = {}
        self.restart()

    def restart(self) -> None:
        """New processors over the same databases, as after a crash."""
        self.link = LinkProcessor(
            self.link_database, self.codec, LinkSettings("test", MESSAGE_BYTES_MAX, lambda: NOW_MS, _nothing)
        )
        self.integrate = IntegrateProcessor(
            self.state_database,
            self.codec,
            IntegrateSettings("test", KEY, default_law(), lambda: NOW_MS, _nothing),
        )
        for app, processor, topics in self._apps():
            places = [(topic, number) for topic in topics for number in range(TOPICS[topic].partitions)]
            for row in processor.resume(places).claims:
                self._read[app, row.topic, row.partition] = row.next_offset

    def close(self) -> None:
        """Close the databases."""
        self.link_database.close()
        self.state_database.close()

    # -- in --------------------------------------------------------------------------------------------------------

    def publish(self, feed: str, *records: Mapping[str, Any]) -> list[LogRecord]:
        """Append records in plain JSON form; what is missing gets a version 1, a time, and null."""
        return [self._publish_one(feed, record) for record in records]

    def _publish_one(self, feed: str, record: Mapping[str, Any]) -> LogRecord:
        kinds = self.codec.catalogue.kinds(feed)
        blank: dict[str, Any] = dict.fromkeys(kinds)
        whole = {**blank, "version": 1, "changed_at": CHANGED_AT, "deleted": False, **record}
        value = self.codec.encode(feed, to_wire(kinds, whole))
        return self.publish_raw(feed, record["record_id"].encode(), value)

    def publish_raw(
        self, topic: str, key: bytes | None, value: bytes | None, partition: int | None = None
    ) -> LogRecord:
        """Append a message as it is."""
        number = partition_of(key, TOPICS[topic].partitions) if partition is None else partition
        rows = self.log.setdefault(topic, {}).setdefault(number, [])
        record = LogRecord(topic, number, len(rows), NOW_MS, key, value)
        rows.append(record)
        return record

    def heartbeat(self, feed: str, complete_until: str) -> None:
        """Say that a feed is complete up to a time (ISO 8601 with Z), with what was published until now."""
        ends = [
            {"partition": number, "offset": len(self.log.get(feed, {}).get(number, ()))}
            for number in range(TOPICS[feed].partitions)
        ]
        until = parse_time_ms(complete_until)
        value = {"feed": feed, "complete_until": until, "end_offsets": ends, "sent_at": until}
        self.publish_raw(HEARTBEATS, feed.encode(), self.codec.encode(HEARTBEATS, value))

    # -- through ---------------------------------------------------------------------------------------------------

    def run(self, chunk_records_max: int = 4000, topics: Sequence[str] | None = None) -> None:
        """Process everything that waits: all feeds (or these, in this order) through link, then integrate."""
        for app, processor, own_topics in self._apps():
            wanted = own_topics if app == "integrate" or topics is None else topics
            for topic in wanted:
                for partition in range(TOPICS[topic].partitions):
                    self._run_partition(app, processor, (topic, partition), chunk_records_max)

    def run_link(self, records_max: int = 4000) -> None:
        """Process what waits in the feeds, and leave what link says of it to the test."""
        for topic in FEEDS:
            for partition in range(TOPICS[topic].partitions):
                self._run_partition("link", self.link, (topic, partition), records_max)

    def _run_partition(self, app: str, processor: Processor, place: tuple[str, int], records_max: int) -> None:
        rows = self.log.get(place[0], {}).get(place[1], [])
        while (start := self._read.get((app, *place), 0)) < len(rows):
            records = rows[start : start + records_max]
            committed = processor.commit((Chunk(*place, records),), set(), None)
            assert committed is not None
            self._append(messages_in(committed))
            self._read[app, *place] = start + len(records)
            processor.tidy({number for number, _ in committed})

    def _append(self, messages: Iterable[OutgoingMessage]) -> None:
        for message in messages:
            self.publish_raw(message.topic, message.key, message.value, message.partition)

    def _apps(self) -> Iterator[tuple[str, Processor, Sequence[str]]]:
        yield "link", self.link, FEEDS
        yield "integrate", self.integrate, (WORKER_RECORDS,)

    # -- out -------------------------------------------------------------------------------------------------------

    def state(self) -> StateHash:
        """What integrate has committed."""
        with self.state_database.reading() as transaction:
            return state_hash(transaction, default_law())

    def sent(self, topic: str) -> list[dict[str, Any]]:
        """What was published to a topic, decoded, in plain JSON form, by partition and offset."""
        kinds = self.codec.catalogue.kinds(topic)
        return [
            from_wire(kinds, self.codec.decode(topic, record.value))
            for _, rows in sorted(self.log.get(topic, {}).items())
            for record in rows
        ]


def told_by_link(codec: Codec, value: bytes | None) -> list[dict[str, Any]]:
    """The messages of link in one Kafka message, as they came from their bytes."""
    return [message._asdict() for message in messages_of(codec, value)]


def one_by_one(codec: Codec, rows: Iterable[LogRecord]) -> list[LogRecord]:
    """A partition of worker.records.v2 as it would be if every batch held a single message."""
    parts = [(row, part) for row in rows for part in parts_of(codec, row)]
    return [row._replace(offset=offset, value=part.value) for offset, (row, part) in enumerate(parts)]


def messages_in(unsent: Unsent) -> list[OutgoingMessage]:
    """The messages of outbox rows, in order."""
    return [message for _, messages in unsent for message in messages]


def _nothing(_: object) -> None:
    return None


def on_sqlite(folder: Path) -> InProcessPlatform:
    """A platform with two SQLite files in a folder."""
    return InProcessPlatform(f"sqlite:///{folder / 'link.db'}", f"sqlite:///{folder / 'state.db'}")


@contextmanager
def opened(build: Callable[[], InProcessPlatform]) -> Iterator[InProcessPlatform]:
    """A platform that is closed at the end of the block."""
    platform = build()
    try:
        yield platform
    finally:
        platform.close()


# -- a small story for tests ---------------------------------------------------------------------------------------

EMPLOYMENTS = "doe.employments.v1"
WORK_PERMITS = "doe.work-permits.v1"
INSURED_PERSONS = "sso.insured-persons.v1"
CONTRIBUTIONS = "sso.contributions.v1"
NON_THAI_IDS = "dopa.non-thai-ids.v1"
PAIRS = "employers.pairs.v1"


def person_number(number: int) -> str:
    """A 13-digit number of a person without Thai nationality, with a right check digit."""
    twelve = f"00193{number:07d}"
    return twelve + check_digit(twelve)


def permit(number: int, **more: Any) -> dict[str, Any]:
    """A work permit of person ``number``."""
    return {
        "record_id": f"WP-{number}",
        "non_thai_id": person_number(number),
        "passport_number": f"MB{700000 + number}",
        "nationality": "MMR",
        "permit_number": f"WPN{number:07d}",
        "full_name": f"AUNG AUNG {number}",
        "birth_date": "1990-05-17",
        "sex": "M",
        "permit_type": "cabinet",
        "valid_from": "2025-04-01",
        "valid_until": "2027-03-31",
        **more,
    }


def job(number: int, employer: str = "EMP-A", start: str = "2026-01-01", **more: Any) -> dict[str, Any]:
    """An employment of person ``number``."""
    return {
        "record_id": f"E-{number}",
        "non_thai_id": person_number(number),
        "nationality": "MMR",
        "employer_id": employer,
        "workplace_district": "7101",
        "sector": "manufacturing",
        "start_date": start,
        **more,
    }


def insured(number: int, account: str = "7100000011", start: str = "2026-01-10", **more: Any) -> dict[str, Any]:
    """A section-33 insurance of person ``number``."""
    return {
        "record_id": f"I-{number}",
        "insured_number": person_number(number),
        "non_thai_id": person_number(number),
        "nationality": "MMR",
        "full_name": f"AUNG AUNG {number}",
        "birth_date": "1990-05-17",
        "sex": "M",
        "section": "33",
        "sso_account": account,
        "sso_branch": "000000",
        "start_date": start,
        **more,
    }


def contribution(number: int, month: str = "2026-01", **more: Any) -> dict[str, Any]:
    """One month's contribution of person ``number``."""
    return {
        "record_id": f"C-{number}-{month}",
        "insured_number": person_number(number),
        "sso_account": "7100000011",
        "sso_branch": "000000",
        "month": month,
        "wage_satang": 1_000_000,
        "amount_satang": 50_000,
        "paid_on": f"{month}-28",
        **more,
    }


def pair(record_id: str = "P-1", account: str = "7100000011", employer: str = "EMP-A", **more: Any) -> dict[str, Any]:
    """A word on which account is which employer."""
    return {
        "record_id": record_id,
        "sso_account": account,
        "sso_branch": "000000",
        "employer_id": employer,
        **more,
    }


def tell_small_story(platform: InProcessPlatform) -> None:
    """Five workers: enrolled, never enrolled, insured under an unpaired account, left in time, and not employed."""
    platform.publish(WORK_PERMITS, *(permit(number) for number in (1, 2, 3, 4)))
    platform.publish(PAIRS, pair())
    platform.publish(EMPLOYMENTS, job(1), job(2), job(3), job(4, end_date="2026-01-20"))
    platform.publish(INSURED_PERSONS, insured(1), insured(3, account="7100000099"), insured(5))
    platform.publish(CONTRIBUTIONS, contribution(1), contribution(1, "2026-02"), contribution(9))
    platform.heartbeat(INSURED_PERSONS, "2026-03-01T00:00:00Z")


def versioned(history: Sequence[Event]) -> list[Event]:
    """The history with versions that rise with each change of a record."""
    versions: dict[tuple[str, str], int] = {}
    found = []
    for feed, record in history:
        key = feed, str(record["record_id"])
        versions[key] = versions.get(key, 0) + 1
        found.append((feed, {**record, "version": versions[key]}))
    return found
