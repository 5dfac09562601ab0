"""Aggregates: when there is one, what it looks like, and what peers hear of what is behind it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from routers import BOTH, LOCAL_AS, ROUTER_ID, Peer, add_path, address, path, prefix, settle

from bgp.export.hiding import SUMMARY_ONLY
from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.iana import Origin
from bgp.policy import ACCEPT, REFUSE, Policy, Rules, Term, change, match
from bgp.rib.aggregate import Aggregate, Look, combined, is_aggregate, look
from bgp.rib.census import Tally
from bgp.rib.covering import Covering
from bgp.rib.path import Kind
from bgp.router import Router
from bgp.wire import aspath
from bgp.wire import prefix as nlri
from bgp.wire.attributes import AttributeTable

EIGHT, NINE = prefix("10.0.0.0/8"), prefix("10.128.0.0/9")
IDENTIFIER = ROUTER_ID.to_bytes(4, "big")


@pytest.fixture
def router() -> Router:
    return Router(LOCAL_AS, ROUTER_ID)


@pytest.fixture
def peers(router: Router) -> tuple[Peer, Peer]:
    return Peer(router, "from", Kind.EXTERNAL, 1), Peer(router, "to", Kind.EXTERNAL, 2)


def aggregate(router: Router, text: str = "10.0.0.0/8", **options: object) -> None:
    family, octets = nlri.parse(text)
    router.aggregate(family, octets, Aggregate(**options))  # type: ignore[arg-type]


def told_path(peer: Peer, text: str) -> str:
    return aspath.text(peer.heard(text).as_path)


# --- Activity ---


def test_an_aggregate_is_there_as_long_as_something_more_specific(
    router: Router, peers: tuple[Peer, Peer]
) -> None:
    feeder, peer = peers
    aggregate(router)
    settle(router, *peers)
    assert peer.prefixes() == set()
    feeder.announce(["10.0.0.0/8", "11.0.0.0/16"])
    settle(router, *peers)
    assert peer.prefixes() == {"10.0.0.0/8", "11.0.0.0/16"}
    assert not peer.heard("10.0.0.0/8").atomic_aggregate, "the route of the feeder alone"
    feeder.withdraw(["10.0.0.0/8"])
    feeder.announce(["10.1.0.0/16", "10.2.0.0/16"])
    settle(router, *peers)
    assert peer.prefixes() == {"10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16", "11.0.0.0/16"}
    assert peer.heard("10.0.0.0/8").atomic_aggregate
    feeder.withdraw(["10.1.0.0/16"])
    settle(router, *peers)
    assert "10.0.0.0/8" in peer.prefixes()
    feeder.withdraw(["10.2.0.0/16"])
    settle(router, *peers)
    assert peer.prefixes() == {"11.0.0.0/16"}


def test_refused_routes_contribute_nothing(router: Router) -> None:
    feeder = Peer(router, "from", Kind.EXTERNAL, 1, import_policy=None)
    peer = Peer(router, "to", Kind.CLIENT, 2)
    aggregate(router)
    feeder.announce(["10.1.0.0/16"])
    settle(router, feeder, peer)
    assert peer.prefixes() == set()


def test_an_own_route_contributes_and_wins_over_an_aggregate(
    router: Router, peers: tuple[Peer, Peer]
) -> None:
    aggregate(router)
    router.announce(IPV4_UNICAST, prefix("10.1.0.0/16"), router.table.make(med=7))
    settle(router, *peers)
    assert peers[1].prefixes() == {"10.0.0.0/8", "10.1.0.0/16"}
    router.announce(IPV4_UNICAST, EIGHT, router.table.make(communities=[8]))
    settle(router, *peers)
    assert peers[1].heard("10.0.0.0/8").communities == (8,)
    router.withdraw(IPV4_UNICAST, EIGHT)
    settle(router, *peers)
    assert peers[1].heard("10.0.0.0/8").atomic_aggregate


def test_an_aggregate_may_end_and_be_replaced_at_any_time(router: Router, peers: tuple[Peer, Peer]) -> None:
    feeder, peer = peers
    feeder.announce(["10.1.0.0/16"])
    aggregate(router, summary_only=True)
    settle(router, *peers)
    assert peer.prefixes() == {"10.0.0.0/8"}
    aggregate(router, summary_only=False, origin_as=feeder.negotiated.remote_as)
    settle(router, *peers)
    assert peer.prefixes() == {"10.0.0.0/8", "10.1.0.0/16"}
    router.aggregate(IPV4_UNICAST, EIGHT, None)
    settle(router, *peers)
    assert peer.prefixes() == {"10.1.0.0/16"}
    assert not list(router.aggregates(IPV4_UNICAST))
    with pytest.raises(KeyError):
        router.aggregate(IPV4_UNICAST, EIGHT, None)


def test_who_comes_to_a_full_table_counts_it_in_slices(router: Router, peers: tuple[Peer, Peer]) -> None:
    feeder, peer = peers
    many = [bytes((24, 10, n >> 8, n & 255)) for n in range(20000)]
    feeder.announce(many[:15000])
    feeder.announce(many[15000:], med=1)
    settle(router, feeder)
    aggregate(router)
    flushes = 1
    while router.flush():
        flushes += 1
        # What changes meanwhile is counted once.
        feeder.withdraw([many[flushes], many[-flushes]])
        feeder.announce([many[flushes]], med=2)
        assert flushes < 100
    assert flushes > 3
    settle(router, *peers)
    feeder.withdraw(many[1:])
    settle(router, *peers)
    assert "10.0.0.0/8" in peer.prefixes()
    feeder.withdraw(many[:1])
    settle(router, *peers)
    assert peer.prefixes() == set()


# --- Attributes (RFC 4271 9.2.2.2, RFC 9774 5.2) ---


def test_consistent_brief_aggregation(router: Router, peers: tuple[Peer, Peer]) -> None:
    """RFC 9774 appendix B.4: by default we are the origin; AGGREGATOR and ATOMIC_AGGREGATE are there."""
    feeder, peer = peers
    aggregate(router)
    feeder.announce(["10.1.0.0/16"], as_path="64501", communities=[5], med=3)
    settle(router, *peers)
    told = peer.heard("10.0.0.0/8")
    assert told_path(peer, "10.0.0.0/8") == f"{LOCAL_AS}"
    assert told.atomic_aggregate and told.aggregator is not None
    assert told.aggregator[0] == LOCAL_AS and told.aggregator[1].packed == IDENTIFIER
    assert told.med is None and not told.communities and told.next_hop == address("192.0.2.1")
    before = peer.messages
    feeder.announce(["10.2.0.0/16"], as_path="64501 64502")
    settle(router, *peers)
    assert peer.messages == before + 1, "the aggregate stays as it is"
    (ours,) = router.rib.lookup(IPV4_UNICAST, EIGHT)
    assert is_aggregate(ours)


def test_the_common_path_up_to_the_wanted_origin(router: Router, peers: tuple[Peer, Peer]) -> None:
    """RFC 9774 appendix B.4, scenario 3: what is common, cut behind the wanted origin AS."""
    feeder, peer = peers
    aggregate(router, origin_as=64504)
    feeder.announce(["10.1.0.0/16"], as_path="64504 64504 64501")
    settle(router, *peers)
    assert told_path(peer, "10.0.0.0/8") == f"{LOCAL_AS} 64504 64504"
    feeder.announce(["10.2.0.0/16"], as_path="64504 64501")
    settle(router, *peers)
    assert told_path(peer, "10.0.0.0/8") == f"{LOCAL_AS} 64504"
    feeder.announce(["10.3.0.0/16"], as_path="64501 64504")
    settle(router, *peers)
    assert told_path(peer, "10.0.0.0/8") == f"{LOCAL_AS}"
    feeder.withdraw(["10.3.0.0/16"])
    settle(router, *peers)
    assert told_path(peer, "10.0.0.0/8") == f"{LOCAL_AS} 64504"


def test_origin_is_the_worst(router: Router, peers: tuple[Peer, Peer]) -> None:
    feeder, peer = peers
    aggregate(router)
    for text, origin, expected in (
        ("10.1.0.0/16", Origin.IGP, Origin.IGP),
        ("10.2.0.0/16", Origin.INCOMPLETE, Origin.INCOMPLETE),
        ("10.3.0.0/16", Origin.EGP, Origin.INCOMPLETE),
        ("10.2.0.0/16", Origin.IGP, Origin.EGP),
    ):
        feeder.announce([text], origin=origin)
        settle(router, *peers)
        assert peer.heard("10.0.0.0/8").origin == expected


asns = st.integers(64501, 64503)
paths = st.lists(st.lists(asns, max_size=5).map(tuple), min_size=1, max_size=5)


@given(paths, asns)
def test_the_path_by_the_conditions_of_the_rfcs(some: list[tuple[int, ...]], origin_as: int) -> None:
    """Cutting each path first gives what cutting the common one would."""
    table = AttributeTable()
    wanted = Aggregate(origin_as=origin_as)
    looks = {look(wanted, table.make(as_path=one)) for one in some}
    attributes = combined(wanted, looks, table, LOCAL_AS, IDENTIFIER)
    (kept,) = [segment.asns for segment in attributes.as_path] or [()]
    common = some[0]
    while any(one[: len(common)] != common for one in some):
        common = common[:-1]
    while common and common[-1] != origin_as:
        common = common[:-1]
    assert kept == common
    assert attributes.atomic_aggregate


def test_an_as_set_ends_what_is_common() -> None:
    table = AttributeTable()
    wanted = Aggregate(origin_as=64502)
    found = look(wanted, table.make(as_path="64501 64502 {64502,64503}"))
    assert found.as_path == (64501, 64502)
    assert look(Aggregate(), table.make(as_path="64501", med=5, communities=[1])) == Look(Origin.IGP)


def test_communities_by_option(router: Router, peers: tuple[Peer, Peer]) -> None:
    feeder, peer = peers
    aggregate(router, communities=True)
    feeder.announce(["10.1.0.0/16"], communities=[2, 1], large_communities=[(1, 2, 3)])
    feeder.announce(["10.2.0.0/16"], communities=[3, 1], extended_communities=[b"\0\2" + bytes(6)])
    settle(router, *peers)
    told = peer.heard("10.0.0.0/8")
    assert told.communities == (1, 2, 3) and told.large_communities == ((1, 2, 3),)
    assert told.extended_communities == (b"\0\2" + bytes(6),)


def test_different_meds_by_option(router: Router, peers: tuple[Peer, Peer]) -> None:
    """RFC 4271 9.2.2.2: "Routes that have different MULTI_EXIT_DISC attributes SHALL NOT be aggregated"."""
    feeder, peer = peers
    aggregate(router, matching_med=True, summary_only=True)
    feeder.announce(["10.1.0.0/16", "10.2.0.0/16"], med=1)
    settle(router, *peers)
    assert peer.prefixes() == {"10.0.0.0/8"}
    feeder.announce(["10.2.0.0/16"], med=2)
    settle(router, *peers)
    assert peer.prefixes() == {"10.1.0.0/16", "10.2.0.0/16"}, "what is not aggregated is not hidden"
    feeder.announce(["10.1.0.0/16"], med=2)
    settle(router, *peers)
    assert peer.prefixes() == {"10.0.0.0/8"}


def test_a_policy_has_the_last_word(router: Router, peers: tuple[Peer, Peer]) -> None:
    feeder, peer = peers
    policy: Policy = Rules(
        "summaries",
        [
            Term("none-of-nine", match.prefix_in(["10.128.0.0/9"]), then=REFUSE),
            Term("all", changes=(change.med(50), change.add_communities("65000:1")), then=ACCEPT),
        ],
    )
    aggregate(router, policy=policy)
    aggregate(router, "10.128.0.0/9", policy=policy, summary_only=True)
    feeder.announce(["10.129.0.0/16"])
    settle(router, *peers)
    assert peer.prefixes() == {"10.0.0.0/8", "10.129.0.0/16"}
    assert peer.heard("10.0.0.0/8").med == 50
    assert peer.heard("10.0.0.0/8").communities == (65000 << 16 | 1,)


def test_a_policy_that_fails_is_contained(router: Router, peers: tuple[Peer, Peer]) -> None:
    def fails(path: object) -> None:
        raise ZeroDivisionError

    aggregate(router, policy=fails, summary_only=True)
    peers[0].announce(["10.1.0.0/16"])
    settle(router, *peers)
    assert peers[1].prefixes() == {"10.1.0.0/16"}


# --- What is hidden ---


def test_a_summary_hides_what_is_more_specific(router: Router, peers: tuple[Peer, Peer]) -> None:
    feeder, peer = peers
    late = "10.0.0.0/8"
    feeder.announce(["10.1.0.0/16", "10.200.0.0/16", "11.0.0.0/16"])
    settle(router, *peers)
    aggregate(router, late, summary_only=True)
    settle(router, *peers)
    assert peer.prefixes() == {late, "11.0.0.0/16"}
    joiner = Peer(router, "late", Kind.CLIENT, 3)
    settle(router, joiner)
    assert joiner.prefixes() == {late, "11.0.0.0/16"}
    (best, *_) = router.rib.lookup(IPV4_UNICAST, prefix("10.1.0.0/16"))
    assert router.rib.told(peer.member, IPV4_UNICAST, best, prefix("10.1.0.0/16")) is SUMMARY_ONLY
    before = peer.messages
    feeder.announce(["10.3.0.0/16"])
    feeder.withdraw(["10.1.0.0/16"])
    settle(router, *peers)
    assert peer.messages == before, "what changes behind a summary is nobody's business"


def test_an_aggregate_within_a_summary_is_told(router: Router, peers: tuple[Peer, Peer]) -> None:
    feeder, peer = peers
    aggregate(router, summary_only=True)
    aggregate(router, "10.128.0.0/9")
    feeder.announce(["10.129.0.0/16"])
    settle(router, *peers)
    assert peer.prefixes() == {"10.0.0.0/8", "10.128.0.0/9"}
    feeder.withdraw(["10.129.0.0/16"])
    settle(router, *peers)
    assert peer.prefixes() == set()


def test_a_route_hidden_by_a_nested_aggregate_of_its_own_prefix(
    router: Router, peers: tuple[Peer, Peer]
) -> None:
    """A received route for the inner prefix contributes to the outer aggregate until ours displaces it."""
    feeder, peer = peers
    aggregate(router)
    aggregate(router, "10.128.0.0/9")
    feeder.announce(["10.128.0.0/9"], origin=Origin.INCOMPLETE, as_path="1 2 3")
    settle(router, *peers)
    assert peer.heard("10.0.0.0/8").origin == Origin.INCOMPLETE
    feeder.announce(["10.129.0.0/16"], origin=Origin.IGP, as_path="1")
    settle(router, *peers)
    assert peer.heard("10.128.0.0/9").atomic_aggregate
    assert peer.heard("10.0.0.0/8").origin == Origin.IGP
    feeder.withdraw(["10.129.0.0/16"])
    settle(router, *peers)
    assert peer.heard("10.0.0.0/8").origin == Origin.INCOMPLETE


def test_an_inner_aggregate_does_not_contribute_to_the_outer_one(
    router: Router, peers: tuple[Peer, Peer]
) -> None:
    feeder, peer = peers
    aggregate(router, origin_as=64504)
    aggregate(router, "10.128.0.0/9")
    feeder.announce(["10.129.0.0/16"], as_path="64504 64501")
    settle(router, *peers)
    assert told_path(peer, "10.128.0.0/9") == f"{LOCAL_AS}"
    assert told_path(peer, "10.0.0.0/8") == f"{LOCAL_AS} 64504"


def test_add_path_peers_are_told_the_same_way(router: Router) -> None:
    feeders = [Peer(router, f"from-{n}", Kind.CLIENT, n) for n in (1, 2)]
    peer = Peer(router, "to", Kind.CLIENT, 3, add_path=add_path())
    aggregate(router, summary_only=True)
    for feeder in feeders:
        feeder.announce(["10.1.0.0/16", "10.0.0.0/8"])
    settle(router, *feeders, peer)
    assert peer.prefixes() == {"10.0.0.0/8"} and len(peer.held) == 3


def test_families_are_apart(router: Router) -> None:
    feeder = Peer(router, "from", Kind.CLIENT, 1)
    peer = Peer(router, "to", Kind.CLIENT, 2)
    aggregate(router, "2001:db8::/32", summary_only=True)
    aggregate(router, "0.0.0.0/0")
    feeder.announce(["2001:db8:1::/48"], family=IPV6_UNICAST)
    feeder.announce(["10.1.0.0/16"])
    settle(router, feeder, peer)
    assert peer.prefixes(IPV6_UNICAST) == {"2001:db8::/32"}
    assert peer.prefixes() == {"0.0.0.0/0", "10.1.0.0/16"}
    assert len({family for family in BOTH if list(router.aggregates(family))}) == 2


# --- The parts ---


octets4 = st.integers(0, 32).flatmap(
    lambda length: st.integers(0, (1 << length) - 1).map(
        lambda value: bytes((length,)) + (value << 32 - length).to_bytes(4, "big")[: length + 7 >> 3]
    )
)


@given(st.lists(octets4, max_size=20), st.lists(octets4, max_size=20))
def test_covering(known: list[bytes], asked: list[bytes]) -> None:
    covering = Covering({one: one for one in known})
    for each in (*asked, *known):
        network = nlri.network(IPV4_UNICAST, each)
        expected = [
            one
            for one in set(known)
            if one != each and network.subnet_of(nlri.network(IPV4_UNICAST, one))  # type: ignore[arg-type]
        ]
        assert covering(each) == sorted(expected, key=lambda one: one[0])


def test_a_tally_is_changed_when_a_look_comes_or_goes() -> None:
    tally = Tally(lambda one: one.attributes.med)
    tally.complete()
    one, two, none = path(med=1), path(med=2), path()
    tally.changed = False
    tally.move(b"\x08\x0a", None, one)
    assert tally.changed and tally.looks == {1: 1}
    tally.changed = False
    tally.move(b"\x08\x0b", None, one)
    tally.move(b"\x08\x0c", None, none)
    assert not tally.changed and tally.looks == {1: 2}
    tally.move(b"\x08\x0b", one, two)
    assert tally.changed and tally.looks == {1: 1, 2: 1}
    tally.changed = False
    tally.move(b"\x08\x0a", one, None)
    assert tally.changed and tally.looks == {2: 1}
