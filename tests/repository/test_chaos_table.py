"""That the tables of chaos runs say what the reports say, a failure too."""

from typing import Any

import pytest
from repository.chaos_table import PAGE, tables, with_tables


def report(database: str, recovery_seconds: float | None, **more: Any) -> dict[str, Any]:
    fault = {"kind": "disk_full", "target": "link", "bitten": "it stood still", "recovery_seconds": recovery_seconds}
    return {
        "command": f"saphan chaos {database}",
        "database": database,
        "published": {"records": 36_000, "duplicated": 10, "poison": 3},
        "faults": [fault],
        "differences": 0,
        "passed": True,
        "machine": {"cores": 2.0, "cpu_model": "some", "memory_mib": 24_000},
        **more,
    }


def test_recovery_times_are_the_median_and_the_longest_of_all_runs_of_a_database() -> None:
    found = tables([report("sqlite", 1.0), report("sqlite", 2.0), report("sqlite", 9.0), report("postgresql", 4.0)])
    assert "| disk full | link | 3, 2.0 / 9.0 s | 1, 4.0 / 4.0 s |" in found
    assert "| `saphan chaos sqlite` | 36,000 records, 10 again, 3 poisoned | 1 | 0 | 0 | passed |" in found


def test_a_run_that_failed_and_a_fault_that_never_healed_are_shown_as_such() -> None:
    found = tables([report("sqlite", None, passed=False, differences=7)])
    assert "| 7 | **failed** |" in found
    assert "1, –, 1 never" in found


def test_the_page_has_a_place_for_the_tables_and_one_without_is_told() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "36,000 records" in with_tables(page, [report("sqlite", 1.0)])
    with pytest.raises(ValueError, match="has no <!-- chaos -->"):
        with_tables("no marks", [report("sqlite", 1.0)])
