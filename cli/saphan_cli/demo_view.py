"""What the demo shows: feeds, workers, coverage, alerts and lag, read from the committed rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
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
_BORDER_WIDTH = 4
#: And the line that the cursor is left on.
_BORDER_LINES = 3
_HALVES_GAP = 4
_GAP = 2
_REASON_WIDTH_MIN = 12
_UNBOUNDED = 1_000

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
                "of_eligible_employed": self.coverage.of_eligible,
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


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture for a terminal. It takes no more lines than that has: a border that has gone says nothing."""

    snapshot: Snapshot
    simulated_ms: int
    title: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Halves beside one another where there is room, the newest alerts in the lines that are left."""
        width, height = options.max_width - _BORDER_WIDTH, console.height - _BORDER_LINES
        numbers = _numbers_table(self.snapshot, self.simulated_ms)
        beside = _feeds_table(self.snapshot, width - _HALVES_GAP - _measured(console, numbers))
        parts: list[RenderableType] = [numbers]
        used = numbers.row_count
        lines_of_feeds = len(self.snapshot.feeds) + 1
        if len(beside.columns) > 1:
            halves = Table.grid(padding=(0, _HALVES_GAP))
            halves.add_row(beside, numbers)
            parts, used = [halves], max(used, lines_of_feeds)
        elif used + lines_of_feeds + 1 <= height:
            parts, used = [numbers, "", _feeds_table(self.snapshot, width)], used + lines_of_feeds + 1
        # An empty line and the heads come with the alerts.
        count = min(_NEWEST_ALERTS, height - used - 2)
        if count > 0:
            parts += ["", _alerts_table(self.snapshot, count, width)]
        yield Panel(Group(*parts), title=self.title, subtitle="Ctrl-C stops everything")


def _measured(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(width=_UNBOUNDED), table).maximum


def _feeds_table(snapshot: Snapshot, width: int) -> Table:
    """The feeds; what came last of each only where there is room for it."""
    names = ("feed", "events", "rejected", "newest change")
    rows = [
        (
            row.feed,
            f"{row.events:,}",
            f"{row.rejected:,}" if row.rejected else "",
            format_time_ms(row.changed_at_max)[:10] if row.changed_at_max else "",
        )
        for row in snapshot.feeds
    ]
    return _whole(names, rows, width)


def _numbers_table(snapshot: Snapshot, simulated_ms: int) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    for name, value in _numbers(snapshot, simulated_ms):
        table.add_row(name, value)
    return table


def _alerts_table(snapshot: Snapshot, count: int, width: int) -> Table:
    rows = []
    for _, alert in snapshot.newest[:count]:
        reason = alert.reason + (f" (held: {alert.hold})" if alert.hold else "")
        rows.append((alert.alert_id, alert.state, days_to_date(alert.due_day).isoformat(), reason))
    return _whole(("newest alerts", "state", "due on", "reason"), rows, width)


def _whole(names: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Table:
    """The rows with as many of the columns as have room for each of their cells."""
    table = Table(box=None, pad_edge=False)
    left = width
    for cells in zip(names, *rows, strict=True):
        # The reason is the one thing that may be cut: `alerts show` tells it.
        needed = _REASON_WIDTH_MIN if cells[0] == "reason" else max(map(len, cells))
        if needed > left:
            break
        table.add_column(cells[0], no_wrap=True, min_width=needed, max_width=left)
        left -= needed + _GAP
    for row in rows:
        table.add_row(*row[: len(table.columns)])
    return table


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
