"""Whether the live state is what the log says: `rebuild` folds the log anew and prints where the two differ."""

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from saphan_cli import exits, output

if TYPE_CHECKING:
    from saphan_infra.settings import Settings
    from saphan_streams.rebuild import Rebuilt, Shadow

_CATCH_UP_SECONDS = 120
_DIFFERENCES_MAX = 100

_KEEP = "Keep the rebuilt tables (data_dir/shadow, or the schema saphan_shadow) to look into."
_WAIT = "How long the live state may take to reach the point that the rebuild has read to."


def register(app: typer.Typer) -> None:
    """Add ``rebuild``."""
    app.command("rebuild")(rebuild)


def rebuild(
    *,
    keep: Annotated[bool, typer.Option("--keep", help=_KEEP)] = False,
    as_of: output.AsOf = None,
    limit: Annotated[int, typer.Option(help="Most differences that are printed.", min=1)] = _DIFFERENCES_MAX,
    wait_seconds: Annotated[float, typer.Option(help=_WAIT, min=0)] = _CATCH_UP_SECONDS,
    as_json: output.AsJson = False,
) -> None:
    """Read every feed from its beginning into shadow tables and print where the live state differs; nothing is changed.

    Exit codes: 0 no difference; 1 there are differences, or the live state is behind; 2 wrong usage or settings;
    3 Kafka or the database could not be reached.
    """
    with output.told():
        settings = output.settings()
        as_of_ms = output.moment_ms(as_of)
        from saphan_streams.rebuild import rebuild as fold_anew
        from saphan_streams.rebuild import shadow_databases

        with shadow_databases(settings, keep=keep) as shadow:
            rebuilt = asyncio.run(fold_anew(settings, shadow, _progress))
            output.note(f"{rebuilt.events:,} messages in {rebuilt.seconds:,.1f} s")
            behind = _behind(settings, rebuilt, wait_seconds)
            found = _compare(settings, shadow, as_of_ms, limit)
        _show(rebuilt, behind, found, as_json=as_json)
    if behind:
        exits.stop(
            f"The live state has {behind:,} messages still to process: run this again when it has.", exits.FAILED
        )
    if found["differences"]:
        raise typer.Exit(exits.FAILED)


def _progress(done: int, total: int) -> None:
    output.note(f"{done:,} of {total:,} messages")


def _behind(settings: "Settings", rebuilt: "Rebuilt", patience_seconds: float) -> int:
    """Messages that link or integrate has still to process up to where the rebuild read, after waiting for them."""
    from saphan_cli.progress import lag_by_topic, log_bounds
    from saphan_infra.clock import monotonic_seconds, wait_seconds
    from saphan_projections.offsets import positions
    from saphan_schemas.topics import WORKER_RECORDS

    ends_at = monotonic_seconds() + patience_seconds
    while True:
        with output.opened(settings.link_url) as database, database.reading() as transaction:
            linked = positions(transaction, "link")
        with output.opened(settings.state_url) as database, database.reading() as transaction:
            integrated = positions(transaction, "integrate")
        left = sum(max(0, end - linked.get(key, 0)) for key, end in rebuilt.ends.items())
        left += sum(lag_by_topic(log_bounds(settings, [WORKER_RECORDS]), integrated).values())
        if not left or monotonic_seconds() >= ends_at:
            return left
        wait_seconds(0.5)


def _compare(settings: "Settings", shadow: "Shadow", as_of_ms: int | None, limit: int) -> dict[str, Any]:
    from saphan_projections.canonical import differences, state_hash
    from saphan_projections.law import default_law

    law = default_law()
    with output.opened(settings.state_url) as live, live.reading() as ours, shadow.state.reading() as theirs:
        live_hash, rebuilt_hash = state_hash(ours, law, as_of_ms), state_hash(theirs, law, as_of_ms)
        same = live_hash == rebuilt_hash
        found = [] if same else list(islice(differences(ours, theirs, law, as_of_ms), limit))
    return {
        "live": live_hash.state_hash,
        "rebuilt": rebuilt_hash.state_hash,
        "workers": rebuilt_hash.workers,
        "alerts": rebuilt_hash.alerts,
        "differences": found,
    }


def _show(rebuilt: "Rebuilt", behind: int, found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        counts = {"events": rebuilt.events, "refused": rebuilt.refused, "seconds": round(rebuilt.seconds, 3)}
        differing = [row._asdict() for row in found["differences"]]
        output.print_json({**counts, "behind": behind, **found, "differences": differing})
        return
    output.print_text(f"live     {found['live']}")
    output.print_text(f"rebuilt  {found['rebuilt']}")
    output.print_text(f"{found['workers']:,} workers and {found['alerts']:,} settled alerts rebuilt")
    if not found["differences"]:
        output.print_text("No differences.")
        return
    rows = [
        (row.kind, row.id, row.field, str(row.one), str(row.other), ", ".join(row.records))
        for row in found["differences"]
    ]
    output.print_table(("What", "Id", "Field", "Live", "Rebuilt", "Records"), rows)
