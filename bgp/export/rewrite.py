"""What becomes of attributes on their way to a peer, by the kind of peer and where they come from.

Towards external peers (`_external`): our AS before the AS_PATH, ourselves as next hop, and nothing that has
a meaning in one AS only.  Towards internal peers (`_internal`): a LOCAL_PREF, and all else as it is.  Between
member ASes of a confederation (`_to_member`) both: our AS before the AS_PATH, where only members see it, and
LOCAL_PREF, MED and next hop as they are.  A route server (`_relayed`) touches nothing (RFC 7947 section 2.2).
Reflection (`_reflected`) adds ORIGINATOR_ID and CLUSTER_LIST and touches nothing besides: RFC 4456 section
10 has next hop, AS_PATH, LOCAL_PREF and MED left alone, and RFC 8950 section 5 the encoding of the next hop.
Only a link-local address behind the global one stays behind (RFC 2545 section 3).
"""

from bgp.export.cluster import passed
from bgp.export.rules import NEXT_HOP_ENCODING, NO_NEXT_HOP, Treatment, Withheld
from bgp.export.terms import Terms
from bgp.family import Family
from bgp.iana import AttributeType, SegmentType
from bgp.rib import roles
from bgp.rib.nexthop import is_connected
from bgp.rib.path import Kind, Path
from bgp.wire import aspath
from bgp.wire.attributes import (
    DEFAULT_LOCAL_PREF,
    EXTENDED_LENGTH,
    OPTIONAL_NON_TRANSITIVE,
    WELL_KNOWN,
    Attributes,
    attribute,
    walk,
)

_AS_PATH, _NEXT_HOP, _MED, _LOCAL_PREF, _ORIGINATOR_ID, _CLUSTER_LIST, _EXTENDED, _IPV6_EXTENDED, _AIGP = (
    int(AttributeType.AS_PATH),
    int(AttributeType.NEXT_HOP),
    int(AttributeType.MULTI_EXIT_DISC),
    int(AttributeType.LOCAL_PREF),
    int(AttributeType.ORIGINATOR_ID),
    int(AttributeType.CLUSTER_LIST),
    int(AttributeType.EXTENDED_COMMUNITIES),
    int(AttributeType.IPV6_EXTENDED_COMMUNITIES),
    int(AttributeType.AIGP),
)
_AIGP_START = bytes((OPTIONAL_NON_TRANSITIVE, _AIGP))
_ORIGINATOR_ID_TYPE, _CLUSTER_LIST_TYPE = bytes((_ORIGINATOR_ID,)), bytes((_CLUSTER_LIST,))
_ORIGINATOR_ID_HEADER = bytes((OPTIONAL_NON_TRANSITIVE, _ORIGINATOR_ID, 4))
_ORIGINATOR_ID_OCTETS = 7
_GLOBAL_AND_LINK_LOCAL = 32  # octets of a next hop (RFC 2545 section 3)
_NON_TRANSITIVE = 0x40  # in the type of an extended community (RFC 4360 section 2)


# Members of an Enum are slow to look up, and a path is rewritten for each attribute set that leaves.
_LOCAL, _CONFEDERATION = Kind.LOCAL, Kind.CONFEDERATION
_SEND, _REFLECT = Treatment.SEND, Treatment.REFLECT


_NOTHING: frozenset[int] = frozenset()


