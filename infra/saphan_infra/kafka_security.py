"""How clients prove who they are to Kafka and check whom they speak to, in each library's words."""

import ssl
from typing import Any

from saphan_infra.settings import Settings, SettingsError


def kafka_python_security(settings: Settings) -> dict[str, Any]:
    """Connection settings for kafka-python's clients; empty for a plain local broker. Raises SettingsError."""
    return _common(settings)


def aiokafka_security(settings: Settings) -> dict[str, Any]:
    """Connection settings for aiokafka's clients; empty for a plain local broker. Raises SettingsError."""
    return _common(settings)


def _common(settings: Settings) -> dict[str, Any]:
    # Today both libraries use the same names; callers still say which they mean.
    protocol = settings.kafka_security_protocol
    if protocol == "PLAINTEXT":
        return {}
    found: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        found["ssl_context"] = _ssl_context(settings)
    if protocol.startswith("SASL") and settings.kafka_sasl_password is not None:
        found["sasl_mechanism"] = settings.kafka_sasl_mechanism
        found["sasl_plain_username"] = settings.kafka_sasl_username
        found["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return found


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
        if settings.kafka_ssl_certfile is not None:
            password = settings.kafka_ssl_keypassword
            context.load_cert_chain(
                settings.kafka_ssl_certfile,
                settings.kafka_ssl_keyfile,
                password.get_secret_value() if password is not None else None,
            )
    except OSError as error:
        message = (
            f"A TLS file cannot be used ({type(error).__name__}: {error.strerror or 'unreadable'}). Check "
            f"SAPHAN_KAFKA_SSL_CAFILE ({settings.kafka_ssl_cafile}), SAPHAN_KAFKA_SSL_CERTFILE "
            f"({settings.kafka_ssl_certfile}) and SAPHAN_KAFKA_SSL_KEYFILE ({settings.kafka_ssl_keyfile})."
        )
        raise SettingsError(message) from error
    context.check_hostname = settings.kafka_ssl_check_hostname
    return context
