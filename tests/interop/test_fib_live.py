"""Speakers with FIBs in namespaces, and packets that go where they say; under both event loops."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from fibnet import Echo, Router, net, ping, received, routers

from bgp import ACCEPT_ALL, IPV4_UNICAST, IPV6_UNICAST
from fib import NotInstalled, Redistribute, State
from tests.bothloops import both_loops, until

pytestmark = [pytest.mark.interop("ip"), pytest.mark.xdist_group("fib")]
PASS = {"import_policy": ACCEPT_ALL, "export_policy": ACCEPT_ALL}
BOTH = {"families": (IPV4_UNICAST, IPV6_UNICAST)}


async def pings(router: Router, source: str, target: str) -> None:
    """Wait until datagrams come back."""
    async with asyncio.timeout(30):
        while True:
            with suppress(OSError):
                if await asyncio.to_thread(ping, router.host, source, target, wait=0.3):
                    return
            await asyncio.sleep(0.05)


@both_loops
async def test_three_routers_in_a_chain_with_both_families() -> None:
    with net("a", "b", "c") as world:
        world.cable("a", "b", ("10.0.12.1/24", "10.0.12.2/24"), ("2001:db8:12::1/64", "2001:db8:12::2/64"))
        world.cable("b", "c", ("10.0.23.2/24", "10.0.23.3/24"), ("2001:db8:23::2/64", "2001:db8:23::3/64"))
        world["a"].address("10.1.0.1/32", "2001:db8:a::1/128")
        world["c"].address("10.3.0.1/32", "2001:db8:c::1/128")
        # Somebody else's routes, one of them for a prefix that BGP has too.
        foreign = ("10.3.0.0/24", "via", "10.0.12.77", "metric", "5000", "proto", "static")
        world["a"].ip("route", "add", *foreign)
        async with routers() as make:
            a = await make.router(world["a"], 65001)
            b = await make.router(world["b"], 65002)
            c = await make.router(world["c"], 65003)
            a.peer("10.0.12.2", 65002, **PASS, **BOTH)
            b.peer("10.0.12.1", 65001, **PASS, **BOTH)
            b.peer("10.0.23.3", 65003, **PASS, **BOTH)
            c.peer("10.0.23.2", 65002, **PASS, **BOTH)
            blocks = [a.speaker.announce(one) for one in ("10.1.0.0/24", "2001:db8:a::/48")]
            blocks += [c.speaker.announce(one) for one in ("10.3.0.0/24", "2001:db8:c::/48")]
            for block in blocks:
                await block.in_fib()
            with Echo(world["c"], "10.3.0.1"), Echo(world["c"], "2001:db8:c::1"):
                await pings(a, "10.1.0.1", "10.3.0.1")
                await pings(a, "2001:db8:a::1", "2001:db8:c::1")
            # An address inside of a block is reachable, and the rest of the block is discarded where it is.
            assert world["c"].route("10.3.0.0/24")[0]["type"] == "blackhole"
            assert world["b"].gateways("10.3.0.0/24") == {("10.0.23.3", "to-c")}
            assert world["b"].gateways("2001:db8:c::/48") == {("2001:db8:23::3", "to-c")}
            assert len(world["a"].route("10.3.0.0/24")) == 2, "another's route beside ours"
            shown = a.fib.explain("10.3.0.0/24")
            assert shown.is_installed and "next hop 10.0.12.2: via 10.0.12.2 dev to-b by 10.0.12.0/24" in str(
                shown
            )
            assert "next hop 10.0.12.2 at cost 0, via 10.0.12.2 dev to-b" in str(
                a.speaker.explain("10.3.0.0/24")
            )
            host_route = c.speaker.announce("10.3.0.1/32")
            with pytest.raises(NotInstalled, match="a single address of our own"):
                await host_route.in_fib()
            c.speaker.announce("10.34.0.0/24")
            await until(lambda: world["a"].route("10.34.0.0/24"), "another route")
            blocks[2].withdraw()
            await until(lambda: len(world["a"].route("10.3.0.0/24")) == 1, "the route is gone")
            assert world["a"].route("10.3.0.0/24")[0]["protocol"] == "static", "and another's is not"
        assert world["c"].route("10.34.0.0/24"), "what we have when we end stays"


@both_loops
async def test_ipv4_by_next_hops_of_ipv6_on_links_without_ipv4() -> None:
    with net("a", "b", "c") as world:
        world.cable("a", "b", ("2001:db8:12::1/64", "2001:db8:12::2/64"))
        world.cable("b", "c", ("2001:db8:23::2/64", "2001:db8:23::3/64"))
        world["a"].address("10.1.0.1/32", "2001:db8:a::1/128")
        world["c"].address("10.3.0.1/32", "2001:db8:c::1/128")
        world["b"].address("10.2.0.1/32")  # what an ICMP error would come from
        both = {**PASS, **BOTH, "extended_next_hop": (IPV4_UNICAST,)}
        async with routers() as make:
            a = await make.router(world["a"], 65001, flush=True)
            b = await make.router(world["b"], 65002)
            c = await make.router(world["c"], 65003)
            a.peer("2001:db8:12::2", 65002, **both)
            b.peer("2001:db8:12::1", 65001, **both)
            b.peer("2001:db8:23::3", 65003, **both)
            c.peer("2001:db8:23::2", 65002, **both)
            for router, *blocks in (
                (a, "10.1.0.0/24", "2001:db8:a::/48"),
                (c, "10.3.0.0/24", "2001:db8:c::/48"),
            ):
                for block in blocks:
                    router.speaker.announce(block)
            with Echo(world["c"], "10.3.0.1"), Echo(world["c"], "2001:db8:c::1"):
                await pings(a, "10.1.0.1", "10.3.0.1")
                await pings(a, "2001:db8:a::1", "2001:db8:c::1")
            assert world["a"].gateways("10.3.0.0/24") == {("2001:db8:12::2", "to-b")}
        assert not world["a"].route("10.3.0.0/24"), "what is flushed when we end is gone"


@both_loops
async def test_both_legs_carry_flows_and_one_is_enough() -> None:
    with net("a", "b", "c", "d") as world:
        world.cable("a", "b", ("10.0.12.1/24", "10.0.12.2/24"))
        world.cable("a", "c", ("10.0.13.1/24", "10.0.13.3/24"))
        world.cable("b", "d", ("10.0.24.2/24", "10.0.24.4/24"))
        world.cable("c", "d", ("10.0.34.3/24", "10.0.34.4/24"))
        world["a"].address("10.1.0.1/32")
        world["d"].address("10.4.0.1/32")
        async with routers() as make:
            a, b, c, d = [
                await make.router(host, 65000 + host.number, paths=4) for host in world.hosts.values()
            ]
            links = ((a, "10.0.12.1", b, "10.0.12.2"), (a, "10.0.13.1", c, "10.0.13.3"),
                     (b, "10.0.24.2", d, "10.0.24.4"), (c, "10.0.34.3", d, "10.0.34.4"))  # fmt: skip
            for one, ours, other, theirs in links:
                one.peer(theirs, 65000 + other.host.number, hold_time=90, **PASS)
                other.peer(ours, 65000 + one.host.number, hold_time=90, **PASS)
            a.speaker.announce("10.1.0.0/24")
            d.speaker.announce("10.4.0.0/24")
            both = {("10.0.12.2", "to-b"), ("10.0.13.3", "to-c")}
            whole = [
                (world["a"], "10.4.0.0/24", both),
                (world["d"], "10.1.0.0/24", {("10.0.24.2", "to-b"), ("10.0.34.3", "to-c")}),
                (world["b"], "10.1.0.0/24", {("10.0.12.1", "to-a")}),
                (world["c"], "10.1.0.0/24", {("10.0.13.1", "to-a")}),
            ]

            def two_legs() -> bool:
                """Whether that is so on the way back, too: answers take it."""
                return all(host.gateways(prefix) == legs for host, prefix, legs in whole)

            await until(two_legs, "two legs")
            with Echo(world["d"], "10.4.0.1"):
                await pings(a, "10.1.0.1", "10.4.0.1")
                before = [received(world[name], "to-a") for name in ("b", "c")]
                assert await asyncio.to_thread(ping, world["a"], "10.1.0.1", "10.4.0.1", flows=60) == 60
                shares = [received(world[name], "to-a") - was for name, was in zip("bc", before, strict=True)]
                assert min(shares) >= 10, f"each leg carries flows: {shares}"
                # A link goes down: the sessions over it have not noticed, the next hop is out of reach.
                world["a"].ip("link", "set", "to-b", "down")
                left = {("10.0.13.3", "to-c")}
                await until(lambda: world["a"].gateways("10.4.0.0/24") == left, "one leg")
                await pings(a, "10.1.0.1", "10.4.0.1")
                assert "to-b is down" in str(a.fib.explain("10.4.0.0/24")) or "no route" in str(
                    a.speaker.explain("10.4.0.0/24")
                )
                world["a"].ip("link", "set", "to-b", "up")
                await until(two_legs, "two legs again")
                assert await asyncio.to_thread(ping, world["a"], "10.1.0.1", "10.4.0.1", flows=20) == 20


@both_loops
async def test_a_gate_and_routes_of_the_kernel_over_a_link_without_addresses() -> None:
    with net("a", "b", "c") as world:
        world.cable("a", "b")
        world.cable("b", "c", ("2001:db8:23::2/64", "2001:db8:23::3/64"))
        world["a"].address("2001:db8:a::1/128")
        world["a"].ip("route", "add", "blackhole", "2001:db8:a1::/48", "proto", "static")
        world["a"].ip("route", "add", "2001:db8:a2::/48", "dev", "to-b", "proto", "static")
        rules = [Redistribute(protocols=["static"], interfaces=("to-*",), attributes={"med": 7})]
        async with routers() as make:
            a = await make.router(world["a"], 65001, redistribute=rules)
            b = await make.router(world["b"], 65002, never=["2001:db8:bad::/48 le 128"])
            c = await make.router(world["c"], 65003)
            # The link between a and b has link-local addresses only.
            ours, theirs = world["a"].link_local("to-b"), world["b"].link_local("to-a")
            a.peer(f"{theirs[0]}%{ours[1]}", 65002, families=(IPV6_UNICAST,), **PASS)
            b.peer(f"{ours[0]}%{theirs[1]}", 65001, families=(IPV6_UNICAST,), **PASS)
            b.peer("2001:db8:23::3", 65003, installed_only=True, families=(IPV6_UNICAST,), **PASS)
            c.peer("2001:db8:23::2", 65002, families=(IPV6_UNICAST,), **PASS)
            a.speaker.announce("2001:db8:a::/48")
            a.speaker.announce("2001:db8:bad::/48")
            await until(lambda: world["c"].route("2001:db8:a2::/48"), "what a has in its kernel, at c")
            await until(lambda: world["c"].route("2001:db8:a::/48"), "what a announces, at c")
            ((via, device),) = world["b"].gateways("2001:db8:a::/48")
            assert via.startswith("fe80::") and device == "to-a"
            assert c.speaker.best(IPV6_UNICAST)["2001:db8:a2::/48"].attributes.next_hop
            assert b.speaker.best(IPV6_UNICAST)["2001:db8:a2::/48"].attributes.med == 7
            # What b is never to touch it has not installed, so it does not tell c of it.
            assert "2001:db8:bad::/48" in b.speaker.best(IPV6_UNICAST)
            assert b.fib.explain("2001:db8:bad::/48").installed.state is State.FILTERED
            told = b.speaker.explain_to(b.peers[1], "2001:db8:bad::/48")
            assert "not installed in our forwarding plane" in str(told)
            assert "2001:db8:bad::/48" not in c.speaker.best(IPV6_UNICAST)
            # A blackhole of the administrator's is nobody else's business, and one's own stays one's own.
            assert "2001:db8:a1::/48" not in b.speaker.best(IPV6_UNICAST)
            assert len(world["a"].route("2001:db8:a2::/48")) == 1
            with Echo(world["a"], "2001:db8:a::1"):
                c.speaker.announce("2001:db8:c::/48")
                world["c"].address("2001:db8:c::1/128")
                await pings(c, "2001:db8:c::1", "2001:db8:a::1")
            world["a"].ip("route", "del", "2001:db8:a2::/48")
            await until(
                lambda: not world["c"].route("2001:db8:a2::/48"), "it goes when it goes in a's kernel"
            )


async def test_the_service_with_one_line(tmp_path: Path) -> None:
    with net("a", "b") as world:
        world.cable("a", "b", ("10.0.12.1/24", "10.0.12.2/24"))
        configuration = tmp_path / "rr.toml"
        configuration.write_text(
            """[router]
asn = 65002
router_id = "192.0.2.2"
listen = ["0.0.0.0:179"]
[control]
enabled = false
[[neighbor]]
address = "10.0.12.1"
asn = 65001
policy = "accept-all"
passive = true
[fib]
"""
        )
        command = [sys.executable, "-m", "reflector", "run", str(configuration)]
        service = await asyncio.create_subprocess_exec("ip", "netns", "exec", world["b"].namespace, *command)
        try:
            async with routers() as make:
                a = await make.router(world["a"], 65001)
                a.peer("10.0.12.2", 65002, **PASS)
                a.speaker.announce("10.1.0.0/24")
                there = {("10.0.12.1", "to-a")}
                await until(lambda: world["b"].gateways("10.1.0.0/24") == there, "the route in b's kernel")
                service.terminate()
                assert await asyncio.wait_for(service.wait(), 20) == 0
                assert world["b"].gateways("10.1.0.0/24") == there, "it stays"
        finally:
            if service.returncode is None:
                service.kill()
                await service.wait()
