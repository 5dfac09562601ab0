"""IP-in-IP as cluster networks use it: which next hops are reached by the tunnel, by the pool of the prefix.

The tunnel is one device for all peers, `tunl0` by default: a route says `via NEXT_HOP dev tunl0 onlink`, and
the kernel puts NEXT_HOP into the outer header.  Within a pool with `CROSS_SUBNET` that is done only where the
next hop is not a neighbor on one of our own subnets, so that routers which do not know the addresses of the
pool see the nodes' addresses alone.  Each leg of a multipath route is decided by itself.
"""

from collections.abc import Mapping
from enum import Enum
from ipaddress import IPv4Interface, IPv4Network, ip_interface, ip_network

from bgp.family import IPV4_UNICAST, Family
from bgp.rib.covering import Covering
from bgp.wire import prefix as nlri
from fib.choice import Encapsulation
from fib.resolve import Resolution

# What the outer header takes of the room that there is.
OVERHEAD = 20
DEVICE = "tunl0"


class Mode(Enum):
    """When packets to the addresses of a pool go by the tunnel."""

    NEVER = "never"
    ALWAYS = "always"
    CROSS_SUBNET = "cross-subnet"


class IpInIp:
    """Says which next hops are reached by the tunnel; to be given to `Wishes.encapsulate`.

    `pools`: the mode of each pool of IPv4 prefixes; the most specific one counts, and what is in none goes as
    it is.  `device` is the tunnel's; `address`: what it has itself, such as "10.244.0.1/32", None for what
    others see to.  `mtu`: the room that packets have in it, None for what the device has.
    """

    def __init__(
        self,
        pools: Mapping[str | IPv4Network, Mode | str],
        *,
        device: str = DEVICE,
        address: str | IPv4Interface | None = None,
        mtu: int | None = None,
    ) -> None:
        self.device = device
        self.mtu = mtu
        self.address = None if address is None else _interface(address)
        self.pools: dict[IPv4Network, Mode] = {}
        modes: dict[bytes, Mode] = {}
        for pool, mode in pools.items():
            network = ip_network(pool)
            if not isinstance(network, IPv4Network):
                raise ValueError(f"pool {pool}: IP-in-IP carries IPv4 only")
            self.pools[network] = modes[nlri.parse(network)[1]] = Mode(mode)
        self._exact = modes
        self._covering: Covering[Mode] = Covering(modes)

    def __call__(self, family: Family, prefix: bytes, resolution: Resolution) -> Encapsulation | None:
        """Return the tunnel if packets to `prefix` go to that next hop by it."""
        if family is not IPV4_UNICAST or len(resolution.key) != 4:
            return None
        mode = self.mode(prefix)
        if mode is None or mode is Mode.NEVER:
            return None
        if mode is Mode.CROSS_SUBNET and _is_neighbor(resolution):
            return None
        return Encapsulation(self.device, self.mtu)

    def mode(self, prefix: bytes) -> Mode | None:
        """Return the mode of the pool that `prefix` is in, None if it is in none."""
        exact = self._exact.get(prefix)
        if exact is not None:
            return exact
        covering = self._covering(prefix)
        return covering[-1] if covering else None


def _is_neighbor(resolution: Resolution) -> bool:
    """Whether the next hop is on one of our subnets: it is its own gateway, on all ways."""
    return all(hop.via is not None and hop.via.packed == resolution.key for hop in resolution.next_hops)


def _interface(address: str | IPv4Interface) -> IPv4Interface:
    made = ip_interface(address)
    if not isinstance(made, IPv4Interface):
        raise ValueError(f"address {address}: IP-in-IP carries IPv4 only")
    return made
