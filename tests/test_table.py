"""The table: slots, replacement, paths without cycles, changes since the last flush, sliced departures."""

import gc
import weakref
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from routers import address, prefix

from bgp.family import IPV4_UNICAST
from bgp.rib.admission import POLICY
from bgp.rib.path import Kind, Path, Slot, Slots, Source, best_of, paths_of
from bgp.rib.selection import ALL
from bgp.rib.table import Table
from bgp.wire.attributes import Attributes, AttributeTable

A, B, C = (prefix(text) for text in ("10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"))


class World:
    """A table, its sources and attributes; attributes with MED 666 are refused."""

    def __init__(self) -> None:
        self.attributes = AttributeTable()
        self.slots = Slots()
        self.costs: dict[bytes, int] = {}
        self.table = Table(IPV4_UNICAST, self.admit)

    def admit(self, path: Path) -> None:
        if path.received.med == 666:
            path.refusal = POLICY
        path.cost = self.costs.get(path.received.next_hop, 0)

    def source(self, peer: str, identifier: int = 1) -> Source:
        return Source(peer, Kind.CLIENT, 65000, identifier.to_bytes(4, "big"), address("10.0.0.1"))

    def slot(self, peer: str, path_id: int | None = None) -> Slot:
        return self.slots.get(peer, path_id)

    def make(self, med: int | None = None, local_pref: int = 100, next_hop: str = "10.9.0.9") -> Attributes:
        return self.attributes.make(next_hop=next_hop, med=med, local_pref=local_pref)

    def changes(self) -> dict[bytes, tuple[str | None, str | None]]:
        """Flush; return what changed as the peers of the paths before and now."""
        changes, _ = self.table.settle()
        found: dict[bytes, tuple[str | None, str | None]] = {}
        for path, prefixes in changes.fresh.items():
            found.update(dict.fromkeys(prefixes, (None, path.slot.peer)))
        for (before, now), prefixes in changes.moved.items():
            names = (before.slot.peer if before else None, now.slot.peer if now else None)
            found.update(dict.fromkeys(prefixes, names))
        return found


@pytest.fixture
def world() -> World:
    return World()


def test_a_lone_path_stands_alone_and_is_shared(world: World) -> None:
    source, slot = world.source("p"), world.slot("p")
    world.table.announce(source, slot, world.make(), [A, B])
    entry = world.table.entries[A]
    assert isinstance(entry, Path) and world.table.entries[B] is entry
    assert (entry.count, source.routes, world.table.routes) == (2, 2, 2)
    assert world.changes() == {A: (None, "p"), B: (None, "p")}
    world.table.announce(source, slot, world.make(), [A, B, C])
    assert world.table.entries[C] is entry
    assert world.changes() == {C: (None, "p")}, "what is said again is no change"


def test_duplicates_within_an_update_count_once(world: World) -> None:
    world.table.announce(world.source("p"), world.slot("p"), world.make(), [A, A, B])
    assert world.table.routes == 2
    world.table.announce(world.source("p"), world.slot("p"), world.make(med=1), [A, A])
    assert world.table.routes == 2
    world.table.announce(world.source("p"), world.slot("p"), world.make(), [])
    assert world.table.routes == 2 and len(list(world.table.sources())) == 2


def test_a_slot_holds_one_path(world: World) -> None:
    source, slot = world.source("p"), world.slot("p")
    world.table.announce(source, slot, world.make(med=1), [A])
    world.table.announce(source, slot, world.make(med=2), [A])
    (path,) = world.table.paths(A)
    assert path.attributes.med == 2 and world.table.routes == 1
    assert [one for one in world.table.order if one is not None] == [path]


def test_slots_of_one_peer_stand_side_by_side(world: World) -> None:
    source = world.source("p")
    for path_id in (7, 8):
        world.table.announce(source, world.slot("p", path_id), world.make(), [A])
    assert {path.path_id for path in world.table.paths(A)} == {7, 8}
    world.table.withdraw(world.slot("p", 7), [A])
    world.table.withdraw(world.slot("p", 9), [A])
    assert [path.path_id for path in world.table.paths(A)] == [8]


