"""Which rows the platform keeps: what link knows, what integrate knows, and where each of them stands in the log."""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, text
from sqlmodel import Field, SQLModel


def _big(**settings: Any) -> Column[int]:
    return Column(BigInteger, **settings)


def _row_number() -> Column[int]:
    """A key that is SQLite's own row number, for which its type must be INTEGER: a row is then found in one search, not two."""
    return Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False)


def _blob() -> Column[bytes]:
    return Column(LargeBinary, nullable=False)


# -- link ----------------------------------------------------------------------------------------------------------


class RecordRow(SQLModel, table=True):
    """The newest version of one agency record, and the worker that it belongs to (None: deleted or nobody's)."""

    __tablename__ = "record"

    record_no: int = Field(sa_column=_row_number())
    key_hash: int = Field(sa_column=_big(nullable=False, index=True))
    worker_no: int | None = Field(sa_column=_big(nullable=True, index=True))
    feed: str
    record_id: str
    version: int = Field(sa_column=_big(nullable=False))
    changed_at: int = Field(sa_column=_big(nullable=False))
    content_hash: int = Field(sa_column=_big(nullable=False))
    deleted: bool
    partition: int
    offset: int = Field(sa_column=_big(nullable=False))
    received_at: int = Field(sa_column=_big(nullable=False))
    sequence: int = Field(sa_column=_big(nullable=False))
    signature_hash: int = Field(sa_column=_big(nullable=False))
    payload: bytes = Field(sa_column=_blob())


class LinkWorkerRow(SQLModel, table=True):
    """The distinct signatures of one worker's records; may include signatures that another one contains."""

    __tablename__ = "link_worker"

    worker_no: int = Field(sa_column=_row_number())
    signatures: bytes = Field(sa_column=_blob())


class LinkIdentifierRow(SQLModel, table=True):
    """Which worker may hold an identifier: the hash says where to look, the worker's signatures say whether it is so."""

    __tablename__ = "link_identifier"
    __table_args__ = ({"sqlite_with_rowid": False},)

    identifier_hash: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    worker_no: int = Field(sa_column=_big(primary_key=True, autoincrement=False))


class GenericIdentifierRow(SQLModel, table=True):
    """An identifier that too many different people hold, so that it joins nobody."""

    __tablename__ = "generic_identifier"

    identifier: str = Field(primary_key=True)
    identifier_hash: int = Field(sa_column=_big(nullable=False, index=True))


class LinkNumbersRow(SQLModel, table=True):
    """The next free numbers of link; one row."""

    __tablename__ = "link_numbers"

    only: int = Field(primary_key=True)
    worker_no: int = Field(sa_column=_big(nullable=False))
    record_no: int = Field(sa_column=_big(nullable=False))
    sequence: int = Field(sa_column=_big(nullable=False))


class PendingHeartbeatRow(SQLModel, table=True):
    """A heartbeat that waits until link has read up to the end offsets that it names."""

    __tablename__ = "pending_heartbeat"

    feed: str = Field(primary_key=True)
    complete_until: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    partition: int
    offset: int = Field(sa_column=_big(nullable=False))
    received_at: int = Field(sa_column=_big(nullable=False))
    payload: bytes = Field(sa_column=_blob())


class FeedFreshnessRow(SQLModel, table=True):
    """How much link has read of each feed partition, and how new it is."""

    __tablename__ = "feed_freshness"

    feed: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    events: int = Field(sa_column=_big(nullable=False))
    rejected: int = Field(sa_column=_big(nullable=False))
    changed_at_max: int = Field(sa_column=_big(nullable=False))
    received_at_max: int = Field(sa_column=_big(nullable=False))
    complete_until: int | None = Field(sa_column=_big(nullable=True))


# -- integrate -----------------------------------------------------------------------------------------------------


class WorkerRow(SQLModel, table=True):
    """The integrated state of one worker. ``state`` is what the fold needs; the columns are what people ask for."""

    __tablename__ = "worker"

    worker_no: int = Field(sa_column=_row_number())
    partition: int
    worker_id: str = Field(index=True)
    sequence: int = Field(sa_column=_big(nullable=False))
    records: int
    nationality: str | None
    sex: str | None
    birth_year: int | None
    employed: bool
    enrolled: bool
    eligible: bool
    state: bytes = Field(sa_column=_blob())


class EmploymentRow(SQLModel, table=True):
    """One employment of one worker."""

    __tablename__ = "employment"
    __table_args__ = (Index("employment_by_employer", "employer_id"), {"sqlite_with_rowid": False})

    worker_no: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    record_no: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    partition: int
    record_id: str
    employer_id: str | None
    district: str | None
    sector: str | None
    start_day: int | None
    end_day: int | None


