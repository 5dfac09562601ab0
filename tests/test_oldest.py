"""Prefer-oldest: the age of a route is how long its peer has said the same of it, and only that."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from routers import ROUTER_ID, Peer, add_path, path, prefix, settle

from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from bgp.policy import ACCEPT_ALL, Policy
from bgp.rib.decision import Decision, DecisionOptions
from bgp.rib.path import Kind, Path
from bgp.router import Router
from bgp.wire.attributes import Attributes

ONE, TWO = prefix("10.0.0.0/8"), prefix("10.1.0.0/16")


class World:
    """A router that prefers the oldest, and external peers whose identifiers are their numbers."""

    def __init__(self, *, prefer_oldest: bool = True, **options: object) -> None:
        self.router = Router(65000, ROUTER_ID, decision=DecisionOptions(prefer_oldest=prefer_oldest))
        self.options = options
        self.peers: dict[int, Peer] = {}
        for number in (1, 2, 3):
            self.join(number)

    def join(self, number: int) -> None:
        options = {"asn": 64500, **self.options}
        self.peers[number] = Peer(self.router, f"e{number}", Kind.EXTERNAL, number, **options)  # type: ignore[arg-type]

    def announce(self, number: int, *prefixes: bytes, path_id: int | None = None, **values: object) -> None:
        values = {"next_hop": f"10.9.0.{number}", "as_path": "64500", **values}
        self.peers[number].announce(prefixes or [ONE], path_id=path_id, **values)

    def best(self, one: bytes = ONE) -> str:
        settle(self.router, *self.peers.values())
        return dict(self.router.rib.best(IPV4_UNICAST))[one].slot.peer


def test_the_first_one_stays() -> None:
    world = World()
    world.announce(3)
    world.announce(1)
    world.announce(2)
    assert world.best() == "e3"
    verdicts = world.router.rib.explain(IPV4_UNICAST, ONE)
    lost = {verdict.path.slot.peer: verdict.rung.name for verdict in verdicts if verdict.rung is not None}
    assert lost == {"e1": "oldest", "e2": "oldest"}
    without = World(prefer_oldest=False)
    without.announce(3)
    without.announce(1)
    assert without.best() == "e1"


def test_saying_the_same_again_keeps_the_age_and_saying_else_does_not() -> None:
    world = World()
    for number in (3, 1):
        world.announce(number)
    world.announce(3)
    assert world.best() == "e3"
    world.announce(3, communities=[1])
    assert world.best() == "e1"
    world.announce(3)
    assert world.best() == "e1"


def test_the_next_oldest_follows() -> None:
    world = World()
    for number in (3, 2, 1):
        world.announce(number)
    world.peers[3].withdraw([ONE])
    assert world.best() == "e2"
    world.announce(3)
    assert world.best() == "e2"


def test_each_prefix_has_ages_of_its_own() -> None:
    world = World()
    world.announce(3, ONE)
    world.announce(1, ONE, TWO)
    world.announce(3, ONE, TWO)
    assert (world.best(ONE), world.best(TWO)) == ("e3", "e1")


def test_a_new_session_begins_anew() -> None:
    world = World()
    for number in (3, 1):
        world.announce(number)
    assert world.best() == "e3"
    world.peers[3].down()
    world.join(3)
    world.announce(3)  # before what was said earlier is taken out
    assert world.best() == "e1"


def test_a_refresh_keeps_the_age() -> None:
    world = World()
    for number in (3, 1):
        world.announce(number)
    peer = world.peers[3]
    source = peer.member._sources[IPV4_UNICAST]
    peer.member._sources[IPV4_UNICAST] = source.renewed()
    world.announce(3)
    assert world.best() == "e3"


@pytest.mark.parametrize("by_prefix", [False, True])
def test_another_policy_and_another_cost_keep_the_age(by_prefix: bool) -> None:
    world = World()
    for number in (3, 1):
        world.announce(number)

    def same(path: Path, prefix: bytes | None = None) -> Attributes:
        return path.attributes

    if by_prefix:
        same.reads_prefix = True  # type: ignore[attr-defined]
    assert world.best() == "e3"
    policy: Policy = same
    world.router.set_import_policy(world.peers[3].member, policy)
    assert world.best() == "e3"
    world.router.next_hops.learn({bytes((10, 9, 0, 3)): 5})
    assert world.best() == "e1"
    world.router.next_hops.learn({bytes((10, 9, 0, 3)): 0})
    assert world.best() == "e3"
    world.router.set_import_policy(world.peers[3].member, ACCEPT_ALL)
    assert world.best() == "e3"


def test_parallel_sessions_are_told_apart_by_address() -> None:
    # RFC 5004 section 3: not "when both paths are from peers with an identical BGP identifier".
    first = path("a", Kind.EXTERNAL, identifier=7, remote="10.0.0.1", age=2)
    second = path("b", Kind.EXTERNAL, identifier=7, remote="10.0.0.2", age=1)
    younger = path("c", Kind.EXTERNAL, identifier=1, age=3)
    decision = Decision(DecisionOptions(prefer_oldest=True))
    assert decision.ranked((younger, second, first)) == (first, second, younger)


def test_internal_and_confederation_paths_have_no_age() -> None:
    decision = Decision(DecisionOptions(prefer_oldest=True))
    younger, older = path("a", identifier=1, age=2), path("b", identifier=2, age=1)
    assert decision.best((older, younger)) is younger
    younger = path("a", Kind.CONFEDERATION, identifier=1, age=2)
    older = path("b", Kind.CONFEDERATION, identifier=2, age=1)
    assert decision.best((older, younger)) is younger
    router = Router(65000, ROUTER_ID, decision=DecisionOptions(prefer_oldest=True))
    client = Peer(router, "c", Kind.CLIENT, 1)
    client.announce([ONE, TWO], next_hop="10.9.0.1")
    assert {each.age for _, each in router.rib.best(IPV4_UNICAST)} == {0}


def test_paths_of_one_update_are_shared_and_let_go() -> None:
    world = World()
    some = [prefix(f"10.{n}.0.0/16") for n in range(50)]
    world.announce(1, *some)
    world.announce(1, *some)
    settle(world.router)
    assert len({id(each) for _, each in world.router.rib.best(IPV4_UNICAST)}) == 1
    for one in some:
        world.announce(1, one, communities=[1])
    settle(world.router)
    assert len({id(each) for _, each in world.router.rib.best(IPV4_UNICAST)}) == 50
    octets = world.router.rib.attribute_octets
    world.peers[1].withdraw(some[:49])
    settle(world.router)
    assert world.router.rib.attribute_octets * 50 == octets
    for peer in world.peers.values():
        peer.down()
    settle(world.router)
    assert world.router.rib.routes == world.router.rib.attribute_octets == 0


steps = st.lists(
    st.tuples(
        st.sampled_from(("say", "say", "say", "else", "unsay", "flush", "again")),
        st.integers(1, 3),
        st.integers(0, 1),
        st.sampled_from((ONE, TWO)),
    ),
    max_size=30,
)


@settings(max_examples=100, deadline=None)
@given(steps, st.booleans())
def test_ages_are_those_of_a_list_of_who_came_first(
    done: list[tuple[str, int, int, bytes]], several: bool
) -> None:
    world = World(**({"add_path": add_path(IPV4_UNICAST)} if several else {}))
    # prefix -> (peer, path id, what it said), the oldest first
    said: dict[bytes, list[tuple[int, int, int]]] = {ONE: [], TWO: []}
    for what, number, path_id, one in done:
        path_id = path_id if several else 0
        known = [item for item in said[one] if item[:2] == (number, path_id)]
        match what:
            case "say" | "else":
                word = int(what == "else")
                world.announce(number, one, path_id=path_id if several else None, communities=[word + 1])
                if known != [(number, path_id, word)]:
                    said[one] = [item for item in said[one] if item not in known]
                    said[one].append((number, path_id, word))
            case "unsay":
                world.peers[number].withdraw([one], path_id if several else None)
                said[one] = [item for item in said[one] if item not in known]
            case "flush":
                world.router.flush()
            case "again":
                world.peers[number].down()
                world.join(number)
                for some in said.values():
                    some[:] = [item for item in some if item[0] != number]
    settle(world.router, *world.peers.values())
    best = {one: each.slot.peer for one, each in world.router.rib.best(IPV4_UNICAST)}
    assert best == {one: f"e{items[0][0]}" for one, items in said.items() if items}
    assert not list(world.router.rib.best(IPV6_UNICAST))
