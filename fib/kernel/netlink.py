"""The numbers and structures of rtnetlink that routes need, by their names in Linux's header files."""

import os
import struct
from collections.abc import Iterator
from typing import Final

from fib.backend import Failure

NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18
RTM_NEWADDR: Final = 20
RTM_DELADDR: Final = 21
RTM_GETADDR: Final = 22
RTM_NEWROUTE: Final = 24
RTM_DELROUTE: Final = 25
RTM_GETROUTE: Final = 26

NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
NLM_F_DUMP_INTR: Final = 0x10
NLM_F_REPLACE: Final = 0x100
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400
NLM_F_DUMP: Final = 0x300
# In an acknowledgment: the request is left out but for its header; attributes follow.
NLM_F_CAPPED: Final = 0x100
NLM_F_ACK_TLVS: Final = 0x200
NLMSGERR_ATTR_MSG: Final = 1

SOL_NETLINK: Final = 270
NETLINK_EXT_ACK: Final = 11
NETLINK_CAP_ACK: Final = 10
NETLINK_GET_STRICT_CHK: Final = 12

RTA_DST: Final = 1
RTA_OIF: Final = 4
RTA_GATEWAY: Final = 5
RTA_PRIORITY: Final = 6
RTA_PREFSRC: Final = 7
RTA_METRICS: Final = 8
RTA_MULTIPATH: Final = 9
RTA_CACHEINFO: Final = 12
RTA_TABLE: Final = 15
RTA_VIA: Final = 18
RTA_PREF: Final = 20
RTAX_MTU: Final = 2
RTAX_ADVMSS: Final = 8
RTNH_F_ONLINK: Final = 4
RTM_F_CLONED: Final = 0x200
RT_TABLE_UNSPEC: Final = 0
RT_SCOPE_NOWHERE: Final = 255

IFLA_IFNAME: Final = 3
IFLA_MTU: Final = 4
IFLA_LINKINFO: Final = 18
IFLA_INFO_KIND: Final = 1
IFF_UP: Final = 0x1
IFF_LOWER_UP: Final = 0x10000
IFA_ADDRESS: Final = 1
IFA_LOCAL: Final = 2

RTMGRP_LINK: Final = 0x1
RTMGRP_IPV4_IFADDR: Final = 0x10
RTMGRP_IPV4_ROUTE: Final = 0x40
RTMGRP_IPV6_IFADDR: Final = 0x100
RTMGRP_IPV6_ROUTE: Final = 0x400

AF_INET: Final = 2
AF_INET6: Final = 10

# nlmsghdr: length, type, flags, sequence, port.
HEADER = struct.Struct("=IHHII")
# rtmsg: family, lengths of destination and source, TOS, table, protocol, scope, type, flags.
ROUTE = struct.Struct("=BBBBBBBBI")
# rtnexthop: length, flags, weight less one, interface.
LEG = struct.Struct("=HBBi")
# ifinfomsg: family, -, type, index, flags, change.
LINK = struct.Struct("=BxHiII")
# ifaddrmsg: family, prefix length, flags, scope, index.
ADDRESS = struct.Struct("=BBBBI")
ATTRIBUTE = struct.Struct("=HH")
U32 = struct.Struct("=I")
_MASK = 0x3FFF  # NLA_F_NESTED and NLA_F_NET_BYTEORDER are not part of the type


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute, padded to four octets."""
    length = 4 + len(value)
    return ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)


def attributes(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the attributes between `start` and `end`; what is cut short ends them."""
    while start + 4 <= end:
        length, kind = ATTRIBUTE.unpack_from(data, start)
        if length < 4 or start + length > end:
            return
        yield kind & _MASK, data[start + 4 : start + length]
        start += length + 3 & ~3


def messages(data: bytes) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Yield (start, end, type, flags, sequence, port) of each message in a buffer."""
    position, size = 0, len(data)
    while position + 16 <= size:
        length, kind, flags, sequence, port = HEADER.unpack_from(data, position)
        if length < 16 or position + length > size:
            return
        yield position, position + length, kind, flags, sequence, port
        position += length + 3 & ~3


def failure(data: bytes, start: int, end: int, flags: int) -> Failure | None:
    """Return what an NLMSG_ERROR says; None where it acknowledges."""
    code = -int(struct.unpack_from("=i", data, start + 16)[0])
    if not code:
        return None
    words = ""
    if flags & NLM_F_ACK_TLVS:
        skip = 16 if flags & NLM_F_CAPPED else U32.unpack_from(data, start + 20)[0]
        for kind, value in attributes(data, start + 20 + (skip + 3 & ~3), end):
            if kind == NLMSGERR_ATTR_MSG:
                words = value.rstrip(b"\0").decode(errors="replace")
    return Failure(code, words or os.strerror(code))
