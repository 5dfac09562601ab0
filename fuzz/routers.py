"""For targets: a router among peers of several kinds, what they say as octets, and the reference beside it.

Each peer negotiates a session of its own kind, and its UPDATEs are octets for the decoder of that session.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from random import Random

from bgp.errors import Notify
from bgp.family import FAMILIES, IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import AddPathMode, AttributeType, Role, RouteRefreshSubtype
from bgp.member import Member, PeerSettings
from bgp.policy import ACCEPT, ACCEPT_ALL, REFUSE, Policy, Rules, Term, change, match
from bgp.rib.decision import DecisionOptions
from bgp.rib.path import Kind
from bgp.rib.selection import ALL, Selection, best_n
from bgp.router import Router
from bgp.session.config import SessionConfig
from bgp.session.negotiation import Negotiated, negotiate, offer
from bgp.testing import breakage, generate
from bgp.testing.draft import Draft, Item
from bgp.testing.generate import chance
from bgp.testing.listener import Listener
from bgp.testing.reference.router import Party, Reference
from bgp.wire import prefix as nlri
from bgp.wire.context import Context
from bgp.wire.message import RouteRefresh
from bgp.wire.update import Decoder
from fuzz.target import hold

# Of the numbers that generated AS_PATHs are full of, so that some of them loop.
LOCAL_AS = 64500
ROUTER_ID, CLUSTER_ID = 0x0A000001, 0x0A0000FF
OURS = {IPV4_UNICAST: ip_address("192.0.2.1").packed, IPV6_UNICAST: ip_address("2001:db8::1").packed}
PREFIXES = {
    IPV4_UNICAST: [
        nlri.parse(text)[1] for text in ("0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "192.0.2.128/25")
    ],
    IPV6_UNICAST: [nlri.parse(text)[1] for text in ("::/0", "2001:db8::/32", "2001:db8:0:1::/64")],
}
HOPS = [ip_address(text).packed for text in ("10.9.0.1", "10.9.0.2", "2001:db8::9")]
_MARKED = "64500:1"
ON_IMPORT = Rules(
    "in",
    [
        Term("marked", match.community(_MARKED), (change.local_pref(300), change.med(3)), ACCEPT),
        Term("short", match.as_path_length((0, 2)), (change.prepend(64500, 64496),), ACCEPT),
        Term("long", match.prefix_length((25, 128)), then=REFUSE),
        Term("rest", ~match.origin(), (change.add_communities(_MARKED), change.add_med(1)), ACCEPT),
    ],
)
ON_EXPORT = Rules(
    "out",
    [
        Term("v6", match.family(IPV6_UNICAST), (change.next_hop("2001:db8::7"),), ACCEPT),
        Term("some", match.has(AttributeType.AGGREGATOR), then=REFUSE),
        Term("rest", match.ANY, (change.remove_communities("*:*"), change.med(None)), ACCEPT),
    ],
)


@dataclass(frozen=True, slots=True)
class Spec:
    """A kind of peer: what it is to us, its session's options, and on what terms it hears and is heard."""

    name: str
    kind: Kind
    options: Mapping[str, object] = field(default_factory=dict)
    select: Selection = ALL
    policies: tuple[Policy | None, Policy | None] = (ACCEPT_ALL, ACCEPT_ALL)
    next_hop_self: bool = False
    role: Role | None = None


_BOTH = dict.fromkeys(FAMILIES, AddPathMode.BOTH)
SPECS = (
    Spec("client-1", Kind.CLIENT, {"as_sets": True}),
    Spec("client-2", Kind.CLIENT, {"add_path": _BOTH, "extended_next_hop": (IPV4_UNICAST,)}),
    Spec("client-policy", Kind.CLIENT, {"as_sets": True}, policies=(ON_IMPORT, ON_EXPORT)),
    Spec("non-client", Kind.NON_CLIENT, {"add_path": _BOTH}, best_n(2), next_hop_self=True),
    Spec("external-1", Kind.EXTERNAL, {"extended_messages": False, "as_sets": True}),
    Spec("external-2", Kind.EXTERNAL, {"four_octet_as": False, "families": (IPV4_UNICAST,)}),
    Spec("external-policy", Kind.EXTERNAL, policies=(ON_IMPORT, None)),
    Spec("provider", Kind.EXTERNAL, role=Role.CUSTOMER),
    Spec("peer", Kind.EXTERNAL, role=Role.PEER),
    Spec("server-client-1", Kind.ROUTE_SERVER_CLIENT, {"as_sets": True}),
    Spec("server-client-2", Kind.ROUTE_SERVER_CLIENT, {"add_path": _BOTH}),
)