def test_a_new_session_of_a_peer_replaces_what_the_old_one_said(world: World) -> None:
    old, new, slot = world.source("p"), world.source("p"), world.slot("p")
    world.table.announce(old, slot, world.make(), [A, B])
    world.changes()
    world.table.announce(new, slot, world.make(), [A])
    assert (old.routes, new.routes) == (1, 1)
    assert world.changes() == {A: ("p", "p")}
    assert world.table.drain(old, 100) == 98, "a look at what was replaced counts"
    assert world.changes() == {B: ("p", None)}
    assert [path.source for path in world.table.paths(A)] == [new]


def test_withdrawing_the_unknown_is_nothing(world: World) -> None:
    world.table.withdraw(world.slot("p"), [A])
    world.table.announce(world.source("p"), world.slot("p"), world.make(), [A])
    world.table.withdraw(world.slot("q"), [A])
    assert world.table.routes == 1


def test_the_best_comes_first_after_a_flush(world: World) -> None:
    for number, peer in enumerate("abc"):
        world.table.announce(world.source(peer), world.slot(peer), world.make(local_pref=100 + number), [A])
    assert world.changes() == {A: (None, "c")}
    entry = world.table.entries[A]
    assert isinstance(entry, tuple) and entry[0].slot.peer == "c" and best_of(entry) is entry[0]
    world.table.withdraw(world.slot("a"), [A])
    assert world.changes() == {}, "only the best one matters to who hears the best"
    world.table.withdraw(world.slot("c"), [A])
    assert world.changes() == {A: ("c", "b")}
    assert isinstance(world.table.entries[A], Path)


def test_changes_within_a_turn_cancel(world: World) -> None:
    source, slot = world.source("p"), world.slot("p")
    world.table.announce(source, slot, world.make(), [A])
    world.table.withdraw(slot, [A])
    assert world.table.dirty and world.changes() == {}
    world.table.announce(source, slot, world.make(), [A])
    world.changes()
    world.table.announce(source, slot, world.make(med=1), [A])
    world.table.withdraw(slot, [A])
    world.table.announce(source, slot, world.make(med=2), [A, B])
    assert world.changes() == {A: ("p", "p"), B: (None, "p")}


def test_what_was_told_survives_the_loading_shortcut(world: World) -> None:
    """Prefixes withdrawn and announced in one turn are new to the table but not to who was told."""
    source, slot = world.source("p"), world.slot("p")
    world.table.announce(source, slot, world.make(), [A])
    world.changes()
    world.table.withdraw(slot, [A])
    world.table.announce(world.source("q"), world.slot("q"), world.make(), [A, B])
    assert world.changes() == {A: ("p", "q"), B: (None, "q")}


def test_a_refused_path_stays_but_is_not_told(world: World) -> None:
    world.table.announce(world.source("p"), world.slot("p"), world.make(med=666), [A])
    assert world.changes() == {}
    (path,) = world.table.paths(A)
    assert path.refusal is POLICY and not path.usable and best_of(path) is None
    world.table.announce(world.source("q"), world.slot("q"), world.make(), [A])
    assert world.changes() == {A: (None, "q")}
    world.table.announce(world.source("q"), world.slot("q"), world.make(med=666), [A])
    assert world.changes() == {A: ("q", None)}
    assert len(world.table.paths(A)) == 2


def test_all_changes_go_by_slot(world: World) -> None:
    p, q = world.source("p"), world.source("q")
    for path_id in (1, 2):
        world.table.announce(p, world.slot("p", path_id), world.make(), [A])
    world.table.announce(q, world.slot("q"), world.make(med=666), [A])
    changes = world.table.settle([ALL])[1][ALL]
    assert {path.path_id for path in changes.fresh} == {1, 2} and not changes.moved
    world.table.announce(p, world.slot("p", 1), world.make(med=5), [A])
    world.table.withdraw(world.slot("p", 2), [A])
    world.table.announce(q, world.slot("q"), world.make(), [A])
    world.table.announce(q, world.slot("q"), world.make(), [B])
    world.table.withdraw(world.slot("q"), [B])
    changes = world.table.settle([ALL])[1][ALL]
    assert [path.slot.peer for path in changes.fresh] == ["q"]
    moves = {(before and before.path_id, now and now.path_id) for before, now in changes.moved}
    assert moves == {(1, 1), (2, None)}
    assert len(set(changes.touched())) == 4 and changes


