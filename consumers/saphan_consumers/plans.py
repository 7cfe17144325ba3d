"""What the settings mean for the consumers: which sinks there are and how the webhook is to be reached."""

from collections.abc import Callable

from saphan_consumers.addresses import AddressRefused, target_of
from saphan_consumers.delivering import DeliveryPlan, WebhookPlan
from saphan_consumers.measuring import TOPICS
from saphan_consumers.reading import Source
from saphan_consumers.retrying import RetryPolicy
from saphan_consumers.signing import signing_keys
from saphan_infra.kafka_security import kafka_python_security
from saphan_infra.settings import Settings, SettingsError, require_deliverable
from saphan_schemas.topics import ENROLMENT_ALERTS


def delivery_plan(settings: Settings) -> DeliveryPlan:
    """Where alerts go. Raises SettingsError."""
    return DeliveryPlan(_alerts_for(settings), settings.data_dir, settings.alerts_path, _webhook_plan(settings))


def metrics_source(settings: Settings) -> Source:
    """What the metrics consumer reads."""
    return Source(
        lambda: settings.bootstrap,
        "saphan-metrics",
        TOPICS,
        kafka_python_security(settings),
        settings.chunk_records_max,
    )


def webhook_keys(settings: Settings) -> tuple[bytes, ...]:
    """The keys of SAPHAN_WEBHOOK_SECRET (several, apart by spaces, while it is replaced). Raises SettingsError."""
    secret = settings.webhook_secret
    try:
        return signing_keys("" if secret is None else secret.get_secret_value())
    except ValueError as error:
        message = f"SAPHAN_WEBHOOK_SECRET: {error}."
        raise SettingsError(message) from None


def _alerts_for(settings: Settings) -> Callable[[str], Source]:
    security = kafka_python_security(settings)
    return lambda group: Source(
        lambda: settings.bootstrap, group, (ENROLMENT_ALERTS,), security, settings.chunk_records_max
    )


def _webhook_plan(settings: Settings) -> WebhookPlan | None:
    if settings.webhook_url is None:
        return None
    require_deliverable(settings)
    try:
        target = target_of(
            settings.webhook_url,
            allow_http=settings.webhook_allow_http,
            allow_private=settings.webhook_allow_private,
        )
    except AddressRefused as refused:
        message = f"SAPHAN_WEBHOOK_URL: {refused}."
        raise SettingsError(message) from None
    policy = RetryPolicy(
        base_seconds=settings.delivery_retry_base_seconds,
        max_seconds=settings.delivery_retry_max_seconds,
        give_up_seconds=settings.delivery_give_up_hours * 3600,
    )
    return WebhookPlan(
        target,
        webhook_keys(settings),
        settings.delivery_timeout_seconds,
        settings.webhook_connections,
        policy,
    )
