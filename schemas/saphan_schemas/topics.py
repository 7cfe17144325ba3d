"""Which topics exist, how each is keyed, kept and partitioned, who owns it and who reads it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

DAY_MS = 86_400_000

#: Largest message that the platform processes; a larger one goes to the dead letters.
MESSAGE_BYTES_MAX = 1_000_000
#: Largest message that the broker takes, so that an oversized one can be kept as a dead letter.
BROKER_MESSAGE_BYTES_MAX = 16_777_216
_FOR_EVER = -1


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table of topics.

    ``key`` says in words what the message key is. ``retention_ms`` is None where nothing is dropped for its age.

    Compaction keeps the newest *offset* of a key, the fold keeps the highest *version*. Where a version can come late
    (an agency publishes its files in another order, a paused process publishes after its successor), compaction could
    drop the one that counts, and a rebuild would not give the live state. Such topics keep everything: the
    registries' whole history is small (a province's is a few gigabytes).
    """

    name: str
    role: Literal["feed", "internal", "outgoing"]
    key: str
    owner: str
    readers: tuple[str, ...]
    partitions: int
    cleanup: Literal["compact", "delete"]
    retention_ms: int | None
    description: str

    def kept(self) -> str:
        """How long messages stay, in words."""
        if self.cleanup == "compact":
            return "newest by key"
        return "for ever" if self.retention_ms is None else f"{self.retention_ms // DAY_MS} days"

    def settings(self) -> dict[str, str]:
        """Topic configuration for the broker, by Kafka's own names."""
        config = {
            "cleanup.policy": self.cleanup,
            "max.message.bytes": str(BROKER_MESSAGE_BYTES_MAX),
            # "Received at" must not hang on an agency's clock, nor retention on one that is wrong.
            "message.timestamp.type": "LogAppendTime",
        }
        if self.cleanup == "delete":
            # Said even when it is for ever: the broker's own default is seven days.
            config["retention.ms"] = str(_FOR_EVER if self.retention_ms is None else self.retention_ms)
        return config


def _feed(name: str, owner: str, description: str) -> Topic:
    return Topic(name, "feed", "record_id", owner, ("link",), 2, "delete", None, description)


WORK_PERMITS = "doe.work-permits.v1"
EMPLOYMENTS = "doe.employments.v1"
DOE_EMPLOYERS = "doe.employers.v1"
NON_THAI_IDS = "dopa.non-thai-ids.v1"
STAYS = "immigration.stays.v1"
INSURED_PERSONS = "sso.insured-persons.v1"
CONTRIBUTIONS = "sso.contributions.v1"
SSO_EMPLOYERS = "sso.employers.v1"
HEALTH_COVER = "moph.health-cover.v1"
INSPECTIONS = "dlpw.inspections.v1"
EMPLOYER_PAIRS = "employers.pairs.v1"
HEARTBEATS = "feed-heartbeats.v1"
WORKER_RECORDS = "worker.records.v2"
WORKER_INTEGRATED = "worker.integrated.v1"
ENROLMENT_ALERTS = "alerts.enrolment.v1"
DEAD_LETTERS = "dead-letters.v1"

_ROWS = (
    _feed(WORK_PERMITS, "DOE", "Work permits."),
    _feed(EMPLOYMENTS, "DOE", "Hires and exits as notified."),
    _feed(DOE_EMPLOYERS, "DOE", "Employers, by tax or citizen number."),
    _feed(NON_THAI_IDS, "DOPA", "13-digit numbers of people without Thai nationality."),
    _feed(STAYS, "Immigration", "Passports, visas, entries, exits and 90-day reports."),
    _feed(INSURED_PERSONS, "SSO", "Insured persons: one person with one employer account."),
    _feed(CONTRIBUTIONS, "SSO", "Contributions by month."),
    _feed(SSO_EMPLOYERS, "SSO", "Employers, by account and branch."),
    _feed(HEALTH_COVER, "MoPH", "Migrant health insurance: validity only."),
    _feed(INSPECTIONS, "DLPW", "Inspections of establishments."),
    _feed(EMPLOYER_PAIRS, "coordination", "Which SSO account and branch is which DOE employer."),
    # For ever: a feed that fell silent long ago must still count as complete up to its last word after a rebuild.
    Topic(
        HEARTBEATS, "feed", "feed", "every agency", ("link",), 1, "delete", None,
        "'My feed is complete up to T', with the feed's end offsets at that moment.",
    ),
    # Longer than any outage of integrate that nobody would notice; what is older is made again from the feeds.
    Topic(
        WORKER_RECORDS, "internal", "none", "link", ("integrate",), 4, "delete", 30 * DAY_MS,
        "Each record with the worker that it belongs to, many in one message; the partition is worker_no modulo 4.",
    ),
    # Compacted: it is large, and a state that came late is put right by the worker's next change.
    Topic(
        WORKER_INTEGRATED, "outgoing", "worker_no", "integrate", ("metrics consumer", "subscribers"), 4, "compact",
        None, "The integrated state of each worker, without names or numbers.",
    ),
    Topic(
        ENROLMENT_ALERTS, "outgoing", "alert_id", "integrate", ("alert delivery", "metrics consumer", "SSO"), 2,
        "delete", None, "The state of each enrolment alert; the highest version counts.",
    ),
    # A year and no longer: whole messages, with whatever personal data is in them.
    Topic(
        DEAD_LETTERS, "outgoing", "topic-partition-offset", "link and integrate", ("operators",), 1, "delete",
        365 * DAY_MS, "Messages that could not be processed, whole, with the reason.",
    ),
)  # fmt: skip

#: Every topic by name.
TOPICS: dict[str, Topic] = {topic.name: topic for topic in _ROWS}
#: The agencies' feeds of records (heartbeats are not records). The order stays, and a new one is the last: a simulation
#: numbers feeds and records by their places here, and those of one moment in a spool are sorted by them.
RECORD_FEEDS: tuple[str, ...] = tuple(t.name for t in _ROWS if t.role == "feed" and t.name != HEARTBEATS)
#: Everything that agencies publish, in an order that stays as well.
FEEDS: tuple[str, ...] = (*RECORD_FEEDS, HEARTBEATS)


def partition_count(names: Iterable[str]) -> int:
    """How many partitions these topics have together. Raises KeyError for an unknown one."""
    return sum(TOPICS[name].partitions for name in names)


#: Feeds whose records belong to a worker.
WORKER_FEEDS: tuple[str, ...] = (
    WORK_PERMITS,
    EMPLOYMENTS,
    NON_THAI_IDS,
    STAYS,
    INSURED_PERSONS,
    CONTRIBUTIONS,
    HEALTH_COVER,
)
