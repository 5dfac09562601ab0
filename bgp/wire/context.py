"""What a decoder of UPDATEs must know about the session; both the fast path and the reference take it."""

from dataclasses import dataclass

from bgp.family import DEFAULT_FAMILIES, Family


@dataclass(frozen=True, slots=True)
class Context:
    """The properties of a session that change the meaning of an UPDATE.

    `internal`: the peer is in our AS (RFC 4271 section 1.1).  `confederation`: it is in another member
    AS of our confederation (RFC 5065); at most one of the two.  `four_octet_as`: both sides sent the
    capability (RFC 6793).  `families`: negotiated ones; UPDATEs of others are ignored.  `add_path`:
    families whose NLRI carry path identifiers in this direction (RFC 7911).  `extended_next_hop`:
    families for which an IPv6 next hop was negotiated (RFC 8950).  `extended_messages`: up to 65535
    octets are allowed (RFC 8654).  `as_sets`: accept AS_SET and AS_CONFED_SET (RFC 9774 section 3).
    `aigp`: AIGP is enabled (RFC 7311 section 3.3).  `first_as`: demand that AS_PATH of an external
    peer begins with `peer_as` (RFC 4271 section 6.3).
    """

    internal: bool = False
    confederation: bool = False
    four_octet_as: bool = True
    families: frozenset[Family] = frozenset(DEFAULT_FAMILIES)
    add_path: frozenset[Family] = frozenset()
    extended_next_hop: frozenset[Family] = frozenset()
    extended_messages: bool = False
    as_sets: bool = False
    aigp: bool = False
    first_as: bool = False
    peer_as: int = 0
