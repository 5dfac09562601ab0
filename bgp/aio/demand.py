"""What all listeners ask of who connects, as it follows from the peers and ranges together.

Linux looks for the key of the longest prefix around an address, and a longer prefix cannot say that
there is none.  So a range with a key is cut up around those in it that have none: each takes one prefix less
than there are bits between the two.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from bgp.aio.signing import Network, Secret


@dataclass(frozen=True, slots=True)
class Demand:
    """What listening sockets are set to.

    `keys`: those of TCP-MD5 and TCP-AO by network.  `ttl`: that of SYN-ACKs, None for the system's.
    `minimum_ttl`: SYNs below are dropped, 0 for none (RFC 5082).
    """

    keys: Mapping[Network, Secret] = field(default_factory=dict)
    ttl: int | None = None
    minimum_ttl: int = 0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who may connect, and what is asked of him: a peer, whose network is its address, or a range."""

    network: Network
    key: Secret | None = None
    minimum_ttl: int | None = None
    name: str = ""


def demand(callers: Iterable[Caller]) -> Demand:
    """Return what is to be asked of all `callers`; raise ValueError where two cannot be told apart."""
    keys: dict[Network, Secret] = {}
    keyless: set[Network] = set()
    levels: list[int | None] = []
    for caller in callers:
        levels.append(caller.minimum_ttl)
        if caller.key is None:
            keyless.add(caller.network)
        elif keys.setdefault(caller.network, caller.key) != caller.key:
            raise ValueError(f"password: another peer at {caller.name} has a different one")
    some = [level for level in levels if level is not None]
    return Demand(
        _cut(keys, keyless - keys.keys()),
        # A peer that does the same drops our SYN-ACK otherwise (RFC 5082 section 3).
        255 if some else None,
        # The socket is shared: before `accept` nothing tells one peer from the other.
        min(some) if len(some) == len(levels) and some else 0,
    )


def _cut(keys: dict[Network, Secret], holes: set[Network]) -> dict[Network, Secret]:
    """Return `keys` with each network cut up around the `holes` in it."""
    found: dict[Network, Secret] = {}
    # The widest first: of two that overlap the narrower one's key counts.
    for network, key in sorted(keys.items(), key=lambda item: item[0].prefixlen):
        parts = [network]
        for hole in sorted(holes, key=lambda each: each.prefixlen):
            if hole.version == network.version and hole.prefixlen > network.prefixlen:
                parts = [piece for part in parts for piece in _without(part, hole)]
        found |= dict.fromkeys(parts, key)
    return found


def _without(network: Network, hole: Network) -> list[Network]:
    if isinstance(network, IPv4Network) and isinstance(hole, IPv4Network) and hole.subnet_of(network):
        return list(network.address_exclude(hole))
    if isinstance(network, IPv6Network) and isinstance(hole, IPv6Network) and hole.subnet_of(network):
        return list(network.address_exclude(hole))
    return [network]
