"""What the tables of chaos runs in docs/reliability.md must say: read from the reports of `saphan chaos --json`.

``python tests/repository/chaos_table.py REPORT.json …`` writes them there; nobody types a figure.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_MARKED = re.compile(r"(<!-- chaos -->\n).*?(<!-- /chaos -->)", re.DOTALL)

Report = Mapping[str, Any]


def tables(reports: Sequence[Report]) -> str:
    """The runs, then what each fault cost on each database."""
    machine = reports[0]["machine"]
    return "\n".join([
        f"{machine['cores']:g} cores ({machine['cpu_model']}), {machine['memory_mib'] // 1024} GiB.",
        "",
        *_rows(("Command", "Published", "Faults", "Not bitten", "Differences", "Result"), map(_run, reports)),
        "",
        *_rows(_fault_heads(), _faults(reports)),
        "",
    ])  # fmt: skip


def _run(report: Report) -> tuple[str, ...]:
    faults, published = report["faults"], report["published"]
    return (
        f"`{report['command']}`",
        f"{published['records']:,} records, {published['duplicated']:,} again, {published['poison']:,} poisoned",
        str(len(faults)),
        str(sum(row["bitten"] is None for row in faults)),
        f"{report['differences']:,}",
        "passed" if report["passed"] else "**failed**",
    )


def _fault_heads() -> tuple[str, ...]:
    return ("Fault", "Target", *(f"{name}: times, recovery median / longest" for name in _DATABASES.values()))


def _faults(reports: Sequence[Report]) -> Iterable[tuple[str, ...]]:
    seconds: dict[tuple[str, str], dict[str, list[float | None]]] = {}
    for report in reports:
        for row in report["faults"]:
            by_database = seconds.setdefault((row["kind"], row["target"]), {})
            by_database.setdefault(report["database"], []).append(row["recovery_seconds"])
    for (kind, target), by_database in sorted(seconds.items()):
        yield kind.replace("_", " "), target, *(_recovery(by_database.get(name, [])) for name in _DATABASES)


def _recovery(seconds: Sequence[float | None]) -> str:
    if not seconds:
        return "–"
    known = [value for value in seconds if value is not None]
    lost = f", {len(seconds) - len(known)} never" if len(known) < len(seconds) else ""
    times = f"{median(known):.1f} / {max(known):.1f} s" if known else "–"
    return f"{len(seconds)}, {times}{lost}"


def _rows(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]


def with_tables(page: str, reports: Sequence[Report]) -> str:
    """The page with these reports' tables between its marks. Raises ValueError when it has no marks."""
    if not _MARKED.search(page):
        message = f"{PAGE.name} has no <!-- chaos --> … <!-- /chaos -->"
        raise ValueError(message)
    return _MARKED.sub(lambda found: f"{found[1]}{tables(reports)}{found[2]}", page)


if __name__ == "__main__":
    read = [json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]]
    if not read:
        sys.exit(f"expected reports: python {sys.argv[0]} REPORT.json …")
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), read), encoding="utf-8")
    sys.stderr.write(f"{PAGE.name}: the tables of {len(read)} runs are new.\n")
