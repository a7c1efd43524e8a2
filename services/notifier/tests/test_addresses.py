from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.addresses import AddressGuard, PortRange
from notifier.errors import AddressNotAllowedError, AddressNotFoundError

PORTS = (PortRange(80, 80), PortRange(443, 443), PortRange(8000, 65535))


async def itself(host: str, port: int) -> Sequence[str]:
    return [host]


def guard(**changes: object) -> AddressGuard:
    return AddressGuard(itself, **({"ports": PORTS} | changes))  # type: ignore[arg-type]


FORBIDDEN = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # IPv4-compatible
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",  # NAT64 of 127.0.0.1
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::1",  # 6to4 of 127.0.0.1
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    with pytest.raises(AddressNotAllowedError):
        await guard().resolve(address, 443)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
async def test_public_addresses_are_allowed(address: str) -> None:
    assert await guard().resolve(address, 443) == [address]


@pytest.mark.parametrize("address", ["10.20.1.2", "::ffff:10.20.1.2", "fd12::5"])
async def test_private_networks_can_be_allowed(address: str) -> None:
    allowed = guard(allow_private=(ip_network("10.20.0.0/16"), ip_network("fd12::/32")))

    assert await allowed.resolve(address, 443) == [address]
    with pytest.raises(AddressNotAllowedError):
        await allowed.resolve("10.21.0.1", 443)


async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    async def both(host: str, port: int) -> Sequence[str]:
        return ["93.184.215.14", "127.0.0.1"]

    with pytest.raises(AddressNotAllowedError):
        await AddressGuard(both).resolve("both.example", 443)


async def test_a_name_without_an_address_is_told_apart() -> None:
    async def none(host: str, port: int) -> Sequence[str]:
        return []

    with pytest.raises(AddressNotFoundError):
        await AddressGuard(none).resolve("nowhere.example", 443)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org:8000/",
        "//example.org/",
        "example.org",
        "http://",
        "http:///path",
        "http://user@example.org/",
        "http://user:password@example.org/",
        "http://example.org@127.0.0.1/",
        "http://example.org/#part",
        "http://example.org:22/",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://example.org:port/",
        "http://exa mple.org/",
        "http://example.org/\r\nX: y",
        "http://example.org\\@127.0.0.1/",
        "http://ünï.example/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://127.1/",
        "http://0177.0.0.1/",
        "http://0x7f.0.0.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://127.0.0.1./",
        "http://1.2.3.4.5/",
        "http://[fe80::1%25eth0]/",
        "http://[::1/",
        "http://[v1.x]/",
        "http://-example.org/",
        "http://example..org/",
        "http://" + "a" * 300 + ".org/",
    ],
)
def test_urls_that_are_unclear_or_lead_elsewhere_are_refused(url: str) -> None:
    with pytest.raises(AddressNotAllowedError):
        guard().parse(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org", ("https", "example.org", 443, "/", "example.org")),
        ("HTTPS://Example.ORG/Hook?a=b%20c", ("https", "example.org", 443, "/Hook?a=b%20c", "example.org")),
        ("http://example.org:8080?x", ("http", "example.org", 8080, "/?x", "example.org:8080")),
        ("http://[2606:4700::1111]:8000/", ("http", "2606:4700::1111", 8000, "/", "[2606:4700::1111]:8000")),
        ("http://xn--bcher-kva.example/", ("http", "xn--bcher-kva.example", 80, "/", "xn--bcher-kva.example")),
    ],
)
def test_urls_are_taken_apart(url: str, expected: tuple[str, str, int, str, str]) -> None:
    target = guard().parse(url)

    assert (target.scheme, target.host, target.port, target.path, target.host_header) == expected


def test_production_wants_https() -> None:
    with pytest.raises(AddressNotAllowedError, match="https://"):
        guard(https_only=True).parse("http://example.org/")


@given(st.text(alphabet=st.characters(codec="latin-1"), max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    for url in (text, f"http://{text}/", f"https://example.org:{text}"):
        try:
            target = guard().parse(url)
        except AddressNotAllowedError:
            continue
        assert target.path.isascii()
        assert target.host.isascii()


@pytest.mark.parametrize("text", ["", "0", "70000", "10-5", "a-b", "1-2-3"])
def test_a_port_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        PortRange.parse(text)
