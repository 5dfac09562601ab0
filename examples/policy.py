"""Judge what an external neighbor says, and show each verdict: `policy.py ADDRESS PORT NEIGHBOR-AS`."""

import asyncio
import sys

from bgp import ACCEPT, IPV4_UNICAST, NEXT, REFUSE, Path, PeerOptions, Rules, Speaker, Term
from bgp.policy import change, match

EDGE = Rules(
    "edge",
    [
        Term("no-bogons", match.prefix_in(["0.0.0.0/0", "10.0.0.0/8 le 32"]), then=REFUSE),
        Term("too-long", match.prefix_length((25, 32)), then=REFUSE),
        Term("backup", match.community("64500:50"), (change.local_pref(50),), NEXT),
        Term("mark", match.as_path_length((0, 10)), (change.add_communities("64512:1"),), ACCEPT),
    ],
)


def nothing_out(path: Path) -> None:
    """Refuse all: a policy may as well be a function, from a path to its attributes or None."""


async def main(address: str, port: int, neighbor: int) -> None:
    async with Speaker(asn=64512, router_id="192.0.2.5") as speaker:
        options = PeerOptions(
            asn=neighbor,
            address=address,
            port=port,
            multihop=2,
            import_policy=EDGE,
            export_policy=nothing_out,
        )
        peer = speaker.add_peer(options)
        await peer.established()
        await asyncio.sleep(1)
        for prefix, path in speaker.received(peer, IPV4_UNICAST):
            show(prefix, path)
            print(speaker.explain(prefix))


def show(prefix: str, path: Path) -> None:
    if path.refusal is not None:
        print(prefix, "refused:", path.refusal)
    else:
        print(prefix, "accepted, LOCAL_PREF", path.attributes.local_pref, path.attributes.communities)


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