class Rewriter:
    """Rewrites attributes on the terms of one update group."""

    __slots__ = ("_external", "_lengths", "_marking", "_next_hops", "_terms")

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._next_hops = dict(terms.next_hops)
        self._external = terms.kind.external
        marks = terms.role is not None and roles.PROCEDURES[terms.role].sent_without is roles.Step.MARK
        self._marking = roles.FAMILIES if marks else frozenset()
        # RFC 8950 section 4: IPv6 next hops for IPv4 go only to a peer that said it takes them.
        self._lengths = {
            family: family.next_hop_lengths | family.extended_next_hop_lengths
            if family in terms.extended_next_hop
            else family.next_hop_lengths
            for family in terms.families
        }

    def __call__(
        self,
        family: Family,
        path: Path,
        attributes: Attributes,
        treatment: Treatment,
        chosen: frozenset[int] = _NOTHING,
    ) -> tuple[bytes, bytes] | Withheld:
        """Return octets and next hop of `attributes`, which export policy made of those of `path`.

        What attributes of the types in `chosen` should be, policy said on purpose.
        """
        terms = self._terms
        next_hop = attributes.next_hop
        if treatment is _REFLECT:
            octets = _reflected(path, attributes, terms)
        elif treatment is _SEND:
            if self._external:
                octets = _external(path, attributes, terms, chosen)
            elif terms.kind is _CONFEDERATION:
                octets = _to_member(attributes, terms)
            else:
                octets = _internal(attributes)
            # RFC 4271 section 5.1.3: ourselves to external peers by default, and to others as asked; but
            # policy may choose a third party.
            if _NEXT_HOP not in chosen:
                if (self._external and not self._kept(next_hop)) or terms.next_hop_self:
                    next_hop = b""
                elif terms.avoid and next_hop[:16] == terms.avoid and path.source.kind is _LOCAL:
                    # One of our own "SHALL NOT be advertised to a peer using an address of that peer".
                    next_hop = b""
        else:
            octets = _relayed(attributes)
        if not next_hop:
            next_hop = self._next_hops.get(family, b"")
            if not next_hop:
                return NO_NEXT_HOP
        elif len(next_hop) == _GLOBAL_AND_LINK_LOCAL and not self._external:
            if _NEXT_HOP not in chosen:
                next_hop = _global_alone(next_hop, family)
        if len(next_hop) not in self._lengths[family]:
            return NEXT_HOP_ENCODING
        if _AIGP_START in octets and not terms.aigp:
            # RFC 7311 section 3.3: "MUST NOT" be sent on a session where it is not enabled.
            octets = b"".join([attribute(*item) for item in walk(octets) if item[1] != _AIGP])
        if family in self._marking:
            octets = roles.marked(octets, terms.local_as)
        return octets, next_hop

    def _kept(self, next_hop: bytes) -> bool:
        """Whether an external peer is told the next hop of a third party (RFC 4271 section 5.1.3).

        Ourselves by default; but where it is allowed, a router on the subnet that we share with the peer.
        A link-local address alone is on a link that we cannot know.
        """
        shared = self._terms.shared
        if not shared or not next_hop or next_hop[:16] == self._terms.avoid or _is_link_local(next_hop):
            return False
        return is_connected(next_hop, shared)


def _global_alone(next_hop: bytes, family: Family) -> bytes:
    """Return a next hop as it goes on to an internal peer: without the link-local address behind it.

    RFC 2545 section 3: that goes only to who shares a subnet with the next hop, which we cannot tell, and
    others drop the route or the session for it; towards an internal peer it "may" be removed.  IPv6 next
    hops of IPv4 routes keep their encoding (RFC 8950 section 5).
    """
    if _GLOBAL_AND_LINK_LOCAL not in family.next_hop_lengths or not any(next_hop[:16]):
        return next_hop
    return next_hop if _is_link_local(next_hop) else next_hop[:16]


def _is_link_local(next_hop: bytes) -> bool:
    return len(next_hop) != 4 and next_hop[0] == 0xFE and next_hop[1] & 0xC0 == 0x80


def _reflected(path: Path, attributes: Attributes, terms: Terms) -> bytes:
    octets = attributes.octets
    start, preferred = _head(octets)
    if not preferred:
        # It came with one; so import policy took it away.
        octets = _internal(attributes)
        start, _ = _head(octets)
    after = start
    if octets[start + 1 : start + 2] == _ORIGINATOR_ID_TYPE:
        # RFC 4456 section 8: it "SHOULD NOT" be created "if one already exists".
        after += _ORIGINATOR_ID_OCTETS
        originator = octets[start:after]
    else:
        # "... the BGP Identifier of the originator of the route in the local AS".
        originator = _ORIGINATOR_ID_HEADER + path.source.identifier
    clusters = b""
    if octets[after + 1 : after + 2] == _CLUSTER_LIST_TYPE:
        clusters = attributes.get(_CLUSTER_LIST) or b""
        after += len(attribute(OPTIONAL_NON_TRANSITIVE, _CLUSTER_LIST, clusters))
    cluster_list = attribute(OPTIONAL_NON_TRANSITIVE, _CLUSTER_LIST, passed(path.source, terms) + clusters)
    return b"".join((octets[:start], originator, cluster_list, octets[after:]))


