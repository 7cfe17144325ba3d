"""What people ask of the committed rows: coverage, how fresh each feed is, what still waits, and the alerts."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import msgpack

from saphan_projections.alerts import STATES, Decision, RecordReference, hold_at, urgency
from saphan_projections.coverage import Coverage
from saphan_projections.database import Row, Transaction
from saphan_projections.settled import SettledAlert
from saphan_schemas.topics import INSURED_PERSONS

_ALERTS_PER_READ = 2_000
_ALERT_COLUMNS = (
    "alert_id, kind, employment_record_id, state, reason, hold, due_day, since_day, worker_id, employer_id,"
    " rule_version, version, evidence, partition"
)
_URGENCIES = " ".join(f"WHEN '{state}' THEN {urgency(state)}" for state in STATES)
_MOST_URGENT_FIRST = f" ORDER BY CASE state {_URGENCIES} END, due_day, alert_id"


def coverage(transaction: Transaction) -> Coverage:
    """The committee's numbers, counted over every worker with a record."""
    ((workers, employed, enrolled, eligible, both),) = transaction.rows(
        "SELECT count(*), count(CASE WHEN employed THEN 1 END), count(CASE WHEN enrolled THEN 1 END),"
        " count(CASE WHEN eligible THEN 1 END), count(CASE WHEN eligible AND enrolled THEN 1 END)"
        " FROM worker WHERE records > 0"
    )
    return Coverage(workers, employed, enrolled, eligible, both)


# -- feeds and progress --------------------------------------------------------------------------------------------


class FeedFreshness(NamedTuple):
    """What link has read of a feed. Times are ms UTC; None: never."""

    feed: str
    events: int
    rejected: int
    changed_at_max: int | None
    received_at_max: int | None
    complete_until: int | None


def feeds(transaction: Transaction) -> list[FeedFreshness]:
    """Every feed that link has read anything of, from link's database."""
    rows = transaction.rows(
        "SELECT feed, sum(events), sum(rejected), max(changed_at_max), max(received_at_max), max(complete_until)"
        " FROM feed_freshness GROUP BY feed ORDER BY feed"
    )
    return [
        FeedFreshness(feed, int(events), int(rejected), changed_at or None, received_at or None, complete_until)
        for feed, events, rejected, changed_at, received_at, complete_until in rows
    ]


def lag(end_offsets: Mapping[int, int], next_offsets: Mapping[tuple[str, int], int], topic: str) -> int:
    """Messages of a topic that an application has not processed."""
    return sum(max(0, end - next_offsets.get((topic, partition), 0)) for partition, end in end_offsets.items())


def outbox_rows(transaction: Transaction, app: str) -> int:
    """Chunks whose messages the broker has not acknowledged yet, as far as the database knows."""
    ((count,),) = transaction.rows("SELECT count(*) FROM outbox WHERE app = ?", (app,))
    return int(count)


def watermarks(transaction: Transaction) -> dict[str, int]:
    """Feed → moment (ms UTC) up to which every partition of integrate knows it to be complete."""
    rows = transaction.rows("SELECT feed, min(complete_until) FROM watermark GROUP BY feed ORDER BY feed")
    return {row[0]: row[1] for row in rows}


# -- alerts --------------------------------------------------------------------------------------------------------


class AlertEntry(NamedTuple):
    """One state that an alert went through, as it was told. ``caused_at`` is ms UTC, days count from 1970-01-01."""

    version: int
    state: str
    reason: str
    hold: str | None
    due_day: int
    since_day: int
    caused_at: int
    evidence: tuple[tuple[str, RecordReference], ...]


def alerts_by_state(transaction: Transaction) -> dict[str, int]:
    """How many alerts are in each state; a withdrawn one whose employment was deleted counts as withdrawn."""
    rows = transaction.rows("SELECT state, count(*) FROM alert GROUP BY state")
    return {row[0]: row[1] for row in rows}


