"""How one signed post reaches the endpoint: pinned to a checked address, within one time limit, never redirected."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import httpx

from saphan_consumers.addresses import AddressRefused, Resolve, Target, checked_addresses, resolve
from saphan_consumers.retrying import Reply, retry_after_seconds
from saphan_consumers.signing import signed_headers
from saphan_infra.clock import now_ms

_REPLY_BYTES_MAX = 65_536
_REPLY_SECONDS_MAX = 1.0
_USER_AGENT = "saphan-delivery/1"

Transport = Callable[[int], httpx.AsyncBaseTransport]


def tls_transport(connections: int) -> httpx.AsyncBaseTransport:
    """Connections that check certificates against certifi's authorities, or those of $SSL_CERT_FILE."""
    context: ssl.SSLContext = httpx.create_ssl_context(verify=True, trust_env=True)
    return httpx.AsyncHTTPTransport(verify=context, limits=httpx.Limits(max_connections=connections), trust_env=False)


class WebhookClient:
    """Posts to one endpoint. An address is kept until a post fails on the way; then all are looked up and checked again.

    Of several addresses the next one is tried then: the first may be the one that is gone.
    """

    def __init__(
        self,
        target: Target,
        keys: Sequence[bytes],
        timeout_seconds: float,
        connections: int,
        resolver: Resolve = resolve,
        transport: Transport = tls_transport,
    ) -> None:
        self._target = target
        self._keys = keys
        self._timeout_seconds = timeout_seconds
        self._resolver = resolver
        self._pinned: str | None = None
        self._failures = 0
        # No environment: a proxy named there would do its own lookup behind the address check.
        self._http = httpx.AsyncClient(transport=transport(connections), trust_env=False, timeout=None)  # noqa: S113 - the whole post has one limit

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def post(self, delivery_id: str, body: bytes) -> Reply:
        """Send once and say what came back. Raises nothing that the network or the receiver causes."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                request = self._request(await self._address(), delivery_id, body)
                response = await self._http.send(request, stream=True)
        except TimeoutError:
            return self._failed("timeout")
        except AddressRefused:
            return Reply(None, "refused_address")
        except (httpx.ConnectError, httpx.ConnectTimeout, OSError) as error:
            return self._failed("tls" if _is_of_tls(error) else "unreachable")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError):
            return self._failed("no_http_reply")
        status = response.status_code
        wait = retry_after_seconds(response.headers.get("retry-after"), now_ms() / 1000)
        await _drain(response)
        return Reply(status, str(status), None if 200 <= status < 300 else wait)

    def _failed(self, cause: str) -> Reply:
        """On the way to the receiver: it may be elsewhere by now."""
        self._pinned = None
        self._failures += 1
        return Reply(None, cause)

    async def _address(self) -> str:
        if self._pinned is None:
            addresses = await asyncio.to_thread(checked_addresses, self._target, self._resolver)
            self._pinned = addresses[self._failures % len(addresses)]
        return self._pinned

    def _request(self, address: str, delivery_id: str, body: bytes) -> httpx.Request:
        target = self._target
        standard = target.port == (443 if target.scheme == "https" else 80)
        name = f"[{target.host}]" if ":" in target.host else target.host
        url = httpx.URL(scheme=target.scheme, host=address, port=target.port, raw_path=target.path.encode())
        headers = {
            "host": name if standard else f"{name}:{target.port}",
            "content-type": "application/json",
            "user-agent": _USER_AGENT,
            **signed_headers(self._keys, delivery_id, now_ms() // 1000, body),
        }
        # The certificate must be of the host in the URL, although the connection goes to the pinned address.
        return self._http.build_request(
            "POST", url, content=body, headers=headers, extensions={"sni_hostname": target.host}
        )


def _is_of_tls(error: BaseException) -> bool:
    """Whether TLS failed; httpx tells of it as of any connection that failed."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return any(isinstance(cause, ssl.SSLError) for cause in causes)


async def _drain(response: httpx.Response) -> None:
    """Read a short reply away, so that the connection can serve again; a long or slow one costs the connection only.

    The status decides, so nothing that happens to the rest of the reply matters.
    """
    size = 0
    with suppress(TimeoutError, OSError, httpx.HTTPError, httpx.StreamError):
        try:
            async with asyncio.timeout(_REPLY_SECONDS_MAX):
                async for block in response.aiter_raw():
                    size += len(block)
                    if size > _REPLY_BYTES_MAX:
                        break
        finally:
            await response.aclose()