def negotiated(spec: Spec, number: int) -> Negotiated:
    """Return the session of a peer of this kind; `number` tells it from others."""
    options: dict[str, object] = {"families": FAMILIES, "first_as": False, **spec.options}
    asn = LOCAL_AS if spec.kind.internal else 65000 + number
    # With graceful restart a BoRR before End-of-RIB is ignored, of which the reference here is told nothing.
    options["graceful_restart"] = None
    ours = SessionConfig(local_as=LOCAL_AS, identifier=ROUTER_ID, role=spec.role, **options)  # type: ignore[arg-type]
    theirs = SessionConfig(local_as=asn, identifier=number, **options)  # type: ignore[arg-type]
    return negotiate(ours, offer(ours), offer(theirs))


class Peer:
    """A peer that is up: its session, what it was told, and itself as the reference sees it."""

    def __init__(self, router: Router, spec: Spec, number: int) -> None:
        self.spec = spec
        self.session = agreed = negotiated(spec, number)
        address = bytes((10, 9, 1, number))
        settings = PeerSettings(
            name=spec.name,
            client=spec.kind is Kind.CLIENT,
            route_server_client=spec.kind is Kind.ROUTE_SERVER_CLIENT,
            local_address=OURS[IPV4_UNICAST],
            remote_address=address,
            import_policy=spec.policies[0],
            export_policy=spec.policies[1],
            next_hop_self=spec.next_hop_self,
            next_hops={IPV6_UNICAST: OURS[IPV6_UNICAST]},
            add_path_select=dict.fromkeys(FAMILIES, spec.select),
        )
        self.member: Member = router.up(settings, agreed)
        self.listener = Listener(agreed)
        self.decode = Decoder(agreed.context(), router.table).decode
        self.party = Party(
            spec.name,
            spec.kind,
            number,
            address,
            agreed.families,
            *spec.policies,
            agreed.four_octet_as,
            frozenset((family, spec.select) for family in agreed.add_path_send),
            agreed.extended_next_hop,
            agreed.maximum_send,
            spec.next_hop_self,
            agreed.remote_as,
            role=agreed.role,
        )


class Scene:
    """A router, the peers that are up by their place in `SPECS`, and the reference that hears all of it."""

    def __init__(self, options: DecisionOptions) -> None:
        self.router = Router(LOCAL_AS, ROUTER_ID, CLUSTER_ID, decision=options)
        self.reference = Reference(LOCAL_AS, ROUTER_ID, CLUSTER_ID, OURS, options)
        self.peers: dict[int, Peer] = {}
        self.now = 100.0

    # --- What happens -------------------------------------------------------------------------------

    def up(self, at: int) -> None:
        if at not in self.peers:
            peer = self.peers[at] = Peer(self.router, SPECS[at], at + 1)
            self.reference.parties[peer.spec.name] = peer.party

    def down(self, at: int) -> None:
        peer = self.peers.pop(at, None)
        if peer is not None:
            self.router.down(peer.member)
            self.reference.down(peer.party)

    def say(self, at: int, body: bytes) -> None:
        """Hear an UPDATE from a peer, if it is up; one that no session survives ends it."""
        peer = self.peers.get(at)
        if peer is None or len(body) + 19 > peer.session.maximum_receive or len(body) < 4:
            return
        try:
            update = peer.decode(body)
        except Notify:
            self.down(at)
            return
        for unreach in update.withdrawn:
            ids = unreach.path_ids or [None] * len(unreach.prefixes)
            for prefix, path_id in zip(unreach.prefixes, ids, strict=True):
                self.reference.withdraw(peer.party, unreach.family, prefix, path_id)
        for reach in update.announced:
            ids = reach.path_ids or [None] * len(reach.prefixes)
            for prefix, path_id in zip(reach.prefixes, ids, strict=True):
                self.reference.announce(peer.party, reach.family, prefix, path_id, reach.attributes)
        self.router.update(peer.member, update)

    def refresh(self, at: int, family: Family, subtype: int) -> None:
        peer = self.peers.get(at)
        if peer is None or family not in peer.session.families:
            return
        self.router.refresh(peer.member, RouteRefresh(family.afi, family.safi, subtype))
        if subtype == RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH:
            self.reference.begin_refresh(peer.party, family)
        elif subtype == RouteRefreshSubtype.END_OF_ROUTE_REFRESH:
            self.reference.end_refresh(peer.party, family)

    def originate(self, family: Family, prefix: bytes, number: int) -> None:
        attributes = self.router.table.make(
            med=number % 3 or None,
            communities=(_MARKED,) if number & 4 else (),
            as_path="64496" * (number & 1),
        )
        self.router.announce(family, prefix, attributes)
        self.reference.announce(self.reference.local, family, prefix, None, attributes)

    def revoke(self, family: Family, prefix: bytes) -> None:
        self.router.withdraw(family, prefix)
        self.reference.withdraw(self.reference.local, family, prefix, None)

    def cost(self, address: bytes, cost: int | None) -> None:
        self.router.next_hops.learn({address: cost})
        self.reference.costs[address] = cost

    def pull(self, at: int, limit: int) -> None:
        peer = self.peers.get(at)
        if peer is not None:
            for octets in self.router.pull(peer.member, limit):
                peer.listener.hear(octets)

    # --- What must then be so -----------------------------------------------------------------------

    def settle(self) -> None:
        """Let all be done and told."""
        for _ in range(10000):
            more = self.router.work()
            more = self.router.flush(self.now) or more
            for at, peer in self.peers.items():
                if peer.member.pending:
                    self.pull(at, 65536)
                    more = True
            if not more:
                return
        hold(False, "it is never done")

    def quiet(self) -> None:
        """Hold what everybody was told against what the reference says."""
        self.settle()
        self.now += 10
        self.settle()
        for peer in self.peers.values():
            held: dict[tuple[Family, bytes], list[tuple[bytes, bytes]]] = {}
            for (family, prefix, _), attributes in peer.listener.held.items():
                held.setdefault((family, prefix), []).append((attributes.octets, attributes.next_hop))
            wanted = self.reference.expected(peer.party)
            for key in held.keys() | wanted.keys():
                found, told = sorted(held.get(key, [])), wanted.get(key, [])
                hold(
                    found == told,
                    f"{peer.spec.name} holds of {nlri.text(*key)} {_shown(found)}, not {_shown(told)}",
                )
        said = sum(len(routes) for routes in self.reference.said.values())
        hold(self.router.rib.routes == said, f"{self.router.rib.routes} routes, not {said}")

    def end(self) -> None:
        """Take all away; nothing may be left."""
        for at in list(self.peers):
            self.down(at)
        for family, prefix, _, _ in list(self.reference.all()):
            self.revoke(family, prefix)
        self.settle()
        left = (self.router.rib.routes, self.router.rib.attribute_octets, len(self.router.groups))
        hold(left == (0, 0, 0), f"left are routes, attribute octets and groups {left}")


