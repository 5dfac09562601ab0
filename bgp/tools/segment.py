"""From a captured frame to its TCP segment, through whatever lies around it.

Link types: Ethernet with any VLAN tags, Linux cooked captures, BSD loopback, and bare IP.  What is not
a whole TCP segment over IPv4 or IPv6 gives None: a capture holds much that is none of BGP's concern.
"""

import struct
import sys
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from bgp.tools.pcap import Packet

# https://www.tcpdump.org/linktypes.html
_NULL, _ETHERNET, _LOOP = 0, 1, 108
_RAW = (12, 14, 101, 228, 229)  # two of them as the BSDs number DLT_RAW
_COOKED, _COOKED_2 = 113, 276

_IPV4, _IPV6 = 0x0800, 0x86DD
_VLANS = (0x8100, 0x88A8, 0x9100)  # 802.1Q, 802.1ad, and the latter's forerunner
_MOST_TAGS = 4

_TCP = 6
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION = 0, 43, 44, 51, 60

FIN, SYN, RST = 0x01, 0x02, 0x04

LINKS = frozenset((_NULL, _ETHERNET, _LOOP, _COOKED, _COOKED_2, *_RAW))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One side of a TCP connection: the address's octets, and the port."""

    address: bytes
    port: int

    def __str__(self) -> str:
        if len(self.address) == 4:
            return f"{IPv4Address(self.address)}:{self.port}"
        return f"[{IPv6Address(self.address)}]:{self.port}"


@dataclass(frozen=True, slots=True)
class Segment:
    """A TCP segment; `lost` is the number of payload octets at its end that the capture did not keep."""

    source: Endpoint
    destination: Endpoint
    sequence: int
    flags: int
    payload: bytes
    lost: int = 0


def segment(packet: Packet) -> Segment | None:
    """Return the TCP segment that `packet` carries, or None."""
    try:
        return _ip(packet.data, _link(packet))
    except (struct.error, IndexError):
        return None  # cut off within the headers


def _link(packet: Packet) -> int:
    """Return where the IP header begins; raise IndexError where there is none."""
    data, link = packet.data, packet.link
    if link in _RAW:
        return 0
    if link in (_NULL, _LOOP):
        # The address family's number is the capturing system's: 2 is IPv4 everywhere, IPv6 varies.  It
        # is in that system's byte order, or (LOOP) in network order; the IP header tells the rest.
        return 4
    if link == _ETHERNET:
        return _ether_type(data, 12)
    if link == _COOKED:
        return _ether_type(data, 14)
    if link == _COOKED_2:
        kind = struct.unpack_from("!H", data)[0]
        return 20 if kind in (_IPV4, _IPV6) else _tagged(data, kind, 20)
    raise IndexError


def _ether_type(data: bytes, at: int) -> int:
    return _tagged(data, struct.unpack_from("!H", data, at)[0], at + 2)


def _tagged(data: bytes, kind: int, at: int) -> int:
    for _ in range(_MOST_TAGS):
        if kind not in _VLANS:
            break
        kind = struct.unpack_from("!H", data, at + 2)[0]
        at += 4
    if kind not in (_IPV4, _IPV6):
        raise IndexError
    return at


def _ip(data: bytes, at: int) -> Segment | None:
    version = data[at] >> 4
    if version == 4:
        total, _, fragment = struct.unpack_from("!HHH", data, at + 2)
        if data[at + 9] != _TCP or fragment & 0x3FFF:
            return None  # a fragment is missed like a lost packet: TCP over IPv4 hardly knows any
        # Segmentation offload leaves a total length of 0 in captures of large packets.
        end = at + total if total else sys.maxsize
        return _tcp(data, at + 4 * (data[at] & 0x0F), end, data[at + 12 : at + 16], data[at + 16 : at + 20])
    if version == 6:
        length, following = struct.unpack_from("!HB", data, at + 4)
        end = at + 40 + length if length else sys.maxsize
        source, destination = data[at + 8 : at + 24], data[at + 24 : at + 40]
        at += 40
        while following != _TCP:
            if following in (_HOP_BY_HOP, _ROUTING, _DESTINATION):
                size = 8 * (data[at + 1] + 1)
            elif following == _AUTHENTICATION:
                size = 4 * (data[at + 1] + 2)
            elif following == _FRAGMENT and not struct.unpack_from("!H", data, at + 2)[0] & 0xFFF9:
                size = 8  # an atomic fragment (RFC 6946)
            else:
                return None
            following = data[at]
            at += size
        return _tcp(data, at, end, source, destination)
    return None


def _tcp(data: bytes, at: int, end: int, source: bytes, destination: bytes) -> Segment | None:
    source_port, destination_port, sequence, _, offset, flags = struct.unpack_from("!HHIIBB", data, at)
    start = at + 4 * (offset >> 4)
    if offset >> 4 < 5 or end < start:
        return None
    if end == sys.maxsize:
        end = len(data)
    payload = data[start:end]
    return Segment(
        Endpoint(source, source_port),
        Endpoint(destination, destination_port),
        sequence,
        flags,
        payload,
        end - start - len(payload) if end > len(data) else 0,
    )
