"""Take sessions on loopback, and print what changes as JSON lines: `watch_to_json.py ADDRESS:PORT`."""

import asyncio
import json
import sys

from bgp import InSync, Lagged, PeerChanged, PeerOptions, RouteEvent, Snapshot, Speaker, WatchEvent


def as_json(event: WatchEvent) -> dict[str, object]:
    line: dict[str, object] = {"event": type(event).__name__, "sequence": event.sequence}
    match event:
        case RouteEvent():
            line |= {"prefix": event.prefix, "change": event.change.value, "reason": event.reason.value}
            if event.path is not None:
                line |= {"peer": event.path.source.peer, "attributes": str(event.path.attributes)}
        case PeerChanged(event=happened):
            line |= {"peer": happened.peer and happened.peer.name, "what": happened.kind.value}
            if happened.state is not None:
                line["state"] = happened.state.label
            line["text"] = happened.text
        case Snapshot():
            line["reason"] = event.reason
        case Lagged():
            line["lost"] = event.lost
        case InSync():
            pass
    return line


async def main(listen: str) -> None:
    async with Speaker(asn=64512, router_id="192.0.2.2", listen=[listen]) as speaker:
        speaker.add_listen_range("127.0.0.0/8", PeerOptions(asn=64512))
        async for event in speaker.watch(peers=True):
            print(json.dumps(as_json(event)), flush=True)


asyncio.run(main(sys.argv[1]))
