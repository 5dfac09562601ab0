"""Next hops resolved in user space, held to a model that looks at all routes each time."""

from ipaddress import ip_address, ip_interface, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bgp.family import IPV4_UNICAST, IPV6_UNICAST, family_of
from bgp.rib.nexthop import scoped
from bgp.wire import prefix as nlri
from fib.backend import Link, LinkAddress
from fib.resolve import Resolution, Resolver
from fib.route import BLACKHOLE, Entry, NextHop, Route, via


def entry(prefix: str, route: Route, *, table: int = 254, protocol: int = 4) -> Entry:
    family, octets = nlri.parse(prefix)
    return Entry(family, octets, route, protocol, table)


def connected(prefix: str, interface: str, metric: int = 0) -> Entry:
    return entry(prefix, via(interface=interface, metric=metric), protocol=2)


def key(text: str) -> bytes:
    address, _, interface = text.partition("%")
    return scoped(ip_address(address).packed, interface)


def made(*things: Entry | str, **options: object) -> Resolver:
    """Return a resolver that knows these routes, and the interfaces eth0 and eth1."""
    resolver = Resolver(**options)  # type: ignore[arg-type]
    for number, name in enumerate(("eth0", "eth1"), start=1):
        resolver.link(Link(name, number, True, True))
    for thing in things:
        assert isinstance(thing, Entry)
        resolver.add(thing)
    return resolver


def ways(resolver: Resolver, text: str) -> list[str] | str:
    """Return the ways to a next hop in words, or why there is none."""
    found = resolver.resolve(key(text))
    assert found.reachable is bool(found.next_hops)
    return [str(hop) for hop in found.next_hops] if found.reachable else found.words


LAN = connected("10.0.0.0/24", "eth0")
LAN6 = connected("2001:db8::/64", "eth1")


def test_what_is_connected_is_its_own_gateway() -> None:
    resolver = made(LAN, LAN6)
    assert ways(resolver, "10.0.0.7") == ["via 10.0.0.7 dev eth0"]
    assert ways(resolver, "2001:db8::7") == ["via 2001:db8::7 dev eth1"]
    assert ways(resolver, "10.1.0.7") == "no route to 10.1.0.7"
    assert resolver.resolve(key("10.0.0.7")).cost == 0


def test_a_route_leads_to_its_gateway_and_its_metric_is_the_cost() -> None:
    resolver = made(
        LAN,
        entry("10.1.0.0/16", via("10.0.0.1", interface="eth0", metric=20)),
        entry("10.1.2.0/24", via("10.0.0.2", interface="eth0", metric=5)),
        entry("10.1.2.0/24", via("10.0.0.3", interface="eth0", metric=4)),
    )
    assert ways(resolver, "10.1.1.1") == ["via 10.0.0.1 dev eth0"]
    assert ways(resolver, "10.1.2.1") == ["via 10.0.0.3 dev eth0"], "the lowest metric"
    found = resolver.resolve(key("10.1.1.1"))
    assert found.cost == 20 and str(found) == "10.1.1.1: via 10.0.0.1 dev eth0 by 10.1.0.0/16"


def test_a_gateway_without_interface_is_resolved_in_turn() -> None:
    resolver = made(
        LAN,
        entry("10.1.0.0/16", via("10.2.0.1", metric=7)),
        entry("10.2.0.0/16", via("10.0.0.2", "10.0.0.3")),
        entry("10.3.0.0/16", Route((NextHop(ip_address("2001:db8::3")),))),
        LAN6,
    )
    assert ways(resolver, "10.1.1.1") == ["via 10.0.0.2 dev eth0", "via 10.0.0.3 dev eth0"]
    assert resolver.resolve(key("10.1.1.1")).cost == 7
    assert ways(resolver, "10.3.0.1") == ["via 2001:db8::3 dev eth1"], "IPv4 over IPv6 (RFC 8950)"


def test_no_route_leads_to_itself_and_no_chain_is_endless() -> None:
    resolver = made(
        entry("10.0.0.0/8", via("10.9.9.9")),
        entry("10.1.0.0/16", via("10.2.0.1")),
        entry("10.2.0.0/16", via("10.1.0.1")),
        connected("0.0.0.0/0", "eth0"),
    )
    # By the /8, and then by what is left for its gateway: the default route.
    assert ways(resolver, "10.5.0.1") == ["via 10.9.9.9 dev eth0"]
    assert ways(resolver, "10.1.0.9") == ["via 10.9.9.9 dev eth0"], "the /16s lead to each other only"
    chain = [entry(f"10.{n}.0.0/16", via(f"10.{n + 1}.0.1")) for n in range(20)]
    resolver = made(*chain, connected("10.20.0.0/16", "eth0"), depth=8)
    assert ways(resolver, "10.0.0.1") == "more than 8 routes lead from one to the next"
    assert ways(resolver, "10.13.0.1") == ["via 10.20.0.1 dev eth0"]
    resolver = made(entry("10.0.0.0/8", via("10.9.9.9")))
    assert ways(resolver, "10.5.0.1") == "no route to 10.9.9.9 but those that need it"


