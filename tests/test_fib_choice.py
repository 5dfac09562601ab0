"""The route that a prefix needs, by its paths, the ways to their next hops, and the operator's wishes."""

from ipaddress import ip_address

import pytest
from routers import path, prefix
from test_fib_resolve import connected, entry

from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import WellKnownCommunity
from bgp.rib.aggregate import PATH_ID
from bgp.rib.multipath import Hop
from bgp.rib.path import Kind
from fib import choice
from fib.backend import Link
from fib.choice import Chooser, Encapsulation, NotWanted, Wishes, by_function
from fib.ipip import IpInIp, Mode
from fib.resolve import Resolver
from fib.route import BLACKHOLE, Route, via

POD = prefix("10.244.3.0/24")


def resolver() -> Resolver:
    made = Resolver()
    for number, name in enumerate(("eth0", "eth1", "tunl0"), start=1):
        made.link(Link(name, number, True, True))
    made.add(connected("10.0.0.0/24", "eth0"))
    made.add(connected("2001:db8::/64", "eth1"))
    made.add(entry("10.9.0.0/16", via("10.0.0.254", interface="eth0")))
    return made


def hops(*next_hops: str, weights: tuple[int, ...] = (), **values: object) -> tuple[Hop, ...]:
    found = [path(peer=one, next_hop=one, **values) for one in next_hops]  # type: ignore[arg-type]
    return tuple(map(Hop, found, weights or (1,) * len(found)))


def chosen(some: tuple[Hop, ...], one: bytes = POD, family: Family = IPV4_UNICAST, **wishes: object) -> str:
    made = Chooser(resolver(), Wishes(**wishes))  # type: ignore[arg-type]
    return str(made.choose(family, one, some))


def test_a_route_has_a_leg_for_each_way_to_a_next_hop() -> None:
    assert chosen(hops("10.0.0.1")) == "via 10.0.0.1 dev eth0"
    assert chosen(hops("10.9.1.1")) == "via 10.0.0.254 dev eth0"
    assert chosen(hops("10.0.0.1", "10.0.0.2")) == (
        "nexthop via 10.0.0.1 dev eth0 nexthop via 10.0.0.2 dev eth0"
    )
    assert chosen(hops("10.9.1.1", "10.9.2.2")) == "via 10.0.0.254 dev eth0", "one leg, not the same twice"
    assert chosen(hops("2001:db8::7")) == "via 2001:db8::7 dev eth1", "IPv4 over IPv6"
    assert chosen(hops("10.0.0.1", "10.0.0.2", "10.0.0.3"), max_paths=2).count("nexthop") == 2


def test_what_is_not_reachable_is_no_leg_and_without_any_there_is_no_route() -> None:
    assert chosen(hops("192.0.2.1", "10.0.0.2")) == "via 10.0.0.2 dev eth0"
    made = Chooser(resolver()).choose(IPV4_UNICAST, POD, hops("192.0.2.1"))
    assert made == NotWanted("unreachable", "next hop 192.0.2.1: no route to 192.0.2.1")
    assert chosen(()) == "there is no usable path to it"


def test_weights_are_an_option() -> None:
    some = hops("10.0.0.1", "10.0.0.2", "10.0.0.3", weights=(3, 1, 0))
    assert chosen(some, weights=True) == (
        "nexthop via 10.0.0.1 dev eth0 weight 3 nexthop via 10.0.0.2 dev eth0"
    )
    assert chosen(some).count("weight") == 0 and chosen(some).count("nexthop") == 3
    # What asks for no traffic takes it where nothing else does.
    assert chosen(hops("192.0.2.1", "10.0.0.3", weights=(1, 0)), weights=True) == "via 10.0.0.3 dev eth0"
    # Two hops behind one gateway have the sum, and no weight is beyond what the kernel has.
    some = hops("10.9.1.1", "10.9.1.2", "10.0.0.2", weights=(256, 256, 128))
    assert chosen(some, weights=True) == (
        "nexthop via 10.0.0.2 dev eth0 weight 64 nexthop via 10.0.0.254 dev eth0 weight 256"
    )


def test_what_else_a_route_may_say() -> None:
    made = chosen(
        hops("10.0.0.1", local_pref=2147482623),
        metric=lambda one: 2147483647 - one.attributes.local_pref,
        sources={IPV4_UNICAST: ip_address("10.0.0.9")},
        mtu=1400,
        advmss=1360,
    )
    assert made == "via 10.0.0.1 dev eth0 src 10.0.0.9 metric 1024 mtu 1400 advmss 1360"
    assert chosen(hops("10.0.0.1"), metric=lambda one: -5).endswith("metric 1"), "clamped"


def test_blocks_of_our_own_are_blackholes_and_single_addresses_are_not() -> None:
    own = (Hop(path(kind=Kind.LOCAL, next_hop=b""), 1),)
    assert chosen(own) == str(BLACKHOLE)
    assert chosen(own, metric=lambda one: 7) == "blackhole metric 7"
    assert chosen(own, prefix("10.244.3.7/32")) == str(choice.SINGLE)
    assert chosen(own, prefix("2001:db8::7/128"), IPV6_UNICAST) == str(choice.SINGLE)
    assert chosen(own, blackholes=False) == str(choice.OURS)
    aside = (Hop(path(kind=Kind.LOCAL, next_hop="10.0.0.7"), 1),)
    assert chosen(aside) == str(choice.ELSEWHERE)
    aggregate = (Hop(path(kind=Kind.LOCAL, next_hop=b"", path_id=PATH_ID), 1),)
    assert chosen(aggregate) == str(BLACKHOLE)
    discarded = path(kind=Kind.LOCAL, next_hop="192.0.2.1", communities=[WellKnownCommunity.BLACKHOLE])
    assert chosen((Hop(discarded, 1),), prefix("10.244.3.7/32")) == str(BLACKHOLE), "RFC 7999"
    imported = Chooser(resolver(), imported=lambda family, one: one == POD)
    assert imported.choose(IPV4_UNICAST, POD, own) is choice.IMPORTED


