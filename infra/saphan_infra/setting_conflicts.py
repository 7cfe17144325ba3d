"""Which settings are each well-formed but do not fit together, or are too weak."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saphan_infra.settings import Settings

#: As saphan_consumers.signing has it, which decides alone and so imports nothing from here; a test holds both together.
_WEBHOOK_SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret
_PSEUDONYM_KEY_LENGTH_MIN = 16


def conflicts(settings: "Settings") -> list[str]:
    """What is wrong, one sentence each, without any secret value."""
    found = []
    sasl = settings.kafka_security_protocol.startswith("SASL")
    credentials = (settings.kafka_sasl_mechanism, settings.kafka_sasl_username, settings.kafka_sasl_password)
    if sasl and None in credentials:
        found.append(
            f"SAPHAN_KAFKA_SECURITY_PROTOCOL is {settings.kafka_security_protocol}: expected SAPHAN_KAFKA_SASL_MECHANISM, "
            "SAPHAN_KAFKA_SASL_USERNAME and SAPHAN_KAFKA_SASL_PASSWORD as well. Set all three."
        )
    if settings.uses_local_broker and settings.kafka_security_protocol != "PLAINTEXT":
        found.append(
            "SAPHAN_KAFKA_SECURITY_PROTOCOL is set but SAPHAN_KAFKA_BOOTSTRAP is not: the local broker speaks PLAINTEXT. "
            "Set the cluster's address too."
        )
    secret = settings.webhook_secret
    if secret is not None and not secret.get_secret_value().startswith(_WEBHOOK_SECRET_PREFIX):
        found.append("SAPHAN_WEBHOOK_SECRET: expected whsec_ and then base64 (the value is not shown).")
    if len(settings.pseudonym_key.get_secret_value()) < _PSEUDONYM_KEY_LENGTH_MIN:
        found.append(f"SAPHAN_PSEUDONYM_KEY: expected at least {_PSEUDONYM_KEY_LENGTH_MIN} characters.")
    if settings.delivery_retry_max_seconds < settings.delivery_retry_base_seconds:
        found.append("SAPHAN_DELIVERY_RETRY_MAX_SECONDS is less than SAPHAN_DELIVERY_RETRY_BASE_SECONDS.")
    return found


def delivery_conflict(settings: "Settings") -> str | None:
    """Why alerts could not be posted; None when they can be, or are not to be."""
    if settings.webhook_url is not None and settings.webhook_secret is None:
        return "SAPHAN_WEBHOOK_URL is set but SAPHAN_WEBHOOK_SECRET is not: set the receiver's whsec_… secret."
    return None
