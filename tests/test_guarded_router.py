"""Guards at work in a router: who comes by what, what is kept from use, and who gets it in the end."""

from dataclasses import replace

from routers import LOCAL_AS, ROUTER_ID, Peer, add_path, address, prefix, settle

from bgp import Blocks, Guard, PrefixList
from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.iana import RouteRefreshSubtype
from bgp.policy import ACCEPT, Rules, Term, match
from bgp.rib.guarding import INTERVAL
from bgp.rib.notice import Breach, Notice
from bgp.rib.path import Kind
from bgp.router import Member, Router
from bgp.session.restart import RestartOptions
from bgp.wire.capability import GracefulRestart
from bgp.wire.message import RouteRefresh

BLOCKS = Guard(name="nodes", blocks=(Blocks("10.244.0.0/16", 26),))
A, B, C = "10.244.0.0/26", "10.244.0.64/26", "10.244.1.0/26"
GR = GracefulRestart(time=30, families=((1, 1, True), (2, 1, True)))


class World:
    def __init__(self) -> None:
        self.router = Router(LOCAL_AS, ROUTER_ID)
        self.peers: dict[str, Peer] = {}
        self.notices: list[tuple[str, Notice]] = []
        self.router.watch_notices(self._hear)
        self.now = 100.0
        self.number = 0

    def _hear(self, member: Member, notice: Notice) -> None:
        if isinstance(notice, Breach):
            self.notices.append((member.name, notice))

    def node(self, name: str, guard: Guard | None = BLOCKS, **options: object) -> Peer:
        numbers = {each: number for number, each in enumerate("abcdefgh", start=1)}
        settings = {"guard": guard, **options.pop("settings", {})}  # type: ignore[dict-item]
        peer = Peer(
            self.router,
            name,
            Kind.CLIENT,
            numbers[name],
            settings=settings,
            now=self.now,
            **options,  # type: ignore[arg-type]
        )
        self.peers[name] = peer
        return peer

    def settle(self) -> None:
        settle(self.router, *self.peers.values(), now=self.now)

    def owner(self, text: str) -> str | None:
        """Return whose path to a prefix is used."""
        self.settle()
        family = IPV6_UNICAST if ":" in text else IPV4_UNICAST
        paths = self.router.rib.lookup(family, prefix(text))
        return paths[0].slot.peer if paths and paths[0].refusal is None else None

    def rules(self, text: str) -> dict[str, str | None]:
        """Return by peer which rule refuses its path."""
        self.settle()
        family = IPV6_UNICAST if ":" in text else IPV4_UNICAST
        paths = self.router.rib.lookup(family, prefix(text))
        return {path.slot.peer: None if path.refusal is None else path.refusal.name for path in paths}

    def down(self, name: str) -> None:
        self.router.down(self.peers.pop(name).member, now=self.now)

    def guard(self, name: str, guard: Guard | None) -> None:
        member = self.peers[name].member
        self.router.change(member, replace(member.settings, guard=guard))


def test_who_comes_first_has_the_block_and_the_second_one_gets_it_in_the_end() -> None:
    world = World()
    first, second, other = world.node("a"), world.node("b"), world.node("c", None)
    first.announce([A])
    second.announce([A])
    assert world.rules(A) == {"a": None, "b": "guard-owned"}
    assert other.heard(A).next_hop == address("10.9.0.9")
    first.withdraw([A])
    # Nothing more is heard of the second one: what it said was kept.
    assert world.owner(A) == "b"
    assert other.prefixes() == {A}
    first.announce([A])
    assert world.rules(A) == {"a": "guard-owned", "b": None}
    world.down("b")
    assert world.rules(A) == {"a": None}


def test_each_has_as_many_blocks_as_it_may_and_waits_for_more() -> None:
    world = World()
    world.node("a").announce([A, B])
    assert world.rules(B) == {"a": "guard-count"}
    world.node("b").announce([B, C])
    # It is said why as it was when the route came.
    assert world.rules(B) == {"a": "guard-count", "b": None}
    assert world.rules(C) == {"b": "guard-count"}
    world.peers["a"].withdraw([A])
    assert world.rules(B) == {"a": "guard-count", "b": None}
    world.peers["b"].withdraw([B])
    # One gets what the other leaves, and that one gets what it waited for.
    assert (world.owner(B), world.owner(C)) == ("a", "b")