def test_numbers_are_used_again_when_nothing_holds_them(world: World) -> None:
    first, second = world.slot("p", 1), world.slot("p", 2)
    assert world.slot("p", 1) is first and first.number != second.number
    number = first.number
    del first
    assert len(world.slots) == 1
    assert world.slot("q", 1).number == number


def test_departures_go_in_slices(world: World) -> None:
    source, slot = world.source("p"), world.slot("p")
    for med in range(5):
        prefixes = [prefix(f"10.{med}.{low}.0/24") for low in range(10)]
        world.table.announce(source, slot, world.make(med=med), prefixes)
    world.changes()
    left = []
    while world.table.drain(source, 7) == 0:
        left.append(world.table.routes)
    assert len(left) >= 7 and all(before - after <= 7 for before, after in pairwise([50, *left]))
    assert world.table.routes == 0 and not list(world.table.sources())
    assert len(world.changes()) == 50
    assert world.table.drain(source, 7) == 7, "once all is gone nothing is to do"


def test_a_departure_spares_what_was_replaced_meanwhile(world: World) -> None:
    old, new, slot = world.source("p"), world.source("p"), world.slot("p")
    other = world.source("q")
    world.table.announce(old, slot, world.make(), [A, B, C])
    world.table.announce(other, world.slot("q"), world.make(), [A])
    assert world.table.drain(old, 1) == 0
    world.table.announce(new, slot, world.make(), [A, B])
    while world.table.drain(old, 1) == 0:
        pass
    assert {path.source for path in world.table.paths(A)} == {new, other}
    assert [path.source for path in world.table.paths(B)] == [new]
    assert world.table.paths(C) == ()


def test_rejudging_makes_new_paths_and_keeps_what_was_told(world: World) -> None:
    source, slot = world.source("p"), world.slot("p")
    world.table.announce(source, slot, world.make(), [A, B, C])
    world.table.announce(world.source("q"), world.slot("q"), world.make(), [A])
    world.changes()
    path = next(one for one in world.table.paths(B))
    assert world.table.rejudge(path, 10) == 10, "the same verdict changes nothing"
    world.costs[address("10.9.0.9")] = 5
    assert world.table.rejudge(path, 2) == 0
    assert world.table.rejudge(path, 2) == 1
    assert path.count == 0 and world.table.rejudge(path, 2) == 2
    assert {one.cost for text in (B, C) for one in world.table.paths(text)} == {5}
    assert world.changes() == {A: ("p", "q"), B: ("p", "p"), C: ("p", "p")}
    assert world.table.routes == 4 and source.routes == 3
    world.table.drain(source, 100)
    assert source.routes == 0 and world.table.routes == 1, "a departure finds what was moved"


def test_a_rejudging_that_is_taken_back_midway_loses_nothing(world: World) -> None:
    source, slot = world.source("p"), world.slot("p")
    world.table.announce(source, slot, world.make(), [B, A])
    world.table.withdraw(slot, [A])
    world.changes()
    (path,) = world.table.paths(B)
    world.costs[address("10.9.0.9")] = 5
    assert world.table.rejudge(path, 1) == 0, "the first slice meets only what has left the path"
    world.costs.clear()
    assert world.table.rejudge(path, 1) == 1
    assert world.table.paths(B) == (path,) and world.changes() == {}
    world.table.drain(source, 100)
    assert world.table.routes == 0 and world.changes() == {B: ("p", None)}


def test_a_path_forgets_prefixes_that_left_it(world: World) -> None:
    source, slot = world.source("p"), world.slot("p")
    steady = [prefix(f"10.{n}.0.0/16") for n in range(100, 110)]
    world.table.announce(source, slot, world.make(med=1), steady)
    world.table.announce(source, slot, world.make(med=2), [B])
    for _ in range(500):
        world.table.announce(source, slot, world.make(med=1), [A])
        world.table.announce(source, slot, world.make(med=2), [A])
    for path in (*world.table.paths(steady[0]), *world.table.paths(A)):
        assert len(path.prefixes) <= 2 * path.count + 64
        assert set(world.table.held_by(path)) == {
            one for one in (*steady, A, B) if path in world.table.paths(one)
        }


