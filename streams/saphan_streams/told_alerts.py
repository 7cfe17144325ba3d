"""How an alert that is told becomes a message: put together by hand, the same bytes as the codec's.

With the codec an alert took as long as all the rest that is done for it.
"""

from functools import lru_cache
from typing import Any

from saphan_projections.alert_notes import AlertChange
from saphan_projections.alerts import KIND, Decision, Hold, Reason, RecordReference, State
from saphan_schemas.codec import Codec
from saphan_schemas.topics import ENROLMENT_ALERTS
from saphan_streams.avro_bytes import (
    END_OF_ARRAY,
    known_text,
    number,
    optional_number,
    optional_text,
    require_same_bytes,
    text,
)
from saphan_streams.integrated_workers import record_reference

_SAMPLE_DECISIONS = (
    Decision("due", "no_insurance", None, 20_000, -1, "r", (), None),
    Decision(
        "overdue", "employer_unpaired", "employer_unpaired", 0, 300, "b" * 65,
        (("employment", RecordReference("a", "b" * 65, 1, 2, 300)),) * 65, 2,
    ),
)  # fmt: skip
#: (the change, up to when the SSO's feed is complete)
_SAMPLES = tuple(
    (
        AlertChange("A-1", 1, "W-1", 2, "E-1", "3", decision, 2**40, 5, 2**41, told=True, check_day=None, evidence=b""),
        until,
    )
    for decision, until in zip(_SAMPLE_DECISIONS, (None, 2**41), strict=True)
)


class AlertEncoder:
    """Encodes alerts.enrolment.v1. Raises RuntimeError when the schema is no longer the one that is written here."""

    def __init__(self, codec: Codec) -> None:
        self._header = codec.header(ENROLMENT_ALERTS)
        for change, until in _SAMPLES:
            require_same_bytes(codec, ENROLMENT_ALERTS, _plain(change, until), self.encode(change, until))

    def encode(self, change: AlertChange, complete_until: int | None) -> bytes:
        """The message of an alert; the same bytes as the codec gives."""
        state, reason, hold, due_day, since_day, rule_version, evidence, _ = change.decision
        parts = [
            self._header,
            text(change.alert_id),
            number(change.version),
            _standing(state, reason, hold),
            text(change.employment_record_id),
            text(change.worker_id),
            text(change.employer_id),
            number(due_day),
            number(since_day),
            known_text(rule_version),
        ]
        if evidence:
            parts.append(number(len(evidence)))
            parts += [record_reference(*reference, role) for role, reference in evidence]
        parts += (END_OF_ARRAY, optional_number(complete_until), number(change.caused_at))
        return b"".join(parts)


def _plain(change: AlertChange, complete_until: int | None) -> dict[str, Any]:
    decision = change.decision
    return {
        "alert_id": change.alert_id,
        "version": change.version,
        "kind": KIND,
        "state": decision.state,
        "reason": decision.reason,
        "hold": decision.hold,
        "employment_record_id": change.employment_record_id,
        "worker_id": change.worker_id,
        "employer_id": change.employer_id,
        "due_on": decision.due_day,
        "state_since": decision.since_day,
        "rule_version": decision.rule_version,
        "evidence": [{**reference._asdict(), "role": role} for role, reference in decision.evidence],
        "sso_complete_until": complete_until,
        "caused_at": change.caused_at,
    }


@lru_cache(maxsize=1_024)
def _standing(state: State, reason: Reason, hold: Hold | None) -> bytes:
    """The fields from the alert's kind to its hold, of which there are only some."""
    return text(KIND) + text(state) + text(reason) + optional_text(hold)
