"""Settings: where they come from, what is refused and how it is said."""

from pathlib import Path

import pytest

from saphan_consumers.plans import delivery_plan
from saphan_infra.availability import BrokerUnavailable
from saphan_infra.kafka_security import aiokafka_security, kafka_python_security
from saphan_infra.owned_process import write_json
from saphan_infra.settings import (
    Settings,
    SettingsError,
    environment_of,
    load_settings,
    require_deliverable,
    unknown_variables,
)


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(unknown_variables()) + [f"SAPHAN_{name.upper()}" for name in Settings.model_fields]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("SAPHAN_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def test_nothing_need_be_set(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.data_dir == tmp_path / ".saphan"
    assert settings.state_url == f"sqlite:///{tmp_path}/.saphan/state.db"
    assert settings.link_url == f"sqlite:///{tmp_path}/.saphan/link.db"
    assert settings.uses_local_broker
    assert kafka_python_security(settings) == aiokafka_security(settings) == {}


def test_the_environment_goes_before_the_file_and_the_file_before_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "saphan.toml").write_text("integrate_workers = 2\nreplication_factor = 3\n")
    monkeypatch.setenv("SAPHAN_INTEGRATE_WORKERS", "4")
    settings = load_settings()
    assert (settings.integrate_workers, settings.replication_factor, settings.chunk_records_max) == (4, 3, 50_000)


def test_an_empty_variable_is_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "saphan.toml").write_text("integrate_workers = 2\n")
    monkeypatch.setenv("SAPHAN_INTEGRATE_WORKERS", "")
    monkeypatch.setenv("SAPHAN_WEBHOOK_URL", "")
    assert (load_settings().integrate_workers, load_settings().webhook_url) == (2, None)


def test_arguments_of_a_program_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPHAN_INTEGRATE_WORKERS", "4")
    assert Settings(integrate_workers=5).integrate_workers == 5


def test_a_file_elsewhere_is_named_by_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.toml").write_text("integrate_workers = 7\n")
    monkeypatch.setenv("SAPHAN_CONFIG", str(tmp_path / "other.toml"))
    assert load_settings().integrate_workers == 7


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("integrate_worker = 2\n", "Did you mean `integrate_workers`?"),
        ("integrate_workers = 0\n", "integrate_workers"),
        ("integrate_workers = \n", "cannot be read as TOML"),
        ("nonsense = 1\n", "The README lists all settings"),
    ],
)
def test_a_bad_file_is_refused_with_the_line_to_change(tmp_path: Path, file: str, expected: str) -> None:
    (tmp_path / "saphan.toml").write_text(file)
    with pytest.raises(SettingsError, match=r"saphan\.toml") as refusal:
        load_settings()
    assert expected in str(refusal.value)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"METRICS_PORT": "abc"}, "SAPHAN_METRICS_PORT (environment): found 'abc'; expected: a whole number."),
        ({"METRICS_PORT": "70000"}, "expected: 65535 or less."),
        ({"KAFKA_SSL_CHECK_HOSTNAME": "perhaps"}, "expected: true or false."),
        ({"KAFKA_BOOTSTRAP": "kafka-1"}, "found 'kafka-1'; expected: host:port, or several"),
        ({"KAFKA_BOOTSTRAP": "k:1,https://k:2"}, "expected: host:port"),
        ({"KAFKA_BOOTSTRAP": "k:99999"}, "expected: host:port"),
        ({"LOG_LEVEL": "LOUD"}, "expected: 'DEBUG', 'INFO', 'WARNING' or 'ERROR'."),
        (
            {"WEBHOOK_URL": "nowhere"},
            "SAPHAN_WEBHOOK_URL (environment): found a value that is not shown; expected: an address",
        ),
        ({"WEBHOOK_SECRET": "abc"}, "whsec_"),
        ({"PSEUDONYM_KEY": "short"}, "at least 16"),
        ({"DATABASE_URL": "mysql://user:hush@host/x"}, "expected: postgresql+psycopg://user:password@host/name."),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_BOOTSTRAP": "k:1"}, "SAPHAN_KAFKA_SASL_PASSWORD"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL"}, "SAPHAN_KAFKA_BOOTSTRAP is not"),
        ({"DELIVERY_RETRY_BASE_SECONDS": "5", "DELIVERY_RETRY_MAX_SECONDS": "1"}, "SAPHAN_DELIVERY_RETRY_MAX_SECONDS"),
        ({"CONFIG": "nowhere.toml"}, "nowhere.toml"),
    ],
)
def test_a_bad_setting_is_refused_by_its_name(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"SAPHAN_{name}", value)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert expected in str(refusal.value)


