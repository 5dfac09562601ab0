"""Announce an address while a TCP service answers: `healthcheck.py NEIGHBOR PORT PREFIX SERVICE_PORT`."""

import asyncio
import logging
import sys

from bgp import Announcement, NotAdvertised, PeerDown, PeerOptions, Speaker


async def answers(port: int) -> None:
    """Pass if the service takes a connection; an exception is a failure, and so is no answer in time."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()


async def main(address: str, port: int, prefix: str, service: int) -> None:
    async with Speaker(asn=64512, router_id="192.0.2.2") as speaker:
        peer = speaker.add_peer(PeerOptions(asn=64512, address=address, port=port))
        await peer.established()
        anycast = Announcement(
            prefix,
            check=lambda: answers(service),
            rise=2,
            fall=2,
            interval=0.2,
            next_hop="192.0.2.2",
            communities=["64512:53"],
        )
        async with speaker.announce(anycast):
            while True:
                await anycast.up()
                try:
                    await anycast.advertised_to(peer)
                    print("announced", prefix, flush=True)
                except (NotAdvertised, PeerDown) as reason:
                    print("not announced:", reason, flush=True)
                await anycast.down()
                print("withdrawn", prefix, "-", anycast.last_failure, flush=True)


logging.basicConfig(level=logging.INFO)
asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
