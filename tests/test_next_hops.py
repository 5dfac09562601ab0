"""What is known of next hops, where it comes from, and that exactly the routes concerned are decided anew."""

from collections.abc import Collection

import pytest
from routers import LOCAL_AS, ROUTER_ID, Peer, address, prefix, settle

from bgp import IPV4_UNICAST, IPV6_UNICAST, Speaker
from bgp.family import Family
from bgp.policy import ACCEPT, Rules, Term, change, match
from bgp.rib import admission, nexthop
from bgp.rib.changes import Changes
from bgp.rib.nexthop import NextHops, scoped, text, unscoped
from bgp.rib.path import Kind
from bgp.router import Router

A, B, C = (address(f"10.9.0.{number}") for number in (1, 2, 3))


class Ways:
    """A resolver that is told what to say, and remembers what it was asked."""

    def __init__(self, costs: dict[bytes, int | None]) -> None:
        self.costs = costs
        self.asked: list[bytes] = []
        self.forgotten: set[bytes] = set()

    def resolve(self, next_hop: bytes) -> int | None:
        self.asked.append(next_hop)
        return self.costs.get(next_hop)

    def why(self, next_hop: bytes) -> str:
        return "by eth0" if self.costs.get(next_hop) is not None else "no route to it"

    def forget(self, next_hops: Collection[bytes]) -> None:
        self.forgotten.update(next_hops)


@pytest.fixture
def router() -> Router:
    return Router(LOCAL_AS, ROUTER_ID)


def best(router: Router, text: str) -> str | None:
    paths = [path for path in router.rib.lookup(IPV4_UNICAST, prefix(text)) if path.usable]
    return paths[0].source.peer if paths else None


def test_a_next_hop_is_asked_for_once_and_before_anything_is_told(router: Router) -> None:
    ways = Ways({A: 7})
    router.next_hops.resolve(ways)
    a, b = Peer(router, "a", Kind.CLIENT, 1), Peer(router, "b", Kind.CLIENT, 2)
    a.announce(["10.1.0.0/16"], next_hop="10.9.0.1")
    a.announce(["10.2.0.0/16"], next_hop="10.9.0.2")
    a.announce(["10.3.0.0/16"], next_hop="10.9.0.1", med=5)
    settle(router, b)
    assert b.prefixes() == {"10.1.0.0/16", "10.3.0.0/16"} and b.withdrawn == 0
    assert ways.asked == [A, B]
    assert router.next_hops.known() == {A: 7, B: None}
    (path,) = router.rib.lookup(IPV4_UNICAST, prefix("10.2.0.0/16"))
    assert path.refusal is admission.NEXT_HOP_UNREACHABLE
    shown = str(router.rib.explain(IPV4_UNICAST, prefix("10.2.0.0/16")))
    assert "next hop 10.9.0.2 not reachable, no route to it" in shown
    assert "next hop 10.9.0.1 at cost 7, by eth0" in str(
        router.rib.explain(IPV4_UNICAST, prefix("10.1.0.0/16"))
    )


def test_only_routes_by_a_next_hop_of_which_there_is_news_are_decided_anew(router: Router) -> None:
    ways = Ways({A: 1, B: 1, C: 1})
    router.next_hops.resolve(ways)
    a, b = Peer(router, "a", Kind.CLIENT, 1), Peer(router, "b", Kind.CLIENT, 2)
    for number, hop in enumerate((A, B, C)):
        for med in range(3):
            a.announce([f"10.{number}.{med}.0/24"], next_hop=".".join(map(str, hop)), med=med)
    settle(router, b)
    changed: list[bytes] = []

    def watcher(family: Family, changes: Changes) -> None:
        changed.extend(one for some in (*changes.fresh.values(), *changes.moved.values()) for one in some)

    router.watch(watcher)
    before = dict(router.rib.best(IPV4_UNICAST))
    router.next_hops.learn({A: None, B: 5, address("10.9.0.77"): 4, C: 1})
    settle(router, b)
    assert sorted(changed) == sorted(prefix(f"10.{n}.{med}.0/24") for n in (0, 1) for med in range(3))
    after = dict(router.rib.best(IPV4_UNICAST))
    kept = [prefix(f"10.2.{med}.0/24") for med in range(3)]
    assert [after[one] for one in kept] == [before[one] for one in kept], "the very same paths"
    assert b.prefixes() == {f"10.{n}.{med}.0/24" for n in (1, 2) for med in range(3)}
    assert address("10.9.0.77") not in router.next_hops.known(), "of what nobody asked for nothing is kept"
    assert ways.asked == [A, B, C]


def test_many_news_are_one_look_at_the_table(router: Router) -> None:
    a = Peer(router, "a", Kind.CLIENT, 1)
    for number in range(50):
        a.announce([f"10.{number}.0.0/16"], next_hop=f"10.9.1.{number}")
    settle(router)
    for number in range(50):
        router.next_hops.learn({address(f"10.9.1.{number}"): number or None})
    assert len(router._jobs._turns) == 1
    turns = 1
    while router.work(8):
        turns += 1
    router.flush()
    assert turns > 3, "in slices"
    assert best(router, "10.0.0.0/16") is None
    assert [
        path.cost for _, path in sorted(router.rib.best(IPV4_UNICAST), key=lambda one: one[1].cost)
    ] == list(range(1, 50))


