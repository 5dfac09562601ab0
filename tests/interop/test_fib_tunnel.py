"""IP-in-IP across a router that knows nothing of the pods' addresses; under both event loops."""

import asyncio
import errno
from pathlib import Path
from typing import Any

import pytest
from fibnet import Echo, Net, Router, Routers, net, ping, received, routers
from ipipstand import Tunnel

from bgp import ACCEPT_ALL
from fib import BackendError, IpInIp
from tests.bothloops import both_loops, until

pytestmark = [pytest.mark.interop("ip"), pytest.mark.xdist_group("fib")]
PASS = {"import_policy": ACCEPT_ALL, "export_policy": ACCEPT_ALL}
POOLS = {"10.244.0.0/16": "cross-subnet", "10.245.0.0/16": "always", "10.246.0.0/16": "never"}


def lay(world: Net) -> None:
    """Join a and b by a cable, and a, c and e by a router between their subnets."""
    world.cable("a", "b", ("192.168.12.1/24", "192.168.12.2/24"))
    for name, subnet in (("a", 1), ("c", 2), ("e", 3)):
        world.cable(name, "r", (f"192.168.{subnet}.1/24", f"192.168.{subnet}.254/24"))
        world[name].ip("route", "add", "192.168.0.0/16", "via", f"192.168.{subnet}.254")
    world["a"].address("10.244.1.1/32")
    world["b"].address("10.244.2.1/32")
    for name in ("c", "e"):
        world[name].address("10.244.9.1/32")
    world["c"].address("10.244.3.1/32", "10.245.3.1/32")


async def node(make: Routers, world: Net, name: str, number: int) -> Router:
    tunnel = IpInIp(POOLS, address=f"10.244.{number}.0/32", mtu=1480)
    return await make.router(world[name], 64512, paths=4, encapsulate=tunnel)


async def carried(router: Router, source: str, target: str, **how: Any) -> int:
    """Return how many datagrams came back, 0 where one is refused."""
    try:
        return await asyncio.to_thread(ping, router.host, source, target, **how)
    except OSError as error:
        assert error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.ENETDOWN), error
        return 0


async def crossing(router: Router, source: str, target: str) -> None:
    async with asyncio.timeout(30):
        while not await carried(router, source, target, wait=0.3):
            await asyncio.sleep(0.05)


@both_loops
async def test_pods_reach_each_other_by_the_tunnel_and_neighbors_do_without() -> None:
    with net("a", "b", "c", "e", "r") as world:
        lay(world)
        with Tunnel(world["a"]) as near, Tunnel(world["b"]), Tunnel(world["c"]) as far, Tunnel(world["e"]):
            async with routers() as make:
                a, b, c, e = [
                    await node(make, world, name, number)
                    for name, number in (("a", 1), ("b", 2), ("c", 3), ("e", 5))
                ]
                for ours, other, theirs in (
                    ("192.168.12.1", b, "192.168.12.2"),
                    ("192.168.1.1", c, "192.168.2.1"),
                    ("192.168.1.1", e, "192.168.3.1"),
                ):
                    a.peer(theirs, 64512, source_address=ours, client=True, **PASS)
                    other.peer(ours, 64512, source_address=theirs, **PASS)
                a.speaker.announce("10.244.1.0/24")
                b.speaker.announce("10.244.2.0/24")
                for block in ("10.244.3.0/24", "10.245.3.0/24", "10.246.3.0/24"):
                    c.speaker.announce(block)
                for router in (c, e):
                    router.speaker.announce("10.244.9.0/24")
                with Echo(world["c"], "10.244.3.1") as echo:
                    await crossing(a, "10.244.1.1", "10.244.3.1")
                    assert near.sent.keys() == {"192.168.2.1"} and far.came
                    # What fits, fits to the octet; what does not is refused before it is sent.
                    room = 1480 - 28
                    assert await carried(a, "10.244.1.1", "10.244.3.1", size=room, whole=True) == 1
                    with pytest.raises(OSError) as refused:
                        await asyncio.to_thread(
                            ping, world["a"], "10.244.1.1", "10.244.3.1", size=room + 1, whole=True
                        )
                    assert refused.value.errno == errno.EMSGSIZE and echo.longest == room
                    assert world["a"].gateways("10.244.3.0/24") == {("192.168.2.1", "tunl0")}
                    (route,) = world["a"].route("10.244.3.0/24")
                    assert "onlink" in route["flags"] and route["metrics"] == [{"mtu": 1480}]
                    assert world["a"].gateways("10.245.3.0/24") == {("192.168.2.1", "tunl0")}
                    assert world["a"].gateways("10.246.3.0/24") == {("192.168.1.254", "to-r")}
                    # A neighbor is reached as it is, until the pool says otherwise.
                    await until(lambda: world["a"].route("10.244.2.0/24"), "the neighbor's block")
                    assert world["a"].gateways("10.244.2.0/24") == {("192.168.12.2", "to-b")}
                    with Echo(world["b"], "10.244.2.1"):
                        before = received(world["b"], "to-a")
                        await crossing(a, "10.244.1.1", "10.244.2.1")
                        assert received(world["b"], "to-a") > before
                    # Both legs of a multipath route go by the tunnel.
                    legs = {("192.168.2.1", "tunl0"), ("192.168.3.1", "tunl0")}
                    await until(
                        lambda: world["a"].gateways("10.244.9.0/24") == legs, "two legs by the tunnel"
                    )
                    shown = str(a.fib.explain("10.244.9.0/24"))
                    assert "installed" in shown and "via 192.168.2.1 dev tunl0 onlink" in shown
                    # The device is looked after: up, with its address, and its routes come back.
                    world["a"].ip("link", "set", "tunl0", "down")
                    await crossing(a, "10.244.1.1", "10.244.3.1")
                    world["a"].ip("address", "del", "10.244.1.0/32", "dev", "tunl0")
                    world["a"].ip("link", "set", "tunl0", "mtu", "1300")
                    await until(
                        lambda: (
                            "10.244.1.0" in (shown := world["a"].ip("address", "show", "tunl0"))
                            and "mtu 1480" in shown
                        ),
                        "the address and the MTU are back",
                    )


@both_loops
async def test_without_device_and_without_ipip_there_is_a_clear_word() -> None:
    with net("a") as world:
        async with routers() as make:
            tunnel = IpInIp({"10.244.0.0/16": "always"}, address="10.244.1.0/32")
            if Path("/sys/module/ipip").exists():
                made = await make.router(world["a"], 64512, encapsulate=tunnel)
                link = made.fib.resolver.interface("tunl0")
                assert link is not None and link.up
            else:
                with pytest.raises(
                    BackendError, match="tunnel tunl0: this kernel has no IP-in-IP: load the module"
                ):
                    await make.router(world["a"], 64512, encapsulate=tunnel)
