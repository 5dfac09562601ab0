"""Policies of a peer of a running speaker: swapped while its session stays."""

import asyncio

from rawpeer import TIMEOUT, has_routes

from bgp import ACCEPT, ACCEPT_ALL, IPV4_UNICAST, PeerOptions, Rules, Speaker, Term
from bgp.policy import match

ASN = 65000
ONE, OTHER = "198.51.100.0/24", "203.0.113.0/24"
ONLY_OTHER = Rules("other", [Term("other", match.prefix_in([OTHER]), (), ACCEPT)])


async def test_policies_are_swapped_while_the_session_stays() -> None:
    async with (
        Speaker(asn=ASN, router_id="10.0.0.1", listen=["127.0.0.1:0"]) as middle,
        Speaker(asn=ASN, router_id="10.0.0.2") as client,
    ):
        middle.add_listen_range("127.0.0.0/8", PeerOptions(asn=ASN, client=True))
        host, port = middle.listening[0]
        peer = client.add_peer(PeerOptions(asn=ASN, address=host, port=port))
        await asyncio.wait_for(peer.established(), TIMEOUT)
        client.announce(ONE, next_hop="192.0.2.1")
        client.announce(OTHER, next_hop="192.0.2.1")
        await has_routes(middle, IPV4_UNICAST, ONE, OTHER)
        (theirs,) = middle.peers
        theirs.set_policies(ONLY_OTHER, ACCEPT_ALL)
        await has_routes(middle, IPV4_UNICAST, OTHER)
        assert len(middle.received(theirs, IPV4_UNICAST)) == 2, "what is refused is kept"
        theirs.set_policies(ACCEPT_ALL, ACCEPT_ALL)
        await has_routes(middle, IPV4_UNICAST, ONE, OTHER)
        peer.set_policies(None, ONLY_OTHER)
        await has_routes(middle, IPV4_UNICAST, OTHER)
        assert [prefix for prefix, _ in middle.received(theirs, IPV4_UNICAST)] == [OTHER]
        assert theirs.times_established == peer.times_established == 1
        assert theirs.options.import_policy is ACCEPT_ALL
