"""How integrate's knowledge is read and written: workers, their employments, enrolments, contributions and alerts."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from saphan_projections.alert_notes import AlertChange
from saphan_projections.alerts import KIND, Pair, RecordReference
from saphan_projections.database import Row, Transaction
from saphan_projections.integrating import (
    IntegrateEffects,
    StoredPair,
    WorkerChange,
    WorkerRecord,
)
from saphan_projections.kept import HANDED_ON
from saphan_projections.tables import (
    AlertHistoryRow,
    AlertRow,
    ContributionMonthRow,
    EmployerPairRow,
    EmploymentRow,
    EnrolmentRow,
    WatermarkRow,
    WorkerRow,
)
from saphan_projections.worker import Member
from saphan_schemas.topics import CONTRIBUTIONS, EMPLOYER_PAIRS

_UNSAID = (None,) * len(HANDED_ON[CONTRIBUTIONS])


class IntegrateRowsOf:
    """:class:`saphan_projections.integrating.IntegrateRows` of one partition, over the transaction in use."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._transaction: Transaction | None = None

    def use(self, transaction: Transaction) -> None:
        """Read through this transaction from now on."""
        self._transaction = transaction

    @property
    def _current(self) -> Transaction:
        if self._transaction is None:
            message = "IntegrateRowsOf.use comes before the first read"
            raise RuntimeError(message)
        return self._transaction

    def worker_states(self, worker_nos: Collection[int]) -> Iterable[tuple[int, bytes]]:
        sql = "SELECT worker_no, state FROM worker WHERE worker_no IN (:keys)"
        return [(number, packed) for number, packed in self._current.rows_in(sql, worker_nos)]

    def workers_of_accounts(self, accounts: Collection[tuple[str, str]]) -> set[int]:
        sql = "SELECT worker_no, account, branch FROM enrolment WHERE partition = ? AND account IN (:keys)"
        # A deleted pair names no account.
        wanted = sorted({account for account, _ in accounts if account})
        rows = self._current.rows_in(sql, wanted, (self._partition,))
        return {number for number, account, branch in rows if (account, branch) in accounts}

    def workers_to_check(self, until_day: int) -> set[int]:
        sql = "SELECT worker_no FROM alert WHERE partition = ? AND check_day < ?"
        return {number for (number,) in self._current.rows(sql, (self._partition, until_day))}


def read_pairs(transaction: Transaction, partition: int) -> list[StoredPair]:
    """The partition's copy of the employer pairs."""
    rows = transaction.rows(
        "SELECT record_no, sequence, present, record_id, version, source_partition, source_offset,"
        " account, branch, employer_id FROM employer_pair WHERE partition = ?",
        (partition,),
    )
    return [
        StoredPair(
            number,
            sequence,
            bool(present),
            Pair(
                RecordReference(EMPLOYER_PAIRS, record_id, version, source_partition, source_offset),
                account,
                branch,
                employer_id,
            ),
        )
        for number, sequence, present, record_id, version, source_partition, source_offset, account, branch, employer_id
        in rows
    ]  # fmt: skip


def read_watermarks(transaction: Transaction, partition: int) -> dict[str, int]:
    """Up to when this partition knows each feed to be complete, ms UTC."""
    rows = transaction.rows("SELECT feed, complete_until FROM watermark WHERE partition = ?", (partition,))
    return {row[0]: row[1] for row in rows}


def write_effects(transaction: Transaction, partition: int, effects: IntegrateEffects) -> None:
    """Write what a chunk changed."""
    _write_workers(transaction, partition, effects.workers)
    _write_employments(transaction, partition, effects.employments)
    _write_enrolments(transaction, partition, effects.enrolments)
    contributions = [_contribution_row(effects.contributions[key]) for key in sorted(effects.contributions)]
    transaction.upsert(ContributionMonthRow, contributions, newer_by="sequence")
    transaction.upsert(EmployerPairRow, [_pair_row(partition, effects.pairs[key]) for key in sorted(effects.pairs)])
    transaction.upsert(WatermarkRow, [(partition, feed, until) for feed, until in sorted(effects.watermarks.items())])
    _write_alerts(transaction, partition, effects)


def _write_workers(transaction: Transaction, partition: int, workers: Mapping[int, WorkerChange]) -> None:
    renamed: list[Row] = []
    others: list[Row] = []
    for number in sorted(workers):
        change = workers[number]
        state, seen = change.state, change.view
        row = (
            number,
            partition,
            change.worker_id,
            change.sequence,
            len(state.members),
            seen.nationality,
            seen.sex,
            seen.birth_year,
            seen.employed,
            seen.enrolled,
            change.eligible,
            state.pack(),
        )
        (renamed if change.renamed else others).append(row)
    transaction.upsert(WorkerRow, renamed)
    transaction.update(WorkerRow, others, unchanged=("partition", "worker_id"))


