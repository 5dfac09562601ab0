"""Conditions, default routes for some peers, and what is announced or told only while a condition holds."""

import pytest
from routers import LOCAL_AS, ROUTER_ID, Peer, add_path, prefix, settle

from bgp.export import default
from bgp.export.hiding import CONDITION, DEFAULT
from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.policy import ACCEPT, ACCEPT_ALL, Rules, Term, match
from bgp.policy.condition import Condition, Conditional, exists, missing
from bgp.rib.aggregate import Aggregate
from bgp.rib.path import Kind
from bgp.router import Router
from bgp.wire import aspath

DEFAULT_TEXT = "0.0.0.0/0"


@pytest.fixture
def router() -> Router:
    return Router(LOCAL_AS, ROUTER_ID)


@pytest.fixture
def feeder(router: Router) -> Peer:
    return Peer(router, "from", Kind.CLIENT, 1)


def default_peer(router: Router, condition: Condition | None = None, **options: object) -> Peer:
    settings = {"default_originate": {IPV4_UNICAST: condition}}
    return Peer(router, "to", Kind.CLIENT, 2, settings=settings, **options)  # type: ignore[arg-type]


# --- Default routes ---


def test_a_default_route_for_one_peer(router: Router, feeder: Peer) -> None:
    peer = default_peer(router)
    other = Peer(router, "other", Kind.EXTERNAL, 3)
    outside = Peer(router, "outside", Kind.EXTERNAL, 4, settings={"default_originate": {IPV4_UNICAST: None}})
    feeder.announce(["10.1.0.0/16"])
    settle(router, feeder, peer, other, outside)
    assert peer.prefixes() == outside.prefixes() == {DEFAULT_TEXT, "10.1.0.0/16"}
    assert other.prefixes() == feeder.prefixes() | {"10.1.0.0/16"} == {"10.1.0.0/16"}
    assert not peer.prefixes(IPV6_UNICAST)
    assert peer.heard(DEFAULT_TEXT).local_pref == 100 and peer.heard(DEFAULT_TEXT).as_path == ()
    assert aspath.text(outside.heard(DEFAULT_TEXT).as_path) == f"{LOCAL_AS}"
    for each in (peer, outside):
        assert each.heard(DEFAULT_TEXT).next_hop == each.settings.local_address


def test_it_is_told_in_place_of_the_table_s(router: Router, feeder: Peer) -> None:
    peer, other = default_peer(router), Peer(router, "other", Kind.CLIENT, 3)
    feeder.announce([DEFAULT_TEXT], med=5)
    settle(router, feeder, peer, other)
    assert peer.heard(DEFAULT_TEXT).med is None and other.heard(DEFAULT_TEXT).med == 5
    before = peer.messages
    feeder.withdraw([DEFAULT_TEXT])
    settle(router, feeder, peer, other)
    assert peer.messages == before and DEFAULT_TEXT in peer.prefixes()
    feeder.announce([DEFAULT_TEXT], med=6)
    settle(router, feeder, peer, other)
    (path,) = router.rib.lookup(IPV4_UNICAST, default.PREFIX)
    assert router.rib.told(peer.member, IPV4_UNICAST, path, default.PREFIX) is DEFAULT
    account = router.rib.explain_to(peer.member, IPV4_UNICAST, default.PREFIX)
    assert [one.told for one in account] == [True, False]


def test_export_policy_has_no_say_but_its_absence_has(router: Router) -> None:
    nothing = Rules("nothing", [])
    peer = default_peer(router, export_policy=nothing)
    silent = Peer(
        router,
        "silent",
        Kind.EXTERNAL,
        3,
        export_policy=None,
        settings={"default_originate": {IPV4_UNICAST: None}},
    )
    settle(router, peer, silent)
    assert peer.prefixes() == {DEFAULT_TEXT}
    assert silent.prefixes() == set() and silent.end_of_rib, "RFC 8212"


