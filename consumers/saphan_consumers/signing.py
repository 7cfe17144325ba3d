"""Whether a webhook's bytes come from a holder of the secret: the Standard Webhooks signature, made and checked."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence

#: What a secret in the form of the Standard Webhooks begins with.
SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret
_KEY_BYTES_MIN = 24
_KEY_BYTES_MAX = 64
#: How far a message's time may be from the receiver's clock.
TOLERANCE_SECONDS = 300


class SignatureRefused(ValueError):
    """The message is not to be believed. ``code`` says why: missing_header, bad_timestamp, too_old, too_new,
    no_match.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def signing_keys(secrets: str) -> tuple[bytes, ...]:
    """Keys from ``whsec_…``, or from several apart by spaces while a secret is being replaced, newest first.

    Raises ValueError with what was expected; the secret itself is never in the text.
    """
    return tuple(_key(secret) for secret in secrets.split()) or (_key(""),)


def _key(secret: str) -> bytes:
    expected = f"expected {SECRET_PREFIX} and then {_KEY_BYTES_MIN} to {_KEY_BYTES_MAX} bytes in base64"
    if not secret.startswith(SECRET_PREFIX):
        message = f"the webhook secret has no {SECRET_PREFIX} at its start; {expected}"
        raise ValueError(message)
    encoded = secret.removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        # Whatever is no letter of base64 would be left out otherwise, and every signature be another one than expected.
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        message = f"the webhook secret is not base64 (letters, digits, + and /); {expected}"
        raise ValueError(message) from None
    if not _KEY_BYTES_MIN <= len(key) <= _KEY_BYTES_MAX:
        message = f"the webhook secret has {len(key)} bytes; {expected}"
        raise ValueError(message)
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """``v1,`` and the HMAC-SHA256 over id, time (seconds UTC) and body. The id has no full stop in it."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def signed_headers(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers; one signature per key, so that the receiver may change its secret whenever it likes."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(key, message_id, timestamp, body) for key in keys),
    }


def verify(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now_seconds: float) -> str:
    """The message's id when it is signed with one of the keys and not older or newer than five minutes.

    Header names are in lower case. Raises SignatureRefused.
    """
    message_id = headers.get("webhook-id", "")
    stamp = headers.get("webhook-timestamp", "")
    claimed = headers.get("webhook-signature", "")
    if not (message_id and stamp and claimed):
        raise SignatureRefused("missing_header", "expected webhook-id, webhook-timestamp and webhook-signature")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
        raise SignatureRefused("bad_timestamp", "expected webhook-timestamp in whole seconds since 1970")
    age = now_seconds - int(stamp)
    if abs(age) > TOLERANCE_SECONDS:
        code = "too_old" if age > 0 else "too_new"
        raise SignatureRefused(
            code, f"webhook-timestamp is {abs(age):.0f} s away from this clock; expected 300 or less"
        )
    expected = [signature(key, message_id, int(stamp), body).encode() for key in keys]
    given = [part.encode() for part in claimed.split(" ")]
    if not any(hmac.compare_digest(one, other) for one in expected for other in given):
        raise SignatureRefused("no_match", "no signature is by a secret of this receiver over exactly these bytes")
    return message_id