def test_it_is_the_next_hop_behind_import_policy_that_counts(router: Router) -> None:
    moved = Rules("moved", [Term("all", match.ANY, (change.next_hop("10.9.0.2"),), ACCEPT)])
    a = Peer(router, "a", Kind.CLIENT, 1, import_policy=moved)
    router.next_hops.resolve(Ways({B: 4}))
    a.announce(["10.1.0.0/16"], next_hop="10.9.0.1")
    settle(router)
    (path,) = router.rib.lookup(IPV4_UNICAST, prefix("10.1.0.0/16"))
    assert path.usable and path.cost == 4


def test_whoever_comes_or_goes_as_resolver_has_all_decided_anew(router: Router) -> None:
    a, b = Peer(router, "a", Kind.CLIENT, 1), Peer(router, "b", Kind.CLIENT, 2)
    a.announce(["10.1.0.0/16"], next_hop="10.9.0.1")
    router.announce(IPV4_UNICAST, prefix("10.5.0.0/16"), router.table.make(next_hop="10.9.0.50"))
    settle(router, b)
    router.next_hops.resolve(Ways({}))
    settle(router, b)
    assert b.prefixes() == {"10.5.0.0/16"}, "what we originate ourselves is not asked about"
    router.next_hops.resolve(None)
    settle(router, b)
    assert b.prefixes() == {"10.1.0.0/16", "10.5.0.0/16"} and router.next_hops.known() == {}


def test_a_link_local_next_hop_is_one_of_its_link(router: Router) -> None:
    one, other = (scoped(address("fe80::1"), name) for name in ("eth0", "eth1"))
    assert (text(one), unscoped(one)) == ("fe80::1%eth0", (address("fe80::1"), "eth0"))
    assert scoped(address("2001:db8::1") + address("fe80::1"), "eth0") == address("2001:db8::1")
    assert unscoped(A) == (A, "") and text(A) == "10.9.0.1"
    a = Peer(router, "a", Kind.CLIENT, 1, settings={"interface": "eth0"})
    b = Peer(router, "b", Kind.CLIENT, 2, settings={"interface": "eth1"})
    router.next_hops.resolve(Ways({one: 3, other: 2}))
    for peer in (a, b):
        peer.announce(["2001:db8:1::/48"], family=IPV6_UNICAST, next_hop="fe80::1")
    settle(router)
    paths = router.rib.lookup(IPV6_UNICAST, prefix("2001:db8:1::/48"))
    assert [(path.source.peer, path.cost) for path in paths] == [("b", 2), ("a", 3)]
    router.next_hops.learn({other: None})
    settle(router)
    assert router.rib.lookup(IPV6_UNICAST, prefix("2001:db8:1::/48"))[0].source.peer == "a"


def test_what_no_route_has_any_more_is_forgotten(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nexthop, "_SWEPT", 64)
    ways = Ways(dict.fromkeys((n.to_bytes(4, "big") for n in range(0x0A000000, 0x0A010000)), 0))
    router.next_hops.resolve(ways)
    a = Peer(router, "a", Kind.CLIENT, 1)
    a.announce(["10.2.0.0/16"], next_hop="10.0.0.1")
    most = 0
    for number in range(600):
        hop = ".".join(map(str, (0x0A000001 + number).to_bytes(4, "big")))
        a.announce(["10.1.0.0/16"], next_hop=hop)
        router.work(4)
        most = max(most, len(router.next_hops.known()))
    settle(router)
    assert most < 140, "bounded, whatever a peer sends"
    assert address("10.0.0.1") in router.next_hops.known()
    assert len(ways.forgotten) > 400 and address("10.0.0.1") not in ways.forgotten
    assert ways.forgotten.isdisjoint(router.next_hops.known())


def test_a_question_during_a_sweep_keeps_the_answer() -> None:
    hops, ways = NextHops(), Ways({A: 1, B: 1, C: 1})
    hops.resolver = ways
    assert [hops.cost(one) for one in (A, B, C)] == [1, 1, 1]
    hops.begin_sweep()
    assert hops.cost(A) == 1
    hops.meet([B])
    hops.end_sweep()
    assert hops.costs == {A: 1, B: 1} and ways.forgotten == {C}
    assert hops.cost(C) == 1 and ways.asked == [A, B, C, C]


async def test_a_speaker_learns_of_next_hops() -> None:
    async with Speaker(asn=65000, router_id="192.0.2.1") as speaker:
        speaker.next_hop("10.9.0.1", 5)
        speaker.next_hop("fe80::1%eth0", None)
        speaker.next_hops({B: 7})
        assert speaker.router.next_hops.known() == {
            A: 5,
            B: 7,
            scoped(address("fe80::1"), "eth0"): None,
        }
        with pytest.raises(ValueError, match="address: write one such as"):
            speaker.next_hop("somewhere", 5)
        with pytest.raises(ValueError, match="cost"):
            speaker.next_hop("10.9.0.1", -1)
        speaker.resolve_next_hops(Ways({}))
        assert speaker.router.next_hops.known() == {}