def test_what_refuses_is_no_way_though_a_shorter_route_would_be() -> None:
    resolver = made(connected("10.0.0.0/8", "eth0"), entry("10.1.0.0/16", BLACKHOLE))
    assert ways(resolver, "10.1.0.1") == "10.1.0.0/16 is blackhole"


def test_interfaces_that_are_down_lead_nowhere() -> None:
    resolver = made(LAN, connected("10.0.0.0/16", "eth1"))
    assert ways(resolver, "10.0.0.7") == ["via 10.0.0.7 dev eth0"]
    assert ways(resolver, "fe80::7%eth0") == ["via fe80::7 dev eth0"]
    assert ways(resolver, "fe80::7%eth9") == "eth9 is not there"
    assert ways(resolver, "fe80::7") == "it is link-local, and no interface is known for it"
    resolver.link(Link("eth0", 1, True, False))
    assert {one: now.words for one, (_, now) in resolver.changed().items()} == {
        key("10.0.0.7"): "via 10.0.0.7 dev eth1 by 10.0.0.0/16",
        key("fe80::7%eth0"): "eth0 has no carrier",
    }
    resolver.link(Link("eth1", 2, False, False))
    resolver.link(Link("eth9", 9, True, True))
    assert {str(now) for _, now in resolver.changed().values()} == {
        "10.0.0.7: no route to 10.0.0.7",
        "fe80::7%eth9: on eth9",
    }
    resolver.link(Link("eth0", 1, True, True), gone=True)
    assert resolver.changed().keys() == {key("fe80::7%eth0")}


def test_our_own_addresses_are_no_next_hops() -> None:
    resolver = made(LAN)
    assert ways(resolver, "10.0.0.7") == ["via 10.0.0.7 dev eth0"]
    here = LinkAddress("eth0", ip_interface("10.0.0.7/24"))
    resolver.address(here)
    assert [now.words for _, now in resolver.changed().values()] == ["it is an address of our own"]
    resolver.address(here, gone=True)
    assert [now.reachable for _, now in resolver.changed().values()] == [True]
    resolver.addresses([here])
    assert [now.reachable for _, now in resolver.changed().values()] == [False]


def test_which_routes_count_can_be_chosen() -> None:
    default = entry("0.0.0.0/0", via("10.0.0.1", interface="eth0"))
    other = entry("10.7.0.0/16", via("10.0.0.2", interface="eth0"), table=100)
    daemon = entry("10.8.0.0/16", via("10.0.0.3", interface="eth0"), protocol=186)
    resolver = made(LAN, default, other, daemon)
    assert ways(resolver, "10.7.0.1") == ["via 10.0.0.1 dev eth0"]
    resolver = made(LAN, default, other, daemon, tables=(100, 254), protocols=(2, 4), by_default=False)
    assert ways(resolver, "10.7.0.1") == ["via 10.0.0.2 dev eth0"]
    assert ways(resolver, "10.8.0.1") == "no route to 10.8.0.1"
    assert ways(resolver, "192.0.2.1") == "no route to 192.0.2.1"
    with pytest.raises(ValueError, match="depth"):
        Resolver(depth=0)


def test_exactly_those_concerned_are_resolved_anew() -> None:
    resolver = made(LAN, connected("10.0.0.0/16", "eth1"), connected("10.7.0.0/16", "eth1"))
    for text in ("10.0.0.1", "10.0.1.1", "10.7.0.1", "192.0.2.1"):
        resolver.resolve(key(text))
    resolver.add(connected("10.0.0.0/20", "eth1"))
    assert resolver.stale == {key("10.0.1.1")}, "10.0.0.1 has something more specific"
    assert resolver.changed().keys() == {key("10.0.1.1")}
    resolver.add(connected("0.0.0.0/0", "eth0"))
    assert resolver.stale == {key("192.0.2.1")}
    resolver.remove(connected("10.7.0.0/16", "eth1"))
    assert resolver.changed().keys() == {key("192.0.2.1"), key("10.7.0.1")}
    resolver.forget([key("10.0.0.1")])
    resolver.remove(LAN)
    assert not resolver.stale and len(resolver) == 3


# --- Against a model ------------------------------------------------------------------------------------

ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "10.1.0.1", "2001:db8::1", "2001:db8:1::1", "fe80::1%a"]
PREFIXES = {
    IPV4_UNICAST: ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/24", "10.0.0.2/32", "10.1.0.0/17"],
    IPV6_UNICAST: ["::/0", "2001:db8::/32", "2001:db8::/48", "2001:db8:1::1/128"],
}
GATEWAYS = ["10.0.0.1", "10.0.0.2", "10.1.0.1", "2001:db8::1"]
names = st.sampled_from(("a", "b"))