def test_positions_are_used_again(world: World) -> None:
    source, slot = world.source("p"), world.slot("p")
    for med in range(100):
        world.table.announce(source, slot, world.make(med=med), [A])
    assert len(world.table.order) == 2
    for position, path in enumerate(world.table.order):
        assert path is None or path.position == position


def test_led_and_held(world: World) -> None:
    p, q = world.source("p"), world.source("q")
    world.table.announce(p, world.slot("p"), world.make(), [A, B])
    world.table.announce(q, world.slot("q"), world.make(local_pref=200), [B, C])
    world.table.settle()
    mine, theirs = world.table.paths(A)[0], world.table.paths(C)[0]
    assert world.table.led_by(mine) == [A] and world.table.held_by(mine) == [A, B]
    assert sorted(world.table.led_by(theirs)) == [B, C]
    assert world.table.led_by(theirs, [A, C]) == [C] and world.table.held_by(mine, [B, B]) == [B]
    assert dict(world.table.from_source(p)) == {A: mine, B: mine}
    assert world.table.unknown(world.slot("p"), [A, C, C]) == 1


def test_nothing_is_left_with_the_collector_off(world: World) -> None:
    """Many attribute sets through few routes: no reference cycle may keep a path or its attributes."""
    source, slot = world.source("p"), world.slot("p")
    gc.collect()
    gc.disable()
    try:
        for med in range(20000):
            one = prefix(f"10.{med % 100}.0.0/16")
            world.table.announce(source, slot, world.make(med=med), [one])
            if med % 50 == 0:
                world.table.settle()
        world.table.settle()
        assert len(world.attributes) == world.table.routes == 100
        assert len(world.table.order) < 300
        assert world.table.octets == sum(len(path.received.octets) for path in world.table.order if path)
        watched = weakref.ref(world.table.paths(A)[0].received)
        world.table.drain(source, 1000)
        world.table.settle()
        assert watched() is None and len(world.attributes) == 0 and world.table.octets == 0
    finally:
        gc.enable()


PREFIXES = [prefix(f"10.{n}.0.0/16") for n in range(5)]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_changes_tell_the_difference_between_two_flushes(data: st.DataObject) -> None:
    """Applied to what was best before, the changes give what is best now; counts stay exact."""
    world = World()
    sources = {peer: world.source(peer, number) for number, peer in enumerate("pqr", start=1)}
    retired: list[Source] = []
    told: dict[bytes, Path] = {}
    for _ in range(data.draw(st.integers(1, 30))):
        peer = data.draw(st.sampled_from("pqr"))
        some = data.draw(st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=3))
        path_id = data.draw(st.sampled_from((None, 1)))
        slot = world.slot(peer, path_id)
        match data.draw(st.integers(0, 6)):
            case 0 | 1 | 2:
                med = data.draw(st.sampled_from((None, 1, 2, 666)))
                next_hop = data.draw(st.sampled_from(("10.9.0.8", "10.9.0.9")))
                world.table.announce(sources[peer], slot, world.make(med, next_hop=next_hop), some)
            case 3:
                world.table.withdraw(slot, some)
            case 4:
                retired.append(sources[peer])
                sources[peer] = world.source(peer, "pqr".index(peer) + 1)
            case 5:
                if retired and world.table.drain(retired[0], data.draw(st.integers(1, 3))):
                    retired.pop(0)
            case 6:
                changes, _ = world.table.settle()
                for path, prefixes in changes.fresh.items():
                    for one in prefixes:
                        assert one not in told
                        told[one] = path
                for (before, now), prefixes in changes.moved.items():
                    for one in prefixes:
                        assert told.pop(one, None) is before
                        if now is not None:
                            told[one] = now
                best = {one: best_of(entry) for one, entry in world.table.entries.items()}
                assert told == {one: path for one, path in best.items() if path is not None}
        held = [path for entry in world.table.entries.values() for path in paths_of(entry)]
        assert world.table.routes == len(held)
        live = {path for path in world.table.order if path is not None}
        assert live == set(held)
        for path in live:
            assert path.count == held.count(path) == len(world.table.held_by(path))
            assert path.source.routes == sum(other.source is path.source for other in held)
