"""The router: import checks, limits, refreshes of peers, departures, views, and nothing left behind."""

import gc
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routers import (
    BOTH,
    LOCAL_AS,
    OUR_ADDRESS,
    ROUTER_ID,
    Peer,
    add_path,
    address,
    prefix,
    session,
    settle,
    table,
)

from bgp.errors import Notify
from bgp.export.pack import Told
from bgp.export.rules import SENDER, SPLIT_HORIZON
from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import AttributeType, CeaseSubcode, ErrorCode, RouteRefreshSubtype
from bgp.member import PeerSettings
from bgp.policy import ACCEPT_ALL
from bgp.rib import admission
from bgp.rib.changes import Changes
from bgp.rib.nexthop import NextHops, is_connected, is_host
from bgp.rib.path import Kind, Path, Refusal
from bgp.router import Router
from bgp.wire.attributes import Attributes
from bgp.wire.capability import GracefulRestart
from bgp.wire.message import RouteRefresh
from bgp.wire.notification import maximum_prefixes
from bgp.wire.update import Reach, Unreach, Update

CLIENT, NON_CLIENT, EXTERNAL = Kind.CLIENT, Kind.NON_CLIENT, Kind.EXTERNAL
CLUSTER = 0x0A0000FE
NET = "10.0.0.0/8"


@pytest.fixture
def router() -> Router:
    return Router(LOCAL_AS, ROUTER_ID, CLUSTER)


def refusal_of(router: Router, net: str = NET, family: Family = IPV4_UNICAST) -> Refusal | None:
    (path,) = router.rib.lookup(family, prefix(net))
    return path.refusal


# --- Import ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({}, None),
        ({"as_path": f"64500 {LOCAL_AS}"}, admission.AS_LOOP),
        ({"as_path": f"64500 {{64501,{LOCAL_AS}}}"}, admission.AS_LOOP),
        # The same octets across two AS numbers are not ours.
        ({"as_path": f"{LOCAL_AS >> 8} {(LOCAL_AS & 255) << 24}"}, None),
        ({"originator": "10.0.0.1"}, admission.ORIGINATOR_LOOP),
        ({"originator": "10.0.0.2"}, None),
        ({"clusters": ["10.0.0.9", "10.0.0.254"]}, admission.CLUSTER_LOOP),
        ({"clusters": ["10.0.0.9"]}, None),
        ({"clusters": ["1.10.0.0", "254.1.1.1"]}, None),
        ({"originator": "10.0.0.254"}, None),
        ({"next_hop": "192.0.2.1"}, admission.NEXT_HOP_OURS),
        ({"next_hop": "0.1.2.3"}, admission.NEXT_HOP_HOST),
        ({"next_hop": "127.0.0.1"}, admission.NEXT_HOP_HOST),
        ({"next_hop": "224.0.0.1"}, admission.NEXT_HOP_HOST),
        ({"next_hop": "239.255.255.255"}, admission.NEXT_HOP_HOST),
        ({"next_hop": "255.255.255.255"}, admission.NEXT_HOP_HOST),
        ({"next_hop": "240.0.0.1"}, None),
        ({"next_hop": "::"}, admission.NEXT_HOP_HOST),
        ({"next_hop": "::1"}, admission.NEXT_HOP_HOST),
        ({"next_hop": "ff02::1"}, admission.NEXT_HOP_HOST),
        ({"next_hop": bytes(16) + address("fe80::1")}, admission.NEXT_HOP_HOST),
        ({"next_hop": address("2001:db8::9") + address("fe80::1")}, None),
    ],
)
def test_what_import_refuses(router: Router, values: dict[str, object], refusal: Refusal | None) -> None:
    peer = Peer(router, "a", CLIENT, 1)
    values = {"next_hop": "10.9.0.9", "local_pref": 100, **values}
    extra: dict[int, bytes] = {}
    if "originator" in values:
        extra[AttributeType.ORIGINATOR_ID] = address(str(values.pop("originator")))
    if "clusters" in values:
        extra[AttributeType.CLUSTER_LIST] = b"".join(map(address, values.pop("clusters")))  # type: ignore[call-overload]
    peer.announce([NET], router.table.derive(router.table.make(**values), extra))  # type: ignore[arg-type]
    assert refusal_of(router) is refusal
    other = Peer(router, "b", CLIENT, 2, extended_next_hop=(IPV4_UNICAST,))
    settle(router, other)
    assert bool(other.held) is (refusal is None)


