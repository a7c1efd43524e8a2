"""Where a webhook may go: the rules that keep it out of our own network (SSRF).

The rules stand on the address that a name resolves to, never on the name. Source of the
special ranges: IANA IPv4 and IPv6 special-purpose address registries (RFC 6890 and later).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from notifier.errors import AddressNotAllowedError, AddressNotFoundError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
_HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# Python calls these global, but they lead elsewhere or into a tunnel.
_REFUSED_V4 = tuple(IPv4Network(network) for network in ("192.88.99.0/24", "192.0.0.0/24", "240.0.0.0/4"))
_GLOBAL_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16")
)
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports from `first` to `last`, both included."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> PortRange:
        """Return the range that `443` or `8000-65535` names. Raises ValueError."""
        first, _, last = text.partition("-")
        ports = cls(int(first), int(last or first))
        if not 1 <= ports.first <= ports.last <= 65535:
            raise ValueError(f"{text} is not a range of ports")
        return ports

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook address taken apart. `path` has the query; `host` has no brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        """Return the value of the Host header (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


class AddressGuard:
    """Decides on URLs and resolves host names to addresses that a webhook may go to."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        allow_private: Sequence[Network] = (),
        ports: Sequence[PortRange] = (PortRange(1, 65535),),
        https_only: bool = False,
    ) -> None:
        self._resolver = resolver
        self._allow_private = tuple(allow_private)
        self._ports = tuple(ports)
        self._schemes = ("https",) if https_only else ("https", "http")

    def parse(self, url: str) -> Target:
        """Take a URL apart. Raises AddressNotAllowedError with the reason."""
        parts, port = _split(url)
        if parts.scheme not in self._schemes:
            raise AddressNotAllowedError(
                f"A webhook address begins with {' or '.join(f'{s}://' for s in self._schemes)}."
            )
        if parts.username is not None or parts.password is not None:
            raise AddressNotAllowedError("A webhook address holds no user name or password; webhooks are signed.")
        if parts.fragment:
            raise AddressNotAllowedError("A webhook address has no part after a #.")
        port = _DEFAULT_PORTS[parts.scheme] if port is None else port
        if not any(port in allowed for allowed in self._ports):
            raise AddressNotAllowedError(
                f"Webhooks do not go to port {port}, only to {', '.join(map(str, self._ports))}."
            )
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(scheme=parts.scheme, host=_host(parts), port=port, path=path)

    async def resolve(self, host: str, port: int) -> list[str]:
        """Return the addresses of the host, all of them allowed.

        Raises AddressNotAllowedError if any of them is not, AddressNotFoundError if there is none.
        """
        found = [host] if _is_address(host) else await self._resolver(host, port)
        addresses = list(dict.fromkeys(found))
        if not addresses:
            raise AddressNotFoundError("The host name of the webhook has no address.")
        for address in addresses:
            self._check(address)
        return addresses

    def _check(self, text: str) -> None:
        if "%" in text:
            raise AddressNotAllowedError("Webhooks do not go to link-local addresses.")
        address = _unwrapped(ip_address(text))
        if any(address in network for network in self._allow_private):
            return
        if not _is_public(address):
            # The address itself is not told: what a name means inside is nobody's business outside.
            raise AddressNotAllowedError(
                "Webhooks do not go to private, local or reserved addresses,"
                " unless FUMEHOOD_WEBHOOK_ALLOW_PRIVATE names them."
            )


def _split(url: str) -> tuple[SplitResult, int | None]:
    if not _VISIBLE_ASCII.fullmatch(url) or "\\" in url:
        raise AddressNotAllowedError("A webhook address is plain ASCII without spaces; write other letters encoded.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressNotAllowedError("That is not a web address.") from None
    return parts, port


def _host(parts: SplitResult) -> str:
    """Return the host as it will be looked up; refuse every notation that two parsers may read differently."""
    host = parts.hostname or ""
    try:
        if "[" in parts.netloc:
            return str(IPv6Address("" if "%" in host else host))
        if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
            return str(IPv4Address(host))
    except ValueError:
        host = ""
    if not _HOST_NAME.fullmatch(host):
        raise AddressNotAllowedError(
            "The host of a webhook address is a name, an IPv4 address like 192.0.2.1 or an IPv6 address in brackets."
        )
    return host


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv4-mapped (RFC 4291) or NAT64 (RFC 6052) address leads to."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _REFUSED_V6)
