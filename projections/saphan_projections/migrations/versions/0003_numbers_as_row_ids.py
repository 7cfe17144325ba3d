"""Lets SQLite find a record or a worker by its number alone: the number becomes the row's own, without an index."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NUMBERS = {"record": "record_no", "link_worker": "worker_no", "worker": "worker_no"}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table, number in _NUMBERS.items():
            # SQLite takes a key for the row's own number only if its type is called INTEGER, which holds 64 bits.
            with op.batch_alter_table(table, recreate="always") as batch:
                batch.alter_column(number, type_=sa.Integer(), existing_nullable=False)
