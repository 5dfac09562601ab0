"""What a route in the kernel says, without its destination: values, shared by all prefixes that say the same.

A prefix is its wire bytes, per family, as in the rest of the project, so a million routes are a million dict
slots and only as many `Route`s as there are sets of next hops.  A `Route` is in canonical form, hence
equality is that of meaning: legs in a fixed order, no weight where there is one leg only.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

from bgp.family import IPV6_UNICAST, Family
from bgp.wire.prefix import text

Address: TypeAlias = IPv4Address | IPv6Address

# Linux takes 0 for "none said", which IPv6 turns into 1024; the last value is no metric of a route.
LOWEST_METRIC = 1
HIGHEST_METRIC = 2147483646


class RouteType(IntEnum):
    """What becomes of packets (RTN_* of linux/rtnetlink.h)."""

    UNICAST = 1
    BLACKHOLE = 6
    UNREACHABLE = 7
    PROHIBIT = 8


class Scope(IntEnum):
    """How far away a destination is (RT_SCOPE_* of linux/rtnetlink.h)."""

    UNIVERSE = 0
    SITE = 200
    LINK = 253
    HOST = 254


@dataclass(frozen=True, slots=True, order=False)
class NextHop:
    """One leg: a gateway, an interface by name, or both.

    A link-local gateway needs its interface; `onlink` says that the gateway is reached there whatever the
    kernel knows.  `weight` is 1 to 256.  An IPv4 route by an IPv6 gateway is RFC 8950's.
    """

    via: Address | None = None
    interface: str | None = None
    weight: int = 1
    onlink: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.via, str):
            object.__setattr__(self, "via", ip_address(self.via))
        if self.via is None and self.interface is None:
            raise ValueError("a next hop needs a gateway, an interface or both")
        if not 1 <= self.weight <= 256:
            raise ValueError(f"weight {self.weight} is not 1 to 256")
        if self.interface is None and (self.onlink or (self.via is not None and self.via.is_link_local)):
            raise ValueError(f"next hop {self.via} needs its interface")

    def __str__(self) -> str:
        words = [f"via {self.via}"] if self.via is not None else []
        words += [f"dev {self.interface}"] if self.interface is not None else []
        words += [f"weight {self.weight}"] if self.weight != 1 else []
        return " ".join([*words, "onlink"] if self.onlink else words)


def _order(hop: NextHop) -> tuple[int, bytes, str, int, bool]:
    packed = hop.via.packed if hop.via is not None else b""
    return len(packed), packed, hop.interface or "", hop.weight, hop.onlink


@dataclass(frozen=True, slots=True)
class Route:
    """All that a route of ours says but its destination, table and protocol.

    `metric` None is the one that the owner of the table is configured with.  `scope` None is what iproute2
    would take: link where there is no gateway, else universe (IPv6 knows no scopes).  `beyond` is what the
    kernel shows and these fields cannot say: what is wanted has none, so such a route never equals it.
    """

    next_hops: tuple[NextHop, ...] = ()
    type: RouteType = RouteType.UNICAST
    source: Address | None = None
    mtu: int | None = None
    advmss: int | None = None
    metric: int | None = None
    scope: Scope | None = None
    beyond: bytes = b""
    # A Route is looked up for each prefix that has it: to hash its fields each time would cost too much.
    _hash: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        hops = tuple(sorted(self.next_hops, key=_order))
        if len(hops) == 1 and hops[0].weight != 1:
            hops = (NextHop(hops[0].via, hops[0].interface, 1, hops[0].onlink),)
        object.__setattr__(self, "next_hops", hops)
        if isinstance(self.source, str):
            object.__setattr__(self, "source", ip_address(self.source))
        if self.type is RouteType.UNICAST and not hops:
            raise ValueError("a unicast route needs a next hop")
        if self.type is not RouteType.UNICAST and hops:
            raise ValueError(f"a {self.type.name.lower()} route has no next hops")
        for name, lowest, highest in _BOUNDS:
            value = getattr(self, name)
            if value is not None and not lowest <= value <= highest:
                raise ValueError(f"{name} {value} is not {lowest} to {highest}")
        key = (hops, self.type, self.source, self.mtu, self.advmss, self.metric, self.scope, self.beyond)
        object.__setattr__(self, "_hash", hash(key))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        words = [] if self.type is RouteType.UNICAST else [self.type.name.lower()]
        if len(self.next_hops) == 1:
            words.append(str(self.next_hops[0]))
        else:
            words += [f"nexthop {hop}" for hop in self.next_hops]
        named = [("src", self.source), ("metric", self.metric), ("mtu", self.mtu), ("advmss", self.advmss)]
        words += [f"{name} {value}" for name, value in named if value is not None]
        if self.scope is not None:
            words.append(f"scope {self.scope.name.lower()}")
        return " ".join([*words, f"and {self.beyond.hex()}"] if self.beyond else words)


_BOUNDS = (
    ("mtu", 68, 0xFFFFFFFF),
    ("advmss", 1, 0xFFFFFFFF),
    ("metric", 0, 0xFFFFFFFF),
)


def via(
    *gateways: Address | str,
    interface: str | None = None,
    onlink: bool = False,
    source: Address | str | None = None,
    mtu: int | None = None,
    advmss: int | None = None,
    metric: int | None = None,
) -> Route:
    """Return the unicast route by `gateways`, all of them by `interface` where that is given."""
    hops = [NextHop(ip_address(gateway), interface, onlink=onlink) for gateway in gateways]
    if not hops and interface is not None:
        hops = [NextHop(None, interface)]
    return Route(
        tuple(hops),
        source=None if source is None else ip_address(source),
        mtu=mtu,
        advmss=advmss,
        metric=metric,
    )


BLACKHOLE = Route(type=RouteType.BLACKHOLE)
UNREACHABLE = Route(type=RouteType.UNREACHABLE)
PROHIBIT = Route(type=RouteType.PROHIBIT)


def satisfies(installed: Route, wanted: Route, family: Family) -> bool:
    """Whether `installed` is what was `wanted`: an interface that it leaves to the kernel may be any."""
    if installed == wanted:
        return True
    ipv6 = family is IPV6_UNICAST
    if (
        installed.beyond
        or (installed.type, installed.mtu, installed.advmss, installed.metric)
        != (wanted.type, wanted.mtu, wanted.advmss, wanted.metric)
        or len(installed.next_hops) != len(wanted.next_hops)
        or installed.source != wanted.source
        or (not ipv6 and effective_scope(installed) != effective_scope(wanted))
    ):
        return False
    open_hops = list(installed.next_hops)
    # Those that name their interface choose first.
    for hop in sorted(wanted.next_hops, key=lambda hop: hop.interface is None):
        for other in open_hops:
            named = hop.interface is None or hop.interface == other.interface
            if named and (hop.via, hop.weight, hop.onlink) == (other.via, other.weight, other.onlink):
                open_hops.remove(other)
                break
        else:
            return False
    return True


def effective_scope(route: Route) -> Scope:
    """Return the scope that an IPv4 route is written with."""
    if route.scope is not None:
        return route.scope
    if route.type is RouteType.UNICAST and all(hop.via is None for hop in route.next_hops):
        return Scope.LINK
    return Scope.UNIVERSE


@dataclass(frozen=True, slots=True)
class Entry:
    """A route as it stands in a table of the kernel, whoever wrote it: `protocol` is the RTPROT_* number."""

    family: Family
    prefix: bytes
    route: Route
    protocol: int
    table: int

    def __str__(self) -> str:
        where = f"{text(self.family, self.prefix)} {self.route}"
        return f"{where} proto {self.protocol} table {self.table}"


def clamped(metric: int) -> int:
    """Return `metric` within what a route may have, such as 2147483647 - LOCAL_PREF."""
    return min(max(metric, LOWEST_METRIC), HIGHEST_METRIC)
