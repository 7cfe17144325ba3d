"""How a chaos run's plan and report read for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from saphan_cli.chaos.plan import Fault

HEADS = ("Fault", "Target", "At s", "Lasted s", "Recovery s", "What showed it")


def plan_rows(faults: Sequence[Fault]) -> Iterator[tuple[str, ...]]:
    """(fault, target, at, lasts) of each planned fault."""
    for fault in faults:
        yield fault.cause.kind, fault.cause.target, f"{fault.at_seconds:.1f}", f"{fault.lasts_seconds:.1f}"


def fault_rows(report: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The faults as they were."""
    for row in report["faults"]:
        recovery = row["recovery_seconds"]
        yield (
            row["kind"],
            row["target"],
            f"{row['at_seconds']:.1f}",
            f"{row['lasted_seconds']:.1f}",
            "–" if recovery is None else f"{recovery:.1f}",
            row["bitten"] or row["trouble"] or "nothing: it is not proven that it has bitten",
        )


def verdict(report: Mapping[str, Any]) -> Iterator[str]:
    """What was compared, and what came of it."""
    published = ", ".join(f"{count:,} {name}" for name, count in report["published"].items())
    yield f"Published about {report['workers']:,} workers: {published}."
    for row in report["comparisons"]:
        yield f"{row['what']}: {row['differences']:,} differences"
        yield from (f"  {line}" for line in row["shown"])
    unproven = [f"{row['kind']}:{row['target']}" for row in report["faults"] if row["bitten"] is None]
    if unproven:
        yield f"Not proven to have bitten: {', '.join(unproven)}."
    late = [f"{row['kind']}:{row['target']}" for row in report["faults"] if row["recovery_seconds"] is None]
    if late:
        yield f"Not recovered from: {', '.join(late)}."
    if report["passed"]:
        yield f"{len(report['faults'])} faults; lost: nothing; differences: none."
        return
    yield f"FAILED. The same again: {report['command']}"
    if "kept" in report:
        yield f"Logs, files and databases: {report['kept']}"
