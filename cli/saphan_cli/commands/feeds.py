"""How fresh and how complete each feed is: `feeds`."""

from typing import TYPE_CHECKING, Any

import typer

from saphan_cli import exits, output, progress

if TYPE_CHECKING:
    from saphan_infra.settings import Settings
    from saphan_projections.queries import FeedFreshness

_COLUMNS = ("Feed", "Events", "Rejected", "Lag", "Newest change", "Age", "Complete until", "Age")
#: Where the terminal is narrow: an age follows from its time.
_SPARE = ("Age",)


def register(app: typer.Typer) -> None:
    """Add ``feeds``."""
    app.command("feeds")(feeds)


def feeds(*, as_json: output.AsJson = False) -> None:
    """Show for each feed: events read, rejected, what still waits, the newest change and the newest heartbeat.

    "Complete until" is the newest heartbeat that link has passed on, with everything before it read.

    Exit codes: 0 shown; 2 wrong settings; 3 the database, or Kafka for the lag, could not be reached.
    """
    with output.told():
        settings = output.settings()
        from saphan_schemas.topics import RECORD_FEEDS

        bounds = progress.bounds_or_note(settings, RECORD_FEEDS)
        found = feed_forms(settings, bounds)
        if as_json:
            output.print_json_array(found)
        else:
            output.print_table(_COLUMNS, [_line(row) for row in found], spare=_SPARE)
        if bounds is None:
            raise typer.Exit(exits.UNREACHABLE)


def feed_forms(settings: "Settings", bounds: progress.Bounds | None) -> list[dict[str, Any]]:
    """Every feed in plain JSON form, those of which nothing was read yet, too; ``lag`` None: unknown."""
    from saphan_infra.clock import now_ms
    from saphan_projections import queries
    from saphan_projections.offsets import positions
    from saphan_schemas.topics import RECORD_FEEDS

    with output.opened(settings.link_url) as database, database.reading() as transaction:
        read = {row.feed: row for row in queries.feeds(transaction)}
        lags = None if bounds is None else progress.lag_by_topic(bounds, positions(transaction, "link"))
    now = now_ms()
    return [_form(feed, read.get(feed), None if lags is None else lags.get(feed, 0), now) for feed in RECORD_FEEDS]


def _form(feed: str, row: "FeedFreshness | None", lag: int | None, now: int) -> dict[str, Any]:
    changed_at = row.changed_at_max if row else None
    complete_until = row.complete_until if row else None
    return {
        "feed": feed,
        "events": row.events if row else 0,
        "rejected": row.rejected if row else 0,
        "lag": lag,
        "newest_change": output.time_text(changed_at),
        "newest_change_age_seconds": _age_seconds(changed_at, now),
        "complete_until": output.time_text(complete_until),
        "complete_until_age_seconds": _age_seconds(complete_until, now),
        "newest_received": output.time_text(row.received_at_max if row else None),
    }


def _age_seconds(moment_ms: int | None, now: int) -> float | None:
    # A feed may be ahead of this machine's clock (a simulated one certainly is): then its age is negative, not hidden.
    return (now - moment_ms) / 1000 if moment_ms is not None else None


def _line(form: dict[str, Any]) -> tuple[Any, ...]:
    return (
        form["feed"],
        form["events"],
        form["rejected"],
        form["lag"],
        form["newest_change"],
        _age(form["newest_change_age_seconds"]),
        form["complete_until"],
        _age(form["complete_until_age_seconds"]),
    )


def _age(seconds: float | None) -> str | None:
    if seconds is not None and seconds < 0:
        return "in the future"
    return output.duration(seconds * 1000) if seconds is not None else None