def test_what_is_in_a_block_is_of_its_owner() -> None:
    world = World()
    world.node("a").announce(["10.244.0.7/32"])
    world.node("b").announce([A, "10.244.0.8/32", "10.244.0.64/27"])
    assert world.rules(A) == world.rules("10.244.0.8/32") == {"b": "guard-owned"}
    assert world.owner("10.244.0.64/27") == "b"
    world.peers["a"].announce(["10.244.0.0/27"])
    world.peers["a"].withdraw(["10.244.0.7/32"])
    assert world.owner("10.244.0.0/27") == "a"
    world.peers["a"].withdraw(["10.244.0.0/27"])
    assert world.rules(A) == {"b": "guard-owned"}
    world.peers["b"].withdraw(["10.244.0.64/27"])
    assert world.owner(A) == world.owner("10.244.0.8/32") == "b"


def test_addresses_are_borrowed_out_of_any_block() -> None:
    guard = Guard(blocks=(Blocks("10.244.0.0/16", 26, borrowed=2),))
    world = World()
    world.node("a", guard).announce([A])
    world.node("b", guard).announce([B, "10.244.0.1/32", "10.244.0.2/32", "10.244.0.3/32"])
    assert world.owner(A) == "a" and world.owner(B) == "b"
    assert world.owner("10.244.0.1/32") == world.owner("10.244.0.2/32") == "b"
    assert world.rules("10.244.0.3/32") == {"b": "guard-count"}
    world.peers["a"].announce(["10.244.0.1/32"])
    assert world.rules("10.244.0.1/32") == {"a": "guard-owned", "b": None}


def test_shared_prefixes_have_many_owners_and_what_is_not_allotted_has_none() -> None:
    guard = replace(BLOCKS, shared=PrefixList(["10.96.0.0/12 le 32"]))
    world = World()
    for name in "ab":
        world.node(name, guard).announce(["10.96.0.1/32", "0.0.0.0/0", "10.244.0.0/16"])
    assert world.rules("10.96.0.1/32") == {"a": None, "b": None}
    assert set(world.rules("0.0.0.0/0").values()) == {"guard-outside"}
    assert set(world.rules("10.244.0.0/16").values()) == {"guard-outside"}
    assert not world.router.guarding.ledgers[IPV4_UNICAST].claims


def test_a_route_by_another_next_hop_is_no_offer() -> None:
    guard = replace(BLOCKS, own_next_hop=True, next_hops=("2001:db8:a::/64",))  # type: ignore[arg-type]
    world = World()
    first, second = world.node("a", guard), world.node("b", guard)
    mine = [".".join(map(str, peer.settings.remote_address)) for peer in (first, second)]
    second.announce([A], next_hop=mine[0])
    assert world.rules(A) == {"b": "guard-next-hop"}
    first.announce([A], next_hop=mine[0])
    assert world.owner(A) == "a"
    second.announce([A], next_hop=mine[1])
    assert world.rules(A) == {"a": None, "b": "guard-owned"}
    # It points elsewhere from now on, so the block is free.
    first.announce([A], next_hop="10.9.0.9")
    assert world.rules(A) == {"a": "guard-next-hop", "b": None}
    first.announce(["2001:db8:9::/64"], family=IPV6_UNICAST, next_hop="2001:db8:a::1")
    assert world.rules("2001:db8:9::/64") == {"a": "guard-outside"}


def test_a_looped_route_is_no_offer() -> None:
    world = World()
    world.node("a").announce([A], as_path=str(LOCAL_AS))
    world.node("b").announce([A])
    assert world.rules(A) == {"a": "as-loop", "b": None}


def test_several_paths_of_one_peer_are_one_offer() -> None:
    world = World()
    peer = world.node("a", add_path=add_path())
    world.node("b").announce([A])
    peer.announce([A], path_id=1, med=1)
    peer.announce([A], path_id=2, med=2)
    world.down("b")
    assert world.owner(A) == "a"
    peer.withdraw([A], path_id=1)
    world.node("b").announce([A])
    assert world.owner(A) == "a"
    peer.withdraw([A], path_id=2)
    assert world.owner(A) == "b"


def test_what_is_kept_of_a_peer_that_restarts_stays_its_own() -> None:
    world = World()
    settings = {"restart": RestartOptions()}
    world.node("a", settings=settings, restarts=GR).announce([A])
    world.node("b").announce([A])
    world.settle()
    world.peers.pop("a").lose(world.now)
    assert world.owner(A) == "a"
    back = world.node("a", settings=settings, restarts=GR)
    back.announce([A])
    back.end_of_rib_of()
    assert world.owner(A) == "a"
    world.settle()
    world.peers.pop("a").lose(world.now)
    world.now += 31
    assert world.owner(A) == "b"


