"""Whether the moments at which an expected alert changes are right: the files cut at a moment, and computed once more."""

from collections.abc import Callable
from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from simulation.test_expected_alerts import MESSY, day, recomputed

from saphan_schemas.topics import EMPLOYER_PAIRS, EMPLOYMENTS, HEARTBEATS, INSURED_PERSONS
from saphan_schemas.values import parse_time_ms
from saphan_simulation.parameters import Parameters
from saphan_simulation.simulating import live

Event = tuple[int, str, dict[str, Any]]


class Cut:
    """What was published up to a moment, in the form of the files."""

    def __init__(self, events: list[Event], until_ms: int) -> None:
        self._rows: dict[str, list[dict[str, Any]]] = {}
        for when_ms, topic, row in events:
            if when_ms <= until_ms:
                self._rows.setdefault(topic, []).append(row)

    def rows(self, name: str) -> list[dict[str, Any]]:
        return self._rows.get(name, [])


def at(history: list[dict[str, Any]], until_ms: int) -> tuple[Any, ...] | None:
    """What a history says of a moment; None before it begins."""
    told = [change for change in history if parse_time_ms(change["at"]) <= until_ms]
    if not told:
        return None
    last = told[-1]
    return last["state"], last["reason"], last["hold"], day(last["due_on"]), day(last["state_since"])


def moments(events: list[Event], histories: list[list[dict[str, Any]]], count: int) -> list[int]:
    """Moments just at and just before a change, and just after pairs, heartbeats and insurances were published."""
    changes = sorted({parse_time_ms(change["at"]) for history in histories for change in history})
    topics = {EMPLOYER_PAIRS, HEARTBEATS, INSURED_PERSONS, EMPLOYMENTS}
    published = sorted({when_ms for when_ms, topic, _ in events if topic in topics})
    spread = [rows[place * len(rows) // count] for rows in (changes, published) for place in range(count)]
    return sorted({*spread, *(moment - 1 for moment in spread)})


@pytest.mark.parametrize(
    ("seed", "workers", "months", "start", "changed"),
    [
        (1, 150, 8, date(2025, 10, 1), {}),
        (4, 150, 9, date(2025, 3, 1), MESSY),
        (6, 40, 30, date(2023, 1, 31), MESSY),
        (7, 120, 6, date(2025, 10, 1), {"faults": {"buddhist_year_share": 0.2}}),
    ],
)
def test_a_history_says_at_each_moment_what_the_messages_until_then_give(
    simulate: Callable[..., Any], parameters: Parameters, seed: int, workers: int, months: int, start: date,
    changed: dict[str, Any],
) -> None:  # fmt: skip
    rows = simulate(seed, workers, months, start, **changed).rows("expected-alerts")
    histories = {row["employment_record_id"]: row["history"] for row in rows if row["history"] is not None}
    assert len(histories) > 0.7 * len(rows)
    own = parameters.changed(
        {f"{section}.{name}": value for section, values in changed.items() for name, value in values.items()}
    )
    events = list(live(own, seed, workers, months, start=start))
    for moment in moments(events, list(histories.values()), 12):
        found = recomputed(Cut(events, moment))
        for record_id, history in histories.items():
            assert at(history, moment) == found.get(record_id), (record_id, moment)


def test_a_history_ends_with_the_expected_alert_and_never_repeats_itself(province: Any) -> None:
    rows = [row for row in province.rows("expected-alerts") if row["history"] is not None]
    names = ("state", "reason", "hold", "due_on", "state_since")
    for row in rows:
        said = [tuple(change[name] for name in names) for change in row["history"]]
        assert said[-1] == tuple(row[name] for name in names)
        assert all(one != after for one, after in pairwise(said))
        moments = [change["at"] for change in row["history"]]
        assert moments == sorted(set(moments))
    assert any(len(row["history"]) > 2 for row in rows)


def test_only_who_shares_a_number_with_others_has_no_history(simulate: Callable[..., Any]) -> None:
    without = simulate(3, 400, 6, faults={"office_number_share": 0.0}).rows("expected-alerts")
    assert all(row["history"] for row in without)
    many = simulate(3, 400, 6, faults={"office_number_share": 0.05}).rows("expected-alerts")
    assert 0 < sum(row["history"] is None for row in many) < len(many)
