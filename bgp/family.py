"""Address families: one row each, holding everything that differs by family.

Code elsewhere asks the row instead of comparing AFIs, so a further family is a further row.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from bgp.iana import Afi, Safi


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """An (AFI, SAFI) pair that this implementation speaks (RFC 4760 section 3).

    `bits` is the longest prefix length, `next_hop_lengths` the octet counts that MP_REACH_NLRI may
    carry without further capability (RFC 4760 section 3, RFC 2545 section 3), and
    `extended_next_hop_lengths` those that RFC 8950 adds.
    """

    afi: int
    safi: int
    name: str
    bits: int
    next_hop_lengths: frozenset[int]
    extended_next_hop_lengths: frozenset[int]

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<{self.name}>"


IPV4_UNICAST = Family(Afi.IPV4, Safi.UNICAST, "ipv4-unicast", 32, frozenset({4}), frozenset({16, 32}))
IPV6_UNICAST = Family(Afi.IPV6, Safi.UNICAST, "ipv6-unicast", 128, frozenset({16, 32}), frozenset())

FAMILIES = (IPV4_UNICAST, IPV6_UNICAST)
BY_CODE = {(family.afi, family.safi): family for family in FAMILIES}
BY_NAME = {family.name: family for family in FAMILIES}

# The families of a session whose OPENs name none (RFC 4271; RFC 4760 section 8 leaves it unsaid).
DEFAULT_FAMILIES = (IPV4_UNICAST,)


def family_name(afi: int, safi: int) -> str:
    """Return the name of any (AFI, SAFI), such as "ipv6-unicast" or else "afi-25-safi-70"."""
    family = BY_CODE.get((afi, safi))
    return family.name if family else f"afi-{afi}-safi-{safi}"


def family_of(network: IPv4Network | IPv6Network | str) -> Family:
    """Return the unicast family of `network`; raise ValueError if it is no network."""
    if isinstance(network, str):
        network = ip_network(network, strict=False)
    return IPV4_UNICAST if network.version == 4 else IPV6_UNICAST
