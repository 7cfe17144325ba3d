"""That the message of an alert is, byte for byte, what the codec makes of it."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saphan_projections.alert_notes import AlertChange
from saphan_projections.alerts import Decision, RecordReference
from saphan_schemas.codec import Codec
from saphan_schemas.topics import ENROLMENT_ALERTS
from saphan_streams.integrated_workers import IntegratedEncoder
from saphan_streams.told_alerts import AlertEncoder

CODEC = Codec()
ENCODER = AlertEncoder(CODEC)
numbers = st.integers(-(2**62), 2**62)
days = st.integers(-30_000, 200_000)
texts = st.text(max_size=80)
references = st.builds(RecordReference, texts, texts, numbers, st.integers(0, 100), numbers)
decisions = st.builds(
    Decision,
    st.sampled_from(["due", "overdue", "resolved", "withdrawn", "reopened"]),
    st.sampled_from(["enrolled", "no_insurance"]),
    st.none() | st.just("employer_unpaired"),
    days,
    days,
    texts,
    st.lists(st.tuples(st.sampled_from(["employment", "pair"]), references), max_size=3).map(tuple),
    st.none(),
)


@given(
    decision=decisions,
    identity=st.tuples(texts, texts, texts, texts),
    version=numbers,
    until=st.none() | numbers,
    caused_at=numbers,
)
def test_an_alert_is_always_encoded_as_the_codec_does(
    decision: Decision, identity: tuple[str, str, str, str], version: int, until: int | None, caused_at: int
) -> None:
    alert_id, worker_id, record_id, employer_id = identity
    change = AlertChange(
        alert_id, 1, worker_id, 2, record_id, employer_id, decision, version, version, caused_at, True, None, b""
    )
    told = {
        "alert_id": alert_id,
        "version": version,
        "kind": "enrolment_missing",
        "state": decision.state,
        "reason": decision.reason,
        "hold": decision.hold,
        "employment_record_id": record_id,
        "worker_id": worker_id,
        "employer_id": employer_id,
        "due_on": decision.due_day,
        "state_since": decision.since_day,
        "rule_version": decision.rule_version,
        "evidence": [{**reference._asdict(), "role": role} for role, reference in decision.evidence],
        "sso_complete_until": until,
        "caused_at": caused_at,
    }
    assert ENCODER.encode(change, until) == CODEC.encode(ENROLMENT_ALERTS, told)


class OneFieldMore(Codec):
    """A codec whose schemas end with one more optional field, as the next version of a topic may."""

    def encode(self, topic: str, record: Mapping[str, Any]) -> bytes:
        return super().encode(topic, record) + b"\0"


@pytest.mark.parametrize("encoder", [AlertEncoder, IntegratedEncoder])
def test_a_schema_that_is_another_one_is_noticed_before_anything_is_sent(encoder: type) -> None:
    with pytest.raises(RuntimeError, match="is not the one that is written by hand"):
        encoder(OneFieldMore())
