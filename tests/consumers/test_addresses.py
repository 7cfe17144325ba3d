import ipaddress

import pytest

from saphan_consumers.addresses import AddressRefused, checked_addresses, target_of

PUBLIC = "8.8.8.8"
INNER = [
    "10.0.0.1",
    "172.16.5.5",
    "192.168.1.1",
    "100.64.0.1",
    "fc00::1",
    "fd12:3456::1",
]
NEVER = [
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "169.254.169.254",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "fec0::1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::10.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "2002:a00:1::",
    "2001:0:a00:1::",
    "2001:db8::1",
    "192.0.2.1",
    "198.18.0.1",
]


def answering(*addresses: str):  # type: ignore[no-untyped-def]  # a resolver, as addresses.Resolve
    return lambda _host, _port: list(addresses)


@pytest.mark.parametrize("address", [*INNER, *NEVER, "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    target = target_of("https://alerts.example.org/in", allow_http=False, allow_private=False)
    with pytest.raises(AddressRefused, match="not a public address"):
        checked_addresses(target, answering(address))


@pytest.mark.parametrize("address", INNER)
def test_an_inner_network_can_be_allowed(address: str) -> None:
    target = target_of("https://alerts.example.org/in", allow_http=False, allow_private=True)
    assert checked_addresses(target, answering(address)) == [address]


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1"])  # noqa: S104
def test_metadata_services_and_groups_are_never_allowed(address: str) -> None:
    target = target_of("https://alerts.example.org/in", allow_http=False, allow_private=True)
    with pytest.raises(AddressRefused):
        checked_addresses(target, answering(address))


def test_one_inner_address_among_public_ones_is_refused() -> None:
    target = target_of("https://alerts.example.org/in", allow_http=False, allow_private=False)
    with pytest.raises(AddressRefused):
        checked_addresses(target, answering(PUBLIC, "10.0.0.1"))
    assert checked_addresses(target, answering(PUBLIC, "1.1.1.1")) == [PUBLIC, "1.1.1.1"]


def test_a_name_without_address_sends_nothing() -> None:
    target = target_of("https://alerts.example.org/in", allow_http=False, allow_private=False)
    with pytest.raises(OSError, match="no address"):
        checked_addresses(target, answering())


@pytest.mark.parametrize("url", ["https://127.0.0.1/in", "https://localhost:8443/in", "https://[::1]/in"])
def test_this_machine_by_its_own_name_is_a_choice_of_the_operator(url: str) -> None:
    target = target_of(url, allow_http=False, allow_private=False)
    loopback = "::1" if "[" in url else "127.0.0.1"
    assert ipaddress.ip_address(checked_addresses(target, answering(loopback))[0]).is_loopback


@pytest.mark.parametrize(
    "url",
    [
        "http://alerts.example.org/in",
        "http://10.0.0.1/in",
        "http://127.0.0.1.example.org/in",
        "ftp://alerts.example.org/in",
        "//alerts.example.org/in",
        "alerts",
        "https://",
        "https://user:word@alerts.example.org/",
        "https://alerts.example.org:99999/",
        "https://[::1/",
        "https://alerts.example.org/a b",
        "https://alerts.example.org/แจ้ง",
        "https://" + "ก" * 80 + ".example.org/",
    ],
)
def test_an_address_that_no_webhook_may_have_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(AddressRefused, match="webhook_url"):
        target_of(url, allow_http=True, allow_private=True)


def test_plain_http_is_for_this_machine_and_only_when_allowed() -> None:
    with pytest.raises(AddressRefused, match="SAPHAN_WEBHOOK_ALLOW_HTTP"):
        target_of("http://127.0.0.1:8000/in", allow_http=False, allow_private=False)
    assert target_of("http://127.0.0.1:8000/in?x=1", allow_http=True, allow_private=False).path == "/in?x=1"


def test_a_thai_host_name_becomes_its_ascii_form() -> None:
    assert target_of("https://แจ้ง.example.org", allow_http=False, allow_private=False).host.startswith("xn--")