def _head(octets: bytes) -> tuple[int, bool]:
    """Return where the types from ORIGINATOR_ID on begin, and whether LOCAL_PREF stands before them."""
    position, end, preferred = 0, len(octets), False
    while position < end:
        type_ = octets[position + 1]
        if type_ >= _ORIGINATOR_ID:
            break
        if type_ == _LOCAL_PREF:
            preferred = True
        if octets[position] & EXTENDED_LENGTH:
            position += 4 + (octets[position + 2] << 8 | octets[position + 3])
        else:
            position += 3 + octets[position + 2]
    return position, preferred


def _internal(attributes: Attributes) -> bytes:
    octets = attributes.octets
    start, end = attributes.locate(_LOCAL_PREF)
    if start != end:
        return octets
    # RFC 4271 section 5.1.5: it "SHALL be included in all UPDATE messages that a given BGP speaker sends to
    # other internal peers".
    preference = attribute(WELL_KNOWN, _LOCAL_PREF, DEFAULT_LOCAL_PREF.to_bytes(4, "big"))
    return octets[:start] + preference + octets[start:]


def _external(path: Path, attributes: Attributes, terms: Terms, chosen: frozenset[int]) -> bytes:
    items: list[tuple[int, int, bytes]] = []
    prepended = False
    for flags, type_, value in walk(attributes.octets):
        match type_:
            case AttributeType.AS_PATH:
                value = _prepended(value, terms)
                prepended = True
            case AttributeType.MULTI_EXIT_DISC:
                # RFC 4271 section 5.1.4: one from a neighboring AS "MUST NOT be propagated to other
                # neighboring ASes".  Our own, and what export policy sets, may go.
                theirs = path.source.kind is not _LOCAL and attributes.med == path.attributes.med
                if theirs and _MED not in chosen:
                    continue
            case AttributeType.LOCAL_PREF | AttributeType.ORIGINATOR_ID | AttributeType.CLUSTER_LIST:
                continue  # RFC 4271 section 5.1.5, RFC 4456 section 8: for internal peers only
            case AttributeType.EXTENDED_COMMUNITIES:
                value = _transitive(value, 8)
            case AttributeType.IPV6_EXTENDED_COMMUNITIES:
                value = _transitive(value, 20)
        if value or type_ not in (_EXTENDED, _IPV6_EXTENDED):
            items.append((flags, type_, value))
    if not prepended:
        items.append((WELL_KNOWN, _AS_PATH, _prepended(b"", terms)))
        items.sort(key=lambda item: item[1])
    return b"".join([attribute(*item) for item in items])


def _to_member(attributes: Attributes, terms: Terms) -> bytes:
    """RFC 5065: section 4.1 b has our member AS prepended, section 5.2 lets MED and LOCAL_PREF pass."""
    items = {_AS_PATH: (WELL_KNOWN, _AS_PATH, b"")}
    items |= {item[1]: item for item in walk(_internal(attributes))}
    path = aspath.parse(items[_AS_PATH][2])
    path = aspath.prepended(path, terms.local_as, type=SegmentType.AS_CONFED_SEQUENCE)
    items[_AS_PATH] = (WELL_KNOWN, _AS_PATH, aspath.encode(path))
    # RFC 4456 section 8: what reflection adds is about the local AS.  Non-transitive extended communities
    # stay: RFC 4360 section 6 has them not removed between members of a confederation.
    for type_ in (_ORIGINATOR_ID, _CLUSTER_LIST):
        items.pop(type_, None)
    return b"".join([attribute(*items[type_]) for type_ in sorted(items)])


def _relayed(attributes: Attributes) -> bytes:
    # Import policy may have set a LOCAL_PREF, which no external peer gets (RFC 4271 section 5.1.5).
    start, end = attributes.locate(_LOCAL_PREF)
    return attributes.octets[:start] + attributes.octets[end:]


def _prepended(value: bytes, terms: Terms) -> bytes:
    path = aspath.without_confederation(aspath.parse(value))
    if terms.behind:
        # RFC 7705 section 3.3: "first append the globally configured ASN to the AS_PATH immediately followed
        # by the 'Local AS' value".
        path = aspath.prepended(path, terms.behind)
    return aspath.encode(aspath.prepended(path, terms.local_as))


def _transitive(value: bytes, size: int) -> bytes:
    """Return the communities that may pass the border of an AS (RFC 4360 section 6)."""
    return b"".join(
        [value[at : at + size] for at in range(0, len(value), size) if not value[at] & _NON_TRANSITIVE]
    )
