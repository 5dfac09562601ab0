"""Announce a route to a neighbor, and show what the neighbor announces: `announce.py ADDRESS PORT`."""

import asyncio
import sys

from bgp import IPV4_UNICAST, PeerOptions, Speaker


async def main(address: str, port: int) -> None:
    async with Speaker(asn=64512, router_id="192.0.2.2") as speaker:
        peer = speaker.add_peer(PeerOptions(asn=64512, address=address, port=port))
        await peer.established()
        route = speaker.announce("203.0.113.0/24", next_hop="192.0.2.2", communities=["64512:100"])
        await route.advertised_to(peer)
        await asyncio.sleep(1)
        for prefix, path in speaker.best(IPV4_UNICAST).items():
            print(prefix, path.attributes)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
