"""Our API as a program uses it.

python -m bench.api.ours CASE PORT ROUTES FILE
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from bench.tables import ASN
from bgp import PeerOptions, RouteEvent, Speaker
from bgp.aio.peer import Peer


def prefix(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/32"


def next_hop(number: int) -> str:
    return f"198.51.100.{number % 100 + 1}"


async def announce(speaker: Speaker, peer: Peer, routes: int) -> None:
    """Announce one after the other."""
    for number in range(routes):
        speaker.announce(prefix(number), next_hop=next_hop(number))


async def turn_each(speaker: Speaker, peer: Peer, routes: int) -> None:
    """Let each route go its way before the next is announced."""
    for number in range(routes):
        speaker.announce(prefix(number), next_hop=next_hop(number))
        await asyncio.sleep(0)


async def await_each(speaker: Speaker, peer: Peer, routes: int) -> None:
    """Wait for each until its UPDATE is with the kernel, before the next is announced."""
    for number in range(routes):
        await speaker.announce(prefix(number), next_hop=next_hop(number)).advertised_to(peer)


async def together(speaker: Speaker, peer: Peer, routes: int) -> None:
    """Announce all of them in a transaction."""
    async with speaker.transaction():
        for number in range(routes):
            speaker.announce(prefix(number), next_hop=next_hop(number))


async def watch(speaker: Speaker, peer: Peer, routes: int) -> None:
    """Hear of so many routes."""
    heard = 0
    async for event in speaker.watch():
        if isinstance(event, RouteEvent):
            heard += 1
            if heard == routes:
                return


CASES = {
    "one by one": announce,
    "turn each": turn_each,
    "awaited": await_each,
    "together": together,
    "watch": watch,
}


async def main(case: str, port: int, routes: int, file: Path) -> None:
    async with Speaker(asn=ASN, router_id="192.0.2.2") as speaker:
        peer = speaker.add_peer(PeerOptions(address="127.0.0.1", port=port, asn=ASN))
        await peer.established()
        file.write_text("ready")
        await asyncio.sleep(0.5)
        begun = time.monotonic()
        await CASES[case](speaker, peer, routes)
        file.write_text(json.dumps({"begun": begun, "done": time.monotonic()}))
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
