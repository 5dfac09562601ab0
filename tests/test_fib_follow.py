"""`KernelFib` before a table in memory: what only the whole of it shows; packets are in `test_fib_live`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from test_fib_mirror import put, world
from test_fib_resolve import connected, entry

from bgp import IPV4_UNICAST, Announcement, PeerOptions, Speaker
from bgp.wire import prefix as nlri
from fib import BackendError, Encapsulation, IpInIp, KernelFib, NotInstalled, State, via
from fib.backend import Link, LinkChanged
from fib.memory import MemoryBackend
from tests.bothloops import both_loops, until

OWN = 179


def shown(backend: MemoryBackend) -> dict[str, str]:
    return {nlri.text(family, one): str(route) for (family, one), route in backend.table().items()}


class Pair:
    """A speaker with a FIB, and a client that tells it routes when it is asked to `dial`."""

    def __init__(self, router: Speaker, fib: KernelFib, node: Speaker) -> None:
        self.router = router
        self.fib = fib
        self.node = node

    def dial(self) -> None:
        host, port = self.router.listening[0]
        self.node.add_peer(
            PeerOptions(
                asn=65000, address=host, port=port, source_address="127.0.0.5", connect_retry_time=0.2
            )
        )

    def announce(self, text: str, next_hop: str, **attributes: Any) -> Announcement:
        return self.node.announce(text, next_hop=next_hop, **attributes)


@asynccontextmanager
async def pair(backend: MemoryBackend, **options: Any) -> AsyncIterator[Pair]:
    async with Speaker(asn=65000, router_id="192.0.2.1", listen=["127.0.0.1:0"], stop_timeout=0.2) as router:
        router.add_peer(PeerOptions(asn=65000, address="127.0.0.5", client=True, passive=True))
        async with (
            KernelFib(router, backend=backend, **options) as fib,
            Speaker(asn=65000, router_id="192.0.2.5", stop_timeout=0.2) as node,
        ):
            yield Pair(router, fib, node)


@both_loops
async def test_what_an_earlier_life_left_stays_until_everybody_was_heard() -> None:
    backend = world()
    for text in ("10.1.0.0/24", "10.2.0.0/24"):
        put(backend, entry(text, via("10.0.0.9", interface="eth0", metric=OWN), protocol=OWN))
    async with pair(backend) as both:
        one = both.announce("10.1.0.0/24", "10.0.0.9")
        both.node.announce("10.3.0.0/24", next_hop="10.0.0.8")
        await asyncio.sleep(0.2)
        assert shown(backend).keys() == {"10.1.0.0/24", "10.2.0.0/24"}, "nobody was heard yet"
        assert both.fib.explain("10.2.0.0/24").installed.state is State.STALE
        both.dial()
        await until(
            lambda: shown(backend).keys() == {"10.1.0.0/24", "10.3.0.0/24"}, "the stale route is gone"
        )
        progress = both.fib.progress(IPV4_UNICAST)
        assert (progress.adopted, progress.added, progress.swept) == (1, 1, 1)
        # What was there already counts as installed, for peers that are told only such routes.
        path = both.router.best(IPV4_UNICAST)["10.1.0.0/24"]
        assert both.router.router._gate.passes(*nlri.parse("10.1.0.0/24"), path)
        one.withdraw()
        await until(lambda: "10.1.0.0/24" not in shown(backend), "the route is gone")


@both_loops
async def test_unreachable_next_hops_are_no_routes_and_it_is_said_why() -> None:
    backend = world()
    async with pair(backend) as both:
        both.dial()
        both.announce("10.1.0.0/24", "10.7.0.1")
        both.announce("10.2.0.0/24", "10.0.0.9")
        await until(lambda: shown(backend).keys() == {"10.2.0.0/24"}, "what can be installed is")
        await until(
            lambda: both.router.router.rib.lookup(*nlri.parse("10.1.0.0/24")), "the other one is known"
        )
        assert "10.7.0.1 not reachable, no route to 10.7.0.1" in str(both.router.explain("10.1.0.0/24"))
        with pytest.raises(NotInstalled, match="there is no usable path"):
            await both.fib.in_fib("10.1.0.0/24")
        # A way appears, and goes another way, and is gone.
        seven = nlri.parse("10.7.0.0/16")[1]
        backend.foreign(IPV4_UNICAST, seven, via("10.0.0.3", interface="eth0"))
        await until(lambda: shown(backend).get("10.1.0.0/24", "").startswith("via 10.0.0.3"), "a way")
        backend.foreign(IPV4_UNICAST, seven, via("10.0.0.4", interface="eth1"))
        await until(lambda: shown(backend)["10.1.0.0/24"].startswith("via 10.0.0.4 dev eth1"), "another way")
        assert both.fib.progress(IPV4_UNICAST).deleted == 0, "in one step"
        await both.fib.in_fib("10.1.0.0/24")
        assert both.fib.explain("10.1.0.0/24").is_installed
        backend.foreign(IPV4_UNICAST, seven, None)
        await until(lambda: "10.1.0.0/24" not in shown(backend), "no way")


@both_loops
async def test_a_decision_that_does_not_heed_next_hops_leaves_that_to_the_fib() -> None:
    backend = world()
    async with pair(backend, decide=False) as both:
        both.dial()
        both.announce("10.1.0.0/24", "10.7.0.1")
        await until(lambda: "10.1.0.0/24" in both.router.best(IPV4_UNICAST), "a best path")
        with pytest.raises(NotInstalled, match=r"next hop 10\.7\.0\.1: no route to 10\.7\.0\.1"):
            await both.fib.in_fib("10.1.0.0/24")
        put(backend, entry("10.7.0.0/16", via("10.0.0.3", interface="eth0")))
        backend.overflow()
        await until(lambda: "10.1.0.0/24" in shown(backend), "a way is found")


@both_loops
async def test_metrics_by_path_lists_and_routes_of_the_applications_own() -> None:
    backend = world()
    options = {
        "metric": lambda path: 2147483647 - (path.attributes.local_pref or 100),
        "never": ["10.66.0.0/16 le 32"],
    }
    async with pair(backend, **options) as both:
        both.dial()
        mine = via("10.0.0.2", interface="eth0", metric=5)
        await both.fib.set("10.5.0.0/24", mine)
        assert await both.fib.apply({"10.6.0.0/24": mine}) == []
        handle = both.announce("10.1.0.0/24", "10.0.0.9", local_pref=2147482623)
        both.announce("10.66.1.0/24", "10.0.0.9")
        await until(lambda: "10.1.0.0/24" in shown(backend), "the route")
        assert shown(backend)["10.1.0.0/24"] == "via 10.0.0.9 dev eth0 metric 1024"
        handle.replace(local_pref=2147483135)
        await until(lambda: shown(backend)["10.1.0.0/24"].endswith("metric 512"), "another metric")
        with pytest.raises(NotInstalled, match="kept out by a filter"):
            await both.fib.in_fib("10.66.1.0/24")
        assert {"10.5.0.0/24", "10.6.0.0/24"} < shown(backend).keys()


@both_loops
async def test_a_tunnel_that_comes_and_goes_takes_its_routes_along() -> None:
    backend = world()
    async with pair(backend, encapsulate=IpInIp({"10.244.0.0/16": "always"}, mtu=1480)) as both:
        both.dial()
        both.announce("10.244.1.0/24", "10.9.1.1")
        both.announce("10.2.0.0/24", "10.9.1.1")
        await until(lambda: shown(backend).keys() == {"10.2.0.0/24"}, "what needs no tunnel")
        assert "its tunnel tunl0 is not there" in str(both.fib.explain("10.244.1.0/24"))
        backend.link("tunl0")
        there = "via 10.9.1.1 dev tunl0 onlink metric 179 mtu 1480"
        await until(lambda: shown(backend).get("10.244.1.0/24") == there, "by the tunnel")
        backend.unlink("tunl0")
        await until(lambda: shown(backend).keys() == {"10.2.0.0/24"}, "without it again")


@both_loops
async def test_an_encapsulation_of_ones_own() -> None:
    backend = world()

    def hook(network: object, next_hop: object) -> Encapsulation | None:
        return Encapsulation("eth1", 1400) if str(network) == "10.1.0.0/24" else None

    async with pair(backend, encapsulate=hook) as both:
        both.dial()
        both.announce("10.1.0.0/24", "10.0.0.9")
        both.announce("10.2.0.0/24", "10.0.0.9")
        await until(lambda: len(shown(backend)) == 2, "both")
        assert shown(backend) == {
            "10.1.0.0/24": "via 10.0.0.9 dev eth1 onlink metric 179 mtu 1400",
            "10.2.0.0/24": "via 10.0.0.9 dev eth0 metric 179",
        }
        backend.tell(LinkChanged(Link("eth7", 7, True, True)))


@both_loops
async def test_a_table_that_cannot_be_opened_leaves_nothing_behind() -> None:
    class Broken(MemoryBackend):
        async def links(self) -> list[Link]:  # type: ignore[override]
            raise BackendError("no netlink here")

    async with Speaker(asn=65000, router_id="192.0.2.1") as router:
        with pytest.raises(BackendError, match="no netlink here"):
            async with KernelFib(router, backend=Broken()):
                pass
        assert router.forwarding is None
        backend = world()
        put(backend, connected("10.0.3.0/24", "eth0"))
        async with KernelFib(router, backend=backend, flush=True) as fib:
            block = router.announce("10.1.0.0/24")
            await block.in_fib()
            assert fib.explain("10.1.0.0/24").is_installed and shown(backend)
        assert shown(backend) == {} and router.forwarding is None
