"""How enrolment alerts are looked at: as a list, one with its history and evidence, or live as they change."""

import heapq
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saphan_cli import exits, output

if TYPE_CHECKING:
    from saphan_projections.database import Transaction
    from saphan_projections.settled import SettledAlert

_SHOWN_IN_TABLE = 50
_COLUMNS = ("Alert", "State", "Since", "Due on", "Hold", "Reason", "Worker", "Employer", "Employment record")
#: Where the terminal is narrow: `alerts show` tells them, too.
_SPARE = ("Employment record", "Employer", "Since", "Worker", "Hold")
_LIMIT_HELP = "At most so many, the most urgent first. 0: all. Default: 50 in a table, all in JSON."


def register(app: typer.Typer) -> None:
    """Add the group ``alerts``."""
    group = typer.Typer(no_args_is_help=True, help="Enrolment alerts: list, show one, watch them change.")
    group.command("list")(list_alerts)
    group.command("show")(show)
    group.command("watch")(watch)
    app.add_typer(group, name="alerts")


def list_alerts(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="In any state; default: overdue, reopened and due.")
    ] = False,
    state: Annotated[list[str] | None, typer.Option(help="Only in this state; give --state once for each.")] = None,
    as_of: output.AsOf = None,
    limit: Annotated[int | None, typer.Option(min=0, help=_LIMIT_HELP)] = None,
    as_json: output.AsJson = False,
) -> None:
    """List alerts: as they stand now, or as they are settled at a moment (--as-of).

    Exit codes: 0 listed; 2 wrong usage or settings; 3 the database could not be reached.
    """
    with output.told():
        as_of_ms = output.moment_ms(as_of)
        states = _wanted(state, everything=everything)
        count = (None if as_json else _SHOWN_IN_TABLE) if limit is None else (limit or None)
        with _reading() as transaction:
            alerts = _listed(transaction, states, as_of_ms, count)
            if as_json:
                output.print_json_array(alert_form(alert) for alert in alerts)
                return
            shown = list(alerts)
            output.print_table(_COLUMNS, [_line(alert) for alert in shown], spare=_SPARE)
            if count is not None and len(shown) == count:
                output.note(f"The {count} most urgent are shown; --limit 0 shows all, `saphan status` counts them.")
            if not shown:
                output.note("No alert of this kind. `saphan alerts list --all` shows the settled ones, too.")


def _wanted(states: list[str] | None, *, everything: bool) -> tuple[str, ...] | None:
    from saphan_projections.alerts import OPEN_STATES, STATES

    for state in states or ():
        if state not in STATES:
            once = " Give --state once for each." if "," in state or " " in state else ""
            exits.stop(f"--state: found {state!r}; expected one of {', '.join(STATES)}.{once}", exits.USAGE)
    if states:
        return tuple(states)
    return None if everything else OPEN_STATES


def _listed(
    transaction: "Transaction", states: tuple[str, ...] | None, as_of_ms: int | None, limit: int | None
) -> "Iterator[SettledAlert]":
    from saphan_infra.clock import now_ms
    from saphan_projections.law import default_law
    from saphan_projections.queries import stored_alerts
    from saphan_projections.settled import settled_alerts

    if as_of_ms is None:
        yield from stored_alerts(transaction, states, limit, now_ms())
        return
    found: Iterable[SettledAlert] = settled_alerts(transaction, default_law(), as_of_ms)
    wanted = (alert for alert in found if states is None or alert.state in states)
    yield from wanted if limit is None else heapq.nsmallest(limit, wanted, key=_urgency)


def _urgency(alert: "SettledAlert") -> tuple[int, int, str]:
    from saphan_projections.alerts import urgency

    return urgency(alert.state), alert.due_day, alert.alert_id


def alert_form(alert: "SettledAlert") -> dict[str, Any]:
    """An alert as plain JSON; ``hold_as_of`` is what holds it for somebody who reads at that moment."""
    return {
        "alert_id": alert.alert_id,
        "kind": alert.kind,
        "employment_record_id": alert.employment_record_id,
        "state": alert.state,
        "reason": alert.reason,
        "hold": alert.hold,
        "hold_as_of": alert.hold_as_of,
        "due_on": output.day_text(alert.due_day),
        "state_since": output.day_text(alert.since_day),
        "worker_id": alert.worker_id,
        "employer_id": alert.employer_id,
        "rule_version": alert.rule_version,
        "version": alert.version,
        "evidence": [{"role": role, **reference._asdict()} for role, reference in alert.evidence],
    }


