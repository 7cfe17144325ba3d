"""Which settings there are, where they come from (environment before file before default) and what they mean."""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, HttpUrl, SecretStr, TypeAdapter, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from saphan_infra.availability import BrokerUnavailable
from saphan_infra.data_dir import checkout_cache_dir, local_bootstrap, local_database_url
from saphan_infra.setting_conflicts import conflicts, delivery_conflict
from saphan_infra.setting_errors import explained
from saphan_schemas.topics import MESSAGE_BYTES_MAX

ENV_PREFIX = "SAPHAN_"
CONFIG_VARIABLE = "SAPHAN_CONFIG"
CONFIG_FILE = Path("saphan.toml")
_PORT_MAX = 65_535
#: Good for trying things out only: everybody who has the source knows it. ``saphan doctor`` warns of it.
DEVELOPMENT_PSEUDONYM_KEY = "saphan-development-only"  # pragma: allowlist secret


class SettingsError(ValueError):
    """The settings cannot be used. The text names each setting, what was found and what was expected."""


def _http_url(text: str) -> str:
    try:
        TypeAdapter(HttpUrl).validate_python(text)
    except ValidationError:
        message = "an address such as https://host/path"
        raise ValueError(message) from None
    return text.rstrip("/")


def _addresses(text: str) -> str:
    for address in text.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host or "/" in host or not port.isdecimal() or not 0 < int(port) <= _PORT_MAX:
            message = "host:port, or several with commas between them, such as kafka-1:9093,kafka-2:9093"
            raise ValueError(message)
    return text


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