class EnrolmentRow(SQLModel, table=True):
    """One insurance of one worker with one employer account."""

    __tablename__ = "enrolment"
    __table_args__ = (Index("enrolment_by_account", "account", "branch"), {"sqlite_with_rowid": False})

    worker_no: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    record_no: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    partition: int
    record_id: str
    section: str | None
    account: str | None
    branch: str | None
    start_day: int | None
    end_day: int | None


class ContributionMonthRow(SQLModel, table=True):
    """One month's contribution. ``present`` is False once the record was deleted or moved to another worker."""

    __tablename__ = "contribution_month"
    __table_args__ = ({"sqlite_with_rowid": False},)

    worker_no: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    record_no: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    sequence: int = Field(sa_column=_big(nullable=False))
    present: bool
    record_id: str
    version: int = Field(sa_column=_big(nullable=False))
    content_hash: int = Field(sa_column=_big(nullable=False))
    month: str | None
    account: str | None
    branch: str | None
    wage_satang: int | None = Field(sa_column=_big(nullable=True))
    amount_satang: int | None = Field(sa_column=_big(nullable=True))
    paid_day: int | None


class EmployerPairRow(SQLModel, table=True):
    """A partition's copy of one record that says which DOE employer an SSO account and branch is."""

    __tablename__ = "employer_pair"

    partition: int = Field(primary_key=True)
    record_no: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    sequence: int = Field(sa_column=_big(nullable=False))
    present: bool
    record_id: str
    version: int = Field(sa_column=_big(nullable=False))
    source_partition: int
    source_offset: int = Field(sa_column=_big(nullable=False))
    account: str | None
    branch: str | None
    employer_id: str | None


class WatermarkRow(SQLModel, table=True):
    """Up to when a partition of integrate knows a feed to be complete."""

    __tablename__ = "watermark"

    partition: int = Field(primary_key=True)
    feed: str = Field(primary_key=True)
    complete_until: int = Field(sa_column=_big(nullable=False))


class AlertRow(SQLModel, table=True):
    """The state of one alert. ``version`` is that of the state last told, ``sequence`` that of the last look."""

    __tablename__ = "alert"
    __table_args__ = (
        Index(
            "alert_waiting",
            "partition",
            "check_day",
            sqlite_where=text("check_day IS NOT NULL"),
            postgresql_where=text("check_day IS NOT NULL"),
        ),
    )

    alert_id: str = Field(primary_key=True)
    worker_no: int = Field(sa_column=_big(nullable=False))
    worker_id: str
    partition: int
    employment_record_no: int = Field(sa_column=_big(nullable=False))
    employment_record_id: str = Field(index=True)
    employer_id: str
    kind: str
    state: str = Field(index=True)
    reason: str
    hold: str | None
    due_day: int
    since_day: int
    check_day: int | None
    rule_version: str
    version: int = Field(sa_column=_big(nullable=False))
    sequence: int = Field(sa_column=_big(nullable=False))
    decided_at: int = Field(sa_column=_big(nullable=False))
    evidence: bytes = Field(sa_column=_blob())


class AlertHistoryRow(SQLModel, table=True):
    """One state that an alert went through, as it was told."""

    __tablename__ = "alert_history"

    alert_id: str = Field(primary_key=True)
    version: int = Field(sa_column=_big(primary_key=True, autoincrement=False))
    state: str
    reason: str
    hold: str | None
    due_day: int
    since_day: int
    caused_at: int = Field(sa_column=_big(nullable=False))
    evidence: bytes = Field(sa_column=_blob())


# -- both ----------------------------------------------------------------------------------------------------------


class SourceOffsetRow(SQLModel, table=True):
    """Where an application stands in a partition, and who owns it: a lower epoch cannot write any more."""

    __tablename__ = "source_offset"

    app: str = Field(primary_key=True)
    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    next_offset: int = Field(sa_column=_big(nullable=False))
    owner_epoch: int = Field(sa_column=_big(nullable=False))
    owner: str
    updated_at: int = Field(sa_column=_big(nullable=False))


class OutboxRow(SQLModel, table=True):
    """The messages of one chunk, until the broker has acknowledged them."""

    __tablename__ = "outbox"
    # AUTOINCREMENT: the sender skips numbers it has already seen, so a reused number would never be sent.
    __table_args__ = {"sqlite_autoincrement": True}

    outbox_no: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    )
    app: str
    topic: str
    partition: int
    messages: bytes = Field(sa_column=_blob())
