"""Many light clients in a node, each a speaker on an address of its own; a file says how they are.

    lights.py ADDRESS ASN COUNT FILE

dials ADDRESS from 10.98.0.1, 10.98.0.2 and so on; each announces a /26 of 10.244.0.0/16 by its own address.
FILE is replaced several times a second: how many are Established, how many sessions were lost, how many
best routes the one that knows the fewest has, and of the first client its last error, and LOCAL_PREF and
communities by prefix.  On SIGUSR1 the last client announces a hundred routes more, which its limit does not
allow; on SIGUSR2 the block of the second as its own, and a default route by the address of the first.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from bgp import IPV4_UNICAST, PeerOptions, Speaker


async def main(address: str, asn: int, count: int, file: Path) -> None:
    speakers = []
    for number in range(1, count + 1):
        own = f"10.98.0.{number}"
        speaker = Speaker(asn=asn, router_id=own)
        await speaker.start()
        speaker.add_peer(PeerOptions(asn=asn, address=address, source_address=own, connect_retry_time=1))
        speaker.announce(f"10.244.{number // 4}.{number % 4 * 64}/26", next_hop=own)
        speakers.append(speaker)

    def overdo() -> None:
        for number in range(100):
            speakers[-1].announce(f"192.0.2.{number}/32", next_hop=f"10.98.0.{count}")

    def take() -> None:
        speakers[-1].announce("10.244.0.128/26", next_hop=f"10.98.0.{count}")
        speakers[-1].announce("0.0.0.0/0", next_hop="10.98.0.1")

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, overdo)
    loop.add_signal_handler(signal.SIGUSR2, take)
    lost = [0] * count
    before = [False] * count
    while True:
        up = [any(peer.negotiated for peer in speaker.peers) for speaker in speakers]
        for number, (was, now) in enumerate(zip(before, up, strict=True)):
            lost[number] += was and not now
        before = up
        best = [speaker.best(IPV4_UNICAST) for speaker in speakers]
        state = {
            "up": sum(up),
            "lost": sum(lost[:-1]),
            "lost by the last": lost[-1],
            "routes": min(map(len, best)),
            "error": str(next(iter(speakers[0].peers)).last_error),
            "told": {
                prefix: [path.attributes.local_pref, path.attributes.communities]
                for prefix, path in best[0].items()
            },
        }
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(state))
        os.replace(fresh, file)
        await asyncio.sleep(0.2)


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
