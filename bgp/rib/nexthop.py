"""Next hops: which addresses may be one, which are reachable, and what it costs to get there.

Reachability is fed from outside, by whoever reads the routing table.  Until something is said of a next
hop it is taken to be reachable at cost 0, so a reflector needs no resolver at all.  Where there is a
`Resolver` it is asked once for each next hop that comes up, before any route by that one is decided, so that
no peer is told of a route that turns out a moment later to lead nowhere.  What it said holds until it says
something else.

A link-local address says nothing without its link, so it is known together with the interface that the
session goes by: `fe80::1%eth0`, as `scoped` has it.
"""

from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Protocol

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


def scoped(next_hop: bytes, interface: str = "") -> bytes:
    """Return what a next hop is known by: its address, and for a link-local one `%` and the interface.

    Of 32 octets the first 16, the global address, are meant (RFC 2545 section 3).
    """
    address = next_hop[:16]
    if interface and len(address) == 16 and address[0] == 0xFE and address[1] & 0xC0 == 0x80:
        return address + b"%" + interface.encode()
    return address


def unscoped(key: bytes) -> tuple[bytes, str]:
    """Return address and interface of what `scoped` returned."""
    return (key[:16], key[17:].decode()) if len(key) > 16 else (key, "")


def text(key: bytes) -> str:
    """Return what `scoped` returned in the usual notation."""
    address, interface = unscoped(key)
    shown = str(IPv4Address(address) if len(address) == 4 else IPv6Address(address))
    return f"{shown}%{interface}" if interface else shown


class Resolver(Protocol):
    """Whoever knows the way to next hops; all are named as `scoped` does it."""

    def resolve(self, next_hop: bytes) -> int | None:
        """Return the interior cost to `next_hop`, None where it is not reachable.

        From then on, tell the router (`Router.next_hops.learn`) whenever that changes.
        """

    def why(self, next_hop: bytes) -> str:
        """Say in a few words how `next_hop` is reached, or why it is not."""

    def forget(self, next_hops: Collection[bytes]) -> None:
        """Watch these no more: no route has them."""


# When so many next hops are known, and twice as many as were in use then, it is looked which are.
_SWEPT = 4096


class NextHops:
    """What is known of next hops: our own addresses, and the `costs` to others.

    `used`: whether anything was ever said of costs, or there is somebody to ask.
    """

    __slots__ = ("_candidates", "_due", "_own", "_resolver", "costs", "used")

    def __init__(self) -> None:
        self.costs: dict[bytes, int | None] = {}
        self.used = False
        self._own: dict[bytes, int] = {}
        self._resolver: Resolver | None = None
        # Of those known, the ones that a sweep has not met; None while there is none.
        self._candidates: set[bytes] | None = None
        self._due = _SWEPT

    @property
    def resolver(self) -> Resolver | None:
        """Who is asked."""
        return self._resolver

    @resolver.setter
    def resolver(self, resolver: Resolver | None) -> None:
        """Ask another one from now on; what was known before is void."""
        self._resolver = resolver
        self.used = resolver is not None
        self.costs.clear()
        self._candidates = None
        self._due = _SWEPT

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

    def cost(self, next_hop: bytes, interface: str = "") -> int | None:
        """Return the interior cost to `next_hop`, None where it is not reachable."""
        key = scoped(next_hop, interface)
        if self._resolver is None:
            return self.costs.get(key, 0)
        if self._candidates is not None:
            self._candidates.discard(key)
        if key in self.costs:
            return self.costs[key]
        found = self.costs[key] = self._resolver.resolve(key)
        return found

    def why(self, next_hop: bytes, interface: str = "") -> str:
        """Say how a next hop is reached, or why it is not; nothing where nobody knows."""
        if not self.used:
            return ""
        key = scoped(next_hop, interface)
        cost = self.cost(next_hop, interface)
        state = "not reachable" if cost is None else f"at cost {cost}"
        how = "" if self._resolver is None else self._resolver.why(key)
        return f"{text(key)} {state}{', ' if how else ''}{how}"

    def learn(self, costs: Mapping[bytes, int | None]) -> list[bytes]:
        """Set the costs to next hops (None: not reachable); return those of which that is a change.

        Where there is a resolver, what it was not asked for is not kept.
        """
        known, changed = self.costs, []
        if self._resolver is not None:
            for key, cost in costs.items():
                if key in known and known[key] != cost:
                    known[key] = cost
                    changed.append(key)
            return changed
        for key, cost in costs.items():
            if known.get(key, 0) == cost:
                continue
            changed.append(key)
            if cost == 0:
                # What is known of nothing needs no entry.
                del known[key]
            else:
                known[key] = cost
        self.used = bool(known)
        return changed

    # --- What no route has any more ------------------------------------------------------------------

    @property
    def crowded(self) -> bool:
        """Whether so many are known that it should be looked which of them are in use."""
        return len(self.costs) >= self._due and self._resolver is not None and self._candidates is None

    def begin_sweep(self) -> None:
        """Suspect all that are known; `meet` clears those in use, and so does any question for one."""
        self._candidates = set(self.costs)

    def meet(self, keys: Iterable[bytes]) -> None:
        """Hear that a route has these."""
        if self._candidates is not None:
            self._candidates.difference_update(keys)

    def end_sweep(self) -> None:
        """Forget those that nobody met."""
        candidates, self._candidates = self._candidates, None
        if candidates is None or self._resolver is None:
            return
        for key in candidates:
            del self.costs[key]
        self._due = max(_SWEPT, 2 * len(self.costs))
        if candidates:
            self._resolver.forget(candidates)
