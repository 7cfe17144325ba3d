"""Pairs of employers as an agency publishes them: the shortest records that there are."""

from typing import Any


def pair(number: int, **changes: Any) -> dict[str, Any]:
    """One pair in plain form, with these fields changed."""
    return {
        "record_id": f"PAIR-{number}",
        "version": 1,
        "changed_at": "2026-11-23T02:30:00Z",
        "sso_account": f"71{number:08}",
        "sso_branch": "000000",
        "employer_id": f"D-{number}",
        **changes,
    }
