"""The octets that peers of a trial say: as short to make as can be, for millions are made."""

import struct

from bgp.family import IPV4_UNICAST, Family
from bgp.iana import AttributeType, MessageType
from bgp.testing.draft import Item
from bgp.testing.draft import body as body_of
from bgp.testing.generate import CATEGORY, TRANSITIVE
from bgp.wire.capability import Capabilities
from bgp.wire.framing import frame
from bgp.wire.message import Keepalive, Open, RouteRefresh, encode

T = AttributeType
ASN = 65000
KEEPALIVE = encode(Keepalive())
REFRESH = encode(RouteRefresh(IPV4_UNICAST.afi, IPV4_UNICAST.safi))
END_OF_RIB = frame(MessageType.UPDATE, bytes(4))


def an_open(
    identifier: int,
    asn: int = ASN,
    hold_time: int = 90,
    *,
    families: tuple[Family, ...] = (IPV4_UNICAST,),
    four_octet_as: bool = True,
    extended_messages: bool = False,
    enhanced_route_refresh: bool = True,
) -> bytes:
    """Return an OPEN."""
    capabilities = Capabilities(
        families=tuple((family.afi, family.safi) for family in families),
        four_octet_as=asn if four_octet_as else None,
        route_refresh=True,
        enhanced_route_refresh=enhanced_route_refresh,
        extended_message=extended_messages,
    )
    return encode(Open(asn, hold_time, identifier, capabilities.encode()))


def attributes(next_hop: int, med: int = 0, as_path: bytes = b"", *more: tuple[int, bytes]) -> bytes:
    """Return a block of attributes of an internal route; `as_path` is the value, `more` are others."""
    values = {
        T.ORIGIN: b"\0",
        T.AS_PATH: as_path,
        T.NEXT_HOP: struct.pack("!I", next_hop),
        T.MULTI_EXIT_DISC: struct.pack("!I", med),
        T.LOCAL_PREF: b"\0\0\0\x64",
        **dict(more),
    }
    return b"".join(
        Item(CATEGORY.get(kind, TRANSITIVE), kind, value).octets() for kind, value in values.items()
    )


def prefix(number: int, base: int = 0x14000000) -> bytes:
    """Return the /32 with this number above `base`."""
    return b"\x20" + (base + number).to_bytes(4, "big")


def update(block: bytes, announced: bytes, withdrawn: bytes = b"") -> bytes:
    """Return an UPDATE."""
    return frame(MessageType.UPDATE, body_of(withdrawn, block, announced))
