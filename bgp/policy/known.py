"""Ready-made terms for the well-known communities.

NO_EXPORT, NO_ADVERTISE and NO_EXPORT_SUBCONFED (RFC 1997) need no term: the export rules obey them always.
"""

from collections.abc import Iterable

from bgp.iana import WellKnownCommunity
from bgp.policy import change, match
from bgp.policy.prefixes import Entry, Network, PrefixList
from bgp.policy.route import Address
from bgp.policy.rules import ACCEPT, REFUSE, Term
from bgp.rib.path import Kind

_SHUTDOWN = int(WellKnownCommunity.GRACEFUL_SHUTDOWN)
_BLACKHOLE = int(WellKnownCommunity.BLACKHOLE)
_NO_PEER = int(WellKnownCommunity.NO_PEER)


def graceful_shutdown() -> Term:
    """For import: what is about to go away is the last choice (RFC 8326 section 4.1)."""
    return Term(
        "graceful-shutdown",
        match.community(_SHUTDOWN) & match.peer_type(Kind.EXTERNAL, Kind.ROUTE_SERVER_CLIENT),
        (change.local_pref(0),),
    )


def shutting_down() -> Term:
    """For export before maintenance: tell external peers to look for other paths (RFC 8326 section 4.2)."""
    return Term("shutting-down", match.ANY, (change.add_communities(_SHUTDOWN),))


def blackhole(
    allowed: PrefixList | Iterable[Entry | Network | str], next_hop: Address | str | None = None
) -> tuple[Term, Term]:
    """For import: take BLACKHOLE routes for prefixes that the peer may announce, and no others.

    RFC 7999 section 3.3 wants them "covered by an equal or shorter prefix that the neighboring network is
    authorized to advertise"; so `allowed` should have entries such as `192.0.2.0/24 le 32`.  Section 3.2 has
    NO_ADVERTISE or NO_EXPORT added, and it is the latter here, so that all our routers discard the traffic.
    `next_hop`: an address that they discard traffic to.
    """
    changes = [change.add_communities(int(WellKnownCommunity.NO_EXPORT))]
    if next_hop is not None:
        changes.append(change.next_hop(next_hop))
    marked = match.community(_BLACKHOLE)
    return (
        Term("blackhole", marked & match.prefix_in(allowed), tuple(changes), ACCEPT),
        Term("blackhole-not-allowed", marked, (), REFUSE),
    )


def no_peer() -> Term:
    """For export to a peer that is neither provider nor customer: keep NOPEER routes back (RFC 3765)."""
    return Term("no-peer", match.community(_NO_PEER), (), REFUSE)