@st.composite
def hops(draw: st.DrawFn, family: object) -> NextHop:
    gateway = draw(st.sampled_from((None, *GATEWAYS)))
    if gateway is not None and family is IPV6_UNICAST and "." in gateway:
        gateway = "2001:db8::1"
    interface = draw(names) if gateway is None else draw(st.sampled_from((None, "a", "b")))
    return NextHop(None if gateway is None else ip_address(gateway), interface)


@st.composite
def routes(draw: st.DrawFn) -> Entry:
    family = draw(st.sampled_from((IPV4_UNICAST, IPV4_UNICAST, IPV6_UNICAST)))
    metric = draw(st.sampled_from((0, 5)))
    legs = draw(st.lists(hops(family), max_size=2, unique=True))
    route = Route(tuple(legs), metric=metric) if legs else Route(type=BLACKHOLE.type, metric=metric)
    prefix = draw(st.sampled_from(PREFIXES[family]))
    return entry(prefix, route, table=draw(st.sampled_from((254, 254, 100))))


class Model:
    """The kernel's state in plain lists, and the way to an address looked for in all of it."""

    def __init__(self) -> None:
        self.routes: dict[tuple[bool, str, int, int], Entry] = {}
        self.up: set[str] = {"a", "b"}
        self.own: set[str] = set()

    def ways(self, text: str) -> set[NextHop]:
        address, _, interface = text.partition("%")
        if address in self.own:
            return set()
        if interface:
            return {NextHop(ip_address(address), interface)} if interface in self.up else set()
        return set(self.follow(address, []))

    def follow(self, address: str, chain: list[Entry]) -> list[NextHop]:
        if len(chain) == 3:
            return []
        fitting = [
            one
            for one in self.routes.values()
            if family_of(f"{address}/{ip_address(address).max_prefixlen}") is one.family
            and ip_address(address) in ip_network(nlri.text(one.family, one.prefix))
            and one not in chain
            and (
                not one.route.next_hops
                or any(hop.interface is None or hop.interface in self.up for hop in one.route.next_hops)
            )
        ]
        if not fitting:
            return []
        best = min(fitting, key=lambda one: (-one.prefix[0], one.table, one.route.metric))
        found = []
        for hop in best.route.next_hops:
            if hop.interface is None:
                found += self.follow(str(hop.via), [*chain, best])
            elif hop.interface in self.up:
                found.append(NextHop(hop.via or ip_address(address), hop.interface))
        return found


changes = st.one_of(
    st.tuples(st.just("add"), routes()),
    st.tuples(st.just("add"), routes()),
    st.tuples(st.just("remove"), routes()),
    st.tuples(st.just("link"), st.tuples(names, st.booleans())),
    st.tuples(st.just("own"), st.tuples(st.sampled_from(ADDRESSES[:5]), st.booleans())),
    st.tuples(st.just("replace"), st.lists(routes(), max_size=3)),
    st.tuples(st.just("forget"), st.sampled_from(ADDRESSES)),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(changes, max_size=25))
def test_after_any_changes_the_ways_are_those_of_the_model(some: list[tuple[str, object]]) -> None:
    model, resolver = Model(), Resolver(tables=(100, 254), depth=3)
    for number, name in enumerate(("a", "b")):
        resolver.link(Link(name, number, True, True))
    told: dict[bytes, Resolution] = {key(text): resolver.resolve(key(text)) for text in ADDRESSES}

    def put(one: Entry) -> None:
        model.routes[one.family is IPV4_UNICAST, one.prefix.hex(), one.table, one.route.metric or 0] = one

    for what, value in some:
        before = {text: model.ways(text) for text in ADDRESSES}
        if what == "add":
            assert isinstance(value, Entry)
            put(value)
            resolver.add(value)
        elif what == "remove":
            assert isinstance(value, Entry)
            row = value.family is IPV4_UNICAST, value.prefix.hex(), value.table, value.route.metric or 0
            model.routes.pop(row, None)
            resolver.remove(value)
        elif what == "link":
            name, up = value  # type: ignore[misc]
            (model.up.add if up else model.up.discard)(name)
            resolver.link(Link(name, 1, up, up))
        elif what == "own":
            text, there = value  # type: ignore[misc]
            if there is (text not in model.own):
                (model.own.add if there else model.own.discard)(text)
                resolver.address(LinkAddress("a", ip_interface(text)), gone=not there)
        elif what == "replace":
            assert isinstance(value, list)
            model.routes = {row: one for row, one in model.routes.items() if not row[0] or row[2] != 254}
            again = [one for one in value if one.family is IPV4_UNICAST and one.table == 254]
            for one in again:
                put(one)
            resolver.replace(IPV4_UNICAST, again, 254)
        else:
            assert isinstance(value, str)
            resolver.forget([key(value)])
            told[key(value)] = resolver.resolve(key(value))
        news = resolver.changed()
        for one, (earlier, now) in news.items():
            assert earlier != now == resolver.resolve(one)
            told[one] = now
        for text in ADDRESSES:
            ways = model.ways(text)
            assert set(told[key(text)].next_hops) == ways, text
            assert ways == before[text] or key(text) in news or what == "forget", text
            assert resolver.resolve(key(text)) == told[key(text)]
