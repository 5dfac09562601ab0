"""What may be announced: destinations and the attributes for them, checked before anything is sent."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from types import NoneType

from bgp.aio import arguments
from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import WellKnownCommunity
from bgp.policy.condition import Condition
from bgp.rib.nexthop import is_host
from bgp.wire import prefix as nlri
from bgp.wire.attributes import Attributes
from bgp.wire.given import RouteAttributes

Network = IPv4Network | IPv6Network
Destination = str | Network | IPv4Address | IPv6Address
Key = tuple[Family, bytes]

# What is sent there is discarded: RFC 6666 has a prefix for that; for IPv4 it is usually one of TEST-NET-1.
DISCARD: Mapping[Family, IPv4Address | IPv6Address] = {
    IPV4_UNICAST: IPv4Address("192.0.2.1"),
    IPV6_UNICAST: IPv6Address("100::1"),
}


def destination(prefix: object) -> Key:
    """Return family and wire octets of a prefix; raise ValueError where it cannot be announced."""
    family, octets = arguments.prefix("prefix", prefix)
    if nlri.is_multicast(family, octets):
        raise ValueError(f"prefix: {prefix} is multicast, which is no unicast destination (RFC 4271 6.3)")
    return family, octets


def conditional(condition: object) -> Condition | None:
    """Return the condition; raise ValueError if it is none."""
    if condition is None or isinstance(condition, Condition):
        return condition
    raise ValueError(f"condition: {condition!r} is no condition; bgp.policy.condition has them")


def blackhole(prefix: Destination, attributes: RouteAttributes) -> RouteAttributes:
    """Return the attributes of a route that asks to discard traffic, with those that are given."""
    family, _ = destination(prefix)
    given = attributes.get("communities", ())
    if isinstance(given, str):
        return attributes  # which is refused
    return {
        "next_hop": DISCARD[family],
        **attributes,
        "communities": [WellKnownCommunity.BLACKHOLE, *given],
    }


# Values that are equal only if they mean the same: True equals 1, and is refused where 1 is good.
_PLAIN = frozenset({str, int, bytes, IPv4Address, IPv6Address, NoneType})


def unchanging(family: Family, attributes: RouteAttributes) -> tuple[object, ...] | None:
    """Return what is equal for the same attributes and no others; None if that cannot be said."""
    found: list[object] = [family.afi]
    for name, value in attributes.items():
        if isinstance(value, list | tuple):
            if not _PLAIN.issuperset(map(type, value)):
                return None
            found += (name, tuple(value))
        elif type(value) in _PLAIN:
            found += (name, value)
        else:
            return None
    return tuple(found)


def fit(family: Family, attributes: Attributes) -> None:
    """Raise ValueError for a next hop that a route of `family` cannot have."""
    hop = attributes.next_hop
    if not hop:
        return
    if not is_host(hop):
        raise ValueError(f"next_hop: {nlri.address_text(hop)} cannot be the address of a host (RFC 4271 6.3)")
    if len(hop) not in family.next_hop_lengths | family.extended_next_hop_lengths:
        raise ValueError(
            f"next_hop: {nlri.address_text(hop)} cannot be the next hop of an {family} route (RFC 2545 3)"
        )
