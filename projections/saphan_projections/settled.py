"""Which alerts are settled at a moment: recomputed from the workers' states, the pairs and the watermarks, as at first.

Nothing is taken from the stored alerts but the version that was last told, so that both can be held against each other.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from saphan_projections.alerts import KIND, Decision, Evidence, Hold, Pair, Reason, State, alert_id, decide, hold_at
from saphan_projections.database import Transaction
from saphan_projections.integrate_store import read_pairs, read_watermarks
from saphan_projections.law import Law
from saphan_projections.worker import WorkerState
from saphan_projections.worker_view import employments, insurances
from saphan_schemas.topics import INSURED_PERSONS

_WORKERS_PER_READ = 2_000


class SettledAlert(NamedTuple):
    """The settled alert of one employment. Days count from 1970-01-01, ``evidence`` is (role, reference) each.

    ``hold`` is the rules' own; ``hold_as_of`` is shown to someone who reads at the moment asked for, and may also be
    that the SSO's feed is behind.
    ``version`` is that of the state last told to the receivers, None if nothing was told; it depends on history.
    """

    alert_id: str
    kind: str
    employment_record_id: str
    state: State
    reason: Reason
    hold: Hold | None
    hold_as_of: Hold | None
    due_day: int
    since_day: int
    worker_id: str
    employer_id: str
    rule_version: str
    version: int | None
    evidence: Evidence


class Basis(NamedTuple):
    """What a partition of integrate decides by, besides the worker: the pairs and the SSO feed's heartbeat."""

    pairs_by_account: Mapping[tuple[str, str], Sequence[Pair]]
    complete_until_ms: int | None


def read_bases(transaction: Transaction) -> dict[int, Basis]:
    """The basis of each partition that has one."""
    partitions = {number for (number,) in transaction.rows("SELECT DISTINCT partition FROM watermark")}
    partitions |= {number for (number,) in transaction.rows("SELECT DISTINCT partition FROM employer_pair")}
    return {number: _basis(transaction, number) for number in sorted(partitions)}


def _basis(transaction: Transaction, partition: int) -> Basis:
    by_account: dict[tuple[str, str], list[Pair]] = {}
    for stored in read_pairs(transaction, partition):
        if stored.present:
            by_account.setdefault((stored.pair.account, stored.pair.branch), []).append(stored.pair)
    return Basis(by_account, read_watermarks(transaction, partition).get(INSURED_PERSONS))


NO_BASIS = Basis({}, None)


def settled_of_worker(
    state: WorkerState, worker_id: str, basis: Basis, law: Law, as_of_ms: int | None = None
) -> list[SettledAlert]:
    """The settled alerts of one worker's employments, by employment record id.

    With ``as_of_ms`` the SSO's feed counts as complete up to that moment or the heartbeat, whichever is earlier, and
    ``hold_as_of`` is for someone who reads then. None: up to the heartbeat.
    """
    complete_until_ms = _known_at(basis.complete_until_ms, as_of_ms)
    cover = insurances(state)
    found = []
    for record_no, job in employments(state).items():
        decision = decide(job, cover, basis.pairs_by_account, complete_until_ms, law)
        known = state.alerts.get(record_no)
        found.append(
            SettledAlert(
                alert_id(job.reference.record_id),
                KIND,
                job.reference.record_id,
                decision.state,
                decision.reason,
                decision.hold,
                _hold(decision, as_of_ms, complete_until_ms),
                decision.due_day,
                decision.since_day,
                worker_id,
                job.employer_id,
                decision.rule_version,
                known.version if known is not None else None,
                decision.evidence,
            )
        )
    return sorted(found, key=lambda alert: alert.employment_record_id)


def _known_at(complete_until_ms: int | None, as_of_ms: int | None) -> int | None:
    if complete_until_ms is None or as_of_ms is None:
        return complete_until_ms
    return min(complete_until_ms, as_of_ms)


def _hold(decision: Decision, as_of_ms: int | None, complete_until_ms: int | None) -> Hold | None:
    return decision.hold if as_of_ms is None else hold_at(decision, as_of_ms, complete_until_ms)


def settled_alerts(transaction: Transaction, law: Law, as_of_ms: int | None = None) -> Iterator[SettledAlert]:
    """Every settled alert, worker by worker; only some thousand workers are in memory at a time.

    ``as_of_ms``: see :func:`settled_of_worker`.
    """
    bases = read_bases(transaction)
    after = 0
    while True:
        rows = transaction.rows(
            "SELECT worker_no, partition, worker_id, state FROM worker WHERE worker_no > ?"
            " AND EXISTS (SELECT 1 FROM employment WHERE employment.worker_no = worker.worker_no)"
            " ORDER BY worker_no LIMIT ?",
            (after, _WORKERS_PER_READ),
        )
        for worker_no, partition, worker_id, packed in rows:
            state = WorkerState.unpack(worker_no, packed)
            yield from settled_of_worker(state, worker_id, bases.get(partition, NO_BASIS), law, as_of_ms)
        if len(rows) < _WORKERS_PER_READ:
            return
        after = rows[-1][0]
