"""Routes in the kernel's table: by hand, with `fib.py`, or those that a neighbor announces, with its address.

Run it as root, or with CAP_NET_ADMIN, best in a namespace to play in: ip netns exec play python ...
All routes have protocol 179 and metric 179, and nothing else in the table is touched.
"""

import asyncio
import sys

# This file is called like the package that it is about.
sys.path.pop(0)

from bgp import IPV4_UNICAST, PeerOptions, RouteEvent, Speaker
from fib import BLACKHOLE, Fib, KernelFib, Repaired, RouteError, via


async def by_hand() -> None:
    """Write some routes, see one refused, have one deleted behind our back and mended."""
    async with Fib(table=1000, flush=True) as fib:
        mended = asyncio.Event()
        fib.watch(lambda news: mended.set() if isinstance(news, Repaired) else None)
        await fib.set("10.1.0.0/16", via(interface="lo"))
        await fib.apply({"10.2.0.0/16": BLACKHOLE, "2001:db8:2::/48": BLACKHOLE})
        try:
            await fib.set("10.3.0.0/16", via("203.0.113.99"))
        except RouteError as error:
            print("refused:", error)
        print(fib.explain("10.1.0.0/16"))
        process = await asyncio.create_subprocess_exec("ip", "route", "del", "10.1.0.0/16", "table", "1000")
        await process.wait()
        await mended.wait()
        print(fib.progress(IPV4_UNICAST))


async def from_neighbor(address: str, port: int) -> None:
    """Have the kernel's routes follow what a neighbor announces, until interrupted."""
    async with Speaker(asn=64512, router_id="192.0.2.2") as speaker, KernelFib(speaker, table=1000) as fib:
        speaker.add_peer(PeerOptions(asn=64512, address=address, port=port))
        async for event in speaker.watch():
            if isinstance(event, RouteEvent):
                print(fib.explain(event.prefix))


if len(sys.argv) > 1:
    asyncio.run(from_neighbor(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 179))
else:
    asyncio.run(by_hand())
