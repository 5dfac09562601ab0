"""Multipath sets against a slow oracle, their weights, and who learns of their changes."""

import asyncio
import math
import struct
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from routers import ROUTER_ID, Peer, path, prefix, settle

from bgp import PeerOptions, Speaker
from bgp.family import IPV4_UNICAST
from bgp.iana import AttributeType
from bgp.rib.admission import POLICY
from bgp.rib.decision import Decision, DecisionOptions
from bgp.rib.multipath import Hop, Multipath, bandwidth, weights
from bgp.rib.path import Kind, Path
from bgp.router import Router

ONE = prefix("10.0.0.0/8")


def link_bandwidth(value: float, transitive: bool = False, asn: int = 65000) -> bytes:
    return struct.pack(">BBHf", 0 if transitive else 0x40, 4, asn, value)


def fast(*values: float, **options: object) -> Path:
    return path(extended_communities=[link_bandwidth(value) for value in values], **options)  # type: ignore[arg-type]


def multipath(**options: object) -> Multipath:
    options = {"maximum_paths_external": 8, "maximum_paths_internal": 8, **options}
    return Multipath(Decision(DecisionOptions(**options)))  # type: ignore[arg-type]


def external(number: int, asn: int = 64500, **values: object) -> Path:
    values = {"as_path": f"{asn} 64999", "next_hop": f"10.9.0.{number}", "identifier": number, **values}
    made = path(peer=f"e{number}", kind=Kind.EXTERNAL, **values)  # type: ignore[arg-type]
    made.source.asn = asn
    return made


def internal(number: int, as_path: str = "64500", **values: object) -> Path:
    values = {"as_path": as_path, "next_hop": f"10.9.0.{number}", "identifier": number, **values}
    return path(peer=f"i{number}", **values)  # type: ignore[arg-type]


# --- which paths ----------------------------------------------------------------------------------------


def test_equal_paths_of_one_neighboring_as_share() -> None:
    first, second, third = external(1), external(2), external(3)
    assert multipath().paths((third, first, second)) == (first, second, third)


def test_the_maximum_is_of_its_kind() -> None:
    outside, inside = [external(n) for n in (1, 2, 3)], [internal(n) for n in (1, 2, 3)]
    one = multipath(maximum_paths_external=2, maximum_paths_internal=3)
    assert one.paths(outside) == tuple(outside[:2]) and one.paths(inside) == tuple(inside)
    assert multipath(maximum_paths_internal=1).paths(inside) == (inside[0],)
    assert multipath(maximum_paths_external=1).paths(outside) == (outside[0],)


def test_kinds_are_not_mixed() -> None:
    inside = [internal(number, as_path="64500 64999") for number in (1, 3)]
    outside = external(2)
    assert multipath(multipath_relax=True).paths((inside[0], outside, inside[1])) == (outside,)


def test_other_members_of_the_confederation_count_as_internal() -> None:
    member = path(peer="m", kind=Kind.CONFEDERATION, as_path="64500", next_hop="10.9.0.7", identifier=7)
    paths = (internal(1), member)
    assert multipath(maximum_paths_external=1).paths(paths) == paths
    assert multipath(maximum_paths_internal=1).paths(paths) == paths[:1]


def test_a_route_of_our_own_shares_with_none() -> None:
    ours = path(peer="", kind=Kind.LOCAL, as_path="64500 64999", identifier=1, next_hop="10.9.0.9")
    theirs = external(2)
    relaxed = multipath(multipath_relax=True)
    assert relaxed.paths((theirs, ours)) == (ours,)
    ours = path(peer="", kind=Kind.LOCAL, as_path="64500 64999", identifier=9, next_hop="10.9.0.9")
    assert relaxed.paths((ours, theirs)) == (theirs,)


def test_other_neighboring_ases_need_relax() -> None:
    paths = (external(1), external(2, asn=64501))
    assert multipath().paths(paths) == paths[:1]
    assert multipath(multipath_relax=True).paths(paths) == paths


def test_other_as_paths_of_internal_paths_need_relax() -> None:
    paths = (internal(1), internal(2, as_path="64501"))
    assert multipath().paths(paths) == paths[:1]
    assert multipath(multipath_relax=True).paths(paths) == paths


def test_external_paths_of_one_neighbor_may_differ_behind_it() -> None:
    paths = (external(1), external(2, as_path="64500 64998"))
    assert multipath().paths(paths) == paths


def test_a_next_hop_is_there_once() -> None:
    paths = (internal(1), internal(2, next_hop="10.9.0.1"), internal(3))
    assert multipath().paths(paths) == (paths[0], paths[2])
    assert multipath(maximum_paths_internal=2).paths(paths) == (paths[0], paths[2])


def test_none_without_a_usable_path() -> None:
    one = internal(1)
    one.refusal = POLICY
    assert multipath().paths((one,)) == multipath().hops(()) == ()


def test_by_default_the_best_is_alone() -> None:
    alone = Multipath(Decision())
    assert not alone.enabled and multipath().enabled
    assert alone.hops((internal(2), best := internal(1))) == (Hop(best, 1),)


