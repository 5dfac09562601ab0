"""The values of routes and the planner: what it gives makes any table equal to what is wanted."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgp.family import IPV4_UNICAST, IPV6_UNICAST
from fib.backend import Owner
from fib.memory import MemoryBackend
from fib.plan import plan
from fib.route import BLACKHOLE, UNREACHABLE, NextHop, Route, RouteType, Scope, clamped, satisfies, via

PREFIXES = st.integers(1, 60).map(lambda number: bytes((24, 10, 0, number)))
ROUTES = st.builds(
    lambda last, metric, mtu: via(f"192.0.2.{last}", metric=metric, mtu=mtu),
    st.integers(1, 4),
    st.sampled_from((20, 30)),
    st.sampled_from((None, 1400)),
)
TABLES = st.dictionaries(PREFIXES, ROUTES)


@given(TABLES, st.lists(st.tuples(PREFIXES, ROUTES), unique_by=lambda row: (row[0], row[1].metric)))
async def test_a_plan_carried_out_gives_what_was_wanted(
    wanted: dict[bytes, Route], installed: list[tuple[bytes, Route]]
) -> None:
    backend = MemoryBackend(Owner(protocol=179))
    for prefix, route in installed:
        backend.rows[IPV4_UNICAST, prefix, route.metric or 0] = (179, route)
    made = plan(wanted, installed, IPV4_UNICAST)
    assert await backend.apply(IPV4_UNICAST, list(made)) == {}
    assert {key[1]: route for key, (_, route) in backend.rows.items()} == wanted
    assert len(backend.rows) == len(wanted)
    again = [(key[1], route) for key, (_, route) in backend.rows.items()]
    assert not len(plan(wanted, again, IPV4_UNICAST))
    # Whatever is deleted goes last, the longer prefix first.
    kinds = [after is None for _, _, after in made]
    assert kinds == sorted(kinds)


def test_deletions_go_from_long_to_short_and_additions_the_other_way() -> None:
    short, long = bytes((8, 10)), bytes((24, 10, 0, 0))
    route = via("192.0.2.1", metric=20)
    assert [c[0] for c in plan({}, {short: route, long: route}, IPV4_UNICAST)] == [long, short]
    assert [c[0] for c in plan({long: route, short: route}, {}, IPV4_UNICAST)] == [short, long]


def test_routes_of_equal_meaning_are_equal() -> None:
    one, two = NextHop(IPv4Address("192.0.2.1")), NextHop(IPv4Address("192.0.2.2"), "eth0", weight=3)
    assert Route((one, two)) == Route((two, one))
    assert hash(Route((one, two))) == hash(Route((two, one)))
    assert Route((two,)).next_hops[0].weight == 1
    assert Route((one,)) != Route((two,))
    assert len({Route((one,)), via("192.0.2.1"), BLACKHOLE}) == 2


def test_what_a_route_leaves_open_may_be_anything() -> None:
    wanted = via("192.0.2.1", metric=20)
    assert satisfies(via("192.0.2.1", interface="eth0", metric=20), wanted, IPV4_UNICAST)
    assert not satisfies(wanted, via("192.0.2.1", interface="eth0", metric=20), IPV4_UNICAST)
    assert not satisfies(via("192.0.2.1", interface="eth0", metric=21), wanted, IPV4_UNICAST)
    legs = Route((NextHop(IPv4Address("192.0.2.1"), "a"), NextHop(IPv4Address("192.0.2.1"), "b")))
    assert satisfies(legs, Route((NextHop(IPv4Address("192.0.2.1")), legs.next_hops[0])), IPV4_UNICAST)
    assert not satisfies(legs, Route((legs.next_hops[0], legs.next_hops[0])), IPV4_UNICAST)
    assert not satisfies(Route(legs.next_hops, beyond=b"x"), legs, IPV4_UNICAST)
    scoped = Route(legs.next_hops, scope=Scope.LINK)
    assert not satisfies(scoped, legs, IPV4_UNICAST)
    assert satisfies(scoped, legs, IPV6_UNICAST)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: NextHop(), "needs a gateway"),
        (lambda: NextHop(IPv6Address("fe80::1")), "needs its interface"),
        (lambda: NextHop(IPv4Address("192.0.2.1"), onlink=True), "needs its interface"),
        (lambda: NextHop(None, "eth0", 257), "weight 257"),
        (lambda: Route(), "needs a next hop"),
        (lambda: Route((NextHop(None, "eth0"),), RouteType.BLACKHOLE), "has no next hops"),
        (lambda: via("192.0.2.1", mtu=20), "mtu 20"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, words: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=words):
        make()


def test_words() -> None:
    assert str(via("192.0.2.1", interface="eth0", mtu=1400)) == "via 192.0.2.1 dev eth0 mtu 1400"
    assert str(via("192.0.2.1", "192.0.2.2")) == "nexthop via 192.0.2.1 nexthop via 192.0.2.2"
    assert str(UNREACHABLE) == "unreachable"


def test_metrics_stay_within_what_a_route_may_have() -> None:
    assert [clamped(value) for value in (-5, 0, 7, 2147483647)] == [1, 1, 7, 2147483646]
