"""Whether everything that the platform needs is there and as it should be, and what to do where it is not: `doctor`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from saphan_cli import exits, output

if TYPE_CHECKING:
    from saphan_infra.machine import Finding
    from saphan_infra.settings import Settings

_MARKS = {"ok": "✓", "warning": "!", "wrong": "✗", "not checked": "·"}


def register(app: typer.Typer) -> None:
    """Add ``doctor``."""

    @app.command("doctor")
    def doctor(
        as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON on standard output.")] = False,
    ) -> None:
        """Look at this machine, Kafka, topics, database, schemas and processes; say what is wrong and what to do.

        Exit codes: 0 nothing is wrong (there may be warnings); 1 something is wrong; 2 wrong settings.
        """
        with exits.told():
            findings = _findings()
        _show(findings, as_json=as_json)
        if any(finding.level == "wrong" for finding in findings):
            raise typer.Exit(exits.FAILED)


def _findings() -> "list[Finding]":
    from saphan_infra.machine import broker_findings, collect, machine_findings, process_findings
    from saphan_infra.settings import load_settings

    settings = load_settings()
    return collect(
        lambda: machine_findings(settings),
        lambda: broker_findings(settings),
        lambda: _database_findings(settings),
        lambda: _schema_findings(settings),
        lambda: process_findings(settings),
    )


def _database_findings(settings: "Settings") -> "Iterator[Finding]":
    for url in dict.fromkeys((settings.state_url, settings.link_url)):
        yield _database_finding(url)


def _database_finding(url: str) -> "Finding":
    from sqlalchemy.engine import make_url

    from saphan_infra.availability import DatabaseTooNewError, DatabaseTooOldError
    from saphan_infra.machine import Finding
    from saphan_projections.database import DatabaseUnavailable
    from saphan_projections.migrate import pending

    shown = make_url(url).render_as_string(hide_password=True)
    try:
        waiting = pending(url)
    except DatabaseUnavailable as error:
        advice = "Start it, or look at SAPHAN_DATABASE_URL, its rights and the disk; `saphan up` starts a local one."
        return Finding("database", "wrong", f"{shown}: {error}", advice)
    except DatabaseTooNewError as error:
        return Finding("database", "wrong", f"{shown} is of a later version", str(error))
    except DatabaseTooOldError as error:
        return Finding("database", "wrong", f"{shown} is of an earlier version", str(error))
    if waiting:
        advice = "`saphan up` makes them; make a copy first if the database holds anything."
        return Finding("database", "warning", f"{shown}: tables of this version are still to be made", advice)
    return Finding("database", "ok", f"{shown}, tables are of this version")


def _schema_findings(settings: "Settings") -> "Iterator[Finding]":
    from saphan_infra.machine import Finding
    from saphan_schemas.catalogue import default_catalogue
    from saphan_schemas.topics import TOPICS

    try:
        catalogue = default_catalogue()
    except (FileNotFoundError, ValueError) as error:
        advice = "`saphan schemas check` says more; the lock file and the .avsc files must come from one version."
        yield Finding("schemas", "wrong", str(error), advice)
        return
    missing = sorted(set(TOPICS) - set(catalogue.by_topic))
    ids = [row.schema_id for rows in catalogue.by_topic.values() for row in rows]
    if missing or len(set(ids)) != len(ids):
        found = f"topics without schema: {', '.join(missing)}" if missing else "one id stands for two schemas"
        yield Finding("schemas", "wrong", found, "Repair schemas.lock.json: `saphan schemas check` says how.")
    else:
        yield Finding("schemas", "ok", f"{len(ids)} schemas, each with an id of its own")
    if settings.schema_registry_url is not None:
        yield _registry_finding(settings.schema_registry_url)


def _registry_finding(url: str) -> "Finding":
    from saphan_infra.machine import Finding
    from saphan_schemas.registry import RegistryRefused, RegistryUnavailable, SchemaRegistry

    with SchemaRegistry(url, tries=1) as registry:
        try:
            subjects = len(registry.subjects())
        except RegistryUnavailable as error:
            return Finding("schema registry", "wrong", f"{registry.address}: no answer that can be used", str(error))
        except RegistryRefused as error:
            return Finding("schema registry", "wrong", f"{registry.address}: refused", str(error))
        return Finding("schema registry", "ok", f"{registry.address}, {subjects} subjects")


def _show(findings: "Sequence[Finding]", *, as_json: bool) -> None:
    if as_json:
        wrong = any(finding.level == "wrong" for finding in findings)
        output.print_json({"ok": not wrong, "findings": [row._asdict() for row in findings]})
        return
    width = max(len(row.subject) for row in findings)
    for row in findings:
        typer.echo(f"{_MARKS[row.level]} {row.subject:<{width}}  {row.found}")
        if row.advice:
            typer.echo(f"  {'':<{width}}  → {row.advice}")
