import base64
import json
import secrets
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from saphan_consumers.signing import (
    SECRET_PREFIX,
    SignatureRefused,
    signature,
    signed_headers,
    signing_keys,
    verify,
)
from saphan_infra import setting_conflicts
from saphan_infra.clock import now_ms

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the standard's published test secret
OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def test_the_settings_expect_of_a_secret_what_signing_does() -> None:
    assert setting_conflicts._WEBHOOK_SECRET_PREFIX == SECRET_PREFIX


def test_the_published_vector_gives_the_published_signature() -> None:
    (key,) = signing_keys(SECRET)
    found = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(min_size=24, max_size=64), st.dictionaries(st.text(), st.integers()))
def test_another_implementation_accepts_what_we_sign_and_we_accept_what_it_signs(
    key: bytes, data: dict[str, int]
) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    body = json.dumps(data).encode()
    seconds = now_ms() // 1000
    headers = signed_headers(signing_keys(secret), "A-x-1", seconds, body)
    assert Webhook(secret).verify(body, headers) == data
    theirs = Webhook(secret).sign("A-x-1", _moment(seconds), body.decode())
    assert verify(signing_keys(secret), {**headers, "webhook-signature": theirs}, body, seconds) == "A-x-1"


def test_while_a_secret_is_replaced_both_the_old_and_the_new_one_verify() -> None:
    headers = signed_headers(signing_keys(f"{OTHER} {SECRET}"), "A-1", now_ms() // 1000, b"{}")
    assert headers["webhook-signature"].count("v1,") == 2
    Webhook(OTHER).verify(b"{}", headers)
    Webhook(SECRET).verify(b"{}", headers)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"webhook-id": "A-2"}, "no_match"),
        ({"webhook-timestamp": "1000001"}, "no_match"),
        ({"webhook-timestamp": "999600"}, "too_old"),
        ({"webhook-timestamp": "1000400"}, "too_new"),
        ({"webhook-timestamp": "soon"}, "bad_timestamp"),
        ({"webhook-timestamp": "١٢٣"}, "bad_timestamp"),
        ({"webhook-signature": ""}, "missing_header"),
        ({"webhook-signature": "v1,é"}, "no_match"),
        ({"webhook-signature": "v1a,AAAA"}, "no_match"),
    ],
)
def test_a_changed_message_is_refused_with_its_code(change: dict[str, str], code: str) -> None:
    headers = signed_headers(signing_keys(SECRET), "A-1", 1_000_000, b"{}")
    with pytest.raises(SignatureRefused) as refused:
        verify(signing_keys(SECRET), headers | change, b"{}", 1_000_000)
    assert refused.value.code == code


def test_a_changed_body_is_refused_here_and_by_the_other_implementation() -> None:
    seconds = now_ms() // 1000
    headers = signed_headers(signing_keys(SECRET), "A-1", seconds, b"{}")
    with pytest.raises(SignatureRefused):
        verify(signing_keys(SECRET), headers, b"{ }", seconds)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b"{ }", headers)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "hunter2",
        "whsec_",
        "whsec_AAAA",
        "whsec_" + "A" * 200,
        f"{SECRET} plain",
        "whsec_$$$$" + "A" * 44,
        "whsec_-_-_" + "A" * 44,
        "whsec_" + "ก" * 44,
    ],
)
def test_an_unusable_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="expected whsec_") as refused:
        signing_keys(secret)
    shown = secret.removeprefix("whsec_")
    assert not shown or shown not in str(refused.value)


def test_any_secret_of_32_random_bytes_works() -> None:
    assert len(signing_keys("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())[0]) == 32


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