@pytest.mark.parametrize("value", [0, 257, -1])
def test_maxima_are_checked(value: int) -> None:
    with pytest.raises(ValueError, match="maximum_paths_internal must be between 1 and 256"):
        DecisionOptions(maximum_paths_internal=value)


def oracle(paths: Sequence[Path], options: DecisionOptions) -> list[Path]:
    """Compare each path with the best one, attribute by attribute."""
    decision = Decision(options)
    best = decision.best(paths)
    if best is None:
        return []

    def same(other: Path) -> bool:
        mine, theirs = best.attributes, other.attributes
        if other.refusal is not None or (best.source.kind < 2) != (other.source.kind < 2):
            return False
        if (mine.local_pref, mine.origin) != (theirs.local_pref, theirs.origin) or best.cost != other.cost:
            return False
        if not options.ignore_as_path_length and mine.as_path_length != theirs.as_path_length:
            return False
        # None of its neighboring AS may be better by MED, for then it is out.
        for rival in paths:
            if rival.refusal is None and decision.best([rival, other, best]) is rival and rival is not best:
                return False
        if options.multipath_relax:
            return True
        if best.source.kind is Kind.EXTERNAL:
            return best.source.asn == other.source.asn
        return mine.as_path == theirs.as_path

    found: list[Path] = []
    for one in sorted(filter(same, paths), key=lambda each: each.source.identifier):
        if one.attributes.next_hop not in [each.attributes.next_hop for each in found]:
            found.append(one)
    return found[: options.maximum_paths_external if best.source.kind < 2 else options.maximum_paths_internal]


@st.composite
def some(draw: st.DrawFn) -> list[Path]:
    paths = []
    for number in range(1, draw(st.integers(1, 7)) + 1):
        asn = draw(st.sampled_from((64500, 64501)))
        values: dict[str, object] = {
            "next_hop": f"10.9.0.{draw(st.integers(1, 4))}",
            "as_path": draw(st.sampled_from((f"{asn}", f"{asn} 64999", f"{asn} 64998"))),
            "cost": draw(st.sampled_from((0, 0, 0, 1))),
            "local_pref": draw(st.sampled_from((100, 100, 100, 200))),
        }
        one = external(number, asn, **values) if draw(st.booleans()) else internal(number, **values)  # type: ignore[arg-type]
        if draw(st.integers(0, 9)) == 0:
            one.refusal = POLICY
        paths.append(one)
    return paths


many = st.builds(
    DecisionOptions,
    ignore_as_path_length=st.booleans(),
    maximum_paths_external=st.integers(1, 4),
    maximum_paths_internal=st.integers(1, 4),
    multipath_relax=st.booleans(),
)


@settings(max_examples=300)
@given(some(), many, st.randoms(use_true_random=False))
def test_the_set_is_that_of_the_oracle_in_any_order(
    paths: list[Path], options: DecisionOptions, random: object
) -> None:
    found = Multipath(Decision(options)).paths(paths)
    assert list(found) == oracle(paths, options)
    random.shuffle(paths)  # type: ignore[attr-defined]
    assert Multipath(Decision(options)).paths(paths) == found
    best = Decision(options).best(paths)
    assert found[:1] == (() if best is None else (best,))


# --- weights --------------------------------------------------------------------------------------------


def test_weights_are_in_proportion() -> None:
    assert weights((fast(1e9), fast(2e9), fast(4e9))) == (1, 2, 4)
    assert weights((fast(3e9), fast(3e9))) == (1, 1)
    assert weights((fast(1.0), fast(3.4e38))) == (1, 256)


def test_equal_weights_where_one_has_none() -> None:
    assert weights((fast(1e9), fast(), fast(4e9))) == (1, 1, 1)
    assert weights((fast(), fast())) == (1, 1) and weights((fast(5e9),)) == (1,) and weights(()) == ()


def test_zero_takes_no_traffic_while_others_do() -> None:
    assert weights((fast(0), fast(1e9), fast(1e9))) == (0, 1, 1)
    assert weights((fast(0.0), fast(-0.0))) == (1, 1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, -1e-45])
def test_what_is_no_bandwidth_is_ignored(value: float) -> None:
    assert bandwidth(fast(value).attributes) is None
    assert bandwidth(fast(value, 7.0).attributes) == 7
    assert weights((fast(value), fast(1e9))) == (1, 1)


def test_of_several_the_lowest_counts_transitive_or_not() -> None:
    both = [link_bandwidth(9), link_bandwidth(5, transitive=True), b"\x00\x02\xfd\xe8\x00\x00\x00\x01"]
    assert bandwidth(path(extended_communities=both).attributes) == 5
    assert bandwidth(fast(0, 5).attributes) == 0


