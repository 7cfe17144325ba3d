"""Which deliveries still wait for the webhook, in which order, and when each is tried next."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from saphan_consumers.delivery import Delivery
from saphan_consumers.ledger import Ledger
from saphan_consumers.retrying import RetryPolicy, Verdict

_ENDPOINT = "endpoint"
_OFF = "endpoint_off_ms"
_PAUSED = "endpoint_paused_until_ms"
_SEEN = "clock_seen_ms"


class Waiting(NamedTuple):
    """The oldest undelivered state of one alert."""

    seq: int
    delivery_id: str
    alert_id: str
    body: bytes
    attempts: int
    first_attempt_ms: int | None


class Attempt(NamedTuple):
    """What came of one attempt. ``cause`` is a code or an HTTP status."""

    row: Waiting
    started_ms: int
    verdict: Verdict
    cause: str


class Backlog(NamedTuple):
    """How much waits: in all, parked for the operator, and when (ms UTC) the one that fails longest was first tried.

    A parked one is not tried any more, and so does not fail.
    """

    waiting: int
    parked: int
    failing_since_ms: int | None


def enqueue(ledger: Ledger, deliveries: Iterable[Delivery], now_ms: int) -> None:
    """Inside a transaction: each state waits behind the earlier ones of its alert. Only the first has a time."""
    ledger.db.executemany(
        "INSERT INTO waiting (delivery_id, alert_id, body, attempts, next_attempt_ms) "
        "SELECT ?1, ?2, ?3, 0, CASE WHEN EXISTS (SELECT 1 FROM waiting WHERE alert_id = ?2) THEN NULL ELSE ?4 END",
        [(row.delivery_id, row.alert_id, row.body, now_ms) for row in deliveries],
    )


def due(ledger: Ledger, now_ms: int, limit: int) -> list[Waiting]:
    """Deliveries whose time has come, longest due first; never two of one alert."""
    rows = ledger.db.execute(
        "SELECT seq, delivery_id, alert_id, body, attempts, first_attempt_ms FROM waiting "
        "WHERE next_attempt_ms <= ? ORDER BY next_attempt_ms, seq LIMIT ?",
        (now_ms, limit),
    )
    return [Waiting(*row) for row in rows]


def next_due_ms(ledger: Ledger, busy: Collection[int]) -> int | None:
    """When the next delivery that is not under way (``busy``: by seq) is to be tried (ms UTC); None: there is none."""
    rows = ledger.db.execute(
        "SELECT seq, next_attempt_ms FROM waiting WHERE next_attempt_ms IS NOT NULL "
        "ORDER BY next_attempt_ms, seq LIMIT ?",
        (len(busy) + 1,),
    )
    return next((int(at) for seq, at in rows if seq not in busy), None)


def settle(ledger: Ledger, attempts: Sequence[Attempt], now_ms: int) -> None:
    """Inside a transaction: what came of attempts. A delivered state lets the alert's next one go."""
    ledger.keep(_SEEN, str(now_ms))
    for attempt in attempts:
        row, outcome = attempt.row, attempt.verdict
        if outcome.kind == "delivered":
            ledger.db.execute("DELETE FROM waiting WHERE seq = ?", (row.seq,))
            ledger.db.execute(
                "UPDATE waiting SET next_attempt_ms = ? WHERE parked_ms IS NULL "
                "AND seq = (SELECT min(seq) FROM waiting WHERE alert_id = ?)",
                (now_ms, row.alert_id),
            )
            continue
        parked = now_ms if outcome.kind == "parked" else None
        again = {"retry": outcome.retry_at_ms, "switch_off": now_ms}.get(outcome.kind)
        ledger.db.execute(
            "UPDATE waiting SET attempts = attempts + 1, first_attempt_ms = coalesce(first_attempt_ms, ?), "
            "next_attempt_ms = ?, parked_ms = ?, last_cause = ? WHERE seq = ?",
            (attempt.started_ms, again, parked, attempt.cause, row.seq),
        )