def test_a_default_route_on_a_condition(router: Router, feeder: Peer) -> None:
    peer = default_peer(router, exists("10.0.0.0/8 le 16"), add_path=add_path())
    settle(router, feeder, peer)
    assert peer.prefixes() == set()
    feeder.announce(["10.1.0.0/16", DEFAULT_TEXT])
    settle(router, feeder, peer)
    assert peer.prefixes() == {"10.1.0.0/16", DEFAULT_TEXT} and len(peer.held) == 2
    feeder.withdraw(["10.1.0.0/16"])
    settle(router, feeder, peer)
    assert peer.prefixes() == {DEFAULT_TEXT} and peer.heard(DEFAULT_TEXT).originator_id, "the table's own"


def test_who_has_no_address_for_it_is_told_none(router: Router, feeder: Peer) -> None:
    peer = Peer(
        router,
        "to",
        Kind.CLIENT,
        2,
        settings={"default_originate": {IPV6_UNICAST: None}, "next_hops": {}},
    )
    feeder.announce(["::/0"], family=IPV6_UNICAST)
    settle(router, feeder, peer)
    assert peer.heard("::/0").originator_id, "so the table's own is not hidden"


# --- Routes of ours on a condition ---


def test_an_announcement_on_a_condition(router: Router, feeder: Peer) -> None:
    ours, attributes = prefix("192.0.2.0/24"), router.table.make()
    router.announce(IPV4_UNICAST, ours, attributes, exists("10.0.0.0/8 ge 9"))
    router.announce(IPV4_UNICAST, prefix("192.0.3.0/24"), attributes, missing("10.0.0.0/8 ge 9"))
    peer = Peer(router, "to", Kind.CLIENT, 2)
    settle(router, feeder, peer)
    assert peer.prefixes() == {"192.0.3.0/24"}
    feeder.announce(["10.1.0.0/16", "10.2.0.0/16"])
    settle(router, feeder, peer)
    assert peer.prefixes() == {"10.1.0.0/16", "10.2.0.0/16", "192.0.2.0/24"}
    feeder.withdraw(["10.1.0.0/16"])
    settle(router, feeder, peer)
    assert "192.0.2.0/24" in peer.prefixes()
    feeder.down()
    settle(router, peer)
    assert peer.prefixes() == {"192.0.3.0/24"}
    router.announce(IPV4_UNICAST, ours, attributes)
    settle(router, peer)
    assert peer.prefixes() == {"192.0.2.0/24", "192.0.3.0/24"}
    router.announce(IPV4_UNICAST, ours, attributes, exists("10.0.0.0/8"))
    router.withdraw(IPV4_UNICAST, prefix("192.0.3.0/24"))
    settle(router, peer)
    assert peer.prefixes() == set()
    router.withdraw(IPV4_UNICAST, ours)
    assert not router._origination


def test_a_condition_that_comes_late_looks_through_the_table(router: Router, feeder: Peer) -> None:
    many = [bytes((24, 10, n >> 8, n & 255)) for n in range(9000)]
    feeder.announce(many)
    settle(router, feeder)
    for condition, text in ((exists("10.0.9.0/24"), "192.0.2.0/24"), (missing("11.0.0.0/8"), "192.0.3.0/24")):
        router.announce(IPV4_UNICAST, prefix(text), router.table.make(), condition)
    router.announce(IPV4_UNICAST, prefix("192.0.4.0/24"), router.table.make(), missing("10.0.0.0/16 ge 24"))
    assert router.flush(), "there is more to look through"
    settle(router, feeder)
    assert feeder.prefixes() == {"192.0.2.0/24", "192.0.3.0/24"}


def test_no_condition_depends_on_itself(router: Router) -> None:
    attributes = router.table.make()
    first, second = prefix("10.1.0.0/16"), prefix("10.2.0.0/16")
    with pytest.raises(ValueError, match=r"condition of 10\.1\.0\.0/16 looks for 10\.1\.0\.0/16"):
        router.announce(IPV4_UNICAST, first, attributes, missing("10.0.0.0/8 ge 9"))
    router.announce(IPV4_UNICAST, first, attributes, missing("10.2.0.0/16"))
    with pytest.raises(ValueError, match=r"10\.1\.0\.0/16 looks for 10\.2\.0\.0/16"):
        router.announce(IPV4_UNICAST, second, attributes, exists("10.3.0.0/16"))
    router.announce(IPV4_UNICAST, second, attributes)
    router.announce(IPV4_UNICAST, prefix("10.3.0.0/16"), attributes, exists("10.0.0.0/8"))
    with pytest.raises(ValueError, match=r"looks for 10\.0\.0\.0/8, which depends on a condition itself"):
        router.aggregate(IPV4_UNICAST, prefix("10.0.0.0/8"), Aggregate())
    assert not list(router.aggregates(IPV4_UNICAST))
    with pytest.raises(ValueError, match="needs prefixes"):
        exists()


