"""The neighbor on a link, for a peer that is known by its interface only.

The kernel's neighbor table is asked by rtnetlink (RTM_GETNEIGH).  A neighbor is in it once it has spoken to
us, be it by a router advertisement (RFC 4861), as routers with such peers send them, or as an answer to our
echo request for all nodes.  Some routers in turn take only who advertises itself.  So each look at the link
sends both, and so does who waits for the neighbor (`bgp.aio.beacon`).  That needs CAP_NET_RAW; without, the
neighbor has to speak first.
"""

import contextlib
import errno
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv6Address

from bgp.aio.address import Endpoint
from bgp.aio.interfaces import attributes, dump
from bgp.aio.sockopt import Explained

_NEIGHBOR = struct.Struct("=BxxxiHBB")  # struct ndmsg: family, index, state, flags, type
_RTM_NEWNEIGH, _RTM_GETNEIGH = 28, 30
_NDA_DST = 1
# Of a neighbor whose address leads nowhere, or is not looked for (NUD_INCOMPLETE, NUD_FAILED, NUD_NOARP).
_UNUSABLE = 0x01 | 0x20 | 0x40
_ROUTER = 0x80  # NTF_ROUTER
# As a router, but with a Router Lifetime of 0: no host shall send us its traffic (RFC 4861 section 4.2).
_ADVERTISEMENT = struct.pack("!BBHBBHII", 134, 0, 0, 0, 0, 0, 0, 0)
_ECHO_REQUEST = struct.pack("!BBHHH", 128, 0, 0, 0, 0)  # the kernel fills in the checksum


class NoNeighbor(Explained):
    """There is no telling who the neighbor on an interface is, for a reason that is said in words."""


def index_of(interface: str) -> int:
    """Return the index of an interface; raise NoNeighbor that names it."""
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        raise NoNeighbor(errno.ENODEV, f"there is no interface {interface}") from None


def neighbor_on(interface: str, port: int) -> Endpoint:
    """Return the only link-local neighbor on an interface; raise NoNeighbor that says why there is none.

    Where there are several it is the only router among them.
    """
    index = index_of(interface)
    call_all(interface)
    found = dict(_neighbors(index))
    chosen = [address for address, router in found.items() if router or len(found) == 1]
    if len(chosen) == 1:
        return Endpoint(chosen[0], port, index)
    if found:
        several = ", ".join(map(str, sorted(found)))
        raise NoNeighbor(errno.EADDRNOTAVAIL, f"several neighbors on {interface}: {several}")
    raise NoNeighbor(errno.EHOSTUNREACH, f"no neighbor is known on {interface} yet")


def call_all(interface: str) -> None:
    """Have all nodes on the link know us and answer, where we may send that, and there is such a link."""
    with contextlib.suppress(OSError):
        _call_all(index_of(interface))


def _neighbors(index: int) -> Iterator[tuple[IPv6Address, bool]]:
    """Yield the link-local neighbors on an interface, and whether they are routers."""
    request = _NEIGHBOR.pack(socket.AF_INET6, index, 0, 0, 0)
    for body in dump(_RTM_GETNEIGH, request, _RTM_NEWNEIGH):
        _, where, state, flags, _ = _NEIGHBOR.unpack_from(body)
        octets = attributes(body, _NEIGHBOR.size).get(_NDA_DST, b"")
        if where == index and state and not state & _UNUSABLE and len(octets) == 16:
            address = IPv6Address(octets)
            if address.is_link_local:
                yield address, bool(flags & _ROUTER)


def _call_all(index: int) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMPV6) as sock:
        sock.setblocking(False)
        # RFC 4861 section 6.1.2: with another hop limit it is no advertisement.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        for message in (_ADVERTISEMENT, _ECHO_REQUEST):
            sock.sendto(message, ("ff02::1", 0, 0, index))
