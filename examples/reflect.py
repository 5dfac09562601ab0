"""Be a route reflector for whoever connects from a prefix: `reflect.py ASN ADDRESS:PORT PREFIX`."""

import asyncio
import signal
import sys

from bgp import IPV4_UNICAST, EventKind, PeerOptions, Speaker, State


async def main(asn: int, address: str, prefix: str) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with Speaker(asn=asn, router_id="192.0.2.100", listen=[address]) as speaker:
        speaker.add_listen_range(prefix, PeerOptions(asn=asn, client=True), limit=500)
        for host, port in speaker.listening:
            print("listening on", host, port, flush=True)
        telling = asyncio.create_task(tell(speaker))
        await ended.wait()
        for name, path in speaker.best(IPV4_UNICAST).items():
            print(name, "is best from", path.source.peer)
            print(speaker.explain(name))
        telling.cancel()
        await speaker.stop("maintenance, back in ten minutes")


async def tell(speaker: Speaker) -> None:
    """Print who comes and goes."""
    async for event in speaker.events():
        if event.kind is EventKind.LAGGED:
            print(event.text, flush=True)
        elif event.kind is EventKind.STATE and event.peer is not None and event.state is State.ESTABLISHED:
            print(event.peer.name, "has come", flush=True)
        elif event.kind is EventKind.DOWN and event.peer is not None:
            print(event.peer.name, "has gone:", event.text, flush=True)


asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
