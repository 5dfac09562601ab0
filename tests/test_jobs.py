"""Long jobs take turns, so that a long one delays the others by its share only."""

from collections.abc import Hashable

from hypothesis import given
from hypothesis import strategies as st
from routers import LOCAL_AS, ROUTER_ID, Peer, address, settle

from bgp.family import IPV4_UNICAST
from bgp.policy import ACCEPT, Rules, Term, change, match
from bgp.rib.jobs import SLICE, Jobs
from bgp.rib.path import Kind
from bgp.router import Router


class Count:
    """A job that is over after so many steps, and notes each in a diary."""

    def __init__(self, name: str, strand: Hashable, steps: int, diary: list[str]) -> None:
        self.name, self.strand, self.steps, self.diary = name, strand, steps, diary

    def run(self, quota: int) -> int:
        done = min(self.steps, quota)
        self.steps -= done
        self.diary += [self.name] * done
        return quota - done


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3 * SLICE)), max_size=8),
    st.lists(st.integers(1, 3 * SLICE)),
)
def test_all_is_done_in_the_order_of_each_strand(given: list[tuple[int, int]], quotas: list[int]) -> None:
    jobs, diary = Jobs(), list[str]()
    for number, (strand, steps) in enumerate(given):
        jobs.add(Count(f"{strand}-{number}", strand, steps, diary))  # type: ignore[arg-type]
    for quota in quotas:
        done = len(diary)
        jobs.run(quota)
        assert len(diary) - done <= quota
    while jobs:
        jobs.run(SLICE)
    for strand in range(4):
        names = [f"{strand}-{number}" for number, one in enumerate(given) if one[0] == strand]
        wanted = [name for name in names for _ in range(given[int(name[2:])][1])]
        assert [name for name in diary if name.startswith(f"{strand}-")] == wanted


def test_a_long_job_delays_a_short_one_by_a_slice() -> None:
    jobs, diary = Jobs(), list[str]()
    jobs.add(Count("long", "a", 1_000_000, diary))  # type: ignore[arg-type]
    for name in "xyz":
        jobs.add(Count(name, name, 5, diary))  # type: ignore[arg-type]
    jobs.run(SLICE + 100)
    assert [diary.count(name) for name in ("long", "x", "y", "z")] == [SLICE + 85, 5, 5, 5]


def test_a_departure_is_not_kept_waiting_by_another() -> None:
    router = Router(LOCAL_AS, ROUTER_ID)
    large, small, reader = (Peer(router, name, Kind.CLIENT, n) for n, name in enumerate("abc", 1))
    large.announce([f"10.{n >> 8}.{n & 255}.0/24" for n in range(20000)])
    small.announce(["192.0.2.0/24"])
    settle(router, large, small, reader)
    large.down()
    small.down()
    assert router.work(512)
    router.flush()
    reader.drain()
    assert "192.0.2.0/24" not in reader.prefixes() and len(reader.held) > 19000
    settle(router, reader)
    assert not reader.held


def test_swaps_one_after_the_other_end_with_the_last() -> None:
    """The first swap feeds the source that the second one empties: they must not pass each other."""
    router = Router(LOCAL_AS, ROUTER_ID)
    a, b = Peer(router, "a", Kind.CLIENT, 1), Peer(router, "b", Kind.CLIENT, 2)
    a.announce([f"10.{n >> 8}.{n & 255}.0/24" for n in range(2000)])
    settle(router, a, b)
    for value in (1, 2, 3):
        rules = Rules("p", [Term("t", match.ANY, (change.med(value),))], ACCEPT)
        router.set_import_policy(a.member, rules)
        router.work(100)
    settle(router, a, b)
    assert {attributes.med for attributes in b.held.values()} == {3} and len(b.held) == 2000
    assert a.member.sources(IPV4_UNICAST) == [a.member._sources[IPV4_UNICAST]]


def test_who_leaves_while_its_routes_are_judged_anew_leaves_none_behind() -> None:
    """What the judging has not come to yet is neither with the old verdict nor with the new one."""
    router = Router(LOCAL_AS, ROUTER_ID)
    a, b = Peer(router, "a", Kind.CLIENT, 1), Peer(router, "b", Kind.CLIENT, 2)
    a.announce([f"10.{n >> 8}.{n & 255}.0/24" for n in range(2000)])
    settle(router, a, b)
    for steps, cost in ((1, 5), (3, None)):
        router.next_hops.learn({address("10.9.0.9"): cost})
        router.work(100 * steps)
    source = a.member._sources[IPV4_UNICAST]
    assert len(list(router._tables[IPV4_UNICAST].from_source(source))) == 2000
    a.down()
    settle(router, b)
    assert not b.held and router.rib.routes == 0 and router.rib.attribute_octets == 0
