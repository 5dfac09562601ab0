"""The mirror of what others have in the kernel, and what it brings: ways to next hops, routes to announce."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from ipaddress import ip_interface

import pytest
from test_fib_resolve import connected, entry, key

from bgp import IPV4_UNICAST, IPV6_UNICAST, Speaker
from bgp.family import Family
from bgp.policy.prefixes import PrefixList
from bgp.wire import prefix as nlri
from fib.backend import AddressChanged, Link, LinkAddress, LinkChanged, Overflow, RouteChanged
from fib.memory import MemoryBackend
from fib.mirror import Mirror
from fib.redistribute import Importer, Redistribute
from fib.resolve import Resolver
from fib.route import BLACKHOLE, Entry, Route, via


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def put(backend: MemoryBackend, one: Entry) -> None:
    """Have a route of somebody else without a word about it."""
    backend.rows[one.family, one.prefix, one.route.metric or 0] = one.protocol, one.route


def world() -> MemoryBackend:
    backend = MemoryBackend()
    backend.link("eth0")
    backend.link("eth1")
    backend.interface_addresses.append(LinkAddress("eth0", ip_interface("10.0.0.5/24")))
    put(backend, connected("10.0.0.0/24", "eth0"))
    put(backend, entry("10.9.0.0/16", via("10.0.0.254", interface="eth0")))
    put(backend, connected("2001:db8::/64", "eth1"))
    return backend


class Watching:
    """A mirror with its resolver, for the length of a test."""

    def __init__(self, backend: MemoryBackend, *readers: Importer, **options: float) -> None:
        self.backend = backend
        self.resolver = readers[0]._resolver if readers else Resolver()
        self.calls = 0
        self.mirror = Mirror(backend, self.resolver, self._changed, readers=readers, **options)  # type: ignore[arg-type]

    def _changed(self) -> None:
        self.calls += 1

    async def __aenter__(self) -> "Watching":
        await self.backend.open(self.mirror.event)
        await self.mirror.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.mirror.close()
        await self.backend.close()

    def ways(self, text: str) -> list[str]:
        return [str(hop) for hop in self.resolver.resolve(key(text)).next_hops]


async def test_what_is_there_is_read_and_then_followed() -> None:
    async with Watching(world()) as seen:
        assert seen.mirror.routes == 3
        assert seen.ways("10.9.1.1") == ["via 10.0.0.254 dev eth0"]
        assert seen.ways("10.0.0.5") == [], "an address of our own"
        backend = seen.backend
        backend.foreign(IPV4_UNICAST, nlri.parse("10.9.1.0/24")[1], via("10.0.0.7", interface="eth0"))
        assert seen.ways("10.9.1.1") == ["via 10.0.0.7 dev eth0"] and seen.calls
        # What we write ourselves is no news.
        own = entry("10.9.1.1/32", via("10.0.0.8", interface="eth0"), protocol=179)
        backend.tell(RouteChanged(own))
        assert seen.ways("10.9.1.1") == ["via 10.0.0.7 dev eth0"]
        backend.foreign(IPV4_UNICAST, nlri.parse("10.9.1.0/24")[1], None)
        assert seen.ways("10.9.1.1") == ["via 10.0.0.254 dev eth0"]
        backend.tell(AddressChanged(LinkAddress("eth0", ip_interface("10.0.0.254/24"))))
        assert seen.ways("10.0.0.254") == []


async def test_ipv4_routes_that_go_without_a_word_are_missed() -> None:
    async with Watching(world()) as seen:
        assert seen.ways("10.9.1.1") and seen.ways("2001:db8::7")
        seen.backend.link("eth0", up=False)
        assert seen.ways("10.9.1.1") == [], "at once, for nothing leads through that interface"
        await until(lambda: seen.mirror.routes == 1)
        seen.backend.link("eth0", up=True)
        put(seen.backend, connected("10.0.0.0/24", "eth0"))
        await until(lambda: seen.ways("10.0.0.9"))
        assert seen.ways("10.9.1.1") == [], (
            "the kernel does not restore it, so it is not believed to be there"
        )


async def test_lost_events_are_made_good_and_all_is_looked_at_every_now_and_then() -> None:
    async with Watching(world()) as seen:
        assert seen.ways("10.7.0.1") == []
        put(seen.backend, entry("10.7.0.0/16", via("10.0.0.3", interface="eth0")))
        del seen.backend.interfaces["eth1"]
        seen.backend.tell(Overflow())
        await until(lambda: seen.ways("10.7.0.1"))
        assert seen.ways("2001:db8::7") == []
    async with Watching(world(), audit=0.05) as seen:
        put(seen.backend, entry("10.7.0.0/16", via("10.0.0.3", interface="eth0")))
        await until(lambda: seen.ways("10.7.0.1"))


class Slow(MemoryBackend):
    """A table that changes while it is read."""

    meanwhile: Callable[[], None] | None = None

    async def others(self, family: Family, table: int | None = None) -> AsyncIterator[Sequence[Entry]]:
        found = [some async for some in super().others(family, table)]
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None and family is IPV4_UNICAST:
            meanwhile()
        for some in found:
            yield some


async def test_an_event_is_newer_than_the_reading_that_it_falls_into() -> None:
    backend = Slow()
    backend.link("eth0")
    put(backend, connected("10.0.0.0/24", "eth0"))
    gone, new = nlri.parse("10.0.0.0/24")[1], nlri.parse("10.1.0.0/24")[1]

    def meanwhile() -> None:
        backend.foreign(IPV4_UNICAST, gone, None)
        backend.foreign(IPV4_UNICAST, new, via(interface="eth0"))

    backend.meanwhile = meanwhile
    async with Watching(backend) as seen:
        assert seen.ways("10.0.0.1") == [] and seen.ways("10.1.0.1") == ["via 10.1.0.1 dev eth0"]


# --- Redistribution -----------------------------------------------------------------------------------


def announced(speaker: Speaker) -> dict[str, int | None]:
    speaker.router.flush()
    return {
        nlri.text(family, one): path.attributes.med
        for family in (IPV4_UNICAST, IPV6_UNICAST)
        for one, path in speaker.router.rib.best(family)
    }


def importing(*rules: Redistribute) -> tuple[Speaker, Importer, Watching]:
    speaker = Speaker(asn=65000, router_id="192.0.2.1")
    importer = Importer(speaker, Resolver(), rules)
    return speaker, importer, Watching(world(), importer)


async def test_nothing_is_announced_unasked() -> None:
    speaker, importer, seen = importing()
    async with seen:
        assert announced(speaker) == {} and len(importer) == 0


async def test_chosen_routes_are_announced_for_as_long_as_they_are_there() -> None:
    speaker, importer, seen = importing(
        Redistribute(protocols=["kernel"], interfaces=("eth*",)),
        Redistribute(
            protocols={4},
            prefixes=PrefixList(["10.0.0.0/8 le 24"]),
            attributes=lambda one: {"med": one.route.metric or 0},
        ),
    )
    async with seen:
        assert announced(speaker) == {"10.0.0.0/24": None, "2001:db8::/64": None, "10.9.0.0/16": 0}
        backend, one = seen.backend, nlri.parse("10.7.0.0/16")[1]
        assert importer.imported(*nlri.parse("10.9.0.0/16")) and not importer.imported(IPV4_UNICAST, one)
        backend.foreign(IPV4_UNICAST, one, via("10.0.0.3", interface="eth0", metric=9), metric=9)
        assert announced(speaker)["10.7.0.0/16"] == 9
        # The lowest metric counts; where that one goes, the next one.
        backend.foreign(IPV4_UNICAST, one, via("10.0.0.4", interface="eth1", metric=3), metric=3)
        assert announced(speaker)["10.7.0.0/16"] == 3
        backend.link("eth1", carrier=False)
        assert announced(speaker)["10.7.0.0/16"] == 9 and "2001:db8::/64" not in announced(speaker)
        backend.foreign(IPV4_UNICAST, one, None, metric=9)
        assert "10.7.0.0/16" not in announced(speaker)
        backend.link("eth1")
        assert announced(speaker)["10.7.0.0/16"] == 3
        importer.close()
        assert announced(speaker) == {}


async def test_what_no_rule_takes_and_what_the_application_announces_is_left_alone() -> None:
    speaker, importer, seen = importing(Redistribute(table=254, protocols=["static", "kernel"]))
    handle = speaker.announce("10.9.0.0/16", med=77)
    speaker.router.flush()
    async with seen:
        assert announced(speaker)["10.9.0.0/16"] == 77 and handle.active
        backend = seen.backend
        for text, route, protocol in (
            ("10.7.0.0/16", BLACKHOLE, 4),
            ("10.6.0.0/16", via("10.0.0.3", interface="eth0"), 186),
            ("fe80::/64", via(interface="eth0"), 2),
        ):
            family, one = nlri.parse(text)
            backend.foreign(family, one, route, protocol=protocol)
        assert announced(speaker).keys() == {"10.0.0.0/24", "2001:db8::/64", "10.9.0.0/16"}
        assert len(importer) == 2
        # Of our own FIB nothing comes back in.
        own = entry("10.5.0.0/16", via("10.0.0.3", interface="eth0"), protocol=179)
        backend.tell(RouteChanged(own))
        backend.tell(LinkChanged(Link("eth7", 7, True, True)))
        assert "10.5.0.0/16" not in announced(speaker)


async def test_a_rule_that_fails_fails_for_its_route_alone() -> None:
    rule = Redistribute(attributes=lambda one: {"med": -1 if one.family is IPV4_UNICAST else 5})
    speaker, importer, seen = importing(rule)
    async with seen:
        assert announced(speaker) == {"2001:db8::/64": 5} and len(importer) == 1


def test_rules_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="none of redirect, kernel"):
        Redistribute(protocols=["ospff"])
    with pytest.raises(ValueError, match="256"):
        Redistribute(protocols=[256])
    refusing = Redistribute(refusing=True)
    assert refusing.takes(entry("10.7.0.0/16", BLACKHOLE))
    assert not Redistribute(table=100).takes(entry("10.7.0.0/16", Route(via("10.0.0.1").next_hops)))