def test_another_guard_while_the_peer_is_away_or_when_it_comes_back() -> None:
    world = World()
    settings = {"restart": RestartOptions()}
    one, nothing = replace(BLOCKS, name="one"), Guard(name="two", prefixes=PrefixList([C]))
    world.node("a", one, settings=settings, restarts=GR).announce([A, C])
    world.node("b", one).announce([A])
    world.settle()
    world.peers.pop("a").lose(world.now)
    assert world.rules(A) == {"a": None, "b": "guard-owned"}
    world.router.set_guard_of_kept("a", nothing)
    assert world.rules(A) == {"a": "guard-outside", "b": None}
    assert world.owner(C) == "a"
    # It comes back, guarded as at first: what it keeps from before is judged by that at once.
    back = world.node("a", one, settings=settings, restarts=GR)
    assert world.rules(A) == {"a": "guard-owned", "b": None}
    assert world.owner(C) == "a"
    back.end_of_rib_of()
    world.down("b")
    assert world.rules(A) == {} == world.rules(C)
    assert not world.router.guarding.ledgers[IPV4_UNICAST].claims


def test_no_guard_any_more_while_the_peer_is_away() -> None:
    world = World()
    settings = {"restart": RestartOptions()}
    world.node("a", settings=settings, restarts=GR).announce([A, "10.0.0.0/8"])
    world.node("b").announce([A])
    world.settle()
    world.peers.pop("a").lose(world.now)
    world.router.set_guard_of_kept("a", None)
    assert world.rules(A) == {"a": None, "b": None}
    assert world.owner("10.0.0.0/8") == "a"
    world.router.forget("a")
    assert world.rules(A) == {"b": None}


def test_claims_are_held_behind_a_session_for_some_time() -> None:
    guard = replace(BLOCKS, hold=60.0)
    world = World()
    world.node("a", guard).announce([A])
    world.node("b", guard).announce([A])
    world.down("a")
    assert world.rules(A) == {"b": "guard-owned"}
    assert world.router.deadline == world.now + 60
    world.now += 59
    assert world.rules(A) == {"b": "guard-owned"}
    world.node("a", guard).announce([A])
    assert world.owner(A) == "a"
    world.down("a")
    world.now += 60
    assert world.owner(A) == "b"
    assert world.router.deadline is None


def test_a_peer_that_is_back_and_has_said_all_gives_up_the_rest() -> None:
    guard = replace(BLOCKS, hold=600.0, blocks=(Blocks("10.244.0.0/16", 26, 2),))
    world = World()
    world.node("a", guard).announce([A, B])
    world.node("b", guard).announce([A, B])
    world.down("a")
    back = world.node("a", guard)
    back.announce([B])
    assert world.rules(A) == {"b": "guard-owned"}
    back.end_of_rib_of()
    assert (world.owner(A), world.owner(B)) == ("b", "a")


def test_a_second_loss_frees_what_was_not_said_again() -> None:
    guard = replace(BLOCKS, hold=600.0, blocks=(Blocks("10.244.0.0/16", 26, 2),))
    world = World()
    world.node("a", guard).announce([A, B])
    world.node("b", guard).announce([A, B])
    world.down("a")
    world.node("a", guard).announce([B])
    world.settle()
    world.down("a")
    assert world.owner(A) == "b"
    assert world.rules(B) == {"b": "guard-owned"}


def test_a_peer_that_comes_back_without_anything_kept_stands_behind_the_others() -> None:
    world = World()
    world.node("a").announce([A])
    world.node("b").announce([A])
    world.settle()
    world.down("a")
    # Before the routes of the former session are out.
    world.node("a").announce([A])
    assert world.rules(A) == {"a": "guard-owned", "b": None}


def test_what_a_refresh_does_not_renew_is_free() -> None:
    world = World()
    world.node("a").announce([A])
    world.node("b").announce([A])
    member = world.peers["a"].member
    for subtype in (RouteRefreshSubtype.BEGIN_OF_ROUTE_REFRESH, RouteRefreshSubtype.END_OF_ROUTE_REFRESH):
        assert world.owner(A) == "a"
        world.router.refresh(member, RouteRefresh(1, 1, subtype))
    assert world.owner(A) == "b"


