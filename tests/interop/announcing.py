"""Run in a node by a test: routes of the library's, and what the library says of them, line by line.

`announcing.py OUR_ADDRESS NEIGHBOR FOLDER`: each step waits for a file of its name in the folder.
"""

import asyncio
import sys
from pathlib import Path

from bgp import Announcement, NotAdvertised, PeerOptions, Speaker


async def main(ours: str, theirs: str, folder: Path) -> None:
    async def go_on(step: str) -> None:
        while not (folder / step).exists():
            await asyncio.sleep(0.05)

    healthy = True

    async def check() -> bool:
        return healthy

    async with Speaker(asn=65000, router_id=ours, listen=["0.0.0.0:179"]) as speaker:
        peer = speaker.add_peer(PeerOptions(asn=65000, address=theirs, connect_retry_time=1.0))
        await peer.established()
        route = speaker.announce(
            "198.51.100.0/24",
            next_hop=ours,
            med=7,
            as_path=[65009],
            communities=["65000:1", (65000, 2)],
            extended_communities=["rt:65000:1"],
            large_communities=["65000:1:2"],
        )
        await route.advertised_to(peer)
        hole = speaker.blackhole("203.0.113.9/32", next_hop=ours)
        await hole.advertised_to(peer)
        kept = speaker.announce("203.0.113.0/24", next_hop=ours, communities=["no-advertise"])
        try:
            await kept.advertised_to(peer)
        except NotAdvertised as refused:
            print("kept:", refused.reason.name, flush=True)
        print("told", flush=True)
        await go_on("many")
        async with speaker.transaction():
            for number in range(2000):
                last = speaker.announce(f"10.{number >> 8}.{number & 255}.0/24", next_hop=ours)
            route.replace(med=8)
        await last.advertised_to(peer)
        print("many", flush=True)
        await go_on("checked")
        anycast = Announcement("192.0.2.53/32", check=check, rise=1, fall=1, interval=0.05, next_hop=ours)
        async with speaker.announce(anycast) as one:
            await (await one.up()).advertised_to(peer)
            print("up", flush=True)
            await go_on("sick")
            healthy = False
            await one.down()
            print("down", flush=True)
            await go_on("over")


asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
