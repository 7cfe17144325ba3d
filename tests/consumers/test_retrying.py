import pytest
from hypothesis import given
from hypothesis import strategies as st

from saphan_consumers.retrying import Endpoint, Reply, RetryPolicy, endpoint_after, retry_after_seconds, verdict

POLICY = RetryPolicy(base_seconds=5, max_seconds=3600, give_up_seconds=76 * 3600)
HOUR_MS = 3_600_000
GIVE_UP_MS = 76 * HOUR_MS


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_only_a_2xx_is_success(status: int) -> None:
    assert verdict(POLICY, Reply(status, ""), 1, 0, 0, 0.5).kind == "delivered"


@pytest.mark.parametrize("status", [None, 100, 301, 302, 307, 308, 400, 401, 404, 408, 429, 500, 503])
def test_everything_else_but_410_is_tried_again(status: int | None) -> None:
    assert verdict(POLICY, Reply(status, ""), 1, 0, 0, 0.5).kind == "retry"


def test_410_switches_the_endpoint_off() -> None:
    assert verdict(POLICY, Reply(410, "410"), 1, 0, 0, 0.5).kind == "switch_off"


@given(st.floats(0, 1), st.integers(1, 200))
def test_waits_double_up_to_the_longest_with_jitter_in_their_upper_half(jitter: float, attempts: int) -> None:
    full = min(POLICY.max_seconds, POLICY.base_seconds * 2.0 ** (attempts - 1))
    assert full / 2 <= POLICY.delay_seconds(attempts, jitter) <= full


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_a_delivery_that_always_fails_is_tried_for_76_hours_and_then_parked(jitters: list[float]) -> None:
    now, attempts = 0, 0
    while True:
        attempts += 1
        found = verdict(POLICY, Reply(500, "500"), attempts, now, now, jitters[attempts % len(jitters)])
        if found.kind == "parked":
            break
        assert found.retry_at_ms is not None
        assert found.retry_at_ms > now
        now = found.retry_at_ms
    assert GIVE_UP_MS <= now <= GIVE_UP_MS + HOUR_MS
    assert attempts >= POLICY.attempts_min


def test_a_long_stop_of_our_own_does_not_park_what_was_tried_only_twice() -> None:
    assert verdict(POLICY, Reply(500, "500"), 2, GIVE_UP_MS * 2, 0, 0.5).kind == "retry"


def test_retry_after_is_obeyed_within_a_day() -> None:
    assert verdict(POLICY, Reply(503, "503", 120.0), 1, 0, 1000, 0.5).retry_at_ms == 121_000
    assert verdict(POLICY, Reply(503, "503", 1e9), 1, 0, 0, 0.5).retry_at_ms == 24 * HOUR_MS


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("9" * 400, None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_or_not_at_all(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, 10.0) == seconds


def test_throttling_pauses_the_whole_endpoint_as_long_as_it_asks() -> None:
    after = endpoint_after(POLICY, Endpoint(), "A", Reply(429, "429", 30.0), 1000)
    assert after.paused_until_ms == 31_000
    # A success that was already on its way does not take the pause back.
    assert endpoint_after(POLICY, after, "B", Reply(200, "200"), 1500).paused_until_ms == 31_000


def test_one_failing_alert_never_pauses_the_endpoint() -> None:
    endpoint = Endpoint()
    for second in range(100):
        endpoint = endpoint_after(POLICY, endpoint, "A", Reply(500, "500"), second * 1000)
    assert endpoint.paused_until_ms == 0


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_refusals_of_many_alerts_are_their_own_trouble(status: int) -> None:
    endpoint = Endpoint()
    for number in range(100):
        endpoint = endpoint_after(POLICY, endpoint, f"A{number}", Reply(status, str(status)), 0)
    assert endpoint == Endpoint()


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404, 405, 415, 500])
def test_what_would_be_said_of_any_alert_is_the_endpoints_trouble(status: int) -> None:
    endpoint = Endpoint()
    for number in range(5):
        endpoint = endpoint_after(POLICY, endpoint, f"A{number}", Reply(status, str(status)), 0)
    assert endpoint.paused_until_ms == 1000


def test_five_failing_alerts_pause_the_endpoint_for_longer_and_longer_until_one_succeeds() -> None:
    endpoint, now, pauses = Endpoint(), 0, []
    for number in range(20):
        endpoint = endpoint_after(POLICY, endpoint, f"A{number}", Reply(None, "unreachable"), now)
        if endpoint.paused_until_ms > now:
            pauses.append((endpoint.paused_until_ms - now) // 1000)
            now = endpoint.paused_until_ms
    assert pauses[:6] == [1, 2, 4, 8, 16, 32]
    assert max(pauses) == POLICY.pause_seconds_max
    assert endpoint_after(POLICY, endpoint, "A", Reply(204, "204"), now).pauses == 0