def test_another_guard_changes_what_must_change_and_nobody_loses_what_stays_allotted() -> None:
    world = World()
    world.node("a").announce([A, B, C])
    world.node("b").announce([A])
    two = Guard(name="nodes", blocks=(Blocks("10.244.0.0/16", 26, 2),))
    for name in "ab":
        world.guard(name, two)
    assert (world.owner(A), world.owner(B), world.owner(C)) == ("a", "a", None)
    for name in "ab":
        world.guard(name, replace(two, shared=PrefixList([C])))
    assert (world.owner(A), world.owner(C)) == ("a", "a")
    # With one only, the one that came first stays.
    for name in "ab":
        world.guard(name, BLOCKS)
    assert world.rules(A) == {"a": None, "b": "guard-owned"}
    assert world.rules(B) == world.rules(C) == {"a": "guard-count"}
    world.guard("a", None)
    assert world.rules(A) == {"a": None, "b": None}
    assert world.owner(B) == world.owner(C) == "a"
    world.guard("a", replace(BLOCKS, own_next_hop=True))
    assert world.rules(A) == {"a": "guard-next-hop", "b": None}


def test_a_guard_comes_before_policy_and_both_may_look_at_the_prefix() -> None:
    world = World()
    policy = Rules("some", [Term("one", match.prefix_in([A]), then=ACCEPT)])
    peer = world.node("a", replace(BLOCKS, blocks=(Blocks("10.244.0.0/16", 26, 2),)), import_policy=policy)
    peer.announce([A, B, "10.0.0.0/8"])
    assert world.owner(A) == "a"
    assert world.rules(B) == {"a": "policy"}
    assert world.rules("10.0.0.0/8") == {"a": "guard-outside"}
    world.router.set_import_policy(peer.member, None)
    assert world.owner(B) == "a"
    assert world.rules("10.0.0.0/8") == {"a": "guard-outside"}
    assert not list(world.router.rib.preview_import(peer.member, None))
    assert [one.prefix for one in world.router.rib.preview_import(peer.member, policy)] == [prefix(B)]


def test_routes_kept_from_use_count_against_the_maximum() -> None:
    world = World()
    peer = world.node("a", settings={"maximum_prefixes": {IPV4_UNICAST: 3}})
    peer.announce([A, "10.0.0.0/8", "11.0.0.0/8"])
    assert peer.member.received(IPV4_UNICAST) == 3
    try:
        peer.announce(["12.0.0.0/8"])
    except Exception as error:
        assert "more than 3" in str(error)
    else:
        raise AssertionError("a fourth route passed")


def test_breaches_are_counted_and_told_once_a_minute() -> None:
    world = World()
    world.node("a").announce([A])
    peer = world.node("b")
    peer.announce([A, "0.0.0.0/0"])
    peer.announce(["10.0.0.0/8"])
    world.settle()
    told = {
        (name, each.rule): (each.count, each.owner)
        for name, each in world.notices
        if isinstance(each, Breach)
    }
    assert told == {("b", "owned"): (1, "a"), ("b", "outside"): (2, "")}
    assert str(world.notices[0][1]) == f'guard "nodes" keeps 1 route from use, the last one {A}: a has it'
    peer.announce([A], med=1)
    peer.announce([A], med=2)
    world.settle()
    assert len(world.notices) == 2
    assert world.router.deadline == world.now + INTERVAL
    world.now += INTERVAL
    world.settle()
    assert len(world.notices) == 3
    assert "keeps 2 routes" in str(world.notices[2][1])
    assert world.router.guarding.totals == {("nodes", "owned"): 3, ("nodes", "outside"): 2}
    ward = world.router.guarding.ledgers[IPV4_UNICAST].wards["b"]
    assert ward.hits == {"owned": 3, "outside": 2}
    assert world.router.deadline is None


def test_explanations_name_guard_rule_and_owner() -> None:
    world = World()
    world.node("a").announce([A])
    world.node("b").announce([A, B, C, "0.0.0.0/0"])
    world.settle()

    def said(text: str) -> dict[str, str]:
        found = world.router.rib.explain(IPV4_UNICAST, prefix(text))
        return {one.path.slot.peer: one.guard for one in found}

    assert said(A) == {
        "a": f'guard "nodes": {A} belongs to the peer',
        "b": f'guard "nodes": {A} belongs to a, who came first',
    }
    assert said(C) == {
        "b": 'guard "nodes": the peer may have 1 /26 out of 10.244.0.0/16, and has that already'
    }
    assert "not among those" in said("0.0.0.0/0")["b"]
    text = str(world.router.rib.explain(IPV4_UNICAST, prefix(A)))
    assert 'another peer was the first to announce it, and has it (guard "nodes")' in text
    assert f"{A} belongs to a" in text
