"""What a chunk of the alert topic means for one sink: alerts to tell, messages to set aside, where to read on."""

from collections.abc import Mapping, Sequence

from saphan_consumers.chunks import Chunk, LogMessage, Start
from saphan_consumers.delivery import AlertMessage, Decision, deliveries_for, problem_of
from saphan_consumers.ledger import Ledger, Place, Refused
from saphan_consumers.told import record, times_told, told_about
from saphan_infra.logs import get_logger
from saphan_schemas.codec import Codec, UndecodableMessage

_TOPIC_ID = "topic_id:"

log = get_logger(__name__)


def alerts_of(codec: Codec, messages: Sequence[LogMessage]) -> tuple[list[AlertMessage], list[Refused]]:
    """Each message as an alert or as one that cannot be delivered, in order."""
    alerts: list[AlertMessage] = []
    refused: list[Refused] = []
    for message in messages:
        try:
            alert = codec.decode(message.place.topic, message.value)
        except UndecodableMessage as error:
            refused.append(Refused(message.place, message.offset, error.reason, error.detail, message.value))
            continue
        problem = problem_of(alert)
        if problem is None:
            alerts.append(AlertMessage(alert, message.timestamp_ms))
        else:
            refused.append(Refused(message.place, message.offset, "not_an_alert", problem, message.value))
    return alerts, refused


def decide(ledger: Ledger, alerts: Sequence[AlertMessage]) -> Decision:
    """What in a chunk is new to this ledger's sink."""
    told = told_about(ledger, (message.alert["alert_id"] for message in alerts))
    return deliveries_for(alerts, told, lambda alert_id, fingerprint: times_told(ledger, alert_id, fingerprint))


def conclude(
    ledger: Ledger, decision: Decision, refused: Sequence[Refused], chunk: Chunk, topic_ids: Mapping[str, str]
) -> None:
    """Inside a transaction: this chunk is done with."""
    record(ledger, decision)
    keep_log(ledger, refused, chunk.positions, topic_ids)


def keep_log(
    ledger: Ledger, refused: Sequence[Refused], positions: Mapping[Place, int], topic_ids: Mapping[str, str]
) -> None:
    """Inside a transaction: where to read on, in which topics, and what could not be read."""
    ledger.quarantine(refused)
    ledger.move(positions)
    for topic in {place.topic for place in positions} & set(topic_ids):
        ledger.keep(_TOPIC_ID + topic, topic_ids[topic])


def start_of(ledger: Ledger) -> Start:
    """Where this ledger reads on."""
    positions = ledger.positions()
    topic_ids = {place.topic: ledger.note(_TOPIC_ID + place.topic) for place in positions}
    return Start(positions, {topic: known for topic, known in topic_ids.items() if known is not None})


def tell_refused(sink: str, refused: Sequence[Refused]) -> None:
    """Say in the log which messages were set aside; they are kept whole in the ledger's table ``quarantine``."""
    for row in refused:
        log.error(
            "A message cannot be read and was set aside",
            consumer=sink,
            topic=row.place.topic,
            partition=row.place.partition,
            offset=row.offset,
            reason=row.reason,
            detail=row.detail,
        )
