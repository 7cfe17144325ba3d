"""Creates the first tables: what link knows, what integrate knows and where each of them stands in the log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str, *, nullable: bool = False, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable, primary_key=primary_key)


def _int(name: str, *, nullable: bool = False, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=nullable, primary_key=primary_key)


def _big(name: str, *, nullable: bool = False, primary_key: bool = False) -> sa.Column[int]:
    # Numbers are given by the platform, never by the database.
    return sa.Column(name, sa.BigInteger(), nullable=nullable, primary_key=primary_key, autoincrement=False)


def _bool(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _blob(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def upgrade() -> None:
    """Create every table and index."""
    _create_link_tables()
    _create_worker_tables()
    _create_partition_tables()
    _create_alert_tables()
    _create_log_tables()


def _create_link_tables() -> None:
    op.create_table(
        "record",
        _big("record_no", primary_key=True),
        _big("key_hash"),
        _big("worker_no", nullable=True),
        _text("feed"),
        _text("record_id"),
        _big("version"),
        _big("changed_at"),
        _big("content_hash"),
        _bool("deleted"),
        _int("partition"),
        _big("offset"),
        _big("received_at"),
        _big("sequence"),
        _big("signature_hash"),
        _blob("payload"),
    )
    op.create_index("ix_record_key_hash", "record", ["key_hash"])
    op.create_index("ix_record_worker_no", "record", ["worker_no"])
    op.create_table("link_worker", _big("worker_no", primary_key=True), _blob("signatures"))
    op.create_table(
        "link_identifier",
        _big("identifier_hash", primary_key=True),
        _big("worker_no", primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table("generic_identifier", _text("identifier", primary_key=True), _big("identifier_hash"))
    op.create_index("ix_generic_identifier_identifier_hash", "generic_identifier", ["identifier_hash"])
    op.create_table(
        "link_numbers", _int("only", primary_key=True), _big("worker_no"), _big("record_no"), _big("sequence")
    )
    op.create_table(
        "pending_heartbeat",
        _text("feed", primary_key=True),
        _big("complete_until", primary_key=True),
        _int("partition"),
        _big("offset"),
        _big("received_at"),
        _blob("payload"),
    )
    op.create_table(
        "feed_freshness",
        _text("feed", primary_key=True),
        _int("partition", primary_key=True),
        _big("events"),
        _big("rejected"),
        _big("changed_at_max"),
        _big("received_at_max"),
        _big("complete_until", nullable=True),
    )


def _create_worker_tables() -> None:
    op.create_table(
        "worker",
        _big("worker_no", primary_key=True),
        _int("partition"),
        _text("worker_id"),
        _big("sequence"),
        _int("records"),
        _text("nationality", nullable=True),
        _text("sex", nullable=True),
        _int("birth_year", nullable=True),
        _bool("employed"),
        _bool("enrolled"),
        _bool("eligible"),
        _blob("state"),
    )
    op.create_index("ix_worker_worker_id", "worker", ["worker_id"])
    op.create_table(
        "employment",
        _big("worker_no", primary_key=True),
        _big("record_no", primary_key=True),
        _int("partition"),
        _text("record_id"),
        _text("employer_id", nullable=True),
        _text("district", nullable=True),
        _text("sector", nullable=True),
        _int("start_day", nullable=True),
        _int("end_day", nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_index("employment_by_employer", "employment", ["employer_id"])
    op.create_table(
        "enrolment",
        _big("worker_no", primary_key=True),
        _big("record_no", primary_key=True),
        _int("partition"),
        _text("record_id"),
        _text("section", nullable=True),
        _text("account", nullable=True),
        _text("branch", nullable=True),
        _int("start_day", nullable=True),
        _int("end_day", nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_index("enrolment_by_account", "enrolment", ["account", "branch"])
    op.create_table(
        "contribution_month",
        _big("worker_no", primary_key=True),
        _big("record_no", primary_key=True),
        _big("sequence"),
        _bool("present"),
        _text("record_id"),
        _big("version"),
        _big("content_hash"),
        _text("month", nullable=True),
        _text("account", nullable=True),
        _text("branch", nullable=True),
        _big("wage_satang", nullable=True),
        _big("amount_satang", nullable=True),
        _int("paid_day", nullable=True),
        sqlite_with_rowid=False,
    )


def _create_partition_tables() -> None:
    op.create_table(
        "employer_pair",
        _int("partition", primary_key=True),
        _big("record_no", primary_key=True),
        _big("sequence"),
        _bool("present"),
        _text("record_id"),
        _big("version"),
        _int("source_partition"),
        _big("source_offset"),
        _text("account", nullable=True),
        _text("branch", nullable=True),
        _text("employer_id", nullable=True),
    )
    op.create_table(
        "watermark", _int("partition", primary_key=True), _text("feed", primary_key=True), _big("complete_until")
    )


def _create_alert_tables() -> None:
    op.create_table(
        "alert",
        _text("alert_id", primary_key=True),
        _big("worker_no"),
        _text("worker_id"),
        _int("partition"),
        _big("employment_record_no"),
        _text("employment_record_id"),
        _text("employer_id"),
        _text("kind"),
        _text("state"),
        _text("reason"),
        _text("hold", nullable=True),
        _int("due_day"),
        _int("since_day"),
        _int("check_day", nullable=True),
        _text("rule_version"),
        _big("version"),
        _big("sequence"),
        _big("decided_at"),
        _blob("evidence"),
    )
    waiting = sa.text("check_day IS NOT NULL")
    op.create_index(
        "alert_waiting", "alert", ["partition", "check_day"], sqlite_where=waiting, postgresql_where=waiting
    )
    op.create_index("ix_alert_employment_record_id", "alert", ["employment_record_id"])
    op.create_index("ix_alert_state", "alert", ["state"])
    op.create_table(
        "alert_history",
        _text("alert_id", primary_key=True),
        _big("version", primary_key=True),
        _text("state"),
        _text("reason"),
        _text("hold", nullable=True),
        _int("due_day"),
        _int("since_day"),
        _big("caused_at"),
        _blob("evidence"),
    )


def _create_log_tables() -> None:
    op.create_table(
        "source_offset",
        _text("app", primary_key=True),
        _text("topic", primary_key=True),
        _int("partition", primary_key=True),
        _big("next_offset"),
        _big("owner_epoch"),
        _text("owner"),
        _big("updated_at"),
    )
    op.create_table(
        "outbox",
        sa.Column("outbox_no", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        _text("app"),
        _text("topic"),
        _int("partition"),
        _blob("messages"),
    )