@given(st.lists(st.floats(min_value=0, max_value=2**100, width=32), min_size=2, max_size=6))
def test_weights_are_close_to_the_bandwidths(values: list[float]) -> None:
    found = weights([fast(value) for value in values])
    assert all(0 <= weight <= 256 for weight in found) and any(found)
    if not any(values):
        assert set(found) == {1}
        return
    for value, weight in zip(values, found, strict=True):
        assert (weight == 0) == (value == 0)
        share = Fraction(value) / Fraction(max(values))
        # Rounded, and at least one part in 256.
        assert abs(Fraction(weight, max(found)) - share) <= Fraction(1, 256)


# --- the router -----------------------------------------------------------------------------------------


class World:
    """A router with clients, and what a watcher learned of multipath sets."""

    def __init__(self, **options: object) -> None:
        self.router = Router(65000, ROUTER_ID, decision=DecisionOptions(**options))  # type: ignore[arg-type]
        self.clients = [Peer(self.router, f"c{n}", Kind.CLIENT, n) for n in (1, 2, 3)]
        self.learned: dict[bytes, tuple[Hop, ...]] = {}
        self.times = 0
        self.end = self.router.watch_multipath(self._learn)

    def _learn(self, family: object, changed: dict[bytes, tuple[Hop, ...]]) -> None:
        assert family is IPV4_UNICAST and changed
        self.learned.update(changed)
        self.times += 1

    def announce(self, number: int, **values: object) -> None:
        values = {"next_hop": f"10.9.0.{number}", "as_path": "64500", **values}
        self.clients[number - 1].announce([ONE], **values)

    def settle(self) -> list[tuple[str, int]]:
        settle(self.router, *self.clients)
        hops = self.router.rib.multipath(IPV4_UNICAST, ONE)
        assert self.learned.get(ONE, ()) == hops, "what the watcher learned is what the view says"
        return [(hop.path.slot.peer, hop.weight) for hop in hops]


def test_watchers_learn_of_each_change() -> None:
    world = World(maximum_paths_internal=4)
    world.announce(2)
    assert world.settle() == [("c2", 1)] and world.times == 1
    world.announce(1)
    assert world.settle() == [("c1", 1), ("c2", 1)] and world.times == 2
    world.announce(3, local_pref=50)  # no equal of these
    assert world.settle() == [("c1", 1), ("c2", 1)] and world.times == 2
    world.announce(1, extended_communities=[link_bandwidth(4e9)])
    world.announce(2, extended_communities=[link_bandwidth(1e9)])
    assert world.settle() == [("c1", 4), ("c2", 1)]
    # The best path stays, so only this watcher learns of it.
    best = []
    world.router.watch(lambda family, changes: best.append(changes))
    world.clients[1].withdraw([ONE])
    assert world.settle() == [("c1", 1)] and not best
    world.router.next_hops.learn({bytes((10, 9, 0, 1)): None})
    assert world.settle() == [("c3", 1)]
    world.clients[2].down()
    assert world.settle() == []
    times = world.times
    world.end()
    world.clients[1].announce([ONE])
    settle(world.router)
    assert world.times == times


def test_without_multipath_watchers_learn_of_the_best() -> None:
    world = World()
    world.announce(2)
    world.announce(1)
    assert world.settle() == [("c1", 1)]
    world.announce(3)
    assert world.settle() == [("c1", 1)] and world.times == 1
    world.clients[0].withdraw([ONE])
    assert world.settle() == [("c2", 1)]


def test_the_community_goes_through_as_it_is() -> None:
    # RFC 10005 section 3.3.2: not changed where the next hop is not.
    world = World(maximum_paths_internal=4)
    one = link_bandwidth(1e9)
    world.announce(1, extended_communities=[one])
    world.settle()
    heard = world.clients[1].heard("10.0.0.0/8")
    assert heard.get(AttributeType.EXTENDED_COMMUNITIES) == one


async def test_a_speaker_shows_multipath_sets() -> None:
    options = DecisionOptions(maximum_paths_internal=2)
    asn, bandwidths = 65000, {"10.0.0.2": 2e9, "10.0.0.3": 1e9}
    async with (
        Speaker(asn=asn, router_id="10.0.0.1", listen=["127.0.0.1:0"], decision=options) as reflector,
        Speaker(asn=asn, router_id="10.0.0.2") as one,
        Speaker(asn=asn, router_id="10.0.0.3") as other,
    ):
        reflector.add_listen_range("127.0.0.0/8", PeerOptions(asn=asn, client=True))
        host, port = reflector.listening[0]
        for number, (client, (router_id, bandwidth)) in enumerate(
            zip((one, other), bandwidths.items(), strict=True), start=2
        ):
            peer = client.add_peer(
                PeerOptions(address=host, port=port, asn=asn, source_address=f"127.0.0.{number}")
            )
            await asyncio.wait_for(peer.established(), 10)
            client.announce(
                "10.0.0.0/8", next_hop=router_id, extended_communities=[link_bandwidth(bandwidth)]
            )
        async with asyncio.timeout(10):
            while len(reflector.multipath("10.0.0.0/8")) < 2:
                await asyncio.sleep(0.01)
        hops = reflector.multipath("10.0.0.0/8")
        assert [(hop.path.attributes.next_hop[3], hop.weight) for hop in hops] == [(2, 2), (3, 1)]
