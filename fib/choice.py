"""Which route a prefix needs: of the paths that share its traffic, by the ways to their next hops.

Nothing is known here of tables.  What is chosen is a function of the multipath set, of what the resolver
says now and of the operator's wishes; so it can be asked at any time why a prefix has the route that it has,
or has none, and nothing of that need be kept for each of a million prefixes.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TypeAlias

from bgp.family import Family
from bgp.iana import WellKnownCommunity
from bgp.rib.aggregate import is_aggregate
from bgp.rib.multipath import Hop
from bgp.rib.nexthop import scoped, text
from bgp.rib.path import Kind, Path
from bgp.wire import prefix as nlri
from fib.resolve import Resolution, Resolver
from fib.route import BLACKHOLE, Address, NextHop, Route, RouteType, clamped

logger = logging.getLogger(__name__)

# More legs than that few forwarding planes share traffic among.
MAXIMUM_LEGS = 16
_MAXIMUM_WEIGHT = 256
# What was chosen for so many multipath sets is remembered.
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Encapsulation:
    """How packets get to a next hop by a tunnel: through `device`, with room for `mtu` octets of theirs.

    `onlink`: the next hop is the gateway there, though no route of that device leads to it.
    """

    device: str
    mtu: int | None = None
    onlink: bool = True


# What says of (prefix, way to a next hop) that it goes by a tunnel, None for one that goes as it is.
Encapsulate: TypeAlias = Callable[[Family, bytes, Resolution], Encapsulation | None]
Network: TypeAlias = IPv4Network | IPv6Network


def by_function(function: Callable[[Network, Address], Encapsulation | None]) -> Encapsulate:
    """Return what asks `function` about each prefix and next hop, as `ipaddress` has them."""

    def encapsulate(family: Family, prefix: bytes, resolution: Resolution) -> Encapsulation | None:
        return function(nlri.network(family, prefix), ip_address(resolution.key[:16]))

    return encapsulate


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the operator wants of the routes.

    `metric`: of a route, by its best path, clamped to what the kernel takes; None is the owner's.
    `max_paths` bounds the legs of a route, and with `weights` traffic is shared in proportion to link
    bandwidths (RFC 10005).  `sources`: the preferred source addresses by family; `mtu` and `advmss` are of
    all routes.  `blackholes`: blocks of our own get a blackhole route, unless they are a single address.
    `encapsulate`: what says which next hops are reached by a tunnel.
    """

    metric: Callable[[Path], int] | None = None
    max_paths: int = MAXIMUM_LEGS
    weights: bool = False
    sources: Mapping[Family, Address] = field(default_factory=dict)
    mtu: int | None = None
    advmss: int | None = None
    blackholes: bool = True
    encapsulate: Encapsulate | None = None

    def __post_init__(self) -> None:
        if self.max_paths < 1:
            raise ValueError(f"max_paths {self.max_paths} is not at least 1")


@dataclass(frozen=True, slots=True)
class NotWanted:
    """Why a prefix gets no route: a name, and a sentence."""

    name: str
    text: str

    def __str__(self) -> str:
        return self.text


NO_PATH = NotWanted("no-path", "there is no usable path to it")
SINGLE = NotWanted("single-address", "it is a single address of our own, which is reachable as it is")
ELSEWHERE = NotWanted("elsewhere", "it is a route of our own by another's next hop, which others see to")
OURS = NotWanted("ours", "it is a block of our own, and blackholes are off")
IMPORTED = NotWanted("imported", "it was learned from the kernel, which has it already")

# Gateway, interface and whether it is on link.
_Leg: TypeAlias = tuple[Address | None, str | None, bool]
Choice: TypeAlias = Route | NotWanted
_NOTHING: Callable[[Family, bytes], bool] = lambda family, prefix: False  # noqa: E731