def _shown(told: list[tuple[bytes, bytes]]) -> str:
    return ", ".join(f"{octets.hex()} by {nlri.address_text(hop)}" for octets, hop in told) or "nothing"


# --- What peers say ---------------------------------------------------------------------------------------


def update(random: Random, context: Context) -> bytes:
    """Return an UPDATE about few prefixes, the same for all peers; now and then a broken one."""
    families = [family for family in FAMILIES if family in context.families]
    draft = Draft()
    if chance(random, 0.8):
        family = random.choice(families)
        written = _routes(random, family, context)
        classic = family is IPV4_UNICAST and chance(random, 0.6)
        draft.attributes = generate.attributes(random, context, with_next_hop=classic)
        if chance(random, 0.5):
            _plain(random, draft)
        if classic:
            draft.nlri = written
        else:
            draft.attributes.insert(0, generate.reach(random, family, context, written))
    if chance(random, 0.3) or not draft.attributes:
        family = random.choice(families)
        written = _routes(random, family, context)
        if family is IPV4_UNICAST and chance(random, 0.5):
            draft.withdrawn = written
        else:
            draft.insert(random, generate.unreach(random, family, written))
    if chance(random, 0.1) and (draft.nlri or draft.find(AttributeType.MP_REACH_NLRI)):
        return breakage.update(random, context, draft=draft)
    return draft.body()


def _routes(random: Random, family: Family, context: Context) -> list[bytes]:
    some = random.sample(PREFIXES[family], random.choice((1, 1, 2, 3)))
    if family in context.add_path:
        return [bytes((0, 0, 0, random.randrange(3))) + prefix for prefix in some]
    return some


def _plain(random: Random, draft: Draft) -> None:
    """Give attributes that decide values that are often the same, and some that are about us."""
    usual: dict[int, list[bytes]] = {
        AttributeType.NEXT_HOP: [hop for hop in HOPS if len(hop) == 4] + [OURS[IPV4_UNICAST]],
        AttributeType.LOCAL_PREF: [bytes((0, 0, 0, 100)), bytes((0, 0, 0, 200))],
        AttributeType.MULTI_EXIT_DISC: [bytes(4), bytes((0, 0, 0, 5))],
        AttributeType.ORIGINATOR_ID: [bytes((0, 0, 0, 7)), ROUTER_ID.to_bytes(4, "big")],
        AttributeType.CLUSTER_LIST: [bytes(4), CLUSTER_ID.to_bytes(4, "big")],
        AttributeType.COMMUNITIES: [
            bytes.fromhex(text) for text in ("fbf40001", "ffffff01", "ffffff02", "ffffff03", "ffff0006")
        ],
    }
    for item in draft.attributes:
        values = usual.get(
            AttributeType(item.type) if item.type in set(AttributeType) else AttributeType.ORIGIN
        )
        if values:
            item.value = random.choice(values)
    if chance(random, 0.3):
        draft.remove(AttributeType.COMMUNITIES)
        value = random.choice(usual[AttributeType.COMMUNITIES])
        draft.attributes.append(Item(0xC0, AttributeType.COMMUNITIES, value))
