"""Transport addresses: one normal form for what users write and for what the kernel reports.

An IPv4 address mapped into IPv6 is the IPv4 address; a scope is an interface index and stands beside the
address, and only link-local addresses keep one (RFC 4007 section 11).
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from bgp.iana import BGP_PORT


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address with its scope (an interface index, 0 for none) and a TCP port."""

    address: IPv4Address | IPv6Address
    port: int = 0
    scope: int = 0

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET if self.address.version == 4 else socket.AF_INET6

    @property
    def sockaddr(self) -> tuple[str, int] | tuple[str, int, int, int]:
        if self.address.version == 4:
            return str(self.address), self.port
        return str(self.address), self.port, 0, self.scope

    @property
    def target(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """The same to be connected to: uvloop 0.23 heeds the scope only where it is part of the address."""
        if not self.scope:
            return self.sockaddr
        return f"{self.address}%{self.scope}", self.port, 0, self.scope

    @property
    def host(self) -> str:
        """The address as text, with its scope by name where the interface still has one."""
        if not self.scope:
            return str(self.address)
        try:
            return f"{self.address}%{socket.if_indextoname(self.scope)}"
        except OSError:
            return f"{self.address}%{self.scope}"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.address.version == 6 else f"{self.host}:{self.port}"


def from_sockaddr(sockaddr: tuple[str, int] | tuple[str, int, int, int]) -> Endpoint:
    """Return the endpoint that `accept`, `getsockname` or `getpeername` reported."""
    address = ip_address(sockaddr[0].partition("%")[0])
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return Endpoint(address.ipv4_mapped, sockaddr[1])
        if address.is_link_local and len(sockaddr) == 4:
            return Endpoint(address, sockaddr[1], sockaddr[3])
    return Endpoint(address, sockaddr[1])


def end_of(ask: Callable[[], tuple[str, int]]) -> Endpoint | None:
    """Return what a socket's `getsockname` or `getpeername` says; None if it is connected no more."""
    try:
        return from_sockaddr(ask())
    except OSError:
        return None


def parse_address(text: str, port: int = 0) -> Endpoint:
    """Return the endpoint of `text`, an address that may carry a scope; raise ValueError with the reason."""
    bare, percent, zone = text.strip().partition("%")
    address = ip_address(bare)
    if not 0 <= port <= 65535:
        raise ValueError(f"port {port} is not within 0..65535")
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if not percent:
        return Endpoint(address, port)
    if address.version == 4 or not address.is_link_local:
        raise ValueError(f"{text}: only a link-local IPv6 address takes a scope")
    return Endpoint(address, port, _scope(zone))


def parse_endpoint(text: str, port: int = BGP_PORT) -> Endpoint:
    """Return the endpoint of `address`, `address:port` or `[address]:port`; `port` where it names none."""
    text = text.strip()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text}: expected [address]:port")
        return parse_address(host, _port(rest[1:], text) if rest else port)
    if text.count(":") == 1:
        host, _, rest = text.partition(":")
        return parse_address(host, _port(rest, text))
    return parse_address(text, port)


def _port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{whole}: {text!r} is not a port")
    return int(text)


def _scope(zone: str) -> int:
    if zone.isascii() and zone.isdigit():
        return int(zone)
    try:
        return socket.if_nametoindex(zone)
    except OSError:
        raise ValueError(f"no interface is named {zone!r}") from None