def _split(rows: dict[tuple[int, int], Member | None]) -> tuple[list[tuple[int, int]], list[tuple[int, int, Member]]]:
    gone = sorted(key for key, member in rows.items() if member is None)
    kept = [(key[0], key[1], member) for key, member in sorted(rows.items(), key=_by_key) if member is not None]
    return gone, kept


def _by_key(row: tuple[tuple[int, int], Member | None]) -> tuple[int, int]:
    return row[0]


def _write_employments(transaction: Transaction, partition: int, rows: dict[tuple[int, int], Member | None]) -> None:
    gone, kept = _split(rows)
    transaction.delete(EmploymentRow, gone)
    transaction.upsert(
        EmploymentRow,
        [
            (
                worker_no,
                record_no,
                partition,
                member.record_id,
                member.kept[0],
                member.kept[3],
                member.kept[4],
                member.kept[1],
                member.kept[2],
            )
            for worker_no, record_no, member in kept
        ],
    )


def _write_enrolments(transaction: Transaction, partition: int, rows: dict[tuple[int, int], Member | None]) -> None:
    gone, kept = _split(rows)
    transaction.delete(EnrolmentRow, gone)
    transaction.upsert(
        EnrolmentRow,
        [
            (worker_no, record_no, partition, member.record_id, *member.kept[3:8])
            for worker_no, record_no, member in kept
        ],
    )


def _contribution_row(event: WorkerRecord) -> tuple[Any, ...]:
    message, kept = event
    return (
        message.worker_no,
        message.record_no,
        message.sequence,
        message.kind == "record" and not message.deleted,
        message.record_id,
        message.version,
        message.content_hash,
        *(_UNSAID if kept is None else kept),
    )


def _pair_row(partition: int, stored: StoredPair) -> tuple[Any, ...]:
    pair = stored.pair
    return (
        partition,
        stored.record_no,
        stored.sequence,
        stored.present,
        pair.reference.record_id,
        pair.reference.version,
        pair.reference.partition,
        pair.reference.offset,
        pair.account,
        pair.branch,
        pair.employer_id,
    )


def _write_alerts(transaction: Transaction, partition: int, effects: IntegrateEffects) -> None:
    # One alert may be looked at once a worker and chunk, and workers of one chunk share no employment but by moving.
    transaction.execute_many("DELETE FROM alert WHERE alert_id = ? AND worker_no = ?", sorted(effects.alerts_moved))
    newest: dict[str, AlertChange] = {}
    for change in effects.alerts:
        if change.alert_id not in newest or change.sequence > newest[change.alert_id].sequence:
            newest[change.alert_id] = change
    rows = [_alert_row(partition, newest[key]) for key in sorted(newest)]
    transaction.upsert(AlertRow, rows, newer_by="sequence", unchanged=("employment_record_id",))
    for gone in effects.alerts_deleted:
        transaction.execute(
            "UPDATE alert SET state = 'withdrawn', reason = 'employment_deleted', hold = NULL, check_day = NULL,"
            " version = ?, sequence = ?, decided_at = ? WHERE alert_id = ? AND sequence < ?",
            (gone.sequence, gone.sequence, gone.caused_at, gone.alert_id, gone.sequence),
        )
    told = {(change.alert_id, change.version): change for change in effects.alerts if change.told}
    transaction.upsert(AlertHistoryRow, [_history_row(told[key]) for key in sorted(told)])
    transaction.execute_many(
        "INSERT INTO alert_history (alert_id, version, state, reason, hold, due_day, since_day, caused_at, evidence)"
        " SELECT alert_id, version, state, reason, hold, due_day, since_day, decided_at, evidence FROM alert"
        " WHERE alert_id = ? AND version = ? ON CONFLICT DO NOTHING",
        [(gone.alert_id, gone.sequence) for gone in effects.alerts_deleted],
    )


def _alert_row(partition: int, change: AlertChange) -> tuple[Any, ...]:
    decision = change.decision
    return (
        change.alert_id,
        change.worker_no,
        change.worker_id,
        partition,
        change.employment_record_no,
        change.employment_record_id,
        change.employer_id,
        KIND,
        decision.state,
        decision.reason,
        decision.hold,
        decision.due_day,
        decision.since_day,
        change.check_day,
        decision.rule_version,
        change.version,
        change.sequence,
        change.caused_at,
        change.evidence,
    )


def _history_row(change: AlertChange) -> tuple[Any, ...]:
    decision = change.decision
    return (
        change.alert_id,
        change.version,
        decision.state,
        decision.reason,
        decision.hold,
        decision.due_day,
        decision.since_day,
        change.caused_at,
        change.evidence,
    )
