"""What a user says about a peer: one frozen value, from which the layers below take their parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bgp.family import DEFAULT_FAMILIES, Family
from bgp.iana import BGP_PORT, AddPathMode, Role

if TYPE_CHECKING:
    from bgp.policy import Policy
    from bgp.session.config import AsExpected


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerOptions:
    """Describe a peer, or with an empty `address` every peer of a listen range.

    `address` is text, with a scope for link-local IPv6 (`fe80::1%eth0`).  `asn` is the AS number that
    its OPEN must show, or a member of `AsExpected`.  `passive` peers are never dialed.  Times are in
    seconds.  `ttl` is that of the packets sent; by default 1 towards external peers, as RFC 4271 wants
    them on a shared subnet, and the system's towards internal ones; `multihop` allows that many hops.
    `password` is the key of RFC 2385.  `client` makes an internal peer a client of our reflector (RFC 4456).
    An external peer without a policy passes nothing (RFC 8212).
    """

    asn: "int | AsExpected"
    address: str = ""
    port: int = BGP_PORT
    name: str = ""
    description: str = ""

    # The TCP connection.
    source_address: str | None = None
    passive: bool = False
    password: str | bytes | None = field(default=None, repr=False)
    ttl: int | None = None
    multihop: int | None = None
    minimum_ttl: int | None = None  # RFC 5082: 256 less the greatest distance

    # The session (RFC 4271 section 8 and what extends it).
    local_as: int | None = None
    families: tuple[Family, ...] = DEFAULT_FAMILIES
    hold_time: int = 90
    minimum_hold_time: int = 0
    send_hold_time: int | None = None  # RFC 9687; None: eight minutes or twice the hold time
    connect_retry_time: float = 5.0
    idle_hold_time: float = 1.0
    delay_open: float = 0.0
    damp_peer_oscillations: bool = True
    collision_detect_established: bool = False
    notification_without_open: bool = False
    replace_established: bool | None = None  # None: where graceful restart or a password vouches for it

    # Capabilities on or off, and what the UPDATE decoder accepts.
    four_octet_as: bool = True
    route_refresh: bool = True
    enhanced_route_refresh: bool = True
    extended_messages: bool = True
    add_path: Mapping[Family, AddPathMode] = field(default_factory=dict)
    extended_next_hop: tuple[Family, ...] = ()
    role: Role | None = None
    strict_role: bool = False
    as_sets: bool = False
    first_as: bool = True
    aigp: bool = False

    # What the router makes of it.
    client: bool = False
    next_hop_self: bool = False
    import_policy: "Policy | None" = None
    export_policy: "Policy | None" = None
