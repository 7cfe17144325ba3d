"""Which look at an alert is news to its receivers, and what is kept of the look in the worker's state.

The worker's state holds what was last decided for each employment; whoever asks keeps what is returned here as rows.
"""

from typing import NamedTuple

from saphan_projections.alerts import Decision, Employment, alert_id, fingerprint, next_check_day
from saphan_projections.hashing import signed_hashes
from saphan_projections.packing import pack
from saphan_projections.worker import KnownAlert, WorkerState


class AlertChange(NamedTuple):
    """A new look at one alert. ``told`` is True when the state is news to the receivers.

    ``evidence`` are the references behind the decision as bytes: (role, feed, record id, version, partition, offset) each.
    """

    alert_id: str
    worker_no: int
    worker_id: str
    employment_record_no: int
    employment_record_id: str
    employer_id: str
    decision: Decision
    version: int
    sequence: int
    caused_at: int
    told: bool
    check_day: int | None
    evidence: bytes


class DeletedAlert(NamedTuple):
    """An alert whose employment the agency deleted: withdrawn, and no longer part of what is settled."""

    alert_id: str
    worker_id: str
    employment_record_id: str
    employer_id: str
    due_day: int
    since_day: int
    rule_version: str
    sequence: int
    caused_at: int


def noted(
    state: WorkerState,
    opaque: str,
    record_no: int,
    job: Employment,
    decision: Decision,
    sequence: int,
    caused_at: int,
) -> AlertChange | None:
    """What a decision changes; None when all of it was known. The state knows it afterwards."""
    record_id, employer_id = job.reference.record_id, job.employer_id
    known = state.alerts.get(record_no)
    told = fingerprint(decision)
    evidence = pack([(role, *reference) for role, reference in decision.evidence])
    # It changes with the evidence or the worker's opaque id, the same in every process.
    (evidence_hash,) = signed_hashes((opaque.encode() + evidence,))
    # Whom the alert accuses is part of what is told, but of the record and not of the decision.
    news = known is None or known.told != told or known.employer_id != employer_id
    if known is not None and not news and known.evidence_hash == evidence_hash:
        return None
    identity = alert_id(record_id)
    version = sequence if known is None or news else known.version
    state.know_alert(record_no, KnownAlert(version, told, evidence_hash, record_id, employer_id, decision.rule_version))
    return AlertChange(
        identity,
        state.worker_no,
        opaque,
        record_no,
        record_id,
        employer_id,
        decision,
        version,
        sequence,
        caused_at,
        news,
        next_check_day(decision),
        evidence,
    )


def withdrawn(state: WorkerState, opaque: str, record_no: int, sequence: int, caused_at: int) -> DeletedAlert:
    """The end of an alert whose employment the agency deleted; the state forgets it. Raises KeyError."""
    known = state.forget_alert(record_no)
    _, due_day, since_day, *_ = known.told
    return DeletedAlert(
        alert_id(known.employment_record_id),
        opaque,
        known.employment_record_id,
        known.employer_id,
        due_day,
        since_day,
        known.rule_version,
        sequence,
        caused_at,
    )
