"""What a speaker's tables bring to a FIB: after any history, the route that each prefix needs."""

import asyncio
from collections.abc import Callable, Collection, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from routers import LOCAL_AS, ROUTER_ID, Peer, prefix, settle
from test_fib_resolve import connected, entry, key

from bgp import IPV4_UNICAST, DecisionOptions
from bgp.family import FAMILIES, Family
from bgp.rib.path import Kind
from bgp.router import Router
from bgp.wire import prefix as nlri
from fib.backend import Link
from fib.choice import Chooser, Encapsulation, NotWanted, Wishes, by_function
from fib.feed import Feed
from fib.resolve import Resolver
from fib.route import Route, via


class Taker:
    """Takes what is wanted, and remembers it."""

    def __init__(self) -> None:
        self.routes: dict[Family, dict[bytes, Route]] = {family: {} for family in FAMILIES}
        self.wishes = 0

    def want(self, family: Family, one: bytes, route: Route | None) -> None:
        self.wishes += 1
        if route is None:
            self.routes[family].pop(one, None)
        else:
            self.routes[family][one] = route

    async def room(self) -> None:
        await asyncio.sleep(0)

    def wanted(self, family: Family) -> Sequence[Collection[bytes]]:
        return [list(self.routes[family])]


class Following:
    """A router that is followed."""

    def __init__(self, backlog: int = 1 << 17, paths: int = 1, **wishes: object) -> None:
        self.router = Router(
            LOCAL_AS,
            ROUTER_ID,
            decision=DecisionOptions(maximum_paths_internal=paths, multipath_relax=True),
        )
        self.resolver = Resolver()
        for number, name in enumerate(("eth0", "eth1"), start=1):
            self.resolver.link(Link(name, number, True, True))
        self.resolver.add(connected("10.9.0.0/24", "eth0"))
        self.resolver.add(connected("10.8.0.0/24", "eth1"))
        self.taker = Taker()
        self.chooser = Chooser(self.resolver, Wishes(**wishes))  # type: ignore[arg-type]
        self.feed = Feed(self.router, self.chooser, self.taker, backlog)
        self.task = asyncio.create_task(self.feed.run())

    async def __aenter__(self) -> "Following":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.feed.close()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def shown(self) -> dict[str, str]:
        settle(self.router)
        async with asyncio.timeout(30):
            await self.feed.caught_up()
        return {
            nlri.text(family, one): str(route)
            for family, routes in self.taker.routes.items()
            for one, route in routes.items()
        }

    def expected(self) -> dict[str, str]:
        found = {}
        for family in FAMILIES:
            for one, _ in self.router.rib.best(family):
                chosen = self.chooser.choose(family, one, self.router.rib.multipath(family, one))
                if not isinstance(chosen, NotWanted):
                    found[nlri.text(family, one)] = str(chosen)
        return found


async def test_best_paths_become_routes_and_what_goes_is_taken_out() -> None:
    async with Following() as world:
        a = Peer(world.router, "a", Kind.CLIENT, 1)
        a.announce(["10.1.0.0/16", "10.2.0.0/16"], next_hop="10.9.0.1")
        a.announce(["10.3.0.0/16"], next_hop="192.0.2.1")
        world.router.announce(IPV4_UNICAST, prefix("10.4.0.0/24"), world.router.table.make())
        assert await world.shown() == {
            "10.1.0.0/16": "via 10.9.0.1 dev eth0",
            "10.2.0.0/16": "via 10.9.0.1 dev eth0",
            "10.4.0.0/24": "blackhole",
        }
        a.announce(["10.1.0.0/16"], next_hop="10.8.0.1")
        a.withdraw(["10.2.0.0/16"])
        assert await world.shown() == {"10.1.0.0/16": "via 10.8.0.1 dev eth1", "10.4.0.0/24": "blackhole"}
        a.down()
        assert await world.shown() == {"10.4.0.0/24": "blackhole"}


async def test_all_equal_paths_are_legs() -> None:
    async with Following(paths=4) as world:
        a, b = Peer(world.router, "a", Kind.CLIENT, 1), Peer(world.router, "b", Kind.CLIENT, 2)
        a.announce(["10.1.0.0/16"], next_hop="10.9.0.1")
        b.announce(["10.1.0.0/16"], next_hop="10.8.0.1")
        both = "nexthop via 10.8.0.1 dev eth1 nexthop via 10.9.0.1 dev eth0"
        assert await world.shown() == {"10.1.0.0/16": both}
        b.announce(["10.1.0.0/16"], next_hop="10.8.0.1", local_pref=50)
        assert await world.shown() == {"10.1.0.0/16": "via 10.9.0.1 dev eth0"}
        b.announce(["10.1.0.0/16"], next_hop="10.8.0.1")
        assert await world.shown() == {"10.1.0.0/16": both}
        a.down()
        assert await world.shown() == {"10.1.0.0/16": "via 10.8.0.1 dev eth1"}


