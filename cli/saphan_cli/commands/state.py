"""Whether two states are the same: `state hash`."""

from typing import TYPE_CHECKING

import typer

from saphan_cli import output

if TYPE_CHECKING:
    from collections.abc import Callable


def register(app: typer.Typer) -> None:
    """Add the group ``state``."""
    group = typer.Typer(no_args_is_help=True, help="The state as a whole.")
    group.command("hash")(hash_state)
    group.callback()(_group)
    app.add_typer(group, name="state")


def _group() -> None:
    # With a callback the group keeps its one command's name.
    return


def hash_state(*, as_of: output.AsOf = None, as_json: output.AsJson = False) -> None:
    """Hash the integrated workers and the settled alerts, whatever the way there was.

    The same records and heartbeats give the same hashes: in any order, however often, on any database, at any time.
    Without --as-of the moment is that of the SSO feed's newest heartbeat. The hashes hold for one SAPHAN_PSEUDONYM_KEY.

    Exit codes: 0 hashed; 2 wrong usage or settings; 3 the database could not be reached.
    """
    from saphan_projections.canonical import state_hash
    from saphan_projections.law import default_law

    with output.told():
        as_of_ms = output.moment_ms(as_of)
        with output.opened(output.settings().state_url) as database, database.reading() as transaction:
            found = state_hash(transaction, default_law(), as_of_ms, _progress())
        if as_json:
            output.print_json({
                "state_hash": found.state_hash,
                "workers": {"hash": found.workers_hash, "count": found.workers},
                "alerts": {"hash": found.alerts_hash, "count": found.alerts},
                "as_of": output.time_text(as_of_ms),
            })  # fmt: skip
            return
        rows = [
            ("integrated workers", found.workers, found.workers_hash),
            ("settled alerts", found.alerts, found.alerts_hash),
            ("both", None, found.state_hash),
        ]
        output.print_table(("Of", "Count", "Hash"), rows)


def _progress() -> "Callable[[int], None]":
    def tell(workers: int) -> None:
        if workers % 100_000 == 0:
            output.note(f"{workers:,} workers …")

    return tell