def test_a_refused_path_replaces_the_usable_one(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    a.announce([NET])
    settle(router, b)
    assert b.held
    a.announce([NET], as_path=f"{LOCAL_AS}")
    settle(router, b)
    assert not b.held and router.rib.routes == 1
    (verdict,) = router.rib.explain(IPV4_UNICAST, prefix(NET))
    assert not verdict.best and "AS_PATH" in str(verdict) and "RFC 4271" in str(verdict)


def test_our_as_may_be_allowed_a_number_of_times(router: Router) -> None:
    peer = Peer(router, "a", EXTERNAL, 1, settings={"allow_own_as": 1})
    peer.announce([NET], as_path=f"64500 {LOCAL_AS}")
    assert refusal_of(router) is None
    peer.announce([NET], as_path=f"{LOCAL_AS} 64500 {LOCAL_AS}")
    assert refusal_of(router) is admission.AS_LOOP


def test_a_peer_whose_address_we_name_is_told_ourselves(router: Router) -> None:
    """RFC 4271 5.1.3, whenever the peer comes and the route changes; the others are told what we say."""
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    assert len(router.groups) == 1
    own = address("10.9.0.2")
    assert b.settings.remote_address == own
    other = router.table.make(next_hop="10.9.0.77")
    pointing = router.table.make(next_hop=own)

    def told() -> list[bytes]:
        settle(router, a, b)
        return [peer.heard(NET).next_hop for peer in (a, b)]

    router.announce(IPV4_UNICAST, prefix(NET), pointing)
    assert told() == [own, OUR_ADDRESS]
    b.down()
    b = Peer(router, "b", CLIENT, 2)
    assert told() == [own, OUR_ADDRESS]
    router.announce(IPV4_UNICAST, prefix("11.0.0.0/8"), pointing)
    router.announce(IPV4_UNICAST, prefix(NET), other)
    assert told() == [address("10.9.0.77")] * 2
    assert b.heard("11.0.0.0/8").next_hop == OUR_ADDRESS and len(router.groups) == 2
    router.withdraw(IPV4_UNICAST, prefix("11.0.0.0/8"))
    assert told() == [address("10.9.0.77")] * 2 and len(router.groups) == 1
    router.withdraw(IPV4_UNICAST, prefix(NET))
    router.withdraw(IPV4_UNICAST, prefix(NET))
    settle(router, a, b)
    assert not a.held and not b.held and not router._grouping._named and not router._grouping._pointed
    a.down()
    b.down()
    assert not router._grouping._at


def test_external_peers_need_a_policy(router: Router) -> None:
    mute = Peer(router, "mute", EXTERNAL, 1, import_policy=None)
    client = Peer(router, "client", CLIENT, 2, import_policy=None, export_policy=None)
    mute.announce([NET])
    client.announce(["11.0.0.0/8"])
    deaf = Peer(router, "deaf", EXTERNAL, 3, export_policy=None)
    settle(router, mute, client, deaf)
    assert refusal_of(router) is admission.NO_POLICY
    assert not client.held and not deaf.held and mute.prefixes() == {"11.0.0.0/8"}
    assert dict(router.rib.received(mute.member, IPV4_UNICAST)), "kept, though not eligible"


def test_off_subnet_next_hops_of_single_hop_external_peers(router: Router) -> None:
    networks = (ip_network("10.9.0.0/24"), ip_network("2001:db8::/64"))
    peer = Peer(router, "a", EXTERNAL, 1, settings={"connected": networks})
    for next_hop, refusal in (
        ("10.9.0.200", None),
        ("10.9.0.1", None),
        ("10.8.0.1", admission.NEXT_HOP_DISTANT),
        ("2001:db8::5", None),
        ("fe80::5", None),
        ("2001:db9::5", admission.NEXT_HOP_DISTANT),
    ):
        peer.announce([NET], next_hop=next_hop)
        assert refusal_of(router) is refusal, next_hop
    client = Peer(router, "b", CLIENT, 2, settings={"connected": networks})
    client.announce(["11.0.0.0/8"], next_hop="10.8.0.7")
    peer.announce([NET], next_hop="10.8.0.7")
    assert refusal_of(router) is admission.NEXT_HOP_DISTANT, "whoever else may use it"
    assert refusal_of(router, "11.0.0.0/8") is None, "internal peers are not asked"


def test_the_peer_itself_is_always_a_good_next_hop(router: Router) -> None:
    peer = Peer(router, "a", EXTERNAL, 1, settings={"connected": (ip_network("10.1.0.0/24"),)})
    peer.announce([NET], next_hop="10.9.0.1")
    assert refusal_of(router) is None
    peer.announce([NET], next_hop="10.9.0.2")
    assert refusal_of(router) is admission.NEXT_HOP_DISTANT


def test_import_policy_refuses_changes_and_fails(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    def policy(path: Path) -> Attributes | None:
        match path.attributes.med:
            case 1:
                return None
            case 2:
                raise RuntimeError("broken")
            case _:
                preference = {AttributeType.LOCAL_PREF: (500).to_bytes(4, "big")}
                return router.table.derive(path.attributes, preference)

    a, b = Peer(router, "a", EXTERNAL, 1, import_policy=policy), Peer(router, "b", CLIENT, 2)
    a.announce([NET], med=1)
    assert refusal_of(router) is admission.POLICY
    a.announce([NET], med=2)
    a.announce(["11.0.0.0/8"], med=2)
    assert refusal_of(router) is admission.POLICY_FAILED
    assert router.admission.policy_failures == 1, "once for each attribute set"
    assert "broken" in caplog.text
    a.announce([NET], med=3)
    settle(router, b)
    assert b.heard(NET).local_pref == 500
    (path,) = router.rib.lookup(IPV4_UNICAST, prefix(NET))
    assert path.received.local_pref is None, "what was received stays as it is"


def test_reachability_is_fed_from_outside(router: Router) -> None:
    a, b, c = (Peer(router, name, CLIENT, number) for number, name in enumerate("abc", start=1))
    a.announce([NET], next_hop="10.9.0.1")
    b.announce([NET], next_hop="10.9.0.2")
    settle(router, c)
    assert c.heard(NET).next_hop == address("10.9.0.1")
    router.next_hops.learn({address("10.9.0.1"): 10})
    settle(router, c)
    assert c.heard(NET).next_hop == address("10.9.0.2")
    verdicts = router.rib.explain(IPV4_UNICAST, prefix(NET)).paths
    assert verdicts[1].rung is not None and verdicts[1].rung.name == "interior-cost"
    router.next_hops.learn({address("10.9.0.2"): None})
    settle(router, c)
    assert c.heard(NET).next_hop == address("10.9.0.1")
    router.next_hops.learn({address("10.9.0.1"): None})
    settle(router, c)
    assert not c.held
    assert {path.refusal for path in router.rib.lookup(IPV4_UNICAST, prefix(NET))} == {
        admission.NEXT_HOP_UNREACHABLE
    }
    router.next_hops.learn({address("10.9.0.1"): 0})
    router.next_hops.learn({address("10.9.0.1"): 0})
    settle(router, c)
    assert c.heard(NET).next_hop == address("10.9.0.1")


def test_an_address_is_ours_while_a_session_uses_it(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    a.announce([NET], next_hop="192.0.2.7")
    settle(router, b)
    assert b.held
    other = router.up(PeerSettings(name="x", local_address=address("192.0.2.7")), session(3))
    again = router.up(PeerSettings(name="y", local_address=address("192.0.2.7")), session(4))
    settle(router, b)
    assert not b.held and refusal_of(router) is admission.NEXT_HOP_OURS
    router.down(other)
    settle(router, b)
    assert not b.held
    router.down(again)
    settle(router, b)
    assert b.held


def test_next_hops() -> None:
    hops = NextHops()
    assert hops.cost(address("10.0.0.1")) == 0
    assert hops.learn({address("10.0.0.1"): 5}) and not hops.learn({address("10.0.0.1"): 5})
    assert hops.cost(address("10.0.0.1")) == 5
    assert hops.learn({address("10.0.0.1"): 0}) and not hops.learn({address("10.0.0.1"): 0})
    both = address("2001:db8::1") + address("fe80::1")
    assert hops.learn({address("2001:db8::1"): None}) and hops.cost(both) is None
    assert hops.add_own(address("2001:db8::1")) and hops.is_own(both)
    assert not is_host(b"") and not is_host(b"\1\2\3") and is_host(both)
    assert not is_connected(address("10.0.0.1"), (ip_network("2001:db8::/64"),))


# --- Updates --------------------------------------------------------------------------------------


def test_withdrawn_and_announced_in_one_update_is_announced(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    a.announce([NET])
    settle(router, b)
    attributes = router.table.make(next_hop="10.9.0.9", local_pref=100, med=1)
    one = [prefix(NET)]
    update = Update((Unreach(IPV4_UNICAST, one, None),), (Reach(IPV4_UNICAST, one, None, attributes),))
    router.update(a.member, update)
    settle(router, b)
    assert b.heard(NET).med == 1 and b.withdrawn == 0


def test_an_update_that_does_not_fit_the_session_changes_nothing(router: Router) -> None:
    peer = Peer(router, "a", CLIENT, 1, families=(IPV4_UNICAST,))
    attributes = router.table.make(next_hop="10.9.0.9", local_pref=100)
    good = Reach(IPV4_UNICAST, [prefix(NET)], None, attributes)
    for bad in (
        Reach(IPV6_UNICAST, [prefix("2001:db8::/32")], None, attributes),
        Reach(IPV4_UNICAST, [prefix(NET)], [1], attributes),
    ):
        with pytest.raises(ValueError, match="negotiated with a"):
            router.update(peer.member, Update((), (good, bad)))
        assert router.rib.routes == 0


def test_end_of_rib_is_noted(router: Router) -> None:
    peer = Peer(router, "a", CLIENT, 1)
    router.update(peer.member, Update(end_of_rib=IPV6_UNICAST))
    assert peer.member.end_of_rib == {IPV6_UNICAST}


def test_maximum_prefixes_count_before_policy_and_within_an_update(router: Router) -> None:
    peer = Peer(
        router,
        "a",
        EXTERNAL,
        1,
        import_policy=None,
        settings={"maximum_prefixes": {IPV4_UNICAST: 3}},
    )
    peer.announce(["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"])
    # What replaces is not more, nor what is said twice; another family is not counted.
    peer.announce(["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8", "12.0.0.0/8"], med=1)
    peer.announce([f"2001:db8:{n}::/48" for n in range(9)], family=IPV6_UNICAST)
    with pytest.raises(Notify) as raised:
        peer.announce(["13.0.0.0/8", "10.0.0.0/8"])
    assert (raised.value.code, raised.value.subcode) == (
        ErrorCode.CEASE,
        CeaseSubcode.MAXIMUM_NUMBER_OF_PREFIXES_REACHED,
    )
    assert maximum_prefixes(raised.value.data) == (1, 1, 3)
    assert peer.member.received(IPV4_UNICAST) == 3
    peer.withdraw(["10.0.0.0/8"])
    peer.announce(["13.0.0.0/8"])


def test_maximum_prefixes_count_paths_with_add_path(router: Router) -> None:
    settings = {"maximum_prefixes": {IPV4_UNICAST: 2}}
    peer = Peer(router, "a", CLIENT, 1, settings=settings, add_path=add_path())
    peer.announce([NET], path_id=1)
    peer.announce([NET, NET], path_id=2)
    with pytest.raises(Notify):
        peer.announce([NET], path_id=3)
    assert peer.member.received(IPV4_UNICAST) == 2


def test_the_router_bounds_what_it_holds() -> None:
    router = Router(LOCAL_AS, ROUTER_ID, max_paths=3, max_attribute_octets=300)
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    a.announce(["10.0.0.0/8", "11.0.0.0/8"])
    b.announce(["10.0.0.0/8"])
    b.announce(["10.0.0.0/8"], med=1)
    for say in (
        lambda: b.announce(["12.0.0.0/8"]),
        lambda: b.announce(["10.0.0.0/8"], communities=range(70)),
    ):
        with pytest.raises(Notify) as raised:
            say()
        assert (raised.value.code, raised.value.subcode) == (ErrorCode.CEASE, CeaseSubcode.OUT_OF_RESOURCES)
    assert router.rib.routes == 3 and router.rib.attribute_octets < 300
    b.down()
    settle(router)
    a.announce(["12.0.0.0/8"])


@given(
    bound=st.integers(1, 30),
    said=st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.integers(0, 20), min_size=1, max_size=5))),
)
def test_no_order_of_announcements_passes_the_bound(bound: int, said: list[tuple[str, list[int]]]) -> None:
    router = Router(LOCAL_AS, ROUTER_ID, max_paths=bound)
    condemned: list[str] = []
    router.watch_notices(lambda member, notice: condemned.append(member.name))
    peers = {name: Peer(router, name, CLIENT, number) for number, name in enumerate("ab", 1)}
    held: dict[str, set[int]] = {"a": set(), "b": set()}
    for name, numbers in said:
        other = "b" if name == "a" else "a"
        after = held[name] | set(numbers)
        prefixes = [f"10.{number}.0.0/16" for number in numbers]
        if len(after) + len(held[other]) <= bound:
            peers[name].announce(prefixes)
            held[name] = after
        elif len(after) >= len(held[other]):
            with pytest.raises(Notify):
                peers[name].announce(prefixes)
        else:
            # It is the other one that goes, for it holds more.
            peers[name].announce(prefixes)
            held = {name: after, other: set()}
            assert condemned.pop() == other and peers[other].member.condemned
            with pytest.raises(Notify):
                peers[other].announce([f"11.{number}.0.0/16" for number in range(bound + 1)])
            peers[other].down()
            settle(router)
            peers[other] = Peer(router, other, CLIENT, 3)
        assert router.rib.routes == len(held["a"]) + len(held["b"]) <= bound
        assert not condemned


# --- Sessions -------------------------------------------------------------------------------------


def test_a_name_is_there_once(router: Router) -> None:
    peer = Peer(router, "a", CLIENT, 1)
    with pytest.raises(ValueError, match="already"):
        router.up(peer.settings, peer.negotiated)
    with pytest.raises(ValueError, match="name"):
        router.up(replace(peer.settings, name=""), peer.negotiated)
    assert dict(router.members) == {"a": peer.member} and peer.member.name == "a"
    peer.down()
    peer.down()
    assert not router.members


def test_departures_are_sliced_and_told(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    for med in range(20):
        a.announce([f"10.{med}.{n}.0/24" for n in range(50)], med=med)
    settle(router, a, b)
    a.down()
    turns = 0
    while router.work(100):
        router.flush()
        b.drain()
        turns += 1
        assert len(b.held) == 1000 - 100 * turns
    settle(router, b)
    assert turns >= 9 and not b.held and router.rib.routes == 0
    assert b.withdrawn == 1000 and b.messages < 50, "withdrawals of many attribute sets share messages"


def test_a_session_that_comes_back_replaces_its_routes(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    a.announce([f"10.{n}.0.0/16" for n in range(100)])
    settle(router, a, b)
    b.listener.messages = b.listener.announced = 0
    a.down()
    a = Peer(router, "a", CLIENT, 1)
    a.announce([f"10.{n}.0.0/16" for n in range(60)])
    settle(router, a, b)
    assert len(b.held) == 60 and b.announced == 0 and b.withdrawn == 40
    assert a.member.received(IPV4_UNICAST) == 60 == router.rib.routes and not a.held


@pytest.mark.parametrize("restarting", [True, False])
def test_a_refresh_of_the_peer_sweeps_what_it_does_not_say_again(router: Router, restarting: bool) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    if restarting:
        graceful = GracefulRestart(restarting=False, notification=False, time=120, families=())
        a.member.negotiated = replace(a.negotiated, graceful_restart=graceful)
    a.announce(["10.0.0.0/8", "11.0.0.0/8"])
    a.announce(["2001:db8::/32"], family=IPV6_UNICAST)
    settle(router, b)

    def mark(subtype: int, peer: Peer = a) -> None:
        router.refresh(peer.member, RouteRefresh(1, 1, subtype))

    mark(RouteRefreshSubtype.END_OF_ROUTE_REFRESH)
    mark(RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH)
    if restarting:
        # RFC 7313 section 4: before End-of-RIB it is ignored.
        a.announce([NET])
        mark(RouteRefreshSubtype.END_OF_ROUTE_REFRESH)
        settle(router, b)
        assert len(b.held) == 3
        router.update(a.member, Update(end_of_rib=IPV4_UNICAST))
        mark(RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH)
    a.announce([NET, "13.0.0.0/8"])
    mark(RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH)
    a.announce(["12.0.0.0/8"])
    a.announce([NET])
    b.listener.announced = 0
    settle(router, b)
    assert a.member.received(IPV4_UNICAST) == 4
    mark(RouteRefreshSubtype.END_OF_ROUTE_REFRESH)
    mark(7)
    settle(router, b)
    assert b.prefixes() == {NET, "12.0.0.0/8"} and b.prefixes(IPV6_UNICAST) == {"2001:db8::/32"}
    assert b.announced == 2 and b.withdrawn == 2, "what is said again is not told again"


def test_markers_without_the_capability_are_ignored(router: Router) -> None:
    a = Peer(router, "a", CLIENT, 1, enhanced_route_refresh=False)
    a.announce([NET])
    for subtype in (RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH, RouteRefreshSubtype.END_OF_ROUTE_REFRESH):
        router.refresh(a.member, RouteRefresh(1, 1, subtype))
    settle(router, a)
    assert router.rib.routes == 1


def test_a_refresh_of_a_family_that_is_not_ours_is_ignored(router: Router) -> None:
    a = Peer(router, "a", CLIENT, 1, families=(IPV4_UNICAST,))
    settle(router, a)
    for afi, safi in ((2, 1), (25, 70)):
        router.refresh(a.member, RouteRefresh(afi, safi))
    assert not a.member.pending


def test_a_peer_that_goes_in_the_middle_of_a_refresh_leaves_nothing(router: Router) -> None:
    a = Peer(router, "a", CLIENT, 1)
    a.announce([NET, "11.0.0.0/8"])
    router.refresh(a.member, RouteRefresh(1, 1, RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH))
    a.announce([NET])
    a.down()
    settle(router)
    assert router.rib.routes == 0


# --- Our own routes -------------------------------------------------------------------------------


def test_our_own_routes(router: Router) -> None:
    inside, outside = Peer(router, "inside", NON_CLIENT, 1), Peer(router, "outside", EXTERNAL, 2)
    router.announce(IPV4_UNICAST, prefix(NET), router.table.make(med=5))
    router.announce(IPV6_UNICAST, prefix("2001:db8::/32"), router.table.make())
    settle(router, inside, outside)
    assert inside.heard(NET).next_hop == OUR_ADDRESS and inside.heard(NET).local_pref == 100
    assert inside.heard(NET).as_path == () and inside.heard(NET).originator_id is None
    assert outside.heard(NET).med == 5 and outside.heard(NET).neighbor_as == LOCAL_AS
    assert outside.heard("2001:db8::/32").next_hop == address("2001:db8::1")
    # What a peer says of it is longer, and loses.
    outside.announce([NET], as_path="64500")
    settle(router, inside, outside)
    assert inside.heard(NET).next_hop == OUR_ADDRESS
    router.withdraw(IPV4_UNICAST, prefix(NET))
    settle(router, inside, outside)
    assert inside.heard(NET).next_hop == address("10.9.0.9") and "2001:db8::/32" in outside.prefixes(
        IPV6_UNICAST
    )
    assert NET not in outside.prefixes()


def test_an_own_route_needs_a_next_hop_that_can_be_one(router: Router) -> None:
    with pytest.raises(ValueError, match="next hop"):
        router.announce(IPV4_UNICAST, prefix(NET), router.table.make(next_hop="127.0.0.1"))
    assert router.rib.routes == 0


# --- Views ----------------------------------------------------------------------------------------


def test_views(router: Router) -> None:
    a, b = Peer(router, "a", NON_CLIENT, 1), Peer(router, "b", NON_CLIENT, 2)
    c = Peer(router, "c", CLIENT, 3, add_path=add_path())
    a.announce([NET])
    b.announce([NET], local_pref=200)
    b.announce(["11.0.0.0/8"], as_path=f"{LOCAL_AS}")
    # Also before anything is flushed.
    assert [path.slot.peer for path in router.rib.lookup(IPV4_UNICAST, prefix(NET))] == ["b", "a"]
    assert {one: path.slot.peer for one, path in router.rib.best(IPV4_UNICAST)} == {prefix(NET): "b"}
    assert {one for one, _ in router.rib.received(b.member, IPV4_UNICAST)} == {
        prefix(NET),
        prefix("11.0.0.0/8"),
    }
    settle(router, a, b, c)
    best, second = router.rib.lookup(IPV4_UNICAST, prefix(NET))
    assert router.rib.told(b.member, IPV4_UNICAST, best) is SENDER
    assert router.rib.told(a.member, IPV4_UNICAST, best) is SPLIT_HORIZON
    assert isinstance(router.rib.told(c.member, IPV4_UNICAST, second), Told)
    assert list(router.rib.advertised(a.member, IPV4_UNICAST)) == []
    routes = list(router.rib.advertised(c.member, IPV4_UNICAST))
    assert {route.path_id for route in routes} == {key[2] for key in c.held}
    assert {route.attributes.local_pref for route in routes} == {100, 200}
    assert router.rib.lookup(IPV4_UNICAST, prefix("12.0.0.0/8")) == ()
    assert router.rib.explain(IPV4_UNICAST, prefix("12.0.0.0/8")).paths == ()
    assert "refused" not in repr(best) and "b" in repr(best.source)
    refused = router.rib.lookup(IPV4_UNICAST, prefix("11.0.0.0/8"))[0]
    assert "as-loop" in repr(refused)


def test_watchers_see_the_best_paths_change(router: Router) -> None:
    seen: list[tuple[str | None, str | None]] = []

    def watcher(family: Family, changes: Changes) -> None:
        assert family is IPV4_UNICAST
        seen.extend((None, now.slot.peer) for now in changes.fresh)
        seen.extend((a and a.slot.peer, b and b.slot.peer) for a, b in changes.moved)

    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    stop = router.watch(watcher)
    a.announce([NET])
    settle(router)
    b.announce([NET], local_pref=50)
    settle(router)
    b.announce([NET], local_pref=150)
    settle(router)
    b.down()
    a.withdraw([NET])
    settle(router)
    assert seen == [(None, "a"), ("a", "b"), ("b", None)]
    stop()
    a.announce([NET])
    settle(router)
    assert len(seen) == 3


# --- Nothing is left ------------------------------------------------------------------------------


def test_sessions_that_come_and_go_leave_nothing() -> None:
    """With the collector off: what is left after many sessions is what was there before them."""
    router = Router(LOCAL_AS, ROUTER_ID)
    steady = Peer(router, "steady", CLIENT, 1)
    gc.collect()
    gc.disable()
    try:
        counts = []
        for number in range(120):
            peer = Peer(
                router,
                f"peer-{number}",
                CLIENT,
                10 + number,
                add_path=add_path() if number % 2 else {},
                import_policy=lambda path: path.attributes,
            )
            for med in range(5):
                peer.announce(
                    [f"10.{med}.0.0/16"], med=number * 10 + med, path_id=med if number % 2 else None
                )
            settle(router, steady, peer)
            if number % 3 == 0:
                router.refresh(peer.member, RouteRefresh(1, 1))
                settle(router, peer)
            peer.down()
            settle(router, steady)
            del peer
            if number in (59, 119):
                counts.append(sum(isinstance(one, Path | Attributes) for one in gc.get_objects()))
        assert counts[0] == counts[1]
        assert router.rib.routes == 0 and len(router.table) == 0 and router.rib.attribute_octets == 0
        assert len(router._slots) == 3, "our own, that of aggregates, and the steady peer's"
    finally:
        gc.enable()
    assert not steady.held


def test_a_flush_keeps_nothing_of_what_it_told(router: Router) -> None:
    a, b = Peer(router, "a", CLIENT, 1), Peer(router, "b", CLIENT, 2)
    settle(router, a, b)
    for med in range(3000):
        a.announce([NET], med=med)
        settle(router, a, b)
    assert len(router.table) < 1200, "the train holds on to some until it is trimmed"
    assert ACCEPT_ALL(router.rib.lookup(IPV4_UNICAST, prefix(NET))[0]) is not None
    assert table is not router.table and BOTH