def _line(alert: "SettledAlert") -> tuple[Any, ...]:
    return (
        alert.alert_id, alert.state, output.day_text(alert.since_day), output.day_text(alert.due_day),
        alert.hold_as_of, alert.reason, alert.worker_id, alert.employer_id, alert.employment_record_id,
    )  # fmt: skip


def show(
    alert_id: Annotated[str, typer.Argument(help="The alert's id, A-…")],
    *,
    as_json: output.AsJson = False,
) -> None:
    """Show one alert with everything that was told of it and the records behind it.

    Exit codes: 0 shown; 1 there is no such alert; 2 wrong settings; 3 the database could not be reached.
    """
    from saphan_infra.clock import now_ms
    from saphan_projections.queries import alert_by_id, alert_history

    with output.told():
        with _reading() as transaction:
            alert = alert_by_id(transaction, alert_id, now_ms())
            history = alert_history(transaction, alert_id)
        if alert is None:
            exits.stop(
                f"There is no alert {alert_id!r}. `saphan alerts list --all` lists every alert with its id.",
                exits.FAILED,
            )
        entries = [history_form(entry) for entry in history]
        if as_json:
            output.print_json({**alert_form(alert), "history": entries})
            return
        form = {key: value for key, value in alert_form(alert).items() if key != "evidence"}
        output.print_table(("Alert", alert.alert_id), list(form.items())[1:], text=(alert.alert_id,))
        references = [(role, *reference) for role, reference in alert.evidence]
        output.print_table(
            ("Role", "Feed", "Record", "Version", "Partition", "Offset"),
            references,
            "Evidence",
            spare=("Offset", "Partition"),
        )
        lines = [
            (entry["told_because_of"], entry["state"], entry["state_since"], entry["due_on"], entry["hold"], entry["reason"])
            for entry in entries
        ]  # fmt: skip
        columns = ("Told because of a change at", "State", "Since", "Due on", "Hold", "Reason")
        output.print_table(columns, lines, "History", text=columns[:1], spare=("Due on", "Hold"))


def history_form(entry: Any) -> dict[str, Any]:
    """One told state as plain JSON."""
    return {
        "version": entry.version,
        "state": entry.state,
        "reason": entry.reason,
        "hold": entry.hold,
        "due_on": output.day_text(entry.due_day),
        "state_since": output.day_text(entry.since_day),
        "told_because_of": output.time_text(entry.caused_at),
        "evidence": [{"role": role, **reference._asdict()} for role, reference in entry.evidence],
    }


def watch(
    *,
    from_beginning: Annotated[
        bool,
        typer.Option("--from-beginning", help="First what was told before; default: only what is told from now on."),
    ] = False,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="End after so many seconds; default: with Ctrl-C.")
    ] = None,
    as_json: output.AsJson = False,
) -> None:
    """Show each new state of an alert as it is told, until Ctrl-C. With --json one JSON object a line.

    Exit codes: 0 ended; 2 wrong settings; 3 Kafka could not be reached.
    """
    from saphan_cli.watching import told_alerts

    with output.told():
        settings = output.settings()
        if not as_json:
            output.note("Waiting for alerts; Ctrl-C ends.")
        try:
            for told in islice(told_alerts(settings, seconds, from_beginning=from_beginning), count):
                if as_json:
                    output.print_json_line(told)
                else:
                    output.print_text(_told_line(told))
        except KeyboardInterrupt:
            output.note("Ended.")


def _told_line(told: dict[str, Any]) -> str:
    hold = f", held: {told['hold']}" if told["hold"] else ""
    return (
        f"{told['told_at']}  {told['state']:<9} {told['alert_id']}  due on {told['due_on']}, since {told['state_since']}"
        f" ({told['reason']}{hold})  worker {told['worker_id']}, employer {told['employer_id']}"
    )


@contextmanager
def _reading() -> "Iterator[Transaction]":
    with output.opened(output.settings().state_url) as database, database.reading() as transaction:
        yield transaction
