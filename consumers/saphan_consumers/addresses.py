"""Which address a webhook may be sent to: never into the province's own network by way of a name."""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

# 64:ff9b::/96 and its local sister reach IPv4 through a translator; 2002::/16 and 2001::/32 carry one inside.
_CARRIERS = tuple(
    ipaddress.IPv6Network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)


class AddressRefused(ValueError):
    """The endpoint's address is none that a webhook may go to. The text says what was found and expected."""


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint. ``allow_http`` and ``allow_private`` are the operator's settings, for tests and inner networks."""

    url: str
    scheme: str
    host: str
    port: int
    path: str
    allow_private: bool


def target_of(url: str, *, allow_http: bool, allow_private: bool) -> Target:
    """Read the setting ``webhook_url``. Raises AddressRefused: https is required, plain http only to loopback."""
    try:
        parts = urlsplit(url)
        port = parts.port
        host = _ascii_host(parts.hostname or "")
    except ValueError:
        message = "webhook_url is not a URL; expected https://host/path"
        raise AddressRefused(message) from None
    if parts.scheme not in ("http", "https") or not host:
        message = f"webhook_url starts with {parts.scheme or 'no scheme'!r}; expected https://host/path"
        raise AddressRefused(message)
    if parts.username is not None or parts.password is not None:
        message = "webhook_url carries a user name or password; expected none, the signature is the proof"
        raise AddressRefused(message)
    if parts.scheme == "http" and not (allow_http and is_loopback_name(host)):
        message = (
            "webhook_url is plain http; expected https (http is for a receiver on this machine, "
            "with SAPHAN_WEBHOOK_ALLOW_HTTP=true)"
        )
        raise AddressRefused(message)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not (path.isascii() and path.isprintable()) or " " in path:
        message = "webhook_url has letters in its path that a request cannot carry; write them as %XX"
        raise AddressRefused(message)
    return Target(url, parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path, allow_private)


def _ascii_host(host: str) -> str:
    name = host.rstrip(".")
    return name if name.isascii() else name.encode("idna").decode()


def is_loopback_name(host: str) -> bool:
    """Whether the host in the URL itself names this machine (a name that only resolves to it does not count)."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def resolve(host: str, port: int) -> list[str]:
    """Addresses of a host from the system's resolver. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(row[4][0]) for row in found]


def checked_addresses(target: Target, resolver: Resolve = resolve) -> Sequence[str]:
    """Where to connect to, one at least. Every address of the name must be allowed: a mixed answer is an attack.

    Raises AddressRefused, or OSError when the name does not resolve (nothing is sent then).
    """
    answers = resolver(target.host, target.port)
    if not answers:
        message = f"{target.host} has no address"
        raise OSError(message)
    for text in answers:
        address = ipaddress.ip_address(text.partition("%")[0])
        if not _allowed(address, target):
            message = (
                f"webhook_url's host is at {address}, which is not a public address; expected one, "
                "or SAPHAN_WEBHOOK_ALLOW_PRIVATE=true for a receiver in your own network"
            )
            raise AddressRefused(message)
    return answers


def _allowed(address: Address, target: Target) -> bool:
    if address.is_loopback:
        return is_loopback_name(target.host) or target.allow_private
    if address.is_unspecified or address.is_multicast or address.is_link_local or address.is_reserved:
        # Link-local holds the clouds' metadata services: no setting opens it.
        return False
    return target.allow_private or is_public(address)


def is_public(address: Address) -> bool:
    """Whether the address is on the public internet, also when it carries another one inside."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None or any(address in net for net in _CARRIERS):
            return False
        return address.is_global and not address.is_site_local
    return address.is_global and not address.is_multicast
