import asyncio
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson
import pytest

from saphan_consumers.addresses import Target, target_of
from saphan_consumers.delivering import WebhookDelivery
from saphan_consumers.ledger import Ledger
from saphan_consumers.pending import (
    backlog,
    parked_rows,
    retry_parked,
    switch,
    switched_off_ms,
    use_endpoint,
)
from saphan_consumers.retrying import Reply, RetryPolicy
from saphan_consumers.sending import Pace, Poster, WebhookSender
from saphan_consumers.signing import signing_keys, verify
from saphan_consumers.told import open_ledger
from saphan_consumers.webhook import WebhookClient
from saphan_infra.clock import monotonic_seconds, now_ms

KEYS = signing_keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
QUICK = RetryPolicy(base_seconds=0.01, max_seconds=0.05, give_up_seconds=76 * 3600)
DEADLINE_SECONDS = 20.0
Alert = Callable[..., dict[str, Any]]


class Got(NamedTuple):
    message_id: str
    state: str
    alert_id: str
    status: int


class Endpoint:
    """A receiver whose answers the test decides: ``answer(message_id, nth)`` gives status and headers."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answer: Callable[[str, int], tuple[int, Mapping[str, str]]] = lambda _id, _nth: (204, {})
        self.before_reply: Callable[[str], None] = lambda _id: None
        self.body = b""
        self.paths: list[str] = []
        self.lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                endpoint.serve(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["content-length"]))
        headers = {name.lower(): value for name, value in request.headers.items()}
        message_id = verify(KEYS, headers, body, now_ms() / 1000)
        data = orjson.loads(body)["data"]
        with self.lock:
            nth = sum(1 for got in self.got if got.message_id == message_id) + 1
            status, extra = self.answer(message_id, nth)
            self.got.append(Got(message_id, data["state"], data["alert_id"], status))
            self.paths.append(request.path)
        self.before_reply(message_id)
        request.send_response(status)
        for name, value in extra.items():
            request.send_header(name, value)
        request.send_header("content-length", str(len(self.body)) if status != 204 else "0")
        request.end_headers()
        request.wfile.write(self.body if status != 204 else b"")

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def accepted(self) -> list[Got]:
        return [got for got in self.got if got.status < 300]

    def target(self) -> Target:
        return target_of(f"http://127.0.0.1:{self.port}/in?key=1", allow_http=True, allow_private=False)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    made.thread.start()
    yield made
    made.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path, "webhook") as opened:
        yield opened


def pace(policy: RetryPolicy = QUICK, connections: int = 4) -> Pace:
    return Pace(connections, policy, lambda: 0.5)


def client(endpoint: Endpoint, timeout_seconds: float = 5.0) -> WebhookClient:
    return WebhookClient(endpoint.target(), KEYS, timeout_seconds, 4)


async def send_until(ledger: Ledger, poster: Poster, chunks: Any, done: Callable[[], bool], made: Pace) -> None:
    sender = WebhookSender(ledger, poster, made)
    delivery = WebhookDelivery(ledger, sender)
    stop = asyncio.Event()
    running = asyncio.create_task(sender.run(stop))
    for chunk in chunks:
        await delivery.take(chunk, {})
    end = monotonic_seconds() + DEADLINE_SECONDS
    while not done():
        assert monotonic_seconds() < end, "not done before the deadline"
        await asyncio.sleep(0.005)
    stop.set()
    await running


def run(
    endpoint: Endpoint, ledger: Ledger, chunks: Any, done: Callable[[], bool] | None = None, made: Pace | None = None
) -> None:
    async def main() -> None:
        async with client(endpoint) as poster:
            await send_until(ledger, poster, chunks, done or (lambda: backlog(ledger).waiting == 0), made or pace())

    asyncio.run(main())


def test_each_state_arrives_once_signed_at_the_path_and_in_the_order_of_its_alert(
    endpoint: Endpoint, ledger: Ledger, alert_log: Any, make_alert: Alert
) -> None:
    for version, state in enumerate(("due", "overdue", "resolved", "reopened"), 1):
        alert_log.append(*(make_alert(f"A-{number}", version, state) for number in range(25)))
    run(endpoint, ledger, alert_log.chunks(0, 13))
    assert len({got.message_id for got in endpoint.got}) == len(endpoint.got) == 100
    for number in range(25):
        states = [got.state for got in endpoint.got if got.alert_id == f"A-{number}"]
        assert states == ["due", "overdue", "resolved", "reopened"]
    assert set(endpoint.paths) == {"/in?key=1"}


@pytest.mark.parametrize("status", [301, 307, 400, 404, 500, 503])
def test_a_failing_state_is_tried_again_under_the_same_id_and_holds_back_only_its_own_alert(
    endpoint: Endpoint, ledger: Ledger, alert_log: Any, make_alert: Alert, status: int
) -> None:
    alert_log.append(make_alert("A-bad", 1), make_alert("A-bad", 2, "overdue"))
    alert_log.append(*(make_alert(f"A-{number}") for number in range(10)))
    endpoint.answer = lambda message_id, nth: (
        (status, {"location": f"http://127.0.0.1:{endpoint.port}/elsewhere"})
        if message_id.startswith("A-bad") and nth < 4
        else (200, {})
    )
    run(endpoint, ledger, alert_log.chunks(0, 100))
    bad = [got for got in endpoint.got if got.alert_id == "A-bad"]
    assert [(got.state, got.status) for got in bad] == [
        *[("due", status)] * 3,
        ("due", 200),
        *[("overdue", status)] * 3,
        ("overdue", 200),
    ]
    assert len({got.message_id for got in bad}) == 2
    assert len(endpoint.accepted()) == 12
    assert "/elsewhere" not in endpoint.paths


def test_410_stops_everything_until_an_operator_switches_the_endpoint_on(
    endpoint: Endpoint, ledger: Ledger, alert_log: Any, make_alert: Alert
) -> None:
    alert_log.append(*(make_alert(f"A-{number}") for number in range(6)))
    endpoint.answer = lambda _id, _nth: (410, {})
    run(endpoint, ledger, alert_log.chunks(0, 100), lambda: switched_off_ms(ledger) is not None, pace(connections=1))
    assert len(endpoint.got) == 1
    assert backlog(ledger).waiting == 6
    endpoint.answer = lambda _id, _nth: (204, {})
    seen = iter(range(10))
    run(endpoint, ledger, [], lambda: next(seen) == 9)
    assert len(endpoint.got) == 1
    with ledger.transaction():
        switch(ledger, None)
    run(endpoint, ledger, [])
    assert len(endpoint.accepted()) == 6


def test_another_address_starts_switched_on(ledger: Ledger) -> None:
    assert not use_endpoint(ledger, "one")
    with ledger.transaction():
        switch(ledger, 5)
    assert not use_endpoint(ledger, "one")
    assert switched_off_ms(ledger) == 5
    assert use_endpoint(ledger, "other")
    assert switched_off_ms(ledger) is None


def test_retry_after_holds_back_every_alert_as_long_as_asked_also_after_a_restart(
    endpoint: Endpoint, ledger: Ledger, alert_log: Any, make_alert: Alert
) -> None:
    alert_log.append(*(make_alert(f"A-{number}") for number in range(3)))
    endpoint.answer = lambda _id, _nth: (429, {"retry-after": "2"})
    before = monotonic_seconds()
    run(endpoint, ledger, alert_log.chunks(0, 100), lambda: len(endpoint.got) > 0, pace(connections=1))
    assert len(endpoint.got) == 1
    endpoint.answer = lambda _id, _nth: (204, {})
    run(endpoint, ledger, [])
    assert len(endpoint.accepted()) == 3
    assert monotonic_seconds() - before >= 2


def test_a_receiver_that_never_answers_costs_one_time_limit_and_others_go_on(
    endpoint: Endpoint, ledger: Ledger, alert_log: Any, make_alert: Alert
) -> None:
    alert_log.append(make_alert("A-slow"), *(make_alert(f"A-{number}") for number in range(8)))
    release = threading.Event()

    def hold(message_id: str) -> None:
        if message_id.startswith("A-slow"):
            release.wait(DEADLINE_SECONDS)

    endpoint.before_reply = hold

    async def main() -> None:
        async with client(endpoint, timeout_seconds=0.3) as poster:
            await send_until(
                ledger, poster, alert_log.chunks(0, 100), lambda: backlog(ledger).waiting == 1, pace(connections=2)
            )
            endpoint.before_reply = lambda _id: None
            release.set()
            await send_until(ledger, poster, [], lambda: backlog(ledger).waiting == 0, pace())

    asyncio.run(main())
    assert {got.alert_id for got in endpoint.got} == {"A-slow", *(f"A-{number}" for number in range(8))}


def test_a_long_reply_is_not_read_to_its_end(
    endpoint: Endpoint, ledger: Ledger, alert_log: Any, make_alert: Alert
) -> None:
    endpoint.body = b"x" * 5_000_000
    endpoint.answer = lambda _id, _nth: (200, {})
    alert_log.append(*(make_alert(f"A-{number}") for number in range(3)))
    run(endpoint, ledger, alert_log.chunks(0, 100))
    assert len(endpoint.got) == 3


def test_after_patience_has_run_out_a_state_is_parked_with_those_behind_it_and_an_operator_lets_it_go(
    endpoint: Endpoint, ledger: Ledger, alert_log: Any, make_alert: Alert
) -> None:
    alert_log.append(make_alert("A-x", 1), make_alert("A-x", 2, "overdue"), make_alert("A-y"))
    endpoint.answer = lambda message_id, _nth: (500 if message_id.startswith("A-x") else 204, {})
    impatient = RetryPolicy(base_seconds=0.001, max_seconds=0.002, give_up_seconds=0.01, attempts_min=3)
    run(endpoint, ledger, alert_log.chunks(0, 100), lambda: backlog(ledger).parked == 1, pace(impatient))
    assert backlog(ledger).waiting == 2
    ((delivery_id, alert_id, attempts, _, cause),) = parked_rows(ledger, 10)
    assert delivery_id.startswith("A-x")
    assert (alert_id, cause) == ("A-x", "500")
    assert attempts >= 3
    endpoint.answer = lambda _id, _nth: (204, {})
    assert retry_parked(ledger, now_ms()) == 1
    run(endpoint, ledger, [])
    assert [got.state for got in endpoint.accepted() if got.alert_id == "A-x"] == ["due", "overdue"]


def test_an_endpoint_that_is_away_is_asked_less_and_less_and_then_gets_everything(
    endpoint: Endpoint, ledger: Ledger, alert_log: Any, make_alert: Alert
) -> None:
    class Away:
        posts = 0
        back = False

        def __init__(self, real: WebhookClient) -> None:
            self.real = real

        async def post(self, delivery_id: str, body: bytes) -> Reply:
            self.posts += 1
            return await self.real.post(delivery_id, body) if self.back else Reply(None, "unreachable")

    async def main() -> int:
        async with client(endpoint) as real:
            away = Away(real)
            policy = RetryPolicy(base_seconds=0.001, max_seconds=0.01, give_up_seconds=76 * 3600)
            await send_until(ledger, away, alert_log.chunks(0, 500), lambda: away.posts >= 6, pace(policy))
            asked, away.back = away.posts, True
            await send_until(ledger, away, [], lambda: backlog(ledger).waiting == 0, pace(policy))
            return asked

    alert_log.append(*(make_alert(f"A-{number}") for number in range(200)))
    assert asyncio.run(main()) < 20
    assert len(endpoint.accepted()) == 200


def test_a_name_is_looked_up_once_and_the_connection_goes_to_the_checked_address(
    endpoint: Endpoint, ledger: Ledger
) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    target = target_of(f"http://localhost:{endpoint.port}/in", allow_http=True, allow_private=False)

    async def main() -> list[Reply]:
        async with WebhookClient(target, KEYS, 5.0, 2, lambda _host, _port: next(answers)) as poster:
            body = b'{"data": {"state": "due", "alert_id": "A"}}'
            return [await poster.post("A-1", body), await poster.post("A-2", body)]

    assert [reply.status for reply in asyncio.run(main())] == [204, 204]
    assert next(answers) == ["10.0.0.1"]


def noting(requests: list[httpx.Request]) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(204)

    return answer


def test_a_name_that_turns_inside_is_refused_without_a_connection() -> None:
    target = target_of("https://alerts.example.org/in", allow_http=False, allow_private=False)
    requests: list[httpx.Request] = []

    async def post() -> Reply:
        transport = httpx.MockTransport(noting(requests))
        async with WebhookClient(target, KEYS, 5.0, 2, lambda _host, _port: ["10.0.0.1"], lambda _: transport) as one:
            return await one.post("A-1", b"{}")

    assert asyncio.run(post()) == Reply(None, "refused_address")
    assert not requests


def test_the_certificate_is_asked_for_the_name_although_the_connection_goes_to_the_address() -> None:
    target = target_of("https://alerts.example.org:8443/in", allow_http=False, allow_private=False)
    requests: list[httpx.Request] = []

    async def post() -> Reply:
        transport = httpx.MockTransport(noting(requests))
        async with WebhookClient(target, KEYS, 5.0, 2, lambda _host, _port: ["8.8.8.8"], lambda _: transport) as one:
            return await one.post("A-1", b"{}")

    assert asyncio.run(post()).accepted
    (request,) = requests
    assert str(request.url) == "https://8.8.8.8:8443/in"
    assert request.headers["host"] == "alerts.example.org:8443"
    assert request.extensions["sni_hostname"] == "alerts.example.org"


@contextmanager
def tls_server(folder: Path, name: str) -> Iterator[int]:
    """Answers 204 to one request after another, with a certificate of this name that signs itself."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    served = Endpoint()
    served.server.socket = context.wrap_socket(served.server.socket, server_side=True)
    served.thread.start()
    try:
        yield served.port
    finally:
        served.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
@pytest.mark.parametrize(("name", "trusted", "expected"), [
    ("localhost", True, "204"), ("localhost", False, "tls"), ("other.example.org", True, "tls"),
])  # fmt: skip
def test_a_certificate_must_be_trusted_and_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool, expected: str
) -> None:
    with tls_server(tmp_path, name) as port:
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        target = target_of(f"https://localhost:{port}/in", allow_http=False, allow_private=False)

        async def post() -> Reply:
            async with WebhookClient(target, KEYS, 5.0, 2, lambda _host, _port: ["127.0.0.1"]) as poster:
                return await poster.post("A-1", b'{"data": {"state": "due", "alert_id": "A"}}')

        assert asyncio.run(post()).cause == expected
