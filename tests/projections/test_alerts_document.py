"""Whether the worked examples of docs/alerts.md are what the code decides."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from saphan_projections.alerts import Decision, Employment, Insurance, Pair, RecordReference, decide, hold_at
from saphan_projections.law import default_law
from saphan_schemas.topics import EMPLOYER_PAIRS, EMPLOYMENTS, INSURED_PERSONS
from saphan_schemas.values import date_to_days, days_to_date, parse_date, parse_time_ms

DOCUMENT = Path(__file__).parents[2] / "docs" / "alerts.md"

#: The boundaries that the page must show, whatever else it shows.
REQUIRED = {
    "Day 29, day 30 and day 31",
    "Enrolled on day 29, day 30 and day 31",
    "An exit before the deadline",
    "An exit after the deadline",
    "A late enrolment",
    "A corrected start date",
    "A deleted record",
    "A rehire",
    "Two employers at once",
    "An enrolment with another employer",
    "An insured record that ends early",
    "A heartbeat that lags",
    "An unpaired employer",
}

Row = dict[str, str]


@dataclass
class Example:
    title: str
    records: list[Row]
    outcomes: list[Row] = field(default_factory=list)


def _tables(text: str) -> Iterator[tuple[str, list[Row]]]:
    """Each table under "## Worked examples" with the title above it."""
    title, header, rows = "", list[str](), list[Row]()
    for line in [*text.split("## Worked examples")[1].split("\n## ", maxsplit=1)[0].splitlines(), ""]:
        if line.startswith("### "):
            title = line.removeprefix("### ")
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not header:
                header = cells
            elif not set(line) <= set("|- "):
                rows.append(dict(zip(header, cells, strict=True)))
        elif header:
            yield title, rows
            header, rows = [], []


def _examples() -> list[Example]:
    examples: list[Example] = []
    for title, rows in _tables(DOCUMENT.read_text("utf-8")):
        if "Record" in rows[0]:
            examples.append(Example(title, rows))
        else:
            assert examples[-1].title == title
            examples[-1].outcomes += rows
    return examples


EXAMPLES = _examples()
CASES = [
    pytest.param(example, outcome, id=f"{example.title}, table {number}, line {line}")
    for number, example in enumerate(EXAMPLES, 1)
    for line, outcome in enumerate(example.outcomes, 1)
]


def _day(text: str) -> int | None:
    return None if text in {"open", ""} else date_to_days(parse_date(text))


def _reference(feed: str, row: Row) -> RecordReference:
    return RecordReference(feed, row["Id"], 1, 0, 0)


def _decided(example: Example, outcome: Row) -> Decision | None:
    """What a shell does with the records of an example: leave out the deleted ones, then decide."""
    employments, insurances = dict[str, Employment](), list[Insurance]()
    pairs: dict[tuple[str, str], list[Pair]] = {}
    for row in example.records:
        kind, _, deleted = row["Record"].partition(", ")
        assert deleted in {"", "deleted"}
        if deleted:
            continue
        if kind == "employment":
            start = _day(row["From"])
            assert start is not None
            employer = row["What"].removeprefix("employer ")
            employments[row["Id"]] = Employment(_reference(EMPLOYMENTS, row), employer, start, _day(row["To"]))
        elif kind == "insurance":
            section, _, account = row["What"].removeprefix("section ").partition(", ")
            number, branch = account.split("/")
            reference = _reference(INSURED_PERSONS, row)
            insurances.append(Insurance(reference, section, number, branch, _day(row["From"]), _day(row["To"])))
        else:
            assert kind == "pair"
            account, _, employer = row["What"].partition(" = ")
            number, branch = account.split("/")
            pairs.setdefault((number, branch), []).append(
                Pair(_reference(EMPLOYER_PAIRS, row), number, branch, employer)
            )
    employment = employments.get(outcome["Alert"])
    if employment is None:
        return None
    return decide(employment, insurances, pairs, _complete_until_ms(outcome), default_law())


def _complete_until_ms(outcome: Row) -> int | None:
    text = outcome["Complete until (UTC)"]
    return None if text == "never" else parse_time_ms(text)


def _as_told(decision: Decision) -> Row:
    return {
        "State": decision.state,
        "Reason": decision.reason,
        "Last day in time": days_to_date(decision.due_day).isoformat(),
        "Since": days_to_date(decision.since_day).isoformat(),
        "Hold": decision.hold or "none",
        "Evidence": ", ".join(f"{role} {reference.record_id}" for role, reference in decision.evidence),
    }


@pytest.mark.parametrize(("example", "outcome"), CASES)
def test_a_worked_example_is_what_the_code_decides(example: Example, outcome: Row) -> None:
    decision = _decided(example, outcome)
    if outcome["State"] == "no alert":
        assert decision is None
        return
    assert decision is not None
    told = _as_told(decision)
    assert told == {name: outcome[name] for name in told}
    if "Read at (UTC)" in outcome:
        shown = hold_at(decision, parse_time_ms(outcome["Read at (UTC)"]), _complete_until_ms(outcome))
        assert (shown or "none") == outcome["Hold when read"]


@pytest.mark.parametrize(("example", "outcome"), CASES)
def test_the_two_clocks_of_an_example_name_the_same_moment(example: Example, outcome: Row) -> None:
    bangkok = outcome["Complete until (Bangkok)"]
    if bangkok == "never":
        assert outcome["Complete until (UTC)"] == "never"
        return
    assert bangkok.endswith("+07:00")
    assert parse_time_ms(bangkok) == _complete_until_ms(outcome)


def test_the_page_shows_every_boundary_with_an_outcome() -> None:
    assert {example.title for example in EXAMPLES} >= REQUIRED
    assert all(example.outcomes for example in EXAMPLES)


def test_the_page_shows_every_state_and_hold() -> None:
    outcomes = [outcome for example in EXAMPLES for outcome in example.outcomes]
    assert {o["State"] for o in outcomes} == {"due", "overdue", "reopened", "resolved", "withdrawn", "no alert"}
    assert {o["Hold"] for o in outcomes} >= {"none", "employer_unpaired"}
    assert {o.get("Hold when read", "none") for o in outcomes} == {"none", "sso_feed_behind"}
