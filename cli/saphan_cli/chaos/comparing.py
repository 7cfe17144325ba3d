"""What a platform lost or changed: each way in which its end differs from what the feeds say it must be."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from saphan_projections.law import default_law
from saphan_projections.settled import settled_alerts
from saphan_schemas.values import days_to_date

if TYPE_CHECKING:
    from saphan_cli.chaos.poison import Poison
    from saphan_cli.dead_letters import DeadLetter
    from saphan_projections.database import Transaction

#: A checkout has the oracle beside the packages; an installed copy has none.
CHECKOUT = Path(__file__).parents[3]
ORACLE = CHECKOUT / "tests" / "oracle" / "compare.py"
_ALERT_FIELDS = (
    "alert_id", "employment_record_id", "kind", "state", "reason", "hold", "hold_as_of", "due_on", "state_since",
)  # fmt: skip
_CLOSED = ("resolved", "withdrawn")
_SHOWN_MAX = 20


class Comparison(NamedTuple):
    """One comparison: with what, how many differences, and the first of them for people."""

    what: str
    differences: int
    shown: tuple[str, ...] = ()


def compared(what: str, found: Iterable[str]) -> Comparison:
    """A comparison whose differences are these lines."""
    lines = list(found)
    return Comparison(what, len(lines), tuple(lines[:_SHOWN_MAX]))


def with_oracle(folder: Path, state_url: str) -> Comparison:
    """What tests/oracle finds: which worker, which field, which records. ``folder`` holds what was published."""
    command = [sys.executable, str(ORACLE), str(folder), "--state", state_url]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CHECKOUT)  # noqa: S603
    lines = ended.stdout.splitlines()
    if ended.returncode not in (0, 1) or (ended.returncode == 1 and not lines):
        lines = ["the oracle itself failed: " + (ended.stderr.strip().splitlines() or ["no word"])[-1]]
    return compared("oracle", lines)


def with_rebuild(command: Sequence[str], environment: Mapping[str, str]) -> Comparison:
    """What `saphan rebuild` finds: the log folded anew in another order against the live state."""
    words = [*command, "rebuild", "--json"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False, env=dict(environment))  # noqa: S603
    if ended.returncode not in (0, 1) or not ended.stdout:
        return compared(
            "rebuild", ["the rebuild itself failed: " + (ended.stderr.strip().splitlines() or ["no word"])[-1]]
        )
    found = json.loads(ended.stdout)
    lines = [
        f"{row['kind']} {row['id']}: {row['field']}: live {row['one']}, rebuilt {row['other']}"
        for row in found["differences"]
    ]
    if found["live"] != found["rebuilt"] and not lines:
        lines = [f"state hash: live {found['live']}, rebuilt {found['rebuilt']}"]
    return compared("rebuild", lines)


def settled_rows(transaction: "Transaction", as_of_ms: int | None = None) -> list[dict[str, Any]]:
    """The settled alerts in the form of expected-alerts.jsonl, by employment."""
    rows = [
        {
            **{name: getattr(alert, name) for name in _ALERT_FIELDS[:-2]},
            "due_on": days_to_date(alert.due_day).isoformat(),
            "state_since": days_to_date(alert.since_day).isoformat(),
        }
        for alert in settled_alerts(transaction, default_law(), as_of_ms)
    ]
    return sorted(rows, key=_employment)


def expected_rows(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of expected-alerts.jsonl without what the simulation says about its own truth, by employment."""
    return sorted(({name: row[name] for name in _ALERT_FIELDS} for row in rows), key=_employment)


def _employment(row: Mapping[str, Any]) -> str:
    return str(row["employment_record_id"])


def with_simulation(expected: Sequence[Mapping[str, Any]], settled: Sequence[Mapping[str, Any]]) -> Comparison:
    """The settled alerts against those that the simulation expects."""
    wanted = {_employment(row): row for row in expected}
    found = {_employment(row): row for row in settled}
    return compared("expected alerts", (
        f"employment {name}: expected {_alert(wanted.get(name))}, settled {_alert(found.get(name))}"
        for name in sorted(wanted.keys() | found.keys())
        if wanted.get(name) != found.get(name)
    ))  # fmt: skip


