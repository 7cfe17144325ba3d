"""Which states of an alert a receiver is still to be told, under which id and with what body."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from saphan_schemas.catalogue import default_catalogue
from saphan_schemas.topics import ENROLMENT_ALERTS
from saphan_schemas.values import format_time_ms, from_wire

#: Largest body that the Standard Webhooks recommendation asks receivers to take (20 kB).
BODY_BYTES_MAX = 20_000
_ALERT_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_STATE = re.compile(r"[a-z_]{1,40}")
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_FINGERPRINT_CHARACTERS = 13
#: States in which nothing is asked: no news for a receiver that never heard of the alert.
_CLOSED = frozenset({"resolved", "withdrawn"})
_UNHEARD = ""
#: What of an alert the receiver acts upon: another value in one of these is news.
_TOLD = ("state", "employer_id", "due_on", "state_since", "hold", "reason")


class AlertMessage(NamedTuple):
    """One message of the alert topic. ``alert`` is in wire form, ``appended_ms`` the broker's time of it (UTC)."""

    alert: Mapping[str, Any]
    appended_ms: int


class Told(NamedTuple):
    """The newest state of an alert that was handed to delivery; an empty fingerprint: none was, it began closed."""

    version: int
    fingerprint: str


class Delivery(NamedTuple):
    """One state to deliver. ``occurrence`` counts how often the alert has come (back) to this very state, from 1."""

    alert_id: str
    version: int
    fingerprint: str
    occurrence: int
    body: bytes

    @property
    def delivery_id(self) -> str:
        """The same for every repeat of this delivery and for no other: the receiver drops repeats by it."""
        return delivery_id(self.alert_id, self.fingerprint, self.occurrence)


@dataclass(slots=True)
class Decision:
    """What to deliver, in order, and what is known afterwards. ``repeats`` counts messages that say nothing new."""

    deliveries: list[Delivery] = field(default_factory=list)
    told: dict[str, Told] = field(default_factory=dict)
    times: dict[tuple[str, str], int] = field(default_factory=dict)
    repeats: int = 0


def problem_of(alert: Mapping[str, Any]) -> str | None:
    """Why this alert cannot be delivered (found and expected, in words), or None.

    The alert's id and state become a header and an event type, so they must be plain words.
    """
    if not _ALERT_ID.fullmatch(alert["alert_id"]):
        return "alert_id is not 1 to 100 letters, digits, hyphens or underscores"
    if not _STATE.fullmatch(alert["state"]):
        return "state is not 1 to 40 lower-case letters or underscores"
    return None


def fingerprint_of(alert: Mapping[str, Any]) -> str:
    """What the receiver is told, in 13 characters: not the version, not the offsets of the evidence."""
    told = [alert[name] for name in _TOLD]
    digest = int.from_bytes(blake2b(orjson.dumps(told), digest_size=9).digest(), "big")
    return "".join(_BASE32[digest >> shift & 31] for shift in range(0, 5 * _FINGERPRINT_CHARACTERS, 5))


def delivery_id(alert_id: str, fingerprint: str, occurrence: int) -> str:
    """Alert and state; a number only when the alert has come back to the state, as a receiver must not drop that."""
    return f"{alert_id}-{fingerprint}" + (f"-{occurrence}" if occurrence > 1 else "")


def parts_of(alert_id: str, identifier: str) -> tuple[str, int]:
    """Fingerprint and occurrence of a :func:`delivery_id`. Raises ValueError when it is not of this alert."""
    fingerprint, _, occurrence = identifier.removeprefix(alert_id + "-").partition("-")
    count = int(occurrence or 1)
    if delivery_id(alert_id, fingerprint, count) != identifier or len(fingerprint) != _FINGERPRINT_CHARACTERS:
        message = f"expected the id of a delivery of {alert_id}"
        raise ValueError(message)
    return fingerprint, count


def deliveries_for(
    messages: Sequence[AlertMessage],
    told: Mapping[str, Told],
    times: Callable[[str, str], int],
) -> Decision:
    """Decide for messages in the order of the log.

    ``told`` has the newest state handed over per alert, ``times`` says how often an alert (id) was told a state
    (fingerprint). A version that is not higher than the newest told, or a state equal to the newest told, is a
    repeat: the log is at least once, and integrate may find the same state again for another reason.
    An alert that begins closed (the insurance was known before the employment) is noted but not delivered.
    """
    decision = Decision()
    for message in messages:
        alert = message.alert
        alert_id, version = alert["alert_id"], alert["version"]
        newest = decision.told.get(alert_id) or told.get(alert_id)
        if newest is not None and version <= newest.version:
            decision.repeats += 1
            continue
        fingerprint = fingerprint_of(alert)
        decision.told[alert_id] = Told(version, fingerprint)
        if newest is not None and fingerprint == newest.fingerprint:
            decision.repeats += 1
            continue
        if alert["state"] in _CLOSED and (newest is None or newest.fingerprint == _UNHEARD):
            decision.told[alert_id] = Told(version, _UNHEARD)
            continue
        before = decision.times.get((alert_id, fingerprint))
        occurrence = (times(alert_id, fingerprint) if before is None else before) + 1
        decision.times[alert_id, fingerprint] = occurrence
        decision.deliveries.append(Delivery(alert_id, version, fingerprint, occurrence, body_of(message)))
    return decision


def body_of(message: AlertMessage) -> bytes:
    """The JSON that a receiver gets: ``type``, ``timestamp`` (when the state was published), ``data``; below 20 kB.

    Evidence that does not fit is left out from the end, and ``evidence_omitted`` says how many references.
    """
    data = from_wire(_KINDS, message.alert)
    evidence = data["evidence"]
    kept = len(evidence)
    while True:
        if kept < len(evidence):
            data = {**data, "evidence": evidence[:kept], "evidence_omitted": len(evidence) - kept}
        body = orjson.dumps(
            {
                "type": f"alert.enrolment.{data['state']}",
                "timestamp": format_time_ms(message.appended_ms),
                "data": data,
            }
        )
        if len(body) < BODY_BYTES_MAX or not kept:
            return body
        kept //= 2


_KINDS = default_catalogue().kinds(ENROLMENT_ALERTS)