def test_a_secret_is_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATABASE_URL": "mysql://user:hush@host/x",
        "WEBHOOK_SECRET": "hush",
        "PSEUDONYM_KEY": "hush",
    }.items():
        monkeypatch.setenv(f"SAPHAN_{name}", value)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert "hush" not in str(refusal.value)
    monkeypatch.setenv("SAPHAN_DATABASE_URL", "postgresql+psycopg://user:hush@host/x")
    monkeypatch.setenv("SAPHAN_SCHEMA_REGISTRY_URL", "https://user:hush@registry.example")
    monkeypatch.setenv("SAPHAN_WEBHOOK_SECRET", "whsec_hush")
    monkeypatch.setenv("SAPHAN_PSEUDONYM_KEY", "hush" * 8)
    assert "hush" not in repr(load_settings())


def test_a_mistyped_variable_is_found_with_the_likely_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPHAN_INTEGRATE_WORKER", "3")
    monkeypatch.setenv("SAPHAN_CONFIG", "x.toml")
    assert unknown_variables() == {"SAPHAN_INTEGRATE_WORKER": "SAPHAN_INTEGRATE_WORKERS"}


def test_a_webhook_without_a_secret_is_refused_only_where_something_is_delivered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAPHAN_WEBHOOK_URL", "https://sso.example/alerts")
    settings = load_settings()
    with pytest.raises(SettingsError, match="SAPHAN_WEBHOOK_SECRET is not"):
        require_deliverable(settings)
    with pytest.raises(SettingsError, match="SAPHAN_WEBHOOK_SECRET is not"):
        delivery_plan(settings)


def test_without_a_broker_the_error_names_the_data_directory_that_may_be_meant() -> None:
    with pytest.raises(BrokerUnavailable, match="set SAPHAN_DATA_DIR to its data directory"):
        _ = load_settings().bootstrap


def test_without_a_broker_the_error_says_how_to_get_one() -> None:
    with pytest.raises(BrokerUnavailable, match="saphan up"):
        _ = load_settings().bootstrap


def test_the_local_services_of_the_data_directory_are_found(tmp_path: Path) -> None:
    write_json(tmp_path / ".saphan" / "kafka" / "broker.json", {"bootstrap": "127.0.0.1:1234"})
    write_json(tmp_path / ".saphan" / "postgres" / "postgres.json", {"port": 5555})
    (tmp_path / ".saphan" / "postgres" / "password").write_text("pass")
    settings = load_settings()
    assert settings.bootstrap == "127.0.0.1:1234"
    assert settings.state_url == settings.link_url == "postgresql+psycopg://saphan:pass@127.0.0.1:5555/saphan"


def test_an_address_that_is_set_goes_before_the_local_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / ".saphan" / "kafka" / "broker.json", {"bootstrap": "127.0.0.1:1234"})
    monkeypatch.setenv("SAPHAN_KAFKA_BOOTSTRAP", "a:1,b:2")
    monkeypatch.setenv("SAPHAN_DATABASE_URL", "postgresql+psycopg://u:p@h/d")
    settings = load_settings()
    assert (settings.bootstrap, settings.state_url) == ("a:1,b:2", "postgresql+psycopg://u:p@h/d")


def test_a_child_process_gets_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "saphan.toml").write_text(
        'kafka_bootstrap = "k:1"\nkafka_security_protocol = "SASL_SSL"\nkafka_sasl_mechanism = "SCRAM-SHA-512"\n'
        'kafka_sasl_username = "u"\nkafka_sasl_password = "p"\nkafka_ssl_check_hostname = false\nmetrics_port = 9\n'
        'delivery_timeout_seconds = 2.5\nalerts_file = "alerts.jsonl"\n'
    )
    parent = load_settings()
    (tmp_path / "saphan.toml").unlink()
    for name, value in environment_of(parent).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == parent


def test_a_cluster_with_passwords_and_certificates_is_described_to_both_libraries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "BOOTSTRAP": "k:1", "SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "SCRAM-SHA-256",
        "SASL_USERNAME": "u", "SASL_PASSWORD": "p",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"SAPHAN_KAFKA_{name}", value)
    for found in (kafka_python_security(load_settings()), aiokafka_security(load_settings())):
        assert found.pop("ssl_context").check_hostname
        assert found == {
            "security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-256",
            "sasl_plain_username": "u", "sasl_plain_password": "p",
        }  # fmt: skip


def test_a_missing_certificate_is_a_settings_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"BOOTSTRAP": "k:1", "SECURITY_PROTOCOL": "SSL", "SSL_CAFILE": "/nowhere/ca.pem"}.items():
        monkeypatch.setenv(f"SAPHAN_KAFKA_{name}", value)
    with pytest.raises(SettingsError, match="SAPHAN_KAFKA_SSL_CAFILE"):
        kafka_python_security(load_settings())


def test_every_setting_has_a_description() -> None:
    assert [name for name, row in Settings.model_fields.items() if not row.description] == []