def stored_alerts(
    transaction: Transaction, states: Collection[str] | None, limit: int | None, read_at_ms: int
) -> Iterator[SettledAlert]:
    """Alerts as they were last decided, those of deleted employments too; ``states`` None: all states.

    With a limit the most urgent first; without, by id and read in batches.
    """
    heartbeats = _sso_heartbeats(transaction)
    where = "alert_id > ?"
    parameters: Row = ("",)
    if states is not None:
        where += f" AND state IN ({', '.join('?' for _ in states)})"
        parameters = ("", *states)
    if limit is not None:
        sql = f"SELECT {_ALERT_COLUMNS} FROM alert WHERE {where}{_MOST_URGENT_FIRST} LIMIT ?"  # noqa: S608 - own words
        yield from (_alert(row, heartbeats, read_at_ms) for row in transaction.rows(sql, (*parameters, limit)))
        return
    sql = f"SELECT {_ALERT_COLUMNS} FROM alert WHERE {where} ORDER BY alert_id LIMIT ?"  # noqa: S608 - own words
    while True:
        rows = transaction.rows(sql, (*parameters, _ALERTS_PER_READ))
        yield from (_alert(row, heartbeats, read_at_ms) for row in rows)
        if len(rows) < _ALERTS_PER_READ:
            return
        parameters = (rows[-1][0], *parameters[1:])


def alert_by_id(transaction: Transaction, alert_id: str, read_at_ms: int) -> SettledAlert | None:
    """One alert as it was last decided."""
    sql = f"SELECT {_ALERT_COLUMNS} FROM alert WHERE alert_id = ?"  # noqa: S608 - own words
    rows = transaction.rows(sql, (alert_id,))
    return _alert(rows[0], _sso_heartbeats(transaction), read_at_ms) if rows else None


def alerts_of_employments(transaction: Transaction, record_ids: Collection[str], read_at_ms: int) -> list[SettledAlert]:
    """The alerts of these employment records, by record id."""
    sql = f"SELECT {_ALERT_COLUMNS} FROM alert WHERE employment_record_id IN (:keys)"  # noqa: S608 - own words
    heartbeats = _sso_heartbeats(transaction)
    found = [_alert(row, heartbeats, read_at_ms) for row in transaction.rows_in(sql, record_ids)]
    return sorted(found, key=lambda alert: alert.employment_record_id)


def alert_history(transaction: Transaction, alert_id: str) -> list[AlertEntry]:
    """What was told of an alert, oldest first."""
    rows = transaction.rows(
        "SELECT version, state, reason, hold, due_day, since_day, caused_at, evidence FROM alert_history"
        " WHERE alert_id = ? ORDER BY version",
        (alert_id,),
    )
    return [AlertEntry._make((*row[:7], _evidence(row[7]))) for row in rows]


def newest_alerts(transaction: Transaction, limit: int) -> list[tuple[int, SettledAlert]]:
    """(ms UTC of the change that decided it, alert) of the alerts that were decided last, newest first."""
    rows = transaction.rows(
        f"SELECT {_ALERT_COLUMNS}, decided_at FROM alert ORDER BY decided_at DESC, version DESC LIMIT ?",  # noqa: S608
        (limit,),
    )
    return [(row[-1], _alert(row[:-1], {}, 0)) for row in rows]


def _sso_heartbeats(transaction: Transaction) -> dict[int, int]:
    sql = "SELECT partition, complete_until FROM watermark WHERE feed = ?"
    return {row[0]: row[1] for row in transaction.rows(sql, (INSURED_PERSONS,))}


def _alert(row: Row, heartbeats: Mapping[int, int], read_at_ms: int) -> SettledAlert:
    (alert_id, kind, record_id, state, reason, hold, due_day, since_day, worker_id, employer_id, rule_version,
     version, packed, partition) = row  # fmt: skip
    evidence = _evidence(packed)
    decision = Decision(state, reason, hold, due_day, since_day, rule_version, evidence, None)
    hold_as_of = hold_at(decision, read_at_ms, heartbeats.get(partition))
    return SettledAlert(
        alert_id, kind, record_id, state, reason, hold, hold_as_of, due_day, since_day, worker_id, employer_id,
        rule_version, version, evidence,
    )  # fmt: skip


def _evidence(packed: bytes) -> tuple[tuple[Any, RecordReference], ...]:
    return tuple((role, RecordReference(*reference)) for role, *reference in msgpack.unpackb(packed))