Url = Annotated[str, AfterValidator(_http_url)]
Addresses = Annotated[str, AfterValidator(_addresses)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class Settings(BaseSettings):
    """Everything that can be set. Each field's environment variable is its name in capitals after ``SAPHAN_``."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="forbid", frozen=True, validate_default=True, env_ignore_empty=True
    )

    data_dir: AbsolutePath = Field(
        default=Path(".saphan"),
        description="Where the local broker, database, logs and state live; relative to the working directory.",
    )
    cache_dir: AbsolutePath | None = Field(
        default=None,
        description="Where downloaded Java files stay; default: .saphan/cache of the checkout, else data_dir/cache.",
    )
    maven_repository_url: Url | None = Field(default=None, description="A mirror of Maven Central to download from.")

    kafka_bootstrap: Addresses | None = Field(
        default=None, description="Address of a Kafka cluster, host:port,…; default: the local broker of data_dir."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How clients connect to Kafka."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None, description="How clients prove to Kafka who they are, with a SASL_… protocol."
    )
    kafka_sasl_username: str | None = Field(default=None, description="User name for Kafka.")
    kafka_sasl_password: SecretStr | None = Field(default=None, description="Password for Kafka.")
    kafka_ssl_cafile: AbsolutePath | None = Field(default=None, description="Certificate authorities (PEM) to trust.")
    kafka_ssl_certfile: AbsolutePath | None = Field(
        default=None, description="This client's certificate (PEM), for mutual TLS."
    )
    kafka_ssl_keyfile: AbsolutePath | None = Field(default=None, description="The key (PEM) of that certificate.")
    kafka_ssl_keypassword: SecretStr | None = Field(default=None, description="Password of that key.")
    kafka_ssl_check_hostname: bool = Field(
        default=True, description="Refuse a broker whose certificate names another host."
    )
    replication_factor: int = Field(
        default=1, ge=1, le=32767, description="Copies of each partition when topics are created."
    )
    kafka_heap_mb: int = Field(
        default=512, ge=256, le=65536, description="Memory of the local broker's Java heap, MiB."
    )

    database_url: str | None = Field(
        default=None,
        repr=False,
        pattern=r"^postgresql\+psycopg://",
        description="PostgreSQL, postgresql+psycopg://user:password@host/name; default: what data_dir holds, else SQLite there.",
    )
    schema_registry_url: Url | None = Field(
        default=None,
        repr=False,
        description="A Confluent-compatible schema registry, https://user:password@host; default: none.",
    )
    pseudonym_key: SecretStr = Field(
        default=SecretStr(DEVELOPMENT_PSEUDONYM_KEY),
        description="Key of the hashes that stand for people in topics and logs.",
    )

    webhook_url: Url | None = Field(default=None, description="Where alerts are posted; default: nowhere.")
    webhook_secret: SecretStr | None = Field(
        default=None, description="Key that signs each post, whsec_… (Standard Webhooks)."
    )
    alerts_file: AbsolutePath | None = Field(
        default=None,
        description="JSON Lines file that gets each alert; default: data_dir/alerts.jsonl without a webhook.",
    )
    webhook_allow_http: bool = Field(default=False, description="Post without TLS too: for a receiver on this machine.")
    webhook_allow_private: bool = Field(default=False, description="Post to private network addresses too.")
    webhook_connections: int = Field(default=8, ge=1, le=256, description="Posts to the webhook at the same time.")
    delivery_give_up_hours: float = Field(
        default=76, gt=0, description="How long a delivery is tried again before it is parked for an operator."
    )
    delivery_timeout_seconds: float = Field(default=15, gt=0, description="How long the webhook's receiver may take.")
    delivery_retry_base_seconds: float = Field(
        default=0.5, gt=0, description="Wait before the second try; doubles each time."
    )
    delivery_retry_max_seconds: float = Field(default=60, gt=0, description="Longest wait between two tries.")

    integrate_workers: int = Field(default=1, ge=1, le=64, description="How many integrate processes `up` starts.")
    chunk_records_max: int = Field(default=50_000, ge=1, description="Most messages in one transaction.")
    chunk_bytes_max: int = Field(
        default=16_777_216, ge=65_536, description="Most bytes in one transaction, and in one fetch of all partitions."
    )
    message_bytes_max: int = Field(
        default=MESSAGE_BYTES_MAX,
        ge=1024,
        description="Largest message that is processed; a larger one is a dead letter.",
    )

    metrics_host: str = Field(default="127.0.0.1", description="Address on which metrics are served.")
    metrics_port: int = Field(default=0, ge=0, le=65535, description="Port of the metrics; 0: a free one.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least severe log line shown."
    )
    log_format: Literal["json", "console"] = Field(default="json", description="Form of log lines.")

    @model_validator(mode="after")
    def _together(self) -> Self:
        for complaint in conflicts(self):
            raise ValueError(complaint)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment; no .env file and no secrets folder behind one's back."""
        del settings_cls, dotenv_settings, file_secret_settings
        return init_settings, env_settings

    @property
    def state_url(self) -> str:
        """SQLAlchemy URL of the integrated state."""
        return self._server_url or f"sqlite:///{self.data_dir / 'state.db'}"

    @property
    def link_url(self) -> str:
        """SQLAlchemy URL of link's state: a file of its own with SQLite, the same database with PostgreSQL."""
        return self._server_url or f"sqlite:///{self.data_dir / 'link.db'}"

    @property
    def _server_url(self) -> str | None:
        return self.database_url or local_database_url(self.postgres_dir)

    @property
    def postgres_dir(self) -> Path:
        """Directory of the local PostgreSQL, which exists once `saphan up --postgres` ran."""
        return self.data_dir / "postgres"

    @property
    def alerts_path(self) -> Path | None:
        """The file that gets each alert; None when only the webhook does. Alerts always go somewhere."""
        if self.alerts_file is None and self.webhook_url is None:
            return self.data_dir / "alerts.jsonl"
        return self.alerts_file

    @property
    def downloads_dir(self) -> Path:
        """Where downloaded Java files stay: one place for all data directories of a checkout."""
        return self.cache_dir or checkout_cache_dir() or self.data_dir / "cache"

    @property
    def kafka_dir(self) -> Path:
        """Directory of the local broker."""
        return self.data_dir / "kafka"

    @property
    def uses_local_broker(self) -> bool:
        """Whether the broker is the one that `saphan up` starts."""
        return self.kafka_bootstrap is None

    @property
    def bootstrap(self) -> str:
        """Address of the broker: the one that is set, else the local broker's (which keeps it over restarts).

        Raises BrokerUnavailable when none is set and no local broker was ever started in data_dir.
        """
        if self.kafka_bootstrap is not None:
            return self.kafka_bootstrap
        address = local_bootstrap(self.kafka_dir)
        if address is None:
            message = (
                f"No broker is known: SAPHAN_KAFKA_BOOTSTRAP is not set and no local broker was started in "
                f"{self.kafka_dir}. If the platform runs in another directory, set SAPHAN_DATA_DIR to its data directory. Else run "
                "`saphan up` (or `saphan demo`), or set SAPHAN_KAFKA_BOOTSTRAP=host:port."
            )
            raise BrokerUnavailable(message)
        return address


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables from which another process loads the same settings, secrets included; default values are left out."""
    found = {}
    for name, row in Settings.model_fields.items():
        value = getattr(settings, name)
        if value is None or value == row.get_default():
            continue
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        found[f"{ENV_PREFIX}{name.upper()}"] = str(plain).lower() if isinstance(plain, bool) else str(plain)
    return found


def load_settings() -> Settings:
    """Read file and environment. Raises SettingsError."""
    path = config_path()
    variables = {name.upper() for name, value in os.environ.items() if value}
    values = _read_file(path) if path is not None else {}
    values = {name: value for name, value in values.items() if f"{ENV_PREFIX}{name.upper()}" not in variables}
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(explained(error, path, ENV_PREFIX)) from None


def require_deliverable(settings: Settings) -> None:
    """For what starts or makes deliveries; who only reads need not be able to sign. Raises SettingsError."""
    complaint = delivery_conflict(settings)
    if complaint is not None:
        raise SettingsError(complaint)


def config_path() -> Path | None:
    """The settings file in use: $SAPHAN_CONFIG, else ./saphan.toml if it is there. Raises SettingsError if named and absent."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        path = Path(named)
        if not path.is_file():
            message = f"{CONFIG_VARIABLE}: found {named!r}, which is not a file. Create it or unset {CONFIG_VARIABLE}."
            raise SettingsError(message)
        return path
    return CONFIG_FILE if CONFIG_FILE.is_file() else None


def unknown_variables() -> dict[str, str | None]:
    """Environment variables that look like settings but are none, each with the likeliest real name."""
    known = [f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields]
    unknown = sorted(name for name in os.environ if name.startswith(ENV_PREFIX))
    nearest = {name: difflib.get_close_matches(name, known, 1) for name in unknown if name not in known}
    return {name: found[0] if found else None for name, found in nearest.items() if name != CONFIG_VARIABLE}


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path}: cannot be read as TOML ({error}). Expected lines like `integrate_workers = 2`."
        raise SettingsError(message) from None
    for name in values:
        if name not in Settings.model_fields:
            near = difflib.get_close_matches(name, Settings.model_fields, 1)
            hint = f"Did you mean `{near[0]}`?" if near else "The README lists all settings."
            message = f"{path}: there is no setting {name!r}. {hint}"
            raise SettingsError(message)
    return values