async def test_another_way_to_a_next_hop_is_another_route_for_its_prefixes_alone() -> None:
    async with Following() as world:
        a = Peer(world.router, "a", Kind.CLIENT, 1)
        a.announce([f"10.1.{n}.0/24" for n in range(200)], next_hop="10.7.0.1")
        a.announce([f"10.2.{n}.0/24" for n in range(200)], next_hop="10.9.0.1")
        assert len(await world.shown()) == 200
        world.resolver.add(entry("10.7.0.0/16", via("10.9.0.2", interface="eth0")))
        news = world.resolver.changed()
        assert news.keys() == {key("10.7.0.1")}
        wishes = world.taker.wishes
        world.chooser.forget()
        world.feed.reconsider(news)
        shown = await world.shown()
        assert shown["10.1.7.0/24"] == "via 10.9.0.2 dev eth0" and len(shown) == 400
        assert world.taker.wishes - wishes == 200
        world.feed.reconsider(None)
        assert await world.shown() == shown and world.taker.wishes - wishes == 600


async def test_who_is_too_slow_begins_again_and_misses_nothing() -> None:
    async with Following(backlog=8) as world:
        a = Peer(world.router, "a", Kind.CLIENT, 1)
        prefixes = [f"10.{m}.{n}.0/24" for m in (1, 2) for n in range(250)]
        a.announce(prefixes, next_hop="10.9.0.1")
        await world.shown()
        # The log of the router is large; so its follower is made to lose what is in it.
        world.router.history._limit = 16
        for log in world.router.history._logs.values():
            log._limit = 16
        a.withdraw(prefixes[:300])
        settle(world.router)
        a.announce(prefixes[290:310], next_hop="10.8.0.1")
        settle(world.router)
        shown = await world.shown()
        assert shown == world.expected() and len(shown) == 210
        assert world.feed.lost and world.feed.resyncs == 1


async def test_a_choice_by_prefix_is_made_for_each() -> None:
    hook = by_function(lambda net, hop: Encapsulation("eth1") if str(net) == "10.1.0.0/16" else None)
    async with Following(encapsulate=hook) as world:
        a = Peer(world.router, "a", Kind.CLIENT, 1)
        a.announce(["10.1.0.0/16", "10.2.0.0/16"], next_hop="10.9.0.1")
        assert await world.shown() == {
            "10.1.0.0/16": "via 10.9.0.1 dev eth1 onlink",
            "10.2.0.0/16": "via 10.9.0.1 dev eth0",
        }


changes = st.tuples(
    st.sampled_from("ab"),
    st.sampled_from(("announce", "announce", "withdraw", "turn", "way")),
    st.lists(st.sampled_from([f"10.{n}.0.0/16" for n in range(5)]), min_size=1, max_size=3, unique=True),
    st.sampled_from(("10.9.0.1", "10.8.0.1", "10.7.0.1")),
    st.sampled_from((100, 200)),
)


@pytest.mark.parametrize("paths", [1, 3])
def test_after_any_history_each_prefix_has_the_route_that_it_needs(paths: int) -> None:
    @settings(max_examples=40, deadline=None)
    @given(st.lists(changes, max_size=20))
    def check(some: list[tuple[str, str, list[str], str, int]]) -> None:
        async def run() -> None:
            async with Following(paths=paths, backlog=4) as world:
                peers = {
                    name: Peer(world.router, name, Kind.CLIENT, number)
                    for number, name in enumerate("ab", start=1)
                }
                there = False
                for name, what, prefixes, hop, pref in some:
                    if what == "announce":
                        peers[name].announce(prefixes, next_hop=hop, local_pref=pref)
                    elif what == "withdraw":
                        peers[name].withdraw(prefixes)
                    elif what == "turn":
                        settle(world.router)
                        await asyncio.sleep(0)
                    else:
                        one, there = entry("10.7.0.0/16", via("10.9.0.2", interface="eth0")), not there
                        change: Callable[..., None] = world.resolver.add if there else world.resolver.remove
                        change(one)
                        world.chooser.forget()
                        world.feed.reconsider(world.resolver.changed())
                assert await world.shown() == world.expected()

        asyncio.run(run())

    check()