def test_what_was_chosen_is_remembered_until_it_is_forgotten() -> None:
    ways = resolver()
    made, some = Chooser(ways), hops("10.0.0.1")
    first = made.choose(IPV4_UNICAST, POD, some)
    assert isinstance(first, Route)
    ways.link(Link("eth0", 1, False, False))
    assert made.choose(IPV4_UNICAST, prefix("10.244.4.0/24"), some) is first
    ways.changed()
    made.forget()
    assert isinstance(made.choose(IPV4_UNICAST, POD, some), NotWanted)
    assert [one.reachable for one in made.ways(some)] == [False]


# --- Tunnels ------------------------------------------------------------------------------------------

POOLS = {"10.244.0.0/16": "always", "10.245.0.0/16": Mode.CROSS_SUBNET, "10.244.7.0/24": "never"}


@pytest.mark.parametrize(
    ("pool", "next_hop", "route"),
    [
        ("10.244.3.0/24", "10.0.0.1", "via 10.0.0.1 dev tunl0 onlink mtu 1480"),
        ("10.244.3.0/24", "10.9.1.1", "via 10.9.1.1 dev tunl0 onlink mtu 1480"),
        ("10.244.7.0/24", "10.9.1.1", "via 10.0.0.254 dev eth0"),
        ("10.245.3.0/24", "10.0.0.1", "via 10.0.0.1 dev eth0"),
        ("10.245.3.0/24", "10.9.1.1", "via 10.9.1.1 dev tunl0 onlink mtu 1480"),
        ("10.245.0.0/16", "10.9.1.1", "via 10.9.1.1 dev tunl0 onlink mtu 1480"),
        ("10.246.3.0/24", "10.9.1.1", "via 10.0.0.254 dev eth0"),
        ("10.244.3.0/24", "2001:db8::7", "via 2001:db8::7 dev eth1"),
    ],
)
def test_the_pool_and_the_next_hop_decide_on_the_tunnel(pool: str, next_hop: str, route: str) -> None:
    assert chosen(hops(next_hop), prefix(pool), encapsulate=IpInIp(POOLS, mtu=1480)) == route


def test_each_leg_of_a_multipath_route_is_decided_by_itself() -> None:
    made = chosen(hops("10.0.0.1", "10.9.1.1"), prefix("10.245.3.0/24"), encapsulate=IpInIp(POOLS, mtu=1480))
    assert made == "nexthop via 10.0.0.1 dev eth0 nexthop via 10.9.1.1 dev tunl0 onlink mtu 1480"
    both = chosen(hops("10.9.1.1", "10.9.1.2"), prefix("10.245.3.0/24"), encapsulate=IpInIp(POOLS))
    assert both == "nexthop via 10.9.1.1 dev tunl0 onlink nexthop via 10.9.1.2 dev tunl0 onlink"


def test_a_tunnel_that_is_not_there_leads_nowhere() -> None:
    made = chosen(hops("10.9.1.1"), encapsulate=IpInIp(POOLS, device="ipip7"))
    assert made == "next hop 10.9.1.1: its tunnel ipip7 is not there"
    # Nor does one to a next hop that nothing leads to.
    assert "no route to 192.0.2.1" in chosen(hops("192.0.2.1"), encapsulate=IpInIp(POOLS))


def test_a_function_of_ones_own_decides_on_other_encapsulations() -> None:
    def gre(network: object, next_hop: object) -> Encapsulation | None:
        return Encapsulation("tunl0", 1450) if str(next_hop) == "10.0.0.1" else None

    assert chosen(hops("10.0.0.1"), encapsulate=by_function(gre)) == "via 10.0.0.1 dev tunl0 onlink mtu 1450"
    assert chosen(hops("10.0.0.2"), encapsulate=by_function(gre)) == "via 10.0.0.2 dev eth0"


def test_pools_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="IPv4 only"):
        IpInIp({"2001:db8::/32": "always"})
    with pytest.raises(ValueError, match="IPv4 only"):
        IpInIp({}, address="2001:db8::1/128")
    with pytest.raises(ValueError, match="sometimes"):
        IpInIp({"10.0.0.0/8": "sometimes"})
    with pytest.raises(ValueError, match="max_paths"):
        Wishes(max_paths=0)


def test_what_the_operator_gave_may_fail_without_harm_to_others(caplog: pytest.LogCaptureFixture) -> None:
    made = Chooser(resolver(), Wishes(metric=lambda one: 7 // one.attributes.local_pref))
    bad, good = hops("10.0.0.1", local_pref=0), hops("10.0.0.1", local_pref=1)
    assert str(made.choose(IPV4_UNICAST, POD, bad)).startswith("what chooses its route failed: ZeroDivision")
    made.choose(IPV4_UNICAST, prefix("10.244.4.0/24"), bad)
    assert str(made.choose(IPV4_UNICAST, POD, good)) == "via 10.0.0.1 dev eth0 metric 7"
    assert made.failures == 2 and len(caplog.records) == 1, "logged once"
