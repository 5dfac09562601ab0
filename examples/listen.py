"""Take whoever connects, and print what they say as it comes: `listen.py ASN ADDRESS:PORT PREFIX`.

Peers come from within PREFIX and are in any AS; an external one passes what the policy accepts (RFC 8212).
"""

import asyncio
import sys

from bgp import (
    ACCEPT_ALL,
    IPV4_UNICAST,
    IPV6_UNICAST,
    AsExpected,
    Change,
    EventKind,
    Lagged,
    PeerChanged,
    PeerOptions,
    RouteEvent,
    Speaker,
)

SIGNS = {Change.ADDED: "+", Change.REPLACED: "~", Change.WITHDRAWN: "-"}


async def main(asn: int, address: str, prefix: str) -> None:
    async with Speaker(asn=asn, router_id="192.0.2.3", listen=[address]) as speaker:
        families = (IPV4_UNICAST, IPV6_UNICAST)
        options = PeerOptions(asn=AsExpected.ANY, families=families, import_policy=ACCEPT_ALL)
        speaker.add_listen_range(prefix, options)
        for host, port in speaker.listening:
            print("listening on", host, port, flush=True)
        async for event in speaker.watch(peers=True):
            match event:
                case RouteEvent(path=None):
                    print("-", event.prefix, "withdrawn", flush=True)
                case RouteEvent():
                    print(SIGNS[event.change], event.prefix, "from", event.slot.peer, flush=True)
                case PeerChanged(event=happened) if happened.peer is not None:
                    if happened.kind is EventKind.STATE and happened.state is not None:
                        print(happened.peer.name, happened.state.label, flush=True)
                    elif happened.kind is EventKind.DOWN:
                        print(happened.peer.name, happened.text, flush=True)
                case Lagged(lost=lost):
                    print("too slow by", lost, "changes; all that is there follows", flush=True)


try:
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
except KeyboardInterrupt:
    print("stopped")
