"""What everybody should know in the end: a fixed point on the graph, written from the RFCs alone.

There are no messages, sessions or tables here, and nothing of the router's code: a route is a value, and
rounds in which everybody tells everything to everybody are repeated until one changes nothing.  The designs
are such that there is one fixed point, whatever the order of events: no MED and no interior costs (RFC 3345),
and nobody prefers what comes from outside to what is its own (RFC 4264).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bgp.iana import Role
from bgp.testing.simulate.design import Design, NodeDesign, Prefix, SessionDesign

NO_EXPORT, NO_ADVERTISE = 0xFFFFFF01, 0xFFFFFF02
_OPPOSITE = {Role.PROVIDER: Role.CUSTOMER, Role.CUSTOMER: Role.PROVIDER, Role.PEER: Role.PEER}


@dataclass(frozen=True, slots=True)
class Route:
    """A route as it is told: the path attributes, the next hop being the node whose address it is."""

    next_hop: str
    as_path: tuple[int, ...] = ()
    origin: int = 0
    local_pref: int | None = None
    originator: int | None = None
    clusters: tuple[int, ...] = ()
    communities: frozenset[int] = frozenset()
    only_to_customer: int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A route that a node may use, and whom it is from: None for itself."""

    route: Route
    source: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known in the end: told[to][source][prefix] and best[node][prefix]."""

    told: Mapping[str, Mapping[str, Mapping[Prefix, Route]]]
    best: Mapping[str, Mapping[Prefix, Held]]


class _Side:
    """A session as one of its ends sees it."""

    def __init__(self, design: Design, session: SessionDesign, me: str) -> None:
        first = session.one == me
        self.me = design.nodes[me]
        self.peer = design.nodes[session.other if first else session.one]
        self.external = self.me.asn != self.peer.asn
        self.client = session.client and first  # the peer is our client
        self.role = session.role if first or session.role is None else _OPPOSITE[session.role]


def fixed_point(design: Design, running: frozenset[str], rounds: int = 200) -> Known:
    """Return what is known when nothing happens any more, and all sessions between `running` nodes are up."""
    sides: dict[tuple[str, str], _Side] = {}
    for session in design.sessions:
        if {session.one, session.other} <= running:
            for me, peer in ((session.one, session.other), (session.other, session.one)):
                sides[me, peer] = _Side(design, session, me)
    told: dict[str, dict[str, dict[Prefix, Route]]] = {name: {} for name in running}
    for me, peer in sides:
        told[me][peer] = {}
    for _ in range(rounds):
        best = {name: dict(_chosen(design, sides, name, told[name])) for name in running}
        again: dict[str, dict[str, dict[Prefix, Route]]] = {name: {} for name in running}
        for (me, peer), side in sides.items():
            found = ((prefix, _telling(sides, side, held)) for prefix, held in best[me].items())
            again[peer][me] = {prefix: route for prefix, route in found if route is not None}
        if again == told:
            return Known(told, best)
        told = again
    raise AssertionError("the design has no fixed point that rounds lead to")


def _chosen(
    design: Design,
    sides: Mapping[tuple[str, str], _Side],
    name: str,
    told: Mapping[str, Mapping[Prefix, Route]],
) -> Iterator[tuple[Prefix, Held]]:
    node = design.nodes[name]
    choices: dict[Prefix, list[Held]] = {}
    for prefix, offer in design.offers.get(name, {}).items():
        own = Route(
            name,
            origin=offer.origin,
            local_pref=offer.local_pref,
            communities=frozenset(offer.communities),
        )
        choices.setdefault(prefix, []).append(Held(own, None))
    for peer, routes in told.items():
        for prefix, route in routes.items():
            taken = _taken(sides[name, peer], route)
            if taken is not None:
                choices.setdefault(prefix, []).append(Held(taken, peer))
    for prefix, held in choices.items():
        yield prefix, min(held, key=lambda each: _rank(design, sides, node, each))


def _taken(side: _Side, route: Route) -> Route | None:
    """Return a route as it is taken in, None if it is not."""
    me = side.me
    if me.asn in route.as_path:  # RFC 4271 9.1.2
        return None
    if route.originator == me.identifier or me.cluster_id in route.clusters:  # RFC 4456 8
        return None
    if route.next_hop == me.name:  # RFC 4271 6.3
        return None
    marked = route.only_to_customer
    if side.role is Role.PROVIDER and marked is not None:  # RFC 9234 5, for this and what follows
        return None
    if side.role is Role.PEER and marked not in (None, side.peer.asn):
        return None
    if side.role in (Role.CUSTOMER, Role.PEER) and marked is None:
        return replace(route, only_to_customer=side.peer.asn)
    return route


def _rank(
    design: Design, sides: Mapping[tuple[str, str], _Side], node: NodeDesign, held: Held
) -> tuple[object, ...]:
    """Order routes by RFC 4271 9.1.2.2 and RFC 4456 9: the lowest is the best."""
    route, source = held.route, held.source
    identifier, internal, address = node.identifier, False, 0
    if source is not None:
        side = sides[node.name, source]
        identifier, internal = side.peer.identifier, not side.external
        address = list(design.nodes).index(source) + 1
    return (
        -(100 if route.local_pref is None else route.local_pref),
        len(route.as_path),
        route.origin,
        internal,
        identifier if route.originator is None else route.originator,
        len(route.clusters),
        address,
    )


def _telling(sides: Mapping[tuple[str, str], _Side], side: _Side, held: Held) -> Route | None:
    """Return what of the best route the peer is told, None if nothing."""
    route, me = held.route, side.me
    if held.source == side.peer.name:
        return None
    if NO_ADVERTISE in route.communities or (side.external and NO_EXPORT in route.communities):
        return None  # RFC 1997
    source = None if held.source is None else sides[me.name, held.source]
    if side.external:
        marked = route.only_to_customer
        if side.role in (Role.CUSTOMER, Role.PEER) and marked is not None:  # RFC 9234 5
            return None
        if side.role in (Role.PROVIDER, Role.PEER) and marked is None:
            marked = me.asn
        return replace(
            route,
            next_hop=me.name,
            as_path=(me.asn, *route.as_path),
            local_pref=None,
            originator=None,
            clusters=(),
            only_to_customer=marked,
        )
    preferred = replace(route, local_pref=100 if route.local_pref is None else route.local_pref)
    if source is None or source.external:
        return preferred
    if not source.client and not side.client:
        return None  # RFC 4271 9.2, RFC 4456 6
    originator = source.peer.identifier if route.originator is None else route.originator
    return replace(preferred, originator=originator, clusters=(me.cluster_id, *route.clusters))
