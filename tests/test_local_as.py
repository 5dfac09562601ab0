"""Another AS that a peer sees in place of ours (RFC 7705): AS_PATHs either way, and loops."""

from dataclasses import replace

import pytest
from routers import CONFEDERATION, LOCAL_AS, ROUTER_ID, Peer, prefix, settle

from bgp import AsExpected, PeerOptions
from bgp.family import IPV4_UNICAST
from bgp.iana import Role
from bgp.rib.admission import AS_LOOP
from bgp.rib.path import Kind
from bgp.router import Router
from bgp.session.config import Confederation
from bgp.wire import aspath

ALIAS = 64510
NET, OTHER = "10.1.0.0/16", "10.2.0.0/16"


def path_of(peer: Peer, net: str) -> str:
    return aspath.text(peer.heard(net).as_path)


# prepend, replace -> what an internal, another external peer hears from there, and what is heard there.
@pytest.mark.parametrize(
    ("prepend", "replaces", "inside", "outside", "there"),
    [
        (True, False, "64510 64496", "65000 64510 64496", "64510 65000 64499"),
        (False, False, "64496", "65000 64496", "64510 65000 64499"),
        (True, True, "64510 64496", "65000 64510 64496", "64510 64499"),
        (False, True, "64496", "65000 64496", "64510 64499"),
    ],
)
def test_as_paths_of_rfc_7705(prepend: bool, replaces: bool, inside: str, outside: str, there: str) -> None:
    """The figures 3 and 4 of RFC 7705, with our AS numbers."""
    router = Router(LOCAL_AS, ROUTER_ID)
    settings = {"prepend_local_as": prepend, "replace_as": replaces}
    customer = Peer(router, "customer", Kind.EXTERNAL, 1, asn=64496, shown=ALIAS, settings=settings)
    external = Peer(router, "external", Kind.EXTERNAL, 2, asn=64499)
    internal = Peer(router, "internal", Kind.CLIENT, 3)
    customer.announce([NET], as_path="64496")
    external.announce([OTHER], as_path="64499")
    settle(router, customer, external, internal)
    assert path_of(internal, NET) == inside
    assert path_of(external, NET) == outside
    assert path_of(customer, OTHER) == there


def test_our_own_routes_and_those_that_policy_sees() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    seen = []
    customer = Peer(router, "customer", Kind.EXTERNAL, 1, asn=64496, shown=ALIAS)
    policy = lambda path: seen.append(path.attributes.as_path) or path.attributes  # noqa: E731
    other = Peer(router, "other", Kind.EXTERNAL, 2, asn=64497, shown=ALIAS, import_policy=policy)
    router.announce(IPV4_UNICAST, prefix(OTHER), router.table.make())
    other.announce([NET], as_path="64497")
    settle(router, customer, other)
    assert path_of(customer, OTHER) == "64510 65000"
    assert [aspath.text(path) for path in seen] == ["64510 64497"], "as it will be installed"
    (path,) = router.rib.lookup(IPV4_UNICAST, prefix(NET))
    assert aspath.text(path.received.as_path) == "64497"


@pytest.mark.parametrize("allowed", [0, 1, 2])
@pytest.mark.parametrize(("as_path", "ours"), [("64496 64510", 1), ("64496 64510 65000", 2), ("64496", 0)])
def test_the_other_as_is_ours_in_a_loop(allowed: int, as_path: str, ours: int) -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    settings = {"allow_own_as": allowed}
    peer = Peer(router, "a", Kind.EXTERNAL, 1, asn=64496, shown=ALIAS, settings=settings)
    peer.announce([NET], as_path=as_path)
    (path,) = router.rib.lookup(IPV4_UNICAST, prefix(NET))
    assert path.refusal is (AS_LOOP if ours > allowed else None)


def test_among_other_peers_that_as_is_none_of_ours() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    Peer(router, "a", Kind.EXTERNAL, 1, asn=64496, shown=ALIAS)
    peer = Peer(router, "b", Kind.EXTERNAL, 2, asn=64497)
    peer.announce([NET], as_path="64497 64510")
    (path,) = router.rib.lookup(IPV4_UNICAST, prefix(NET))
    assert path.refusal is None


def test_a_route_server_leaves_the_paths_of_its_clients() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    first = Peer(router, "a", Kind.ROUTE_SERVER_CLIENT, 1, asn=64496, shown=ALIAS)
    second = Peer(router, "b", Kind.ROUTE_SERVER_CLIENT, 2, asn=64497, shown=ALIAS)
    first.announce([NET], as_path="64496")
    settle(router, first, second)
    assert path_of(second, NET) == "64496"


def test_only_to_customer_names_the_as_that_the_peer_sees() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    customer = Peer(router, "a", Kind.EXTERNAL, 1, asn=64496, shown=ALIAS, role=Role.PROVIDER)
    router.announce(IPV4_UNICAST, prefix(NET), router.table.make())
    settle(router, customer)
    assert customer.heard(NET).only_to_customer == ALIAS


def test_terms_part_groups_and_import_does_not() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    peers = [
        Peer(router, str(number), Kind.EXTERNAL, number, asn=64496, shown=ALIAS, settings=settings)
        for number, settings in enumerate(
            ({}, {"prepend_local_as": False}, {"replace_as": True}, {"replace_as": True}), 1
        )
    ]
    first, same, other, last = (peer.member._listener.group for peer in peers)
    assert first is same and other is last and first is not other


def test_a_refresh_and_another_policy_keep_what_is_prepended() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    peer = Peer(router, "a", Kind.EXTERNAL, 1, asn=64496, shown=ALIAS)
    internal = Peer(router, "b", Kind.CLIENT, 2)
    peer.announce([NET], as_path="64496")
    router.set_import_policy(peer.member, lambda path: path.attributes)
    settle(router, peer, internal)
    assert path_of(internal, NET) == "64510 64496"


@pytest.mark.parametrize("name", ["local_as_no_prepend", "local_as_replace_as"])
def test_options_without_local_as(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: needs a local_as"):
        PeerOptions(asn=64496, address="192.0.2.1", **{name: True})


def test_what_the_open_shows() -> None:
    options = PeerOptions(asn=64496, address="192.0.2.1", local_as=ALIAS)
    assert options.session(LOCAL_AS, 1).local_as == ALIAS
    assert options.session(LOCAL_AS, 1, CONFEDERATION).local_as == ALIAS
    assert replace(options, local_as=None).session(LOCAL_AS, 1).local_as == LOCAL_AS


@pytest.mark.parametrize("asn", [65101, LOCAL_AS, AsExpected.INTERNAL, AsExpected.CONFEDERATION])
def test_within_a_confederation_there_is_no_other_as(asn: int | AsExpected) -> None:
    confederation = Confederation(64999, frozenset({LOCAL_AS, 65101}))
    options = PeerOptions(asn=asn, address="192.0.2.1", local_as=ALIAS)
    with pytest.raises(ValueError, match=r"^local_as: is for peers outside our confederation"):
        options.session(LOCAL_AS, 1, confederation)
