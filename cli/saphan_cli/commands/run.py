"""Which process of the platform runs in the foreground: one role, until it is told to stop."""

from enum import StrEnum
from typing import Annotated

import typer

from saphan_cli import exits


class RoleName(StrEnum):
    """The roles of the platform."""

    LINK = "link"
    INTEGRATE = "integrate"
    DELIVERY = "delivery"
    METRICS = "metrics"


def register(app: typer.Typer) -> None:
    """Add ``run``."""

    @app.command("run")
    def run(
        role: Annotated[RoleName, typer.Argument(help="Which process.")],
        slot: Annotated[int, typer.Option(help="Number of this integrate process, from 0.", min=0)] = 0,
    ) -> None:
        """Run one process of the platform in the foreground; `up` runs all of them.

        Exit codes: 0 told to stop; 1 it failed; 2 settings or a database that cannot be used; 3 a service could not be reached.
        """
        with exits.told():
            raise typer.Exit(_run(role, slot))


def _run(role: RoleName, slot: int) -> int:
    from saphan_infra import logs
    from saphan_infra.roles import announce, integrate_name
    from saphan_infra.schema_ids import use_schema_ids
    from saphan_infra.serving import metrics_served
    from saphan_infra.settings import load_settings
    from saphan_infra.writable import require_data_dir

    settings = load_settings()
    if not settings.data_dir.is_dir():
        # Only then: a disk that cannot be written to for a while must not end a process for good, as settings do.
        require_data_dir(settings)
    logs.configure(settings.log_level, settings.log_format)
    use_schema_ids(settings)
    if role is RoleName.DELIVERY or role is RoleName.METRICS:
        from saphan_cli.commands import consumers

        return consumers.run_delivery(settings) if role is RoleName.DELIVERY else consumers.run_metrics(settings)
    from saphan_streams.run import run_integrate, run_link

    with metrics_served(settings) as server:
        if role is RoleName.LINK:
            return run_link(settings, lambda: announce(settings.data_dir, "link", server.port))
        name = integrate_name(slot)
        return run_integrate(settings, slot, lambda: announce(settings.data_dir, name, server.port))
