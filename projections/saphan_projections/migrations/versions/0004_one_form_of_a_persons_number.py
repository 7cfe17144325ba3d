"""Marks tables in which a person's number is one identifier wherever it stands; others are refused (`migrate.py`)."""

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing: rows of the earlier form cannot be mended, as what was joined by them has been told."""
