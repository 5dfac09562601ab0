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
    EventKind,
    Family,
    PeerEvent,
    PeerOptions,
    Speaker,
)
from bgp.rib.changes import Changes
from bgp.wire import prefix as nlri


def changed(family: Family, changes: Changes) -> None:
    """Print how the best paths changed in this turn of the loop."""
    for path, prefixes in changes.fresh.items():
        for prefix in prefixes:
            print("+", nlri.text(family, prefix), "from", path.source.peer, flush=True)
    for (_, now), prefixes in changes.moved.items():
        for prefix in prefixes:
            what = "withdrawn" if now is None else f"from {now.source.peer}"
            print("-" if now is None else "~", nlri.text(family, prefix), what, flush=True)


def happened(event: PeerEvent) -> None:
    """Print the beginning and the end of sessions."""
    if event.kind is EventKind.STATE and event.peer is not None and event.state is not None:
        print(event.peer.name, event.state.label, flush=True)
    elif event.kind is EventKind.DOWN and event.peer is not None:
        print(event.peer.name, event.text, flush=True)


async def main(asn: int, address: str, prefix: str) -> None:
    async with Speaker(asn=asn, router_id="192.0.2.3", listen=[address], on_event=happened) as speaker:
        options = PeerOptions(
            asn=AsExpected.ANY, families=(IPV4_UNICAST, IPV6_UNICAST), import_policy=ACCEPT_ALL
        )
        speaker.add_listen_range(prefix, options)
        speaker.router.watch(changed)
        for host, port in speaker.listening:
            print("listening on", host, port, flush=True)
        await asyncio.Event().wait()


try:
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
except KeyboardInterrupt:
    print("stopped")