def backlog(ledger: Ledger) -> Backlog:
    """How much waits."""
    waiting, parked, since = ledger.db.execute(
        "SELECT count(*), count(parked_ms), min(first_attempt_ms) FILTER (WHERE parked_ms IS NULL) FROM waiting"
    ).fetchone()
    return Backlog(int(waiting), int(parked), since)


def parked_rows(ledger: Ledger, limit: int) -> list[tuple[str, str, int, int, str]]:
    """Parked deliveries, oldest first: delivery id, alert id, attempts, parked at (ms UTC), last cause."""
    rows = ledger.db.execute(
        "SELECT delivery_id, alert_id, attempts, parked_ms, last_cause FROM waiting "
        "WHERE parked_ms IS NOT NULL ORDER BY seq LIMIT ?",
        (limit,),
    )
    return list(rows)


def retry_parked(ledger: Ledger, now_ms: int) -> int:
    """Let everything parked go again, with its patience renewed. Returns how many."""
    with ledger.transaction():
        done = ledger.db.execute(
            "UPDATE waiting SET parked_ms = NULL, attempts = 0, first_attempt_ms = NULL, next_attempt_ms = ? "
            "WHERE parked_ms IS NOT NULL",
            (now_ms,),
        )
    return done.rowcount


def use_endpoint(ledger: Ledger, endpoint_mark: str) -> bool:
    """Say which endpoint is in use; another one than before starts switched on. Returns whether it is another."""
    changed = ledger.note(_ENDPOINT) not in (None, endpoint_mark)
    with ledger.transaction():
        ledger.keep(_ENDPOINT, endpoint_mark)
        if changed:
            ledger.keep(_OFF, None)
            ledger.keep(_PAUSED, None)
    return changed


def switched_off_ms(ledger: Ledger) -> int | None:
    """Since when (ms UTC) the endpoint is switched off, as it said that it is gone; None: it is on."""
    value = ledger.note(_OFF)
    return None if value is None else int(value)


def switch(ledger: Ledger, off_ms: int | None) -> None:
    """Inside a transaction: switch the endpoint off, or (None) on."""
    ledger.keep(_OFF, None if off_ms is None else str(off_ms))


def paused_until_ms(ledger: Ledger) -> int:
    """Until when (ms UTC) the endpoint wants nothing; 0: no pause."""
    return int(ledger.note(_PAUSED) or 0)


def pause(ledger: Ledger, until_ms: int) -> None:
    """Inside a transaction: a pause outlives a restart."""
    ledger.keep(_PAUSED, str(until_ms))


def forget_far_times(ledger: Ledger, now_ms: int, policy: RetryPolicy) -> None:
    """Inside a transaction: times further ahead than any wait come from a clock that was wrong; try those now."""
    furthest = now_ms + round(max(policy.retry_after_seconds_max, policy.max_seconds) * 1000)
    ledger.db.execute("UPDATE waiting SET next_attempt_ms = ? WHERE next_attempt_ms > ?", (now_ms, furthest))
    if paused_until_ms(ledger) > furthest:
        pause(ledger, 0)


def clock_seen_ms(ledger: Ledger) -> int:
    """What the clock said when the waiting list was last settled (ms UTC); 0: never."""
    return int(ledger.note(_SEEN) or 0)


def bring_forward(ledger: Ledger, by_ms: int, now_ms: int) -> None:
    """Inside a transaction: the clock went back by so much, and waits that it had begun must not last longer for it."""
    ledger.db.execute(
        "UPDATE waiting SET next_attempt_ms = max(?2, next_attempt_ms - ?1), "
        "first_attempt_ms = min(?2, first_attempt_ms) WHERE next_attempt_ms > ?2",
        (by_ms, now_ms),
    )
    if paused_until_ms(ledger) > now_ms:
        pause(ledger, max(now_ms, paused_until_ms(ledger) - by_ms))
    ledger.keep(_SEEN, str(now_ms))