class Chooser:
    """Chooses routes; `forget` what was chosen before whenever the resolver says something else.

    `imported` says of a prefix whether we originate it because the kernel has it.
    """

    def __init__(
        self,
        resolver: Resolver,
        wishes: Wishes | None = None,
        imported: Callable[[Family, bytes], bool] = _NOTHING,
    ) -> None:
        self.wishes = wishes or Wishes()
        self._resolver = resolver
        self._imported = imported
        self._known: dict[Sequence[Hop], Choice] = {}
        self.failures = 0
        self._said = ""

    def forget(self) -> None:
        """Choose anew from now on."""
        self._known.clear()

    @property
    def by_prefix(self) -> bool:
        """Whether prefixes with equal paths may have different routes, beside those of our own."""
        return self.wishes.encapsulate is not None

    def choose(self, family: Family, prefix: bytes, hops: Sequence[Hop]) -> Choice:
        """Return the route that `prefix` needs, or why it needs none."""
        try:
            return self._choose(family, prefix, hops)
        except Exception as error:
            # What the operator gave: a metric, a tunnel.  One prefix must not hold up the others.
            self._report(family, prefix, error)
            return NotWanted("failed", f"what chooses its route failed: {type(error).__name__}: {error}")

    def _report(self, family: Family, prefix: bytes, error: Exception) -> None:
        self.failures += 1
        words = f"{type(error).__name__}: {error}"
        if words != self._said:
            self._said = words
            logger.error("no route to %s: what chooses it failed", nlri.text(family, prefix), exc_info=error)

    def _choose(self, family: Family, prefix: bytes, hops: Sequence[Hop]) -> Choice:
        if not hops:
            return NO_PATH
        if hops[0].path.source.kind is Kind.LOCAL:
            return self._own(family, prefix, hops[0].path)
        if self.wishes.encapsulate is not None:
            return self._by(family, prefix, hops)
        known = self._known.get(hops)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[hops] = self._by(family, prefix, hops)
        return known

    def ways(self, hops: Sequence[Hop]) -> list[Resolution]:
        """Return how the next hops of a multipath set are reached, or why they are not."""
        return [
            self._resolver.resolve(key_of(hop.path)) for hop in hops if hop.path.source.kind is not Kind.LOCAL
        ]

    def _own(self, family: Family, prefix: bytes, path: Path) -> Choice:
        """Return what a route that we originate needs: what is not in use within it must not loop."""
        if WellKnownCommunity.BLACKHOLE in path.attributes.communities:
            return self._made(BLACKHOLE, path)  # asked for (RFC 7999)
        if self._imported(family, prefix):
            return IMPORTED
        if path.attributes.next_hop and not is_aggregate(path):
            return ELSEWHERE
        if not self.wishes.blackholes:
            return OURS
        return SINGLE if prefix[0] == family.bits else self._made(BLACKHOLE, path)

    def _made(self, route: Route, path: Path) -> Route:
        metric = self._metric(path)
        return route if metric is None else Route(type=route.type, metric=metric)

    def _metric(self, path: Path) -> int | None:
        return None if self.wishes.metric is None else clamped(self.wishes.metric(path))

    def _by(self, family: Family, prefix: bytes, hops: Sequence[Hop]) -> Choice:
        wishes = self.wishes
        legs: dict[_Leg, int] = {}
        mtus = [] if wishes.mtu is None else [wishes.mtu]
        reasons: list[str] = []
        # What asks for no traffic while others take some comes in only where nothing else leads anywhere.
        idle: list[Hop] = []
        for hop in hops:
            if wishes.weights and not hop.weight:
                idle.append(hop)
                continue
            self._leg(family, prefix, hop, legs, mtus, reasons)
        if not legs:
            for hop in idle:
                self._leg(family, prefix, hop, legs, mtus, reasons)
        if not legs:
            return NotWanted("unreachable", f"next hop {'; next hop '.join(dict.fromkeys(reasons))}")
        chosen = list(legs.items())[: wishes.max_paths]
        highest = max(weight for _, weight in chosen)
        scale = max(1.0, highest / _MAXIMUM_WEIGHT)
        return Route(
            tuple(
                NextHop(gateway, interface, max(1, int(weight / scale)), onlink)
                for (gateway, interface, onlink), weight in chosen
            ),
            RouteType.UNICAST,
            wishes.sources.get(family),
            min(mtus, default=None),
            wishes.advmss,
            self._metric(hops[0].path),
        )

    def _leg(
        self,
        family: Family,
        prefix: bytes,
        hop: Hop,
        legs: dict[_Leg, int],
        mtus: list[int],
        reasons: list[str],
    ) -> None:
        """Add what a hop leads to, with its weight; equal legs are one leg with the sum."""
        wishes = self.wishes
        resolution = self._resolver.resolve(key_of(hop.path))
        if not resolution.reachable:
            reasons.append(str(resolution))
            return
        weight = max(hop.weight, 1) if wishes.weights else 1
        tunnel = None if wishes.encapsulate is None else wishes.encapsulate(family, prefix, resolution)
        if tunnel is not None:
            link = self._resolver.interface(tunnel.device)
            if link is None or not link.up:
                state = "is not there" if link is None else "is down"
                reasons.append(f"{text(resolution.key)}: its tunnel {tunnel.device} {state}")
                return
            leg: _Leg = (ip_address(resolution.key[:16]), tunnel.device, tunnel.onlink)
            legs[leg] = legs.get(leg, 0) + weight
            if tunnel.mtu is not None:
                mtus.append(tunnel.mtu)
            return
        for way in resolution.next_hops:
            leg = way.via, way.interface, way.onlink
            legs[leg] = legs.get(leg, 0) + weight * way.weight


def key_of(path: Path) -> bytes:
    """Return what the next hop of a path is known by."""
    return scoped(path.attributes.next_hop, path.source.interface)
