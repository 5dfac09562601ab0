"""A route as a command says it, and the attributes that a neighbor is told for it.

The command leaves things open that depend on the session: the next hop where it is `self`, the AS_PATH of
a route of our own, and whether LOCAL_PREF is for the neighbor at all.
"""

from dataclasses import dataclass
from typing import NamedTuple

from bgp.family import IPV4_UNICAST, Family
from bgp.iana import AttributeType, Origin, SegmentType
from bgp.session.negotiation import Negotiated
from bgp.wire import aspath
from bgp.wire import prefix as nlri
from bgp.wire.aspath import Segment
from bgp.wire.attributes import DEFAULT_LOCAL_PREF, WELL_KNOWN, Attributes, AttributeTable

_T = AttributeType
# What has a meaning within an AS only: RFC 4271 section 5.1.5, RFC 4456 section 8.
_INTERNAL = {int(_T.LOCAL_PREF), int(_T.ORIGINATOR_ID), int(_T.CLUSTER_LIST)}


class Key(NamedTuple):
    """What a route is replaced and withdrawn by; `path_id` is 0 where none was given."""

    family: Family
    prefix: bytes
    path_id: int = 0

    def __str__(self) -> str:
        return nlri.text(self.family, self.prefix)


@dataclass(frozen=True, slots=True)
class Said:
    """What a command says of a route: the next hop, None for `self`, its attributes and its words."""

    next_hop: bytes | None
    items: tuple[tuple[int, int, bytes], ...] = ()
    words: str = ""


def attributes(
    said: Said, family: Family, session: Negotiated, local: bytes, table: AttributeTable
) -> Attributes:
    """Return what the neighbor is told; raise ValueError where the session cannot carry the next hop.

    `local` is our end of the session.  An AS_PATH that was given goes out as it is.
    """
    given = {item[1]: item for item in said.items if session.internal or item[1] not in _INTERNAL}
    given.setdefault(_T.ORIGIN, (WELL_KNOWN, int(_T.ORIGIN), bytes((Origin.IGP,))))
    own = () if session.internal else (Segment(SegmentType.AS_SEQUENCE, (session.local_as,)),)
    given.setdefault(_T.AS_PATH, (WELL_KNOWN, int(_T.AS_PATH), aspath.encode(own)))
    if session.internal:
        value = DEFAULT_LOCAL_PREF.to_bytes(4, "big")
        given.setdefault(_T.LOCAL_PREF, (WELL_KNOWN, int(_T.LOCAL_PREF), value))
    next_hop = local if said.next_hop is None else said.next_hop
    lengths = set(family.next_hop_lengths)
    if family in session.extended_next_hop:
        lengths |= family.extended_next_hop_lengths
    if len(next_hop) not in lengths:
        wanted = "IPv4" if family is IPV4_UNICAST else "IPv6"
        raise ValueError(f"its next hop {nlri.address_text(next_hop)} is no {wanted} address; write one")
    return table.build(given.values(), next_hop)
