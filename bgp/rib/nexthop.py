"""Next hops: which addresses may be one, which are reachable, and what it costs to get there.

Reachability is fed from outside, by whoever reads the routing table.  Until something is said of a next
hop it is taken to be reachable at cost 0, so a reflector needs no resolver at all.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_UNSPECIFIED = bytes(16)
_LOOPBACK = bytes(15) + b"\x01"


def is_host(next_hop: bytes) -> bool:
    """Whether `next_hop` can be the address of a host at all (RFC 4271 section 6.3).

    Not 0.0.0.0/8, 127.0.0.0/8 or multicast, nor ::, ::1 or ff00::/8.
    """
    if len(next_hop) == 4:
        first = next_hop[0]
        return first not in (0, 127) and not 224 <= first <= 239 and next_hop != b"\xff\xff\xff\xff"
    if len(next_hop) in (16, 32):
        address = next_hop[:16]
        return address[0] != 0xFF and address not in (_UNSPECIFIED, _LOOPBACK)
    return False


def is_connected(next_hop: bytes, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Whether `next_hop` is on one of the subnets `networks`, or link-local."""
    if len(next_hop) == 4:
        return any(IPv4Address(next_hop) in network for network in networks if network.version == 4)
    address = IPv6Address(next_hop[:16])
    return address.is_link_local or any(address in network for network in networks if network.version == 6)


class NextHops:
    """What is known of next hops: our own addresses, and the `costs` to others that were told."""

    __slots__ = ("_own", "costs")

    def __init__(self) -> None:
        self.costs: dict[bytes, int | None] = {}
        self._own: dict[bytes, int] = {}

    def add_own(self, address: bytes) -> bool:
        """Count `address` among our own; return whether that is new."""
        self._own[address] = self._own.get(address, 0) + 1
        return self._own[address] == 1

    def remove_own(self, address: bytes) -> bool:
        """Count `address` once less among our own; return whether it was the last time."""
        left = self._own[address] - 1
        if left:
            self._own[address] = left
        else:
            del self._own[address]
        return not left

    def is_own(self, next_hop: bytes) -> bool:
        return next_hop[:16] in self._own

    def cost(self, next_hop: bytes) -> int | None:
        """Return the interior cost to `next_hop`, None where it is not reachable."""
        return self.costs.get(next_hop[:16], 0)

    def learn(self, address: bytes, cost: int | None) -> bool:
        """Set the cost to `address` (None: not reachable); return whether that is a change."""
        before = self.costs.get(address, 0)
        if cost == 0:
            # What is known of nothing needs no entry.
            self.costs.pop(address, None)
        else:
            self.costs[address] = cost
        return before != cost
