"""What follows from a receiver's reply: delivered, tried again and when, parked, or the endpoint switched off."""

from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Literal, NamedTuple

_GONE = 410
_THROTTLES = (429, 502, 503, 504)
#: What a receiver says of one alert that it does not want. Everything else it would say of any: the secret is wrong,
#: the path is another one, it moved.
_OF_ONE_ALERT = (400, 409, 413, 422)
_ALERTS_UNTIL_PAUSE = 5
_CORRECTION_MS_MAX = 1000


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient we are. A delivery is parked only after ``give_up_seconds`` and ``attempts_min`` both.

    The settings say what has no default here.
    """

    base_seconds: float
    max_seconds: float
    give_up_seconds: float
    attempts_min: int = 10
    pause_seconds_max: float = 60.0
    retry_after_seconds_max: float = 24 * 3600.0

    def delay_seconds(self, attempts: int, jitter: float) -> float:
        """Wait after the ``attempts``-th failure: doubles each time, with ``jitter`` (0 to 1) of its upper half."""
        full = min(self.max_seconds, self.base_seconds * 2.0 ** min(attempts - 1, 60))
        return full * (0.5 + 0.5 * jitter)


class Reply(NamedTuple):
    """What came back: an HTTP status, or None and the ``cause`` (timeout, unreachable, refused_address …)."""

    status: int | None
    cause: str
    retry_after_seconds: float | None = None

    @property
    def accepted(self) -> bool:
        """Only 2xx is success; a redirect is not followed and is no success."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def throttled(self) -> bool:
        """The receiver has no room now, whichever alert it is."""
        return self.status in _THROTTLES


class Verdict(NamedTuple):
    """``retry_at_ms`` only with ``retry``."""

    kind: Literal["delivered", "retry", "parked", "switch_off"]
    retry_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Health of the one endpoint. While ``paused_until_ms`` lies ahead, nothing is sent.

    ``failing`` are alerts that failed since the last success, other than by a refusal of this one alert: one failing
    alert is that alert's trouble, five are the endpoint's.
    """

    paused_until_ms: int = 0
    failing: frozenset[str] = field(default_factory=frozenset)
    pauses: int = 0


def verdict(policy: RetryPolicy, reply: Reply, attempts: int, waited_ms: int, now_ms: int, jitter: float) -> Verdict:
    """Decide about one delivery. ``attempts`` counts this one; ``waited_ms`` is since its first attempt."""
    if reply.accepted:
        return Verdict("delivered")
    if reply.status == _GONE:
        return Verdict("switch_off")
    if waited_ms >= policy.give_up_seconds * 1000 and attempts >= policy.attempts_min:
        return Verdict("parked")
    delay = policy.delay_seconds(attempts, jitter)
    if reply.retry_after_seconds is not None:
        delay = max(delay, min(reply.retry_after_seconds, policy.retry_after_seconds_max))
    return Verdict("retry", now_ms + round(delay * 1000))


def endpoint_after(policy: RetryPolicy, endpoint: Endpoint, alert_id: str, reply: Reply, now_ms: int) -> Endpoint:
    """The endpoint's health after one reply."""
    paused = endpoint.paused_until_ms
    if reply.accepted:
        # A reply that was on its way when another one asked us to wait does not take that back.
        return Endpoint(paused)
    if reply.throttled and reply.retry_after_seconds is not None:
        asked = min(reply.retry_after_seconds, policy.retry_after_seconds_max)
        return Endpoint(max(paused, now_ms + round(asked * 1000)), endpoint.failing, endpoint.pauses)
    if reply.status in _OF_ONE_ALERT or (endpoint.pauses and now_ms < paused):
        return endpoint
    failing = endpoint.failing if endpoint.pauses else endpoint.failing | {alert_id}
    if len(failing) < _ALERTS_UNTIL_PAUSE:
        return Endpoint(paused, failing)
    seconds = min(policy.pause_seconds_max, 2.0**endpoint.pauses)
    return Endpoint(max(paused, now_ms + round(seconds * 1000)), failing, endpoint.pauses + 1)


def retry_after_seconds(header: str | None, now_seconds: float) -> float | None:
    """Seconds from a Retry-After header (seconds or an HTTP date), or None when there is none that can be read."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_seconds)
    except (ValueError, OverflowError):
        return None


def went_back_ms(seen_ms: int, now_ms: int) -> int:
    """By how much a clock was set back since it was last looked at; 0 for the small corrections that clocks get."""
    return seen_ms - now_ms if seen_ms - now_ms > _CORRECTION_MS_MAX else 0
