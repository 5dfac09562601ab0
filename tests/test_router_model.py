"""Whatever happens, in whatever order: each peer ends up with what the slow, obvious router says.

Peers of all kinds come and go, announce, withdraw, refresh, read slowly or not at all; the router works in
slices and flushes at any time.  What a peer was sent is decoded as it arrives.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from ipaddress import ip_network
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from routers import CONFEDERATION, LOCAL_AS, OUR_ADDRESS, ROUTER_ID, Peer, add_path, address, prefix, settle

from bgp.export import default
from bgp.family import FAMILIES, IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import AttributeType, Role, RouteRefreshSubtype, WellKnownCommunity
from bgp.policy import ACCEPT, ACCEPT_ALL, Policy, Rules, Term, match
from bgp.policy.condition import Condition, Conditional, exists, missing
from bgp.policy.prefixes import PrefixList
from bgp.rib.aggregate import Aggregate, is_aggregate
from bgp.rib.decision import DecisionOptions
from bgp.rib.guard import Guard
from bgp.rib.path import Kind, Path
from bgp.rib.selection import ALL, BEST, EQUAL, Selection, best_n
from bgp.rib.walk import Walk
from bgp.router import Router
from bgp.session.config import Confederation
from bgp.session.restart import DEFAULT, RestartOptions
from bgp.testing.reference.router import Party, Reference
from bgp.wire.attributes import Attributes, AttributeTable
from bgp.wire.capability import GracefulRestart, LongLivedGracefulRestart
from bgp.wire.message import RouteRefresh

T = TypeVar("T")
CLUSTER = 0x0A0000FF
OUR_IPV6 = address("2001:db8::1")
UNWANTED = 0xFFFE0001  # import and export policies refuse this community
CHEAPER = 0xFFFE0002  # and change this one's path


def policies(table: AttributeTable) -> tuple[Policy, Policy]:
    """Return an import and an export policy that refuse some paths and change others."""

    def on_import(path: Path) -> Attributes | None:
        attributes = path.attributes
        if UNWANTED in attributes.communities:
            return None
        if CHEAPER in attributes.communities:
            return table.derive(attributes, {AttributeType.LOCAL_PREF: (300).to_bytes(4, "big")})
        return attributes

    def on_export(path: Path) -> Attributes | None:
        attributes = path.attributes
        if UNWANTED in attributes.communities:
            return None
        if CHEAPER in attributes.communities:
            return table.derive(attributes, {AttributeType.MULTI_EXIT_DISC: (7).to_bytes(4, "big")})
        return attributes

    return on_import, on_export


class Ways:
    """Whoever knows what it costs to reach next hops."""

    def __init__(self) -> None:
        self.costs: dict[bytes, int | None] = {address("10.9.0.2"): 3, address("2001:db8::9"): None}

    def resolve(self, next_hop: bytes) -> int | None:
        return self.costs.get(next_hop, 0)

    def why(self, next_hop: bytes) -> str:
        return "as the test says"

    def forget(self, next_hops: Collection[bytes]) -> None:
        raise AssertionError("there are never so many")


SOME = Rules("some", [Term("low", match.prefix_in(["10.0.0.0/14 le 24"]), then=ACCEPT)])
OTHERS = Rules("others", [Term("marked", match.community("0:1"), then=ACCEPT)])
OTHER_CLUSTER = 0xB0000000  # some clients are in this cluster
ALIAS = 64998  # the AS that some external peers see in place of ours
# name -> kind and what else is special about the peer
PEERS: dict[str, tuple[Kind, dict[str, object]]] = {
    "client-1": (Kind.CLIENT, {}),
    "client-2": (Kind.CLIENT, {}),
    "client-add-path": (Kind.CLIENT, {"add_path": add_path()}),
    "client-add-path-4": (Kind.CLIENT, {"add_path": add_path(IPV4_UNICAST)}),
    "client-best": (Kind.CLIENT, {"add_path": add_path(), "select": BEST}),
    "client-best-2": (Kind.CLIENT, {"add_path": add_path(), "select": best_n(2)}),
    "client-best-3": (Kind.CLIENT, {"add_path": add_path(IPV4_UNICAST), "select": best_n(3), "policy": True}),
    "client-equal": (Kind.CLIENT, {"add_path": add_path(), "select": EQUAL}),
    "external-best-2": (Kind.EXTERNAL, {"add_path": add_path(), "select": best_n(2)}),
    "client-6": (Kind.CLIENT, {"extended_next_hop": (IPV4_UNICAST,)}),
    "client-large": (Kind.CLIENT, {"extended_messages": True}),
    "client-policy": (Kind.CLIENT, {"policy": True}),
    "client-b": (Kind.CLIENT, {"cluster_id": OTHER_CLUSTER}),
    "client-b-add-path": (Kind.CLIENT, {"cluster_id": OTHER_CLUSTER, "add_path": add_path()}),
    "client-c-restarts": (Kind.CLIENT, {"cluster_id": OTHER_CLUSTER + 1, "restart": (14, True, None)}),
    "non-client-1": (Kind.NON_CLIENT, {}),
    "non-client-2": (Kind.NON_CLIENT, {"next_hop_self": True}),
    "external-1": (Kind.EXTERNAL, {}),
    "external-1b": (Kind.EXTERNAL, {}),
    "external-2": (Kind.EXTERNAL, {"four_octet_as": False}),
    "external-4": (Kind.EXTERNAL, {"families": (IPV4_UNICAST,), "policy": True}),
    "external-none": (Kind.EXTERNAL, {"policy": None}),
    "client-default": (
        Kind.CLIENT,
        {"default_originate": {IPV4_UNICAST: None, IPV6_UNICAST: exists("2001:db8:1::/48")}},
    ),
    "client-default-add-path": (
        Kind.CLIENT,
        {"default_originate": {IPV4_UNICAST: missing("10.1.0.0/16")}, "add_path": add_path()},
    ),
    "external-default": (
        Kind.EXTERNAL,
        {"default_originate": {IPV4_UNICAST: missing("0.0.0.0/0")}, "policy": True},
    ),
    "external-none-default": (
        Kind.EXTERNAL,
        {"default_originate": {IPV4_UNICAST: None}, "policy": None},
    ),
    "client-paced": (Kind.CLIENT, {"advertisement_interval": 5.0}),
    "client-paced-2": (Kind.CLIENT, {"advertisement_interval": 5.0}),
    "client-paced-add-path": (Kind.CLIENT, {"advertisement_interval": 5.0, "add_path": add_path()}),
    "external-paced": (
        Kind.EXTERNAL,
        {
            "advertisement_interval": 2.0,
            "conditional": (Conditional(OTHERS, exists("10.2.0.0/16")),),
            "policy": True,
        },
    ),
    "client-conditional": (
        Kind.CLIENT,
        {"conditional": (Conditional(ACCEPT_ALL, exists("10.0.0.0/15 ge 16", "2001:db8::/48")),)},
    ),
    "external-conditional": (
        Kind.EXTERNAL,
        {
            "conditional": (
                Conditional(SOME, missing("10.3.0.0/16")),
                Conditional(OTHERS, exists("10.2.0.0/16")),
            )
        },
    ),
    "client-installed": (Kind.CLIENT, {"installed_only": True}),
    "client-installed-2": (Kind.CLIENT, {"installed_only": True, "policy": True}),
    "client-installed-add-path": (Kind.CLIENT, {"installed_only": True, "add_path": add_path()}),
    "external-installed": (Kind.EXTERNAL, {"installed_only": True}),
    "external-shared": (Kind.EXTERNAL, {"shared": True}),
    "external-alias": (Kind.EXTERNAL, {"shown": ALIAS}),
    "external-alias-replace": (
        Kind.EXTERNAL,
        {"shown": ALIAS, "replace_as": True, "policy": True, "add_path": add_path()},
    ),
    "external-alias-no-prepend": (
        Kind.EXTERNAL,
        {"shown": ALIAS, "prepend_local_as": False, "role": Role.PEER},
    ),
    "external-customer": (Kind.EXTERNAL, {"role": Role.PROVIDER}),
    "external-peer": (Kind.EXTERNAL, {"role": Role.PEER}),
    "external-provider": (Kind.EXTERNAL, {"role": Role.CUSTOMER}),
    "external-server": (Kind.EXTERNAL, {"role": Role.ROUTE_SERVER_CLIENT}),
    # Who may restart: its Restart Time, whether NOTIFICATIONs are graceful, and what it says of LLGR.
    "client-restarts": (Kind.CLIENT, {"restart": (14, False, None)}),
    "client-restarts-n": (Kind.CLIENT, {"restart": (14, True, None), "add_path": add_path()}),
    "client-long-lived": (Kind.CLIENT, {"restart": (6, False, 22), "policy": True}),
    "client-long-lived-only": (Kind.CLIENT, {"restart": (0, False, 18)}),
    "external-restarts": (Kind.EXTERNAL, {"restart": (15, True, 0)}),
    "external-long-lived": (Kind.EXTERNAL, {"restart": (7, True, 19), "policy": True}),
    "non-client-partial": (Kind.NON_CLIENT, {"restart": (None, False, None), "partial": True}),
    "client-partial": (Kind.CLIENT, {"restart": (None, False, 0), "partial": True}),
    "external-partial": (Kind.EXTERNAL, {"restart": (None, False, None), "partial": True}),
    "client-guarded-1": (Kind.CLIENT, {"guard": "listed"}),
    "client-guarded-2": (Kind.CLIENT, {"guard": "listed", "policy": True}),
    "client-guarded-add-path": (Kind.CLIENT, {"guard": "shared", "add_path": add_path()}),
    "external-guarded": (Kind.EXTERNAL, {"guard": "hops", "role": Role.PROVIDER}),
    "external-guarded-2": (Kind.EXTERNAL, {"guard": "listed", "installed_only": True}),
    "server-client-1": (Kind.ROUTE_SERVER_CLIENT, {}),
    "server-client-2": (Kind.ROUTE_SERVER_CLIENT, {"role": Role.ROUTE_SERVER}),
    "server-client-3": (Kind.ROUTE_SERVER_CLIENT, {"policy": True}),
    "server-client-alias": (Kind.ROUTE_SERVER_CLIENT, {"shown": ALIAS}),
    "server-client-4": (Kind.ROUTE_SERVER_CLIENT, {"policy": None, "add_path": add_path()}),
}
# No counts here: which routes are out first when several go would matter, and that is another test's matter.
GUARDS: dict[str, Guard | None] = {
    "none": None,
    "listed": Guard(prefixes=PrefixList(["10.0.0.0/14 le 25", "2001:db8:1::/48", "2001:db8:2::/48"])),
    "shared": Guard(
        prefixes=PrefixList(["10.0.0.0/14 le 25", "2001:db8::/32 le 48"]),
        shared=PrefixList(["10.2.0.0/16", "2001:db8:2::/48"]),
    ),
    "hops": Guard(
        prefixes=PrefixList(["0.0.0.0/0 le 25", "2001:db8::/32 le 48"]),
        own_next_hop=True,
        next_hops=("10.9.0.1/32", "2001:db8::8/128"),  # type: ignore[arg-type]
    ),
}
GUARDED = [name for name, (_, special) in PEERS.items() if "guard" in special]
# In the machine with a confederation there are these as well.
MEMBERS: dict[str, tuple[Kind, dict[str, object]]] = {
    "member-1": (Kind.CONFEDERATION, {"asn": 65101}),
    "member-2": (Kind.CONFEDERATION, {"asn": 65102, "next_hop_self": True, "four_octet_as": False}),
    "member-3": (Kind.CONFEDERATION, {"asn": 65102, "policy": None, "add_path": add_path()}),
}
ALL_PEERS = PEERS | MEMBERS
SHARED = (ip_network("10.9.0.0/24"), ip_network("2001:db8::/64"))
PREFIXES = {
    IPV4_UNICAST: [prefix(f"10.{n}.0.0/16") for n in range(6)]
    + [prefix("0.0.0.0/0"), prefix("10.1.2.128/25")],
    IPV6_UNICAST: [prefix(f"2001:db8:{n}::/48") for n in range(4)],
}
AGGREGATES = {
    IPV4_UNICAST: [prefix(text) for text in ("10.0.0.0/8", "10.0.0.0/14", "10.1.0.0/16", "0.0.0.0/0")],
    IPV6_UNICAST: [prefix(text) for text in ("2001:db8::/32", "2001:db8:2::/47")],
}
# What is announced on conditions that look at others.
CONDITIONAL = [prefix("10.4.0.0/16"), prefix("10.5.0.0/16")]
CONDITIONS = (
    exists("10.0.0.0/16"),
    missing("10.1.0.0/16", "2001:db8:2::/48"),
    exists("10.0.0.0/14 ge 15"),
    missing("10.0.0.0/14 ge 15", "!10.2.0.0/16"),
)
names = st.sampled_from(sorted(ALL_PEERS))
SERVED = [name for name, (_, special) in PEERS.items() if "cluster_id" in special]
TALKERS = (*SERVED, "client-1", "non-client-1")
RESTARTING = [name for name, (_, special) in PEERS.items() if "restart" in special]
restarting = st.sampled_from(RESTARTING)
STALE_TIME = 20.0
TIMES = ("restart_at", "stale_at", "gone_at")
families = st.sampled_from((IPV4_UNICAST, IPV4_UNICAST, IPV6_UNICAST))
NEXT_HOPS = {
    IPV4_UNICAST: ("10.9.0.1", "10.9.0.2", "192.0.2.1", "127.0.0.1", "2001:db8::7"),
    IPV6_UNICAST: ("2001:db8::8", "2001:db8::9"),
}
AS_PATHS = (
    *("", "64500", "64501", "64500 64501", "4200000000 64500", f"64500 {LOCAL_AS}", f"{ALIAS} 64500"),
    *("(65101) 64500", "(65102 65101)", f"(65101 {LOCAL_AS}) 64500", f"64500 {CONFEDERATION.identifier}"),
)
# What OTC may hold: nothing, the AS of the peer with that role, a member's, our own, another one's.
MARKS = (None, None, None, 64511 + sorted(ALL_PEERS).index("external-peer"), 65101, 64999, LOCAL_AS, 7)
CLUSTER_LISTS = (
    *(b"", b"", b"", b""),
    *(bytes(4) * count + each.to_bytes(4, "big") for count in (0, 1) for each in (CLUSTER, OTHER_CLUSTER, 5)),
)


@st.composite
def values(draw: st.DrawFn, family: Family) -> dict[str, object]:
    return {
        "next_hop": draw(st.sampled_from(NEXT_HOPS[family])),
        "as_path": draw(st.sampled_from(AS_PATHS)),
        "med": draw(st.sampled_from((None, 0, 5))),
        "local_pref": draw(st.sampled_from((None, None, 100, 200))),
        "origin": draw(st.sampled_from((0, 0, 2))),
        "communities": draw(
            st.sampled_from(
                (
                    (),
                    (),
                    (1,),
                    (WellKnownCommunity.NO_EXPORT,),
                    (WellKnownCommunity.NO_EXPORT_SUBCONFED,),
                    (WellKnownCommunity.NO_ADVERTISE,),
                    (UNWANTED,),
                    (CHEAPER,),
                    (WellKnownCommunity.NO_LLGR,),
                    (WellKnownCommunity.LLGR_STALE,),
                    # About as long as a message: with some prefixes it fits, with others not.
                    tuple(range(1, 1003)),
                    tuple(range(1, 1001)),
                )
            )
        ),
    }


def walked(walk: Walk[T]) -> set[T]:
    """Return what a walk finds, each thing once."""
    found: list[T] = []
    while not walk.done:
        found += walk.step(2)
    assert len(set(found)) == len(found)
    return set(found)


class Machine(RuleBasedStateMachine):
    confederation: Confederation | None = None
    first: tuple[str, ...] = ("client-1", "client-2", "external-1")

    def __init__(self) -> None:
        super().__init__()
        self.build()

    def build(self, decision: DecisionOptions | None = None) -> None:
        """Begin with a new router."""
        confederation = self.confederation
        self.router = Router(
            LOCAL_AS, ROUTER_ID, CLUSTER, confederation=confederation, lag_limit=600, decision=decision
        )
        own = {IPV4_UNICAST: OUR_ADDRESS, IPV6_UNICAST: OUR_IPV6}
        self.reference = Reference(LOCAL_AS, ROUTER_ID, CLUSTER, own, decision, confederation)
        self.ways = Ways()
        self.on_import, self.on_export = policies(self.router.table)
        self.peers: dict[str, Peer] = {}
        self.parties: dict[str, Party] = {}
        self.now = 100.0
        for name in self.first:
            self._join(name)

    def _join(self, name: str, forwarding: bool = True) -> None:
        kind, special = ALL_PEERS[name]
        options = dict(special)
        number = sorted(ALL_PEERS).index(name) + 1
        import_policy: Policy | None = ACCEPT_ALL
        export_policy: Policy | None = ACCEPT_ALL
        match options.pop("policy", False):
            case True:
                import_policy, export_policy = self.on_import, self.on_export
            case None:
                import_policy = export_policy = None
        options.setdefault("extended_messages", False)
        origination = {
            name: options.pop(name)
            for name in (
                *("default_originate", "conditional", "advertisement_interval"),
                *("prepend_local_as", "replace_as", "installed_only", "cluster_id"),
            )
            if name in options
        }
        guard = GUARDS[str(options.pop("guard", "none"))]
        next_hop_self = bool(options.pop("next_hop_self", False))
        select: Selection = options.pop("select", ALL)  # type: ignore[assignment]
        shared = SHARED if options.pop("shared", False) else ()
        options.setdefault("asn", None if kind.internal else 64510 + number)
        partial = bool(options.pop("partial", False))
        ours, restarts, lasting = DEFAULT, None, None
        if "restart" in options:
            seconds, notification, told = options.pop("restart")  # type: ignore[misc]
            ours = RestartOptions(
                long_lived=dict.fromkeys(FAMILIES, 1) if told or partial else {},
                partial=partial,
                stale_time=STALE_TIME,
            )
            codes = tuple((family.afi, family.safi, forwarding) for family in FAMILIES if seconds is not None)
            restarts = GracefulRestart(notification=notification, time=seconds or 0, families=codes)
            if told is not None:
                lasting = LongLivedGracefulRestart(tuple((*code, told) for code in codes))
            options.update(restarts=restarts, llgr=lasting)
        peer = Peer(
            self.router,
            name,
            kind,
            number,
            now=self.now,
            import_policy=import_policy,
            export_policy=export_policy,
            settings={
                **origination,
                "guard": guard,
                "restart": ours,
                "next_hop_self": next_hop_self,
                "add_path_select": dict.fromkeys((IPV4_UNICAST, IPV6_UNICAST), select),
                "connected": shared,
                "third_party_next_hop": bool(shared),
            },
            **options,
        )
        agreed = peer.negotiated
        alias = peer.negotiated.local_as if "shown" in special else 0
        party = Party(
            name,
            kind,
            number,
            peer.settings.remote_address,
            agreed.families,
            import_policy,
            export_policy,
            agreed.four_octet_as,
            frozenset((family, select) for family in agreed.add_path_send),
            agreed.extended_next_hop,
            agreed.maximum_send,
            next_hop_self,
            agreed.remote_as,
            peer.settings.default_originate,
            peer.settings.conditional,
            agreed.role,
            shared,
            alias,
            bool(alias) and peer.settings.prepend_local_as and kind is Kind.EXTERNAL,
            bool(alias) and peer.settings.replace_as,
            peer.settings.installed_only,
            agreed.long_lived,
            agreed.llgr is not None,
            ours.partial and not kind.external,
            peer.settings.cluster_id,
            guard=guard,
        )
        self.reference.accounts.back(name, dict.fromkeys(agreed.families, forwarding), STALE_TIME, self.now)
        peer.now = self.now
        self.peers[name] = peer
        self.parties[name] = self.reference.parties[name] = party

    def _pick(self, name: str) -> Peer | None:
        return self.peers.get(name)

    # --- peers come, go and speak ------------------------------------------------------------------------

    @rule(name=names)
    def join(self, name: str) -> None:
        if name not in self.peers and (self.confederation or name not in MEMBERS):
            self._join(name)

    @rule(name=names)
    def leave(self, name: str) -> None:
        if name in self.peers:
            self.peers.pop(name).down()
            self.reference.down(self.parties[name])

    @rule(name=names)
    def come_again(self, name: str) -> None:
        """A session that is followed by the next at once, before its routes are gone."""
        if name in self.peers:
            self.leave(name)
            self._join(name)

    def draw_attributes(self, family: Family, data: st.DataObject) -> Attributes:
        return self._drawn(data.draw(values(family)), data)

    @rule(name=names, family=families, data=st.data())
    def announce(self, name: str, family: Family, data: st.DataObject) -> None:
        self._announce(name, family, data)

    def _announce(
        self, name: str, family: Family, data: st.DataObject, reflected: tuple[bytes, ...] | None = None
    ) -> None:
        peer = self._pick(name)
        if peer is None or family not in peer.negotiated.families:
            return
        prefixes = data.draw(st.lists(st.sampled_from(PREFIXES[family]), min_size=1, max_size=5))
        attributes = self.draw_attributes(family, data)
        clusters = data.draw(st.sampled_from(reflected or CLUSTER_LISTS))
        if clusters and peer.kind.internal:
            changes: dict[int, bytes | None] = {AttributeType.CLUSTER_LIST: clusters}
            attributes = self.router.table.derive(attributes, changes)
        path_id = None
        if family in peer.negotiated.add_path_receive:
            path_id = data.draw(st.integers(0, 2))
        peer.announce(prefixes, attributes, path_id, family)
        for one in prefixes:
            self.reference.announce(self.parties[name], family, one, path_id, attributes)

    def _drawn(self, some: dict[str, object], data: st.DataObject) -> Attributes:
        attributes = self.router.table.make(**some)  # type: ignore[arg-type]
        mark = data.draw(st.sampled_from(MARKS))
        if mark is None:
            return attributes
        change = {AttributeType.ONLY_TO_CUSTOMER: mark.to_bytes(4, "big")}
        return self.router.table.derive(attributes, change)

    @rule(name=names, family=families, data=st.data())
    def withdraw(self, name: str, family: Family, data: st.DataObject) -> None:
        peer = self._pick(name)
        if peer is None or family not in peer.negotiated.families:
            return
        prefixes = data.draw(st.lists(st.sampled_from(PREFIXES[family]), min_size=1, max_size=5))
        path_id = None
        if family in peer.negotiated.add_path_receive:
            path_id = data.draw(st.integers(0, 2))
        peer.withdraw(prefixes, path_id, family)
        for one in prefixes:
            self.reference.withdraw(self.parties[name], family, one, path_id)

    @rule(family=families, data=st.data())
    def originate(self, family: Family, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(PREFIXES[family]))
        some = data.draw(values(family))
        if data.draw(st.booleans()) or some["next_hop"] == "127.0.0.1":
            some["next_hop"] = b""
        attributes = self._drawn(some, data)
        self.router.announce(family, one, attributes)
        self.reference.conditional.pop((family, one), None)
        self.reference.announce(self.reference.local, family, one, None, attributes)

    @rule(data=st.data(), condition=st.sampled_from(CONDITIONS))
    def originate_if(self, data: st.DataObject, condition: Condition) -> None:
        one = data.draw(st.sampled_from(CONDITIONAL))
        attributes = self.router.table.make(communities=data.draw(st.sampled_from(((), (1,)))))
        self.router.announce(IPV4_UNICAST, one, attributes, condition)
        self.reference.withdraw(self.reference.local, IPV4_UNICAST, one, None)
        self.reference.conditional[IPV4_UNICAST, one] = attributes, condition

    @rule(family=families, data=st.data())
    def revoke(self, family: Family, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(PREFIXES[family]))
        self.router.withdraw(family, one)
        self.reference.conditional.pop((family, one), None)
        self.reference.withdraw(self.reference.local, family, one, None)

    @rule(family=families, data=st.data())
    def aggregate(self, family: Family, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(AGGREGATES[family]))
        how = Aggregate(
            summary_only=data.draw(st.booleans()),
            origin_as=data.draw(st.sampled_from((None, 64500, 64501))),
            matching_med=data.draw(st.sampled_from((False, False, True))),
            communities=data.draw(st.sampled_from((False, False, True))),
        )
        self.router.aggregate(family, one, how)
        self.reference.aggregates[family, one] = how

    @rule(family=families, data=st.data())
    def aggregate_no_more(self, family: Family, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(AGGREGATES[family]))
        if self.reference.aggregates.pop((family, one), None) is not None:
            self.router.aggregate(family, one, None)

    @rule(name=names, family=families)
    def ask(self, name: str, family: Family) -> None:
        peer = self._pick(name)
        if peer is not None:
            self.router.refresh(peer.member, RouteRefresh(family.afi, family.safi))

    @rule(name=names, family=families)
    def begin_refresh(self, name: str, family: Family) -> None:
        self._marker(name, family, RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH, self.reference.begin_refresh)

    @rule(name=names, family=families)
    def end_refresh(self, name: str, family: Family) -> None:
        self._marker(name, family, RouteRefreshSubtype.END_OF_ROUTE_REFRESH, self.reference.end_refresh)

    def _marker(
        self, name: str, family: Family, subtype: int, apply: Callable[[Party, Family], None]
    ) -> None:
        peer = self._pick(name)
        if peer is not None and family in peer.negotiated.families:
            if peer.negotiated.graceful_restart is not None and family not in peer.member.end_of_rib:
                return
            self.router.refresh(peer.member, RouteRefresh(family.afi, family.safi, subtype))
            apply(self.parties[name], family)
            if self.parties[name].guard is not None:
                # What it says again before its routes are out stays its own.
                self._do_all()

    def _do_all(self) -> None:
        while self.router.work():
            pass

    @rule(
        next_hop=st.sampled_from(("10.9.0.1", "10.9.0.2", "2001:db8::8")),
        cost=st.sampled_from((0, 1, 10, None)),
    )
    def next_hop(self, next_hop: str, cost: int | None) -> None:
        self.ways.costs[address(next_hop)] = cost
        self.router.next_hops.learn({address(next_hop): cost})
        self.reference.costs[address(next_hop)] = cost

    @rule(reflect=st.booleans())
    def mesh_clients(self, reflect: bool) -> None:
        """Clients are reflected to clients from now on, or no more."""
        self.router.reflect_clients(reflect)
        self.reference.client_to_client = reflect

    @rule(family=families, data=st.data(), installed=st.booleans())
    def install(self, family: Family, data: st.DataObject, installed: bool) -> None:
        """The forwarding plane has a prefix, or has it no more."""
        one = data.draw(st.sampled_from(PREFIXES[family]))
        self.router.installed(family, one, installed)
        (self.reference.installed.add if installed else self.reference.installed.discard)((family, one))

    @rule(name=names, only=st.booleans())
    def change_gate(self, name: str, only: bool) -> None:
        """A peer is told only what is installed from now on, or all."""
        peer = self._pick(name)
        if peer is None or "paced" in name:
            return
        settings = replace(peer.member.settings, installed_only=only)
        self.router.change(peer.member, settings)
        self.parties[name] = self.reference.parties[name] = replace(self.parties[name], installed_only=only)

    @rule(somebody=st.booleans())
    def resolve_next_hops(self, somebody: bool) -> None:
        """Somebody is asked about next hops from now on, or nobody."""
        self.reference.costs.clear()
        if somebody:
            self.reference.costs.update(self.ways.costs)
        self.router.next_hops.resolve(self.ways if somebody else None)

    @property
    def late(self) -> bool:
        """Whether something is due that the router has not been told the time for."""
        times = [account.__dict__[what] for account in self.reference.accounts.of.values() for what in TIMES]
        return any(when is not None and when <= self.now for when in times)

    # --- the loop turns, more or less ---------------------------------------------------------------------

    @rule()
    def flush(self) -> None:
        self.router.flush(self.now)
        self.reference.accounts.look(self.now)

    @rule(seconds=st.sampled_from((0.5, 1.0, 3.0, 6.0)))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for peer in self.peers.values():
            peer.now = self.now

    @rule(quota=st.integers(1, 5))
    def work(self, quota: int) -> None:
        self.router.work(quota)

    @rule(name=names, limit=st.sampled_from((1, 100, 65536)))
    def pull(self, name: str, limit: int) -> None:
        peer = self._pick(name)
        if peer is not None:
            peer.pull(limit)

    @rule(name=names, willing=st.booleans())
    def willing(self, name: str, willing: bool) -> None:
        peer = self._pick(name)
        if peer is not None:
            peer.member.taker = peer if willing else None

    @rule(limit=st.sampled_from((1, 100, 65536)))
    def share(self, limit: int) -> None:
        for octets, takers in self.router.share(limit):
            for taker in takers:
                taker.take(octets, 0.0)
        if self.router.resting:
            assert not any(peer.member.pending for peer in self.peers.values())

    def check(self) -> None:
        """Look at what concerns a variant only."""

    @rule()
    def quiet(self) -> None:
        """All is done and taken; then everybody knows what it should."""
        settle(self.router, *self.peers.values(), now=self.now)
        self.reference.accounts.look(self.now)
        if self.router.deadline is not None:
            # Word of what guards keep from use comes once a minute.
            most = 60 if self.router.guarding else 30 if self.reference.accounts.of else 5
            assert self.now < self.router.deadline <= self.now + most
        self.now += 5
        settle(self.router, *self.peers.values(), now=self.now)
        self.reference.accounts.look(self.now)
        assert self.router.deadline is None or self.reference.accounts.of or self.router.guarding
        self.check()
        assert not any(peer.member.pending or peer.member.behind for peer in self.peers.values())
        for name, peer in self.peers.items():
            held: dict[tuple[Family, bytes], list[tuple[bytes, bytes]]] = {}
            for (family, one, _), attributes in peer.held.items():
                held.setdefault((family, one), []).append((attributes.octets, attributes.next_hop))
            expected = self.reference.expected(self.parties[name])
            assert {key: sorted(some) for key, some in held.items()} == expected, name
            # The view is read from the tables, what the peer holds from what it was sent.
            viewed = {
                (family, route.prefix, route.path_id or 0): (
                    route.attributes.octets,
                    route.attributes.next_hop,
                )
                for family in peer.negotiated.families
                for route in self.router.rib.advertised(peer.member, family)
            }
            assert viewed == {key: (some.octets, some.next_hop) for key, some in peer.held.items()}, name
            assert viewed == {
                (family, one, telling.path_id or 0): (telling.attributes.octets, telling.attributes.next_hop)
                for family in peer.negotiated.families
                for one in {*PREFIXES[family], *AGGREGATES[family], b"\0"}
                for telling in self.router.rib.explain_to(peer.member, family, one).told
                if telling.attributes is not None
            }, name
            assert sorted(peer.end_of_rib, key=str) == sorted(peer.negotiated.families, key=str)
            begun = [body for body in peer.refreshes if body[2] == 1]
            assert len(begun) * 2 == len(peer.refreshes)
            for family in peer.negotiated.families:
                for refused in (None, True, False):
                    assert walked(self.router.rib.walk_received(peer.member, family, refused)) == set(
                        self.router.rib.received(peer.member, family, refused)
                    )
                assert walked(self.router.rib.walk_advertised(peer.member, family)) == {
                    route
                    for route in self.router.rib.advertised(peer.member, family)
                    if route.path.slot is not default.SLOT
                }
        for family in (IPV4_UNICAST, IPV6_UNICAST):
            assert walked(self.router.rib.walk_best(family)) == set(self.router.rib.best(family))
            best = {one: path.slot.peer for one, path in self.router.rib.best(family)}
            chosen = {
                one: self.reference.best(family, one)
                for known, one in self.reference.prefixes()
                if known is family
            }
            assert best == {one: item[0].party.name for one, item in chosen.items() if item is not None}

    @precondition(lambda self: not self.router.work(0) and not self.late)
    @invariant()
    def counts(self) -> None:
        """With no departure under way the router holds exactly what was said."""
        said = list(self.reference.all())
        aggregates = sum(
            is_aggregate(path)
            for family, one in self.reference.aggregates
            for path in self.router.rib.lookup(family, one)
        )
        conditional = sum(
            any(path.source.kind is Kind.LOCAL for path in self.router.rib.lookup(family, one))
            for family, one in self.reference.conditional
        )
        assert self.router.rib.routes == len(said) + aggregates + conditional
        for name, peer in self.peers.items():
            for family in peer.negotiated.families:
                mine = [key for key in said if key[0] is family and key[2] == name]
                assert peer.member.received(family) == len(mine)

    def teardown(self) -> None:
        self.quiet()
        for name in list(self.peers):
            self.leave(name)
        for name in self.router.kept_names():
            self.router.forget(name)
            for family in FAMILIES:
                self.reference.accounts.close(name, family)
        for family, one, _, _ in list(self.reference.all()):
            self.router.withdraw(family, one)
        for family, one in self.reference.aggregates:
            self.router.aggregate(family, one, None)
        for family, one in self.reference.conditional:
            self.router.withdraw(family, one)
        settle(self.router, now=self.now)
        assert self.router.rib.routes == 0 and self.router.rib.attribute_octets == 0
        assert not self.router.groups


class Restarts(Machine):
    """The same where most of what happens is that peers restart."""

    first = (*RESTARTING, "client-1")

    @rule(name=restarting)
    def lose(self, name: str) -> None:
        """A session ends while the peer restarts."""
        peer = self.peers.get(name)
        if peer is not None and peer.negotiated.restarts:
            agreed = self.peers.pop(name).negotiated
            peer.lose(self.now)
            seconds, notification, told = ALL_PEERS[name][1]["restart"]  # type: ignore[misc]
            times = dict.fromkeys(agreed.families, (seconds, told if agreed.long_lived else 0))
            self.reference.lost(self.parties[name], times, notification, self.now)

    @rule(name=restarting, forwarding=st.sampled_from((True, True, True, False)))
    def come_back(self, name: str, forwarding: bool) -> None:
        if name not in self.peers:
            self._join(name, forwarding)

    @rule(name=restarting, family=families)
    def end(self, name: str, family: Family) -> None:
        peer = self.peers.get(name)
        if peer is not None:
            peer.end_of_rib_of(family)
            self.reference.accounts.close(name, family)

    @rule(name=restarting, family=families, data=st.data())
    def say(self, name: str, family: Family, data: st.DataObject) -> None:
        self._announce(name, family, data)

    @rule(name=restarting, data=st.data())
    def lose_and_say_again(self, name: str, data: st.DataObject) -> None:
        """Two restarts in a row, with some news in between."""
        self.lose(name)
        self.come_back(name, True)
        self._announce(name, IPV4_UNICAST, data)
        self.lose(name)


class Clusters(Machine):
    """The same where most clients are in clusters of their own."""

    first = TALKERS

    @rule(name=st.sampled_from(SERVED))
    def go_or_come(self, name: str) -> None:
        if name in self.peers:
            self.leave(name)
        else:
            self._join(name)

    @rule(name=st.sampled_from(TALKERS), family=families, data=st.data())
    def say(self, name: str, family: Family, data: st.DataObject) -> None:
        self._announce(name, family, data)

    @rule(name=st.sampled_from(TALKERS), family=families, data=st.data())
    def reflect(self, name: str, family: Family, data: st.DataObject) -> None:
        """Say what has been in some clusters, maybe in ours."""
        self._announce(name, family, data, tuple(filter(None, CLUSTER_LISTS)))


class Guards(Machine):
    """The same where most of what happens is between guarded peers."""

    first = (*GUARDED, "client-1")

    @rule(name=st.sampled_from(GUARDED), family=families, data=st.data())
    def say(self, name: str, family: Family, data: st.DataObject) -> None:
        self._announce(name, family, data)

    @rule(name=st.sampled_from(GUARDED))
    def another_session(self, name: str) -> None:
        self.come_again(name)

    @rule(name=st.sampled_from(GUARDED), guard=st.sampled_from(sorted(GUARDS)))
    def change_guard(self, name: str, guard: str) -> None:
        """A peer may announce other prefixes from now on."""
        peer = self.peers.get(name)
        if peer is not None:
            settings = replace(peer.member.settings, guard=GUARDS[guard])
            self.router.change(peer.member, settings)
            self.parties[name] = replace(self.parties[name], guard=GUARDS[guard])
            self.reference.guard(self.parties[name])
            self._do_all()

    def check(self) -> None:
        for family, ledger in self.router.guarding.ledgers.items():
            assert {
                (family, unit): claim.holder.name for unit, claim in ledger.claims.items() if claim.holder
            } == {key: name for key, (name, _) in self.reference.owners.holders.items() if key[0] is family}
            assert not ledger.changed


class Confederate(Machine):
    """The same as a member of a confederation."""

    confederation = CONFEDERATION


TestRouterModel = Machine.TestCase
TestRouterModelInConfederation = Confederate.TestCase
TestRouterModelOfRestarts = Restarts.TestCase
TestRouterModelOfGuards = Guards.TestCase
TestRouterModel.settings = TestRouterModelInConfederation.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRouterModelOfClusters = Clusters.TestCase
TestRouterModelOfClusters.settings = TestRouterModelOfRestarts.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRouterModelOfGuards.settings = TestRouterModelOfRestarts.settings