# --- What a peer is told on a condition ---

BACKUP = Rules("backup", [Term("backup", match.prefix_in(["10.2.0.0/16 le 32"]), then=ACCEPT)])


def test_routes_that_are_told_on_a_condition(router: Router, feeder: Peer) -> None:
    """FRR's advertise-map with a non-exist-map."""
    conditional = Conditional(BACKUP, missing("10.1.0.0/16"))
    peer = Peer(router, "to", Kind.EXTERNAL, 2, settings={"conditional": (conditional,)})
    other = Peer(router, "other", Kind.EXTERNAL, 3)
    feeder.announce(["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"])
    settle(router, feeder, peer, other)
    assert peer.prefixes() == {"10.1.0.0/16", "10.3.0.0/16"}
    (path,) = router.rib.lookup(IPV4_UNICAST, prefix("10.2.0.0/16"))
    assert router.rib.told(peer.member, IPV4_UNICAST, path, prefix("10.2.0.0/16")) is CONDITION
    before = other.messages
    feeder.withdraw(["10.1.0.0/16"])
    settle(router, feeder, peer, other)
    assert peer.prefixes() == other.prefixes() == {"10.2.0.0/16", "10.3.0.0/16"}
    assert other.messages == before + 1
    feeder.announce(["10.1.0.0/16"])
    settle(router, feeder, peer, other)
    assert peer.prefixes() == {"10.1.0.0/16", "10.3.0.0/16"}


def test_a_policy_that_fails_holds_back(router: Router, feeder: Peer) -> None:
    def fails(path: object) -> None:
        raise ZeroDivisionError

    conditional = Conditional(fails, exists("10.1.0.0/16"))
    peer = Peer(router, "to", Kind.CLIENT, 2, settings={"conditional": (conditional,)})
    feeder.announce(["10.2.0.0/16"])
    settle(router, feeder, peer)
    assert peer.prefixes() == set()
    feeder.announce(["10.1.0.0/16"])
    settle(router, feeder, peer)
    assert peer.prefixes() == {"10.1.0.0/16", "10.2.0.0/16"}


def test_a_condition_that_flaps_costs_one_re_run_at_a_time(router: Router, feeder: Peer) -> None:
    """Whoever depends on it is told differences only, and others are told nothing for it."""
    conditional = Conditional(ACCEPT_ALL, exists("192.0.2.0/24"))
    slow = Peer(router, "slow", Kind.CLIENT, 2, settings={"conditional": (conditional,)})
    other = Peer(router, "other", Kind.CLIENT, 3)
    many = [bytes((24, 10, n >> 8, n & 255)) for n in range(20000)]
    for number in range(0, len(many), 20):
        feeder.announce(many[number : number + 20], med=number)
    feeder.announce(["192.0.2.0/24"])
    settle(router, feeder, slow, other)
    told, heard = slow.announced + slow.withdrawn, other.announced
    for _ in range(25):
        feeder.withdraw(["192.0.2.0/24"])
        listener = slow.member._listener
        router.flush()
        assert slow.member._listener is listener or not listener.arriving, "a re-run ends before the next"
        slow.pull(1000)
        feeder.announce(["192.0.2.0/24"])
        router.flush()
        slow.pull(1000)
        other.drain()
    assert other.announced - heard == 25
    settle(router, feeder, slow, other)
    assert slow.prefixes() == other.prefixes()
    assert slow.announced + slow.withdrawn - told <= 3 * len(many), "not once for each time"
