"""A router that is slow and obvious: it keeps what each peer said, and recomputes everything when asked.

It shares with the real one the wire layer's values and nothing of the routing core: no tables, no groups, no
rewriting in octets.  `expected` says what a peer should hold once all is quiet.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from types import SimpleNamespace

from bgp.family import IPV4_UNICAST, Family
from bgp.iana import AttributeType, Role, SegmentType, WellKnownCommunity
from bgp.policy import Accepted, Policy, Refusal
from bgp.rib.aggregate import Aggregate
from bgp.rib.condition import Condition, Conditional
from bgp.rib.decision import DecisionOptions
from bgp.rib.guard import Guard
from bgp.rib.path import Kind
from bgp.rib.selection import ALL, EQUAL, Selection
from bgp.session.config import Confederation
from bgp.testing.reference.decision import ReferenceDecision
from bgp.testing.reference.guards import Owners, takes
from bgp.testing.reference.retention import Accounts, Key
from bgp.wire import aspath
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.encoder import Encoder
from bgp.wire.prefix import network

T = AttributeType
# The path identifiers of our aggregates, and of the default route that some peers are told.
AGGREGATE, DEFAULT = -7, -8


def covers(family: Family, outer: bytes, inner: bytes) -> bool:
    """Whether `inner` is more specific than `outer`."""
    if inner == outer:
        return False
    return network(family, inner).subnet_of(network(family, outer))  # type: ignore[arg-type]


def host(octets: bytes) -> bool:
    """Whether this can be the address of a host (RFC 4271 section 6.3)."""
    address = ip_address(octets[:16])
    if address.version == 4 and (octets[0] == 0 or octets == bytes((255,)) * 4):
        return False
    return not (address.is_multicast or address.is_loopback or address.is_unspecified)


@dataclass(frozen=True)
class Party:
    """A peer as the reference sees it."""

    name: str
    kind: Kind
    identifier: int
    address: bytes
    families: tuple[Family, ...]
    import_policy: Policy | None = None
    export_policy: Policy | None = None
    four_octet_as: bool = True
    add_path: frozenset[tuple[Family, Selection]] = frozenset()
    extended_next_hop: frozenset[Family] = frozenset()
    maximum: int = 4096
    next_hop_self: bool = False
    asn: int = 0
    defaults: Mapping[Family, Condition | None] = field(default_factory=dict)
    conditional: tuple[Conditional, ...] = ()
    role: Role | None = None
    shared: tuple[IPv4Network | IPv6Network, ...] = ()
    local_as: int = 0
    prepends: bool = False
    replaces: bool = False
    installed_only: bool = False
    heeds: bool = False  # we told it of LLGR
    llgr: bool = True  # it told us of that
    partial: bool = False
    cluster: int | None = None  # of a client that is in another cluster than ours
    guard: Guard | None = None


@dataclass(frozen=True)
class Route:
    party: Party
    path_id: int | None
    received: Attributes
    age: int = 0  # the lower the older


class Reference:
    def __init__(
        self,
        asn: int,
        router_id: int,
        cluster_id: int,
        own: dict[Family, bytes],
        decision: DecisionOptions | None = None,
        confederation: Confederation | None = None,
    ) -> None:
        self.asn = asn
        self.confederation = confederation
        self.public = confederation.identifier if confederation else asn
        self.client_to_client = True
        self.identifier = router_id.to_bytes(4, "big")
        self.cluster_id = cluster_id.to_bytes(4, "big")
        self.own = own
        self.table = AttributeTable()
        self.parties: dict[str, Party] = {}
        self.local = Party("", Kind.LOCAL, router_id, b"", tuple(own))
        # (family, prefix) -> (peer, path id) -> what it said
        self.said: dict[tuple[Family, bytes], dict[tuple[str, int | None], Route]] = {}
        self.stale: set[tuple[Family, bytes, str, int | None]] = set()
        # What is kept of peers that restart.
        self.accounts = Accounts(self._take_out, self._must_not_last)
        self.owners = Owners()
        self.installed: set[tuple[Family, bytes]] = set()
        self.costs: dict[bytes, int | None] = {}
        self.decision = ReferenceDecision(decision or DecisionOptions(), self.costs, AGGREGATE)
        self.time = 0
        self.aggregates: dict[tuple[Family, bytes], Aggregate] = {}
        # Routes of ours that are there while a condition holds.
        self.conditional: dict[tuple[Family, bytes], tuple[Attributes, Condition]] = {}

    # --- what happens ------------------------------------------------------------------------------

    def announce(
        self, party: Party, family: Family, prefix: bytes, path_id: int | None, received: Attributes
    ) -> None:
        said = self.said.setdefault((family, prefix), {})
        before = said.get((party.name, path_id))
        self.time += 1
        # Who says the same again is as old as before.
        again = before is not None and before.received is received
        again = not self.accounts.fresh((family, prefix, party.name, path_id)) and again
        age = before.age if again and before is not None else self.time
        said[party.name, path_id] = Route(party, path_id, received, age)
        self.stale.discard((family, prefix, party.name, path_id))
        self._settle(party, family, prefix)

    def withdraw(self, party: Party, family: Family, prefix: bytes, path_id: int | None) -> None:
        self.accounts.fresh((family, prefix, party.name, path_id))
        self.said.get((family, prefix), {}).pop((party.name, path_id), None)
        self.stale.discard((family, prefix, party.name, path_id))
        self._settle(party, family, prefix)

    def _settle(self, party: Party, family: Family, prefix: bytes) -> None:
        """Let a guarded peer have what it announces, or have it no more."""
        guard = party.guard
        mine = [
            each for each in self.said.get((family, prefix), {}).values() if each.party.name == party.name
        ]
        if guard is not None and any(
            not self.circled(party, each.received)
            and host(each.received.next_hop)
            and takes(guard, each.received, party.address)
            for each in mine
        ):
            self.owners.arrive(guard, party.name, family, prefix)
        else:
            self.owners.leave(party.name, family, prefix)

    def guard(self, party: Party) -> None:
        """Hear that a peer has another guard."""
        self.parties[party.name] = party
        if party.guard is not None:
            self.owners.renew(party.guard, party.name)
        for family, prefix, name, _ in list(self.all()):
            if name == party.name:
                self._settle(party, family, prefix)

    def _take_out(self, key: Key) -> None:
        family, prefix, name, path_id = key
        self.said.get((family, prefix), {}).pop((name, path_id), None)
        self.stale.discard(key)
        self.accounts.lasting.discard(key)

    def _must_not_last(self, key: Key) -> bool:
        family, prefix, name, path_id = key
        route = self.said[family, prefix][name, path_id]
        accepted = self.accepted(route, family, prefix) or route.received
        communities = {*route.received.communities, *accepted.communities}
        return WellKnownCommunity.NO_LLGR in communities

    def lost(
        self, party: Party, times: Mapping[Family, tuple[float, float]], notifies: bool, now: float
    ) -> None:
        """A session ended, and what the peer said is kept while it restarts."""
        mine = [key for key in self.all() if key[2] == party.name]
        self.stale -= set(mine)
        del self.parties[party.name]
        self.accounts.lost(party.name, mine, times, notifies, now)

    def down(self, party: Party) -> None:
        for family, prefix, name, path_id in list(self.all()):
            if name == party.name:
                self.withdraw(party, family, prefix, path_id)
        for family in party.families:
            self.accounts.close(party.name, family)
        del self.parties[party.name]

    def begin_refresh(self, party: Party, family: Family) -> None:
        self.stale |= {key for key in self.all() if key[0] is family and key[2] == party.name}

    def end_refresh(self, party: Party, family: Family) -> None:
        for key in [key for key in self.stale if key[0] is family and key[2] == party.name]:
            self.withdraw(party, family, key[1], key[3])

    def all(self) -> Iterable[tuple[Family, bytes, str, int | None]]:
        for (family, prefix), routes in self.said.items():
            for name, path_id in routes:
                yield family, prefix, name, path_id

    # --- what follows from it ------------------------------------------------------------------------

    def judged(
        self, policy: Policy, route: Route, attributes: Attributes, family: Family, prefix: bytes
    ) -> tuple[Attributes, frozenset[int]] | None:
        """Ask a policy; what it may be told of a path is all that is in this one."""
        party = route.party
        source = SimpleNamespace(
            peer=party.name, kind=party.kind, address=party.address, asn=party.asn, family=family
        )
        path = SimpleNamespace(attributes=attributes, source=source)
        try:
            reads_prefix = getattr(policy, "reads_prefix", False)
            answer = policy(path, prefix) if reads_prefix else policy(path)
        except ZeroDivisionError:
            return None
        if answer is None or isinstance(answer, Refusal):
            return None
        return answer if isinstance(answer, Accepted) else (answer, frozenset())

    def accepted(self, route: Route, family: Family, prefix: bytes) -> Attributes | None:
        attributes, party = route.received, self.parties.get(route.party.name, route.party)
        if party.kind is Kind.LOCAL:
            return attributes
        if self.looped(party, attributes):
            return None
        if attributes.next_hop[:16] in self.own.values() or not host(attributes.next_hop):
            return None
        if party.shared and attributes.next_hop[:16] != party.address:
            hop = ip_address(attributes.next_hop[:16])
            if not (hop.version == 6 and hop.is_link_local) and not any(hop in net for net in party.shared):
                return None
        guard, name = party.guard, party.name
        if guard and self.owners.rule(guard, name, party.address, family, prefix, route.received):
            return None
        # RFC 9234 section 5, the ingress procedure.
        marked = attributes.only_to_customer
        if marked is not None:
            if party.role in (Role.PROVIDER, Role.ROUTE_SERVER):
                return None
            if party.role is Role.PEER and marked != party.asn:
                return None
        elif party.role in (Role.CUSTOMER, Role.ROUTE_SERVER_CLIENT, Role.PEER):
            attributes = self.table.derive(attributes, {T.ONLY_TO_CUSTOMER: party.asn.to_bytes(4, "big")})
        if party.prepends:
            behind = aspath.encode(aspath.prepended(attributes.as_path, party.local_as))
            attributes = self.table.derive(attributes, {T.AS_PATH: behind})
        if party.import_policy is not None:
            accepted = self.judged(party.import_policy, route, attributes, family, prefix)
            if accepted is None:
                return None
            attributes = accepted[0]
        elif party.kind.external:
            return None
        if (family, prefix, route.party.name, route.path_id) in self.accounts.lasting:
            attributes = self._with(attributes, WellKnownCommunity.LLGR_STALE)
        return None if self.costs.get(attributes.next_hop[:16], 0) is None else attributes

    def cluster(self, party: Party) -> bytes:
        return self.cluster_id if party.cluster is None else party.cluster.to_bytes(4, "big")

    def looped(self, party: Party, attributes: Attributes) -> bool:
        """Whether we are in an AS_PATH, an ORIGINATOR_ID or a CLUSTER_LIST."""
        clusters = attributes.get(T.CLUSTER_LIST) or b""
        ours = {self.cluster_id, *map(self.cluster, self.parties.values())}
        return self.circled(party, attributes) or any(
            clusters[at : at + 4] in ours for at in range(0, len(clusters), 4)
        )

    def circled(self, party: Party, attributes: Attributes) -> bool:
        """Whether we are in an AS_PATH, an ORIGINATOR_ID or, as the router's own cluster, a CLUSTER_LIST."""
        for type_, asns in attributes.as_path:
            confederate = type_ in (SegmentType.AS_CONFED_SEQUENCE, SegmentType.AS_CONFED_SET)
            if self.public in asns or party.local_as in asns or (confederate and self.asn in asns):
                return True
        clusters = attributes.get(T.CLUSTER_LIST) or b""
        return attributes.get(T.ORIGINATOR_ID) == self.identifier or self.cluster_id in [
            clusters[at : at + 4] for at in range(0, len(clusters), 4)
        ]

    def _with(self, attributes: Attributes, *wanted: int) -> Attributes:
        communities = [*attributes.communities]
        communities += [each for each in wanted if each not in communities]
        value = b"".join(each.to_bytes(4, "big") for each in communities)
        return self.table.derive(attributes, {T.COMMUNITIES: value})

    def usable(self, family: Family, prefix: bytes) -> list[tuple[Route, Attributes]]:
        routes = self.said.get((family, prefix), {}).values()
        judged = [(route, self.accepted(route, family, prefix)) for route in routes]
        found = [(route, accepted) for route, accepted in judged if accepted is not None]
        if (family, prefix) in self.conditional:
            attributes, condition = self.conditional[family, prefix]
            if self.holds(condition):
                found.append((Route(self.local, None, attributes), attributes))
        if (family, prefix) in self.aggregates:
            made = self.aggregated(family, prefix)
            if made is not None:
                found.append((Route(self.local, AGGREGATE, made), made))
        return found

    def prefixes(self) -> list[tuple[Family, bytes]]:
        """Return all prefixes of which there may be a route."""
        return list(dict.fromkeys((*self.said, *self.aggregates, *self.conditional)))

    def holds(self, condition: Condition | None) -> bool:
        if condition is None:
            return True
        found = any(
            condition.prefixes.matches(family, prefix) and self.best(family, prefix) is not None
            for family, prefix in self.prefixes()
        )
        return found is condition.exists

    def contributors(self, family: Family, prefix: bytes) -> list[Attributes]:
        """Return the attributes of what an aggregate is made of."""
        found = []
        for other, inner in self.prefixes():
            if other is family and covers(family, prefix, inner):
                best = self.best(family, inner)
                if best is not None and best[0].path_id != AGGREGATE:
                    found.append(best[1])
        return found

    def aggregated(self, family: Family, prefix: bytes) -> Attributes | None:
        """Combine what is more specific than `prefix` by RFC 4271 9.2.2.2 and RFC 9774 5.2."""
        how, parts = self.aggregates[family, prefix], self.contributors(family, prefix)
        if not parts or (how.matching_med and len({part.med for part in parts}) > 1):
            return None
        outside = [aspath.without_confederation(part.as_path) for part in parts]
        flat = [[asn for segment in path for asn in segment.asns] for path in outside]
        common = flat[0]
        while any(path[: len(common)] != common for path in flat):
            common.pop()
        while common and common[-1] != how.origin_as:
            common.pop()
        return self.table.make(
            origin=max(part.origin for part in parts),
            as_path=common,
            atomic_aggregate=True,
            aggregator=(self.public, ip_address(self.identifier)),  # type: ignore[arg-type]
            communities=sorted({one for part in parts for one in part.communities})
            if how.communities
            else (),
        )

    def hidden(self, family: Family, prefix: bytes) -> bool:
        """Whether a summary is told in place of what is not an aggregate itself."""
        return any(
            other is family
            and how.summary_only
            and covers(family, outer, prefix)
            and (self.aggregated(family, outer) is not None or not self.contributors(family, outer))
            for (other, outer), how in self.aggregates.items()
        )

    def best(self, family: Family, prefix: bytes) -> tuple[Route, Attributes] | None:
        left = self.usable(family, prefix)
        return self.elected(left)[0] if left else None

    def elected(
        self, left: list[tuple[Route, Attributes]]
    ) -> tuple[tuple[Route, Attributes], list[tuple[Route, Attributes]]]:
        """Return the best path, and its equals."""
        return self.decision.elected(left)

    def multipath(self, family: Family, prefix: bytes) -> list[tuple[Route, Attributes]]:
        return self.decision.multipath(self.usable(family, prefix))

    def selected(self, to: Party, family: Family, prefix: bytes) -> list[tuple[Route, Attributes]]:
        """Return the paths that are for `to`, before any rule of export."""
        left = self.usable(family, prefix)
        selection = dict(to.add_path).get(family)
        if not left or selection == ALL:
            return left
        if selection == EQUAL:
            return self.elected(left)[1]
        found: list[tuple[Route, Attributes]] = []
        while left and len(found) < (selection.count if selection else 1):
            found.append(self.elected(left)[0])
            left.remove(found[-1])
        return found

    def shown(self, to: Party, family: Family, prefix: bytes, item: tuple[Route, Attributes]) -> bool:
        """Whether nothing else is told instead, and neither a condition nor the gate holds it back."""
        if (
            to.installed_only
            and item[0].party.kind is not Kind.LOCAL
            and (family, prefix) not in self.installed
        ):
            return False
        if prefix == b"\0" and family in to.defaults and self.holds(to.defaults[family]):
            return False
        if item[0].path_id != AGGREGATE and self.hidden(family, prefix):
            return False
        return all(
            self.holds(each.condition) or self.judged(each.routes, *item, family, prefix) is None
            for each in to.conditional
        )

    def told(
        self, to: Party, family: Family, prefix: bytes, item: tuple[Route, Attributes]
    ) -> Attributes | None:
        """Return what `to` hears of a path, None if it does not."""
        route, attributes = item
        source = route.party.kind
        if route.party.name == to.name:
            return None
        reflected = source.internal and to.kind.internal
        if reflected and Kind.CLIENT not in (source, to.kind):
            return None
        meshed = source is to.kind is Kind.CLIENT and self.cluster(to) == self.cluster(route.party)
        if meshed and not self.client_to_client:
            return None
        relayed = source is to.kind is Kind.ROUTE_SERVER_CLIENT
        communities = set() if relayed else set(attributes.communities)
        if WellKnownCommunity.NO_ADVERTISE in communities:
            return None
        if route.path_id != DEFAULT and not self.shown(to, family, prefix, item):
            return None
        stale = route.party.heeds and WellKnownCommunity.LLGR_STALE in attributes.communities
        if stale and not to.llgr and not to.partial:
            return None
        if to.kind.external and WellKnownCommunity.NO_EXPORT in communities:
            return None
        if not to.kind.internal and WellKnownCommunity.NO_EXPORT_SUBCONFED in communities:
            return None
        marked = attributes.only_to_customer
        if marked is not None and to.role in (Role.CUSTOMER, Role.ROUTE_SERVER_CLIENT, Role.PEER):
            return None
        if marked is not None and self.confederation is not None and to.kind.external:
            if marked in {self.asn, *self.confederation.members} - {self.public}:
                return None
        med = attributes.med
        chosen: frozenset[int] = frozenset()
        if route.path_id == DEFAULT:
            if to.export_policy is None and to.kind.external:
                return None
        elif to.export_policy is not None:
            changed = self.judged(to.export_policy, route, attributes, family, prefix)
            if changed is None:
                return None
            attributes, chosen = changed
        elif to.kind.external:
            return None
        next_hop = attributes.next_hop
        changes: dict[int, bytes | None] = {}
        if relayed:
            changes = {T.LOCAL_PREF: None}
        elif to.kind.external:
            outside = aspath.without_confederation(attributes.as_path)
            path = outside if to.replaces else aspath.prepended(outside, self.public)
            if to.local_as:
                path = aspath.prepended(path, to.local_as)
            changes = {
                T.AS_PATH: aspath.encode(path),
                T.LOCAL_PREF: None,
                T.ORIGINATOR_ID: None,
                T.CLUSTER_LIST: None,
            }
            # RFC 4360 section 6: those that are not transitive end at the border of the AS.
            for type_, size in ((T.EXTENDED_COMMUNITIES, 8), (T.IPV6_EXTENDED_COMMUNITIES, 20)):
                value = attributes.get(type_) or b""
                items = [value[at : at + size] for at in range(0, len(value), size)]
                changes[type_] = b"".join(item for item in items if not item[0] & 0x40) or None
            if source is not Kind.LOCAL and attributes.med == med and T.MULTI_EXIT_DISC not in chosen:
                changes[T.MULTI_EXIT_DISC] = None
            kept = len(next_hop) == 4 or next_hop[:2] != b"\xfe\x80"
            kept = kept and bool(next_hop) and next_hop[:16] != to.address
            kept = kept and any(ip_address(next_hop[:16]) in network for network in to.shared)
            if T.NEXT_HOP not in chosen and not kept:
                next_hop = b""
        elif to.kind is Kind.CONFEDERATION:
            path = aspath.prepended(attributes.as_path, self.asn, type=SegmentType.AS_CONFED_SEQUENCE)
            changes = {T.AS_PATH: aspath.encode(path), T.ORIGINATOR_ID: None, T.CLUSTER_LIST: None}
            if attributes.local_pref is None:
                changes[T.LOCAL_PREF] = (100).to_bytes(4, "big")
            if to.next_hop_self and T.NEXT_HOP not in chosen:
                next_hop = b""
        elif reflected:
            if attributes.local_pref is None:
                changes[T.LOCAL_PREF] = (100).to_bytes(4, "big")
            if attributes.get(T.ORIGINATOR_ID) is None:
                changes[T.ORIGINATOR_ID] = route.party.identifier.to_bytes(4, "big")
            # RFC 4456 section 8: "the reflection path that the route has passed", the latest first.
            passed = [self.cluster(each) for each in (to, route.party) if each.kind is Kind.CLIENT]
            changes[T.CLUSTER_LIST] = b"".join(
                [*dict.fromkeys(passed), attributes.get(T.CLUSTER_LIST) or b""]
            )
        else:
            if attributes.local_pref is None:
                changes[T.LOCAL_PREF] = (100).to_bytes(4, "big")
            if to.next_hop_self and T.NEXT_HOP not in chosen:
                next_hop = b""
        if not to.kind.external and family is not IPV4_UNICAST and T.NEXT_HOP not in chosen:
            # RFC 2545 3: the link-local address behind a global one is for who is on its link.
            if len(next_hop) == 32 and not ip_address(next_hop[:16]).is_link_local and any(next_hop[:16]):
                next_hop = next_hop[:16]
        changes[T.AIGP] = None  # nobody has it enabled
        if route.party.kind is Kind.LOCAL and next_hop[:16] == to.address and T.NEXT_HOP not in chosen:
            next_hop = b""  # RFC 4271 5.1.3: never the peer's own address
        next_hop = next_hop or self.own[family]
        if marked is None and to.role in (Role.PROVIDER, Role.ROUTE_SERVER, Role.PEER):
            changes[T.ONLY_TO_CUSTOMER] = (to.local_as or self.public).to_bytes(4, "big")
        if family is IPV4_UNICAST and len(next_hop) != 4 and family not in to.extended_next_hop:
            return None
        if family is not IPV4_UNICAST and len(next_hop) == 4:
            return None
        attributes = self.table.derive(self.table.intern(attributes.octets, next_hop), changes)
        if stale:
            more = [WellKnownCommunity.NO_EXPORT] if to.partial and not to.llgr else []
            attributes = self._with(attributes, WellKnownCommunity.LLGR_STALE, *more)
            if to.partial:
                attributes = self.table.derive(attributes, {T.LOCAL_PREF: bytes(4)})
        identified = frozenset(family for family, _ in to.add_path)
        encoder = Encoder(to.four_octet_as, identified, to.maximum)
        ids = [1] if family in identified else None
        _, unfit = encoder.announce(family, attributes.octets, next_hop, [prefix], ids)
        return None if unfit else attributes

    def expected(self, to: Party) -> dict[tuple[Family, bytes], list[tuple[bytes, bytes]]]:
        """Return (octets, next hop) of each path that `to` should hold, sorted, by family and prefix."""
        found: dict[tuple[Family, bytes], list[tuple[bytes, bytes]]] = {}
        for family, prefix in self.prefixes():
            if family not in to.families:
                continue
            told = [self.told(to, family, prefix, item) for item in self.selected(to, family, prefix)]
            heard = sorted((one.octets, one.next_hop) for one in told if one is not None)
            if heard:
                found[family, prefix] = heard
        for family, condition in to.defaults.items():
            if family in to.families and self.holds(condition):
                attributes = self.table.make()
                one = self.told(to, family, b"\0", (Route(self.local, DEFAULT, attributes), attributes))
                if one is not None:
                    found[family, b"\0"] = [(one.octets, one.next_hop)]
        return found
