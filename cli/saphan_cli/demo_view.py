"""What the demo shows: feeds, workers, coverage, alerts and lag, read from the committed rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table

from saphan_projections import queries
from saphan_projections.alerts import STATES
from saphan_projections.coverage import Coverage
from saphan_projections.database import Database
from saphan_projections.offsets import positions
from saphan_projections.settled import SettledAlert
from saphan_schemas.topics import WORKER_RECORDS
from saphan_schemas.values import days_to_date, format_time_ms

_NEWEST_ALERTS = 8

EndOffsets = Mapping[str, Mapping[int, int]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at the platform. ``lag`` counts messages that link or integrate has not processed."""

    feeds: Sequence[queries.FeedFreshness]
    coverage: Coverage
    alerts: Mapping[str, int]
    newest: Sequence[tuple[int, SettledAlert]]
    lag: Mapping[str, int]

    def summary(self) -> dict[str, Any]:
        """The numbers for scripts."""
        return {
            "events": sum(row.events for row in self.feeds),
            "events_by_feed": {row.feed: row.events for row in self.feeds},
            "rejected": sum(row.rejected for row in self.feeds),
            "workers": self.coverage.workers,
            "coverage": {
                "of_registered": self.coverage.of_registered,
                "of_eligible": self.coverage.of_eligible,
                "employed": self.coverage.employed,
                "enrolled": self.coverage.enrolled,
            },
            "alerts": {state: self.alerts.get(state, 0) for state in STATES},
            "lag": sum(self.lag.values()),
        }


def look(link: Database, state: Database, ends: EndOffsets) -> Snapshot:
    """Read the rows of both databases against the ends of the topics. Raises DatabaseUnavailable."""
    with link.reading() as transaction:
        feeds = queries.feeds(transaction)
        linked = positions(transaction, "link")
    with state.reading() as transaction:
        integrated = positions(transaction, "integrate")
        coverage = queries.coverage(transaction)
        alerts = queries.alerts_by_state(transaction)
        newest = queries.newest_alerts(transaction, _NEWEST_ALERTS)
    lag = {
        "link": sum(queries.lag(ends[topic], linked, topic) for topic in ends if topic != WORKER_RECORDS),
        "integrate": queries.lag(ends.get(WORKER_RECORDS, {}), integrated, WORKER_RECORDS),
    }
    return Snapshot(feeds, coverage, alerts, newest, lag)


def render(snapshot: Snapshot, simulated_ms: int, title: str) -> RenderableType:
    """The picture for a terminal."""
    feeds = Table("feed", "events", "rejected", "newest change", box=None, pad_edge=False)
    for row in snapshot.feeds:
        newest = format_time_ms(row.changed_at_max)[:10] if row.changed_at_max else ""
        feeds.add_row(row.feed, f"{row.events:,}", f"{row.rejected:,}" if row.rejected else "", newest)
    numbers = Table.grid(padding=(0, 2))
    for name, value in _numbers(snapshot, simulated_ms):
        numbers.add_row(name, value)
    alerts = Table("alert", "state", "due on", "reason", box=None, pad_edge=False)
    for _, alert in snapshot.newest:
        reason = alert.reason + (f" (held: {alert.hold})" if alert.hold else "")
        alerts.add_row(alert.alert_id, alert.state, days_to_date(alert.due_day).isoformat(), reason)
    top = Table.grid(padding=(0, 4))
    top.add_row(feeds, numbers)
    return Panel(Group(top, "", "Newest alerts", alerts), title=title, subtitle="Ctrl-C stops everything")


def _numbers(snapshot: Snapshot, simulated_ms: int) -> list[tuple[str, str]]:
    coverage = snapshot.coverage
    rows = [
        ("simulated day", format_time_ms(simulated_ms)[:10] if simulated_ms else "…"),
        ("workers known", f"{coverage.workers:,}"),
        ("employed", f"{coverage.employed:,}"),
        ("enrolled", f"{coverage.enrolled:,}"),
        ("share of registered", _percent(coverage.of_registered)),
        ("share of eligible", _percent(coverage.of_eligible)),
    ]
    rows += [(f"alerts {state}", f"{snapshot.alerts.get(state, 0):,}") for state in STATES]
    rows += [(f"lag {app}", f"{messages:,}") for app, messages in snapshot.lag.items()]
    return rows


def _percent(share: float | None) -> str:
    return "…" if share is None else f"{share:.1%}"
