"""How the platform is: `status` puts processes, lag, coverage, alerts, dead letters and freshness on one page."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from saphan_cli import dead_letters, exits, output, progress
from saphan_cli.commands.feeds import feed_forms
from saphan_infra.availability import ServiceUnavailable

if TYPE_CHECKING:
    from saphan_infra.settings import Settings

#: Dead letters that are looked at to count them by reason.
_LETTERS_MAX = 10_000
#: Of the feeds, where the terminal is narrow: `saphan feeds` tells them, too.
_SPARE = ("Newest change", "Rejected")


def register(app: typer.Typer) -> None:
    """Add ``status``."""
    app.command("status")(status)


def status(*, as_json: output.AsJson = False) -> None:
    """Show processes, lag, workers and coverage, alerts, dead letters and how fresh the feeds are.

    What can be read is shown even when something is away.

    Exit codes: 0 shown; 2 wrong settings; 3 the database or Kafka could not be reached.
    """
    with output.told():
        form = status_form(output.settings())
        if as_json:
            output.print_json(form)
        else:
            _print(form)
        if not (form["kafka_reachable"] and form["database_reachable"]):
            raise typer.Exit(exits.UNREACHABLE)


def status_form(settings: "Settings") -> dict[str, Any]:
    """Everything in plain JSON form; what could not be read is None, with a note on stderr."""
    from saphan_projections.database import DatabaseUnavailable
    from saphan_schemas.topics import FEEDS, WORKER_RECORDS

    bounds = progress.bounds_or_note(settings, (*FEEDS, WORKER_RECORDS))
    try:
        state = _state(settings, bounds)
    except (DatabaseUnavailable, ServiceUnavailable) as away:
        output.note(str(away))
        state = dict.fromkeys(("lag", "outbox_chunks", "workers", "coverage", "alerts", "complete_until", "feeds"))
    return {
        "processes": _processes(settings),
        "kafka_reachable": bounds is not None,
        "database_reachable": state["workers"] is not None,
        **state,
        "dead_letters": _dead_letters(settings) if bounds is not None else None,
    }


def _processes(settings: "Settings") -> list[dict[str, Any]]:
    from saphan_infra.roles import roles_of
    from saphan_infra.supervisor import role_statuses

    return [
        {
            "role": row.role,
            "state": row.state,
            "pid": row.pid,
            "started_at": output.time_text(row.started_at),
            "restarts": row.restarts,
            "metrics_port": row.metrics_port,
            "log": str(row.log),
        }
        for row in role_statuses(settings.data_dir, roles_of(settings))
    ]


def _state(settings: "Settings", bounds: progress.Bounds | None) -> dict[str, Any]:
    from saphan_projections import queries
    from saphan_projections.alerts import STATES
    from saphan_projections.offsets import positions

    with output.opened(settings.link_url) as database, database.reading() as transaction:
        read = {"link": positions(transaction, "link")}
        waiting = {"link": queries.outbox_rows(transaction, "link")}
    with output.opened(settings.state_url) as database, database.reading() as transaction:
        read["integrate"] = positions(transaction, "integrate")
        waiting["integrate"] = queries.outbox_rows(transaction, "integrate")
        counted = queries.coverage(transaction)
        alerts = queries.alerts_by_state(transaction)
        complete_until = queries.watermarks(transaction)
    return {
        "lag": None if bounds is None else {app: _lag(app, bounds, read[app]) for app in read},
        "outbox_chunks": waiting,
        "workers": counted._asdict(),
        "coverage": {"of_registered": counted.of_registered, "of_eligible_employed": counted.of_eligible},
        "alerts": {state: alerts.get(state, 0) for state in STATES},
        "complete_until": {feed: output.time_text(until) for feed, until in complete_until.items()},
        "feeds": feed_forms(settings, bounds),
    }


def _lag(app: str, bounds: progress.Bounds, positions: Mapping[tuple[str, int], int]) -> int:
    from saphan_schemas.topics import WORKER_RECORDS

    own = {place: row for place, row in bounds.items() if (place[0] == WORKER_RECORDS) == (app == "integrate")}
    return sum(progress.lag_by_topic(own, positions).values())


def _dead_letters(settings: "Settings") -> dict[str, Any] | None:
    try:
        letters = dead_letters.read_all(settings, with_content=lambda _: False, newest=_LETTERS_MAX)
    except ServiceUnavailable as away:
        output.note(str(away))
        return None
    return {
        "looked_at": len(letters),
        "waiting": sum(letter.retried_at is None for letter in letters),
        "by_reason": dict(Counter(letter.reason for letter in letters).most_common()),
    }


# -- for people ----------------------------------------------------------------------------------------------------


def _print(form: dict[str, Any]) -> None:
    rows = [
        (row["role"], row["state"], row["pid"], row["metrics_port"], row["started_at"], row["restarts"])
        for row in form["processes"]
    ]
    output.print_table(("Process", "State", "Pid", "Metrics port", "Since", "Restarts"), rows)
    if form["workers"] is not None:
        _print_state(form)
    letters = form["dead_letters"]
    if letters is not None and letters["looked_at"]:
        output.print_table(("Dead letters: reason", "Messages"), letters["by_reason"].items())
        output.print_text(f"Not retried yet: {letters['waiting']}. `saphan dlq list` shows them.")


def _print_state(form: dict[str, Any]) -> None:
    lag = form["lag"] or {}
    waiting = form["outbox_chunks"]
    output.print_table(
        ("Application", "Messages behind", "Chunks not sent"), [(app, lag.get(app), waiting[app]) for app in waiting]
    )
    output.print_table(("Alerts", "Count"), form["alerts"].items())
    workers, coverage = form["workers"], form["coverage"]
    rows = [
        ("registered", workers["workers"], workers["enrolled"], _percent(coverage["of_registered"])),
        ("eligible, employed", workers["eligible"], workers["eligible_enrolled"], _percent(coverage["of_eligible_employed"])),
    ]  # fmt: skip
    output.print_table(("Workers", "Count", "Enrolled", "Coverage"), rows)
    read = [row for row in form["feeds"] if row["events"]]
    columns = ("Feed", "Events", "Rejected", "Behind", "Newest change", "Complete until")
    names = ("feed", "events", "rejected", "lag", "newest_change", "complete_until")
    output.print_table(columns, [tuple(row[name] for name in names) for row in read], spare=_SPARE)


def _percent(share: float | None) -> str | None:
    return f"{100 * share:.1f} %" if share is not None else None
