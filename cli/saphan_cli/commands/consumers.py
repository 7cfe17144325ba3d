"""What an operator does with deliveries: see what waits, send parked ones again, switch the webhook on, try it out."""

import secrets
import signal
import threading
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saphan_cli import exits
from saphan_cli.output import AsJson, note, print_json, print_json_line, print_table, settings

if TYPE_CHECKING:
    from saphan_consumers.ledger import Ledger
    from saphan_infra.settings import Settings

_PARKED_SHOWN_MAX = 100
_SINK_COLUMNS = ("Sink", "State", "Waiting", "Parked", "Set aside", "Has read up to")


def run_delivery(settings: "Settings") -> int:
    """`saphan run delivery`: deliver alerts until told to stop; the exit code. Raises SettingsError."""
    from saphan_consumers.running import run_delivery as run

    return run(settings)


def run_metrics(settings: "Settings") -> int:
    """`saphan run metrics`: keep the committee's numbers until told to stop; the exit code. Raises SettingsError."""
    from saphan_consumers.running import run_metrics as run

    return run(settings)


def register(app: typer.Typer) -> None:
    """Add the group `deliveries`."""
    group = typer.Typer(no_args_is_help=True, help="Alert deliveries: what waits, try again; a receiver to try with.")
    group.command("status")(status)
    group.command("retry")(retry)
    group.command("enable")(enable)
    group.command("receive")(receive)
    group.command("secret")(secret)
    app.add_typer(group, name="deliveries")


def status(*, as_json: AsJson = False) -> None:
    """Show what waits for the webhook, what is parked, and how far each sink has read.

    Exit codes: 0; 2 wrong settings.
    """
    with exits.told():
        configured = settings()
        found = {"webhook": _webhook_status(configured), "file": _sink_status(configured, "file")}
    if as_json:
        print_json(found)
        return
    configured_sinks = {"webhook": configured.webhook_url is not None, "file": configured.alerts_path is not None}
    lines = [_sink_line(sink, row, configured=configured_sinks[sink]) for sink, row in found.items()]
    print_table(_SINK_COLUMNS, lines, text=("Has read up to",), spare=("Set aside",))
    parked = (found["webhook"] or {}).get("parked_deliveries", [])
    if parked:
        rows = [(one["delivery_id"], one["alert_id"], one["attempts"], one["last_cause"]) for one in parked]
        print_table(("Parked delivery", "Alert", "Tries", "Last cause"), rows, text=("Last cause",), spare=("Alert",))
        note("`saphan deliveries retry` sends the parked ones again.")


def _sink_line(sink: str, row: "dict[str, Any] | None", *, configured: bool) -> tuple[Any, ...]:
    """A sink for people. The settings here need not be those that the platform runs with; the ledger is the platform's."""
    if row is None:
        return (sink, "nothing delivered yet" if configured else "not configured", None, None, None, None)
    off = row.get("off_since")
    state = ", ".join([f"off since {off}"] * bool(off) + ["not configured here"] * (not configured)) or "on"
    read = ", ".join(f"{place}: {offset}" for place, offset in row["next_offsets"].items())
    return (sink, state, row.get("waiting"), row.get("parked"), row["set_aside"], read or None)


def retry(*, as_json: AsJson = False) -> None:
    """Send parked deliveries again, with their patience renewed.

    Exit codes: 0; 1 there is no webhook ledger; 2 wrong settings.
    """
    from saphan_consumers import pending
    from saphan_infra.clock import now_ms

    with exits.told(), _ledger(settings(), "webhook") as ledger:
        count = pending.retry_parked(ledger, now_ms())
    if as_json:
        print_json({"retried": count})
    else:
        typer.echo(f"{count} parked deliveries go out again.")


def enable(*, as_json: AsJson = False) -> None:
    """Switch the webhook on again after it said that it is gone (410).

    Exit codes: 0; 1 there is no webhook ledger; 2 wrong settings.
    """
    from saphan_consumers import pending

    with exits.told(), _ledger(settings(), "webhook") as ledger:
        was_off = pending.switched_off_ms(ledger) is not None
        with ledger.transaction():
            pending.switch(ledger, None)
    if as_json:
        print_json({"was_off": was_off})
    else:
        typer.echo("The webhook is on again." if was_off else "The webhook was on already.")


def receive(
    file: Annotated[Path, typer.Option(help="JSON Lines file that gets each alert state once.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: a free one.")] = 0,
    *,
    as_json: AsJson = False,
) -> None:
    """Receive alerts on this machine: check signatures, drop repeats, append to a file. Ends with Ctrl-C.

    The secret is SAPHAN_WEBHOOK_SECRET, as the sender's. Exit codes: 0 told to stop; 1 file or port cannot be used;
    2 wrong settings.
    """
    from saphan_consumers.plans import webhook_keys
    from saphan_consumers.receiver import Inbox, Receiver

    with exits.told():
        keys = webhook_keys(settings())
    try:
        inbox = Inbox(file)
        receiver = Receiver(inbox, keys, port)
    except (OSError, ValueError) as error:
        exits.stop(f"Cannot receive: {error}. Choose another --file or --port.", exits.FAILED)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=receiver.stop).start())
    line = {"url": receiver.url, "file": str(file), "states": len(inbox)}
    if as_json:
        print_json_line(line)
    else:
        typer.echo(f"Receiving at {receiver.url} into {file} ({len(inbox)} states so far).")
    receiver.serve()
    inbox.close()


def secret() -> None:
    """Print a new random webhook secret, for both sides."""
    from saphan_consumers.signing import SECRET_PREFIX

    typer.echo(SECRET_PREFIX + b64encode(secrets.token_bytes(32)).decode())


def _ledger(configured: "Settings", sink: str) -> "Ledger":
    from saphan_consumers.ledger import LedgerUnusable
    from saphan_consumers.told import ledger_path, open_ledger

    path = ledger_path(configured.data_dir, sink)
    if not path.exists():
        exits.stop(f"There is no {path}: nothing was delivered here. Is SAPHAN_DATA_DIR right?", exits.FAILED)
    try:
        return open_ledger(configured.data_dir, sink, exclusive=False)
    except LedgerUnusable as error:
        exits.stop(str(error), exits.FAILED)


def _sink_status(configured: "Settings", sink: str) -> dict[str, Any] | None:
    from saphan_consumers.told import ledger_path

    if not ledger_path(configured.data_dir, sink).exists():
        return None
    with _ledger(configured, sink) as ledger:
        positions = {f"{place.topic}-{place.partition}": offset for place, offset in ledger.positions().items()}
        return {"next_offsets": positions, "set_aside": ledger.quarantined()}


def _webhook_status(configured: "Settings") -> dict[str, Any] | None:
    from saphan_consumers import pending
    from saphan_schemas.values import format_time_ms

    found = _sink_status(configured, "webhook")
    if found is None:
        return None
    with _ledger(configured, "webhook") as ledger:
        backlog, off_ms = pending.backlog(ledger), pending.switched_off_ms(ledger)
        parked = [
            {"delivery_id": row[0], "alert_id": row[1], "attempts": row[2], "last_cause": row[4]}
            for row in pending.parked_rows(ledger, _PARKED_SHOWN_MAX)
        ]
    off = None if off_ms is None else format_time_ms(off_ms)
    return {
        "waiting": backlog.waiting,
        "parked": backlog.parked,
        "off_since": off,
        **found,
        "parked_deliveries": parked,
    }
