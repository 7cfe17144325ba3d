"""What became of each file: the numbers that a person and a script get to see."""

from dataclasses import dataclass, field
from typing import Any

from saphan_publishers.text import shown_path


@dataclass(slots=True)
class FileOutcome:
    """One file. ``published`` are acknowledged rows (in a dry run: rows that would be published)."""

    feed: str
    path: str
    rows: int = 0
    published: int = 0
    rejected: int = 0
    warnings: int = 0
    failure: str | None = None

    @property
    def file(self) -> str:
        """The path as it is told."""
        return shown_path(self.path)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "feed": self.feed,
            "file": self.file,
            "rows": self.rows,
            "published": self.published,
            "rejected": self.rejected,
            "warnings": self.warnings,
            "failure": self.failure,
        }


@dataclass(slots=True)
class Outcome:
    """A whole publication; ``heartbeats`` are those that ``--heartbeat`` asked for, ``withheld`` those not sent."""

    files: list[FileOutcome] = field(default_factory=list)
    heartbeats: list[str] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    seconds: float = 0.0
    dry_run: bool = False
    report: str | None = None

    @property
    def rows(self) -> int:
        """Rows read."""
        return sum(file.rows for file in self.files)

    @property
    def published(self) -> int:
        """Rows acknowledged by Kafka."""
        return sum(file.published for file in self.files)

    @property
    def rejected(self) -> int:
        """Rows that are in the report instead of the feed."""
        return sum(file.rejected for file in self.files)

    @property
    def warnings(self) -> int:
        """Warnings about rows and files."""
        return sum(file.warnings for file in self.files)

    @property
    def failed(self) -> bool:
        """Whether a file could not be read, or not to its end."""
        return any(file.failure is not None for file in self.files)

    @property
    def incomplete_feeds(self) -> frozenset[str]:
        """Feeds of which something was not published."""
        return frozenset(file.feed for file in self.files if file.rejected or file.failure is not None)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "rows": self.rows,
            "published": self.published,
            "rejected": self.rejected,
            "warnings": self.warnings,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(self.rows / self.seconds) if self.seconds > 0 else None,
            "dry_run": self.dry_run,
            "heartbeats": self.heartbeats,
            "heartbeats_withheld": self.withheld,
            "report": self.report,
            "files": [file.as_json() for file in self.files],
        }
