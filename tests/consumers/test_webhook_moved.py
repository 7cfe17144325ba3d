"""That a receiver whose address changed is found again without a restart."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from saphan_consumers.addresses import target_of
from saphan_consumers.retrying import Reply
from saphan_consumers.signing import signing_keys
from saphan_consumers.webhook import WebhookClient

KEYS = signing_keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
TARGET = target_of("https://alerts.example.org/in", allow_http=False, allow_private=False)
OLD, NEW = "8.8.8.8", "1.1.1.1"
Answer = Callable[[httpx.Request], httpx.Response]


async def refusing(request: httpx.Request) -> httpx.Response:
    message = "nobody there"
    raise httpx.ConnectError(message, request=request)


async def never_answering(_request: httpx.Request) -> httpx.Response:
    await asyncio.sleep(60)
    return httpx.Response(500)


async def breaking_off(request: httpx.Request) -> httpx.Response:
    message = "connection reset"
    raise httpx.ReadError(message, request=request)


async def speaking_no_http(request: httpx.Request) -> httpx.Response:
    message = "server disconnected without sending a response"
    raise httpx.RemoteProtocolError(message, request=request)


WAYS = [
    (refusing, "unreachable"),
    (never_answering, "timeout"),
    (breaking_off, "no_http_reply"),
    (speaking_no_http, "no_http_reply"),
]


def posts(away: Callable[[httpx.Request], object], lookups: list[list[str]], count: int) -> list[str]:
    """What came of so many posts, one after the other; the old address is away in one way, the new one is there."""

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == OLD:
            return await away(request)  # type: ignore[misc, no-any-return]
        return httpx.Response(204)

    async def main() -> list[Reply]:
        transport = httpx.MockTransport(answer)
        found = iter(lookups)
        async with WebhookClient(TARGET, KEYS, 0.2, 2, lambda _host, _port: next(found), lambda _: transport) as one:
            return [await one.post(f"A-{number}", b"{}") for number in range(count)]

    return [reply.cause for reply in asyncio.run(main())]


@pytest.mark.parametrize(("away", "cause"), WAYS)
def test_after_a_failure_on_the_way_the_name_is_looked_up_again(
    away: Callable[[httpx.Request], object], cause: str
) -> None:
    assert posts(away, [[OLD], [NEW]], 3) == [cause, "204", "204"]


@pytest.mark.parametrize(("away", "cause"), WAYS)
def test_of_several_addresses_the_next_one_is_tried_when_the_first_is_away(
    away: Callable[[httpx.Request], object], cause: str
) -> None:
    assert posts(away, [[OLD, NEW], [OLD, NEW]], 3) == [cause, "204", "204"]