def _alert(row: Mapping[str, Any] | None) -> str:
    return "none" if row is None else ", ".join(f"{name} {row[name]}" for name in _ALERT_FIELDS[3:])


def stored_states(transaction: "Transaction") -> dict[str, str]:
    """Alert → its present state and employer in words, as the table has it."""
    rows = transaction.rows(
        "SELECT alert_id, state || ' ' || reason || ' ' || coalesce(hold, '-'), due_day, since_day, employer_id FROM alert"
    )
    return {
        alert_id: f"{words} {days_to_date(due)} {days_to_date(since)} {employer_id}"
        for alert_id, words, due, since, employer_id in rows
    }


def newest_told(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Alert → the newest state and employer in words that a receiver's lines tell."""
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        data = row["data"]
        if data["alert_id"] not in found or data["version"] > found[data["alert_id"]]["version"]:
            found[data["alert_id"]] = data
    return {
        alert_id: f"{told['state']} {told['reason']} {told['hold'] or '-'} {told['due_on']} {told['state_since']}"
        f" {told['employer_id']}"
        for alert_id, told in found.items()
    }


def untold(stored: Mapping[str, str], told: Mapping[str, str]) -> dict[str, tuple[str | None, str]]:
    """Alerts whose newest arrived state is not the stored one: (arrived, stored).

    An alert that is closed may never have been heard of: workers of two partitions may have told it in either order.
    """
    return {
        alert_id: (told.get(alert_id), state)
        for alert_id, state in stored.items()
        if told.get(alert_id) != state and not (alert_id not in told and state.startswith(_CLOSED))
    }


def with_receiver(what: str, stored: Mapping[str, str], lines: Sequence[Mapping[str, Any]]) -> Comparison:
    """A receiver's lines against the stored alerts: every alert's newest state is there, none that is unknown, no id twice."""
    told = newest_told(lines)
    found = [f"alert {name}: arrived {here}, stored {there}" for name, (here, there) in untold(stored, told).items()]
    found += [f"alert {name}: arrived, but is not stored" for name in told.keys() - stored.keys()]
    ids = Counter(row["id"] for row in lines)
    found += [f"id {name}: arrived {times} times" for name, times in ids.items() if times > 1]
    return compared(what, found)


def with_poison(
    poisons: Mapping[bytes, "Poison"], letters: Iterable["DeadLetter"], marks: Mapping[tuple[str, int, int], bytes]
) -> Comparison:
    """Every poisoned message has a dead letter with its reason and origin, and nothing else has one.

    ``marks`` has what the log really holds at the letters' origins. A producer that was not answered sends again, so
    that one poison may lie in the log, and in the letters, twice.
    """
    return compared("dead letters", _wrong_letters(poisons, letters, marks))


def _wrong_letters(
    poisons: Mapping[bytes, "Poison"], letters: Iterable["DeadLetter"], marks: Mapping[tuple[str, int, int], bytes]
) -> Iterator[str]:
    missing = dict(poisons)
    for letter in letters:
        place = f"{letter.topic}[{letter.partition}] offset {letter.offset}"
        mark = letter.key or letter.value or b""
        poison = poisons.get(mark)
        missing.pop(mark, None)
        if poison is None:
            yield f"{place}: a letter ({letter.reason}) of a message that was no poison"
        elif (poison.feed, poison.reason) != (letter.topic, letter.reason):
            yield f"{place}: {poison.reason} of {poison.feed} was refused as {letter.reason}"
        elif marks.get((letter.topic, letter.partition, letter.offset)) != mark:
            yield f"{place}: the letter ({letter.reason}) names an origin that holds another message"
    for poison in missing.values():
        yield f"{poison.feed}: a message that is poisoned ({poison.reason}) has no letter"


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file; none when there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
