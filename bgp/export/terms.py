"""Terms: all that alters which routes a peer is told, or the octets in which it is told them."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from bgp.family import Family
from bgp.iana import MAXIMUM_MESSAGE_LENGTH, Role
from bgp.rib.path import Kind, Policy
from bgp.rib.selection import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The key of an update group: peers with equal terms get the same octets.

    `next_hops`: our own address for each family that has one, as next hop where we put ourselves there (32
    octets: global and link-local, RFC 2545 section 3).  `add_path`: which paths are told for each family of
    which the peer takes path identifiers (RFC 7911); of others it is told the best.  `extended_next_hop`:
    families for which it takes IPv6 next hops for IPv4 (RFC 8950).  `maximum`: the longest message.
    `behind`: our own AS where an external peer sees `local_as` before it (RFC 7705 section 3.3), else 0.
    `cluster_id`: that of the cluster that a client is in; for others our own (`bgp.export.cluster`).
    `reflect_clients`: reflect between clients of a cluster (RFC 4456 section 5).  `role`: ours towards the
    peer (RFC 9234).  `members`: the ASes that only our confederation knows (RFC 5065).  `shared`: the subnets
    shared with an external peer on which next hops are kept, and `avoid` an address of the peer's that must
    not be told it as next hop (RFC 4271 section 5.1.3).  `hidden`: prefixes that are told in place of what is
    more specific.  `defaults`: the families of which a default route of ours is told.
    `withheld`: policies that accept what is not told, as a condition does not hold.
    `advertisement_interval`: seconds between news of the same destination (RFC 4271 section 9.2.1.1).
    `installed_only`: told is only what our forwarding plane has (`bgp.export.gate`).
    `llgr`: the peer may be told long-lived stale routes; `partial`: so may others, with what keeps these in
    the AS and makes them the last resort there (RFC 9494 sections 4.3 and 4.6).
    """

    kind: Kind
    families: tuple[Family, ...]
    local_as: int
    behind: int = 0
    four_octet_as: bool = True
    add_path: frozenset[tuple[Family, Selection]] = frozenset()
    extended_next_hop: frozenset[Family] = frozenset()
    maximum: int = MAXIMUM_MESSAGE_LENGTH
    next_hops: frozenset[tuple[Family, bytes]] = frozenset()
    next_hop_self: bool = False
    cluster_id: bytes = bytes(4)
    reflect_clients: bool = True
    aigp: bool = False
    role: Role | None = None
    members: frozenset[int] = frozenset()
    shared: tuple[IPv4Network | IPv6Network, ...] = ()
    avoid: bytes = b""
    policy: Policy | None = None
    hidden: frozenset[tuple[Family, bytes]] = frozenset()
    defaults: frozenset[Family] = frozenset()
    withheld: tuple[Policy, ...] = ()
    advertisement_interval: float = 0.0
    installed_only: bool = False
    llgr: bool = True
    partial: bool = False

    @property
    def hides(self) -> bool:
        """Whether something that is not export policy may keep a route back."""
        return bool(self.hidden or self.defaults or self.withheld)
