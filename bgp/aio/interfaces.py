"""The addresses of this machine's interfaces, asked of the kernel by rtnetlink (RTM_GETADDR).

A session needs two things of them: which subnets it shares with a single-hop external peer (RFC 4271 section
6.3 wants its next hops there), and which address of ours is a next hop for the family that the session's
own addresses are not of (RFC 2545 section 3).
"""

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from bgp.family import FAMILIES, Family

_MESSAGE = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix length, flags, scope, index
_ATTRIBUTE = struct.Struct("=HH")
_RTM_NEWADDR, _RTM_GETADDR, _NLMSG_ERROR, _NLMSG_DONE = 20, 22, 2, 3
_REQUEST_DUMP = 0x301
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RECEIVE = 1 << 17  # a dump's answers are at most 32 KiB each


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """An address of ours, the subnet that it puts on the link, and the interface's index."""

    address: IPv4Address | IPv6Address
    network: IPv4Network | IPv6Network
    index: int


def dump(kind: int, request: bytes, answer: int) -> list[bytes]:
    """Return the bodies of all answers of this type; raise OSError where the kernel does not tell."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as netlink:
        netlink.bind((0, 0))
        length = _MESSAGE.size + len(request)
        netlink.send(_MESSAGE.pack(length, kind, _REQUEST_DUMP, 1, 0) + request)
        return list(_answers(netlink, answer))


def interface_addresses() -> list[InterfaceAddress]:
    """Return the addresses of all interfaces; none where the kernel does not tell."""
    try:
        bodies = dump(_RTM_GETADDR, _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0), _RTM_NEWADDR)
    except OSError:
        return []
    return [address for body in bodies for address in _decode(body)]


def connected(
    known: Sequence[InterfaceAddress], local: IPv4Address | IPv6Address, scope: int = 0
) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return of what is `known` the subnets of the interface with the address `local`; empty if none has it.

    Several may have the same link-local one; `scope` is the index of the one that is meant.
    """
    indexes = {item.index for item in known if item.address == local and scope in (0, item.index)}
    return tuple(item.network for item in known if item.index in indexes)


def index(known: Sequence[InterfaceAddress], local: IPv4Address | IPv6Address, scope: int = 0) -> int:
    """Return the index of the interface with the address `local`; 0 if none has it, or several."""
    indexes = {scope} if scope else {item.index for item in known if item.address == local}
    return indexes.pop() if len(indexes) == 1 else 0


def next_hops(
    known: Sequence[InterfaceAddress],
    local: IPv4Address | IPv6Address,
    on_link: bool = False,
    scope: int = 0,
) -> dict[Family, bytes]:
    """Return by family our next hop on the interface that has the address `local` (with that `scope`).

    An IPv6 one is a global address, and for a peer `on_link` the link-local one behind it (RFC 2545 3).
    """
    indexes = {item.index for item in known if item.address == local and scope in (0, item.index)}
    own = [local, *(item.address for item in known if item.index in indexes and item.address != local)]
    found: dict[Family, bytes] = {}
    for family in FAMILIES:
        fitting = [address for address in own if address.max_prefixlen == family.bits]
        routed = [address.packed for address in fitting if address.version == 4 or not address.is_link_local]
        linked = [address.packed for address in fitting if address.version == 6 and address.is_link_local]
        if routed:
            found[family] = routed[0] + (linked[0] if linked and on_link else b"")
        elif linked:
            found[family] = linked[0]
    return found


def _answers(netlink: socket.socket, answer: int) -> Iterator[bytes]:
    while True:
        data = netlink.recv(_RECEIVE)
        offset = 0
        while offset + _MESSAGE.size <= len(data):
            length, kind, *_ = _MESSAGE.unpack_from(data, offset)
            if kind == _NLMSG_DONE or length < _MESSAGE.size:
                return
            if kind == _NLMSG_ERROR:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            if kind == answer:
                yield data[offset + _MESSAGE.size : offset + length]
            offset += (length + 3) & ~3


def attributes(body: bytes, offset: int) -> dict[int, bytes]:
    """Return the attributes of an answer, behind a header of `offset` octets, by type."""
    values: dict[int, bytes] = {}
    while offset + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        if length < _ATTRIBUTE.size:
            break
        values[kind] = body[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return values


def _decode(body: bytes) -> Iterable[InterfaceAddress]:
    _, prefix_length, _, _, index = _ADDRESS.unpack_from(body)
    values = attributes(body, _ADDRESS.size)
    # On a point-to-point link IFA_ADDRESS is the other end, and the prefix is its.
    link = values.get(_IFA_ADDRESS) or values.get(_IFA_LOCAL)
    if link is not None and len(link) in (4, 16):
        network = ip_network((link, prefix_length), strict=False)
        yield InterfaceAddress(ip_address(values.get(_IFA_LOCAL, link)), network, index)
