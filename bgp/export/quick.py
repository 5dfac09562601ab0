"""The commonest route of a reflector straight to its attribute block: the fast twin of `Packer.told`.

That is an IPv4 route of the usual shape (`bgp.wire.plain`) from an internal peer, which goes to clients as it
came, with ORIGINATOR_ID and CLUSTER_LIST (RFC 4456 section 8) in the places where they belong.  Whatever is
not as common goes the readable way; both give the same octets, under the same tests.
"""

from bgp.export.cluster import passed
from bgp.export.rules import Treatment, Withheld
from bgp.export.staleness import is_special
from bgp.export.terms import Terms
from bgp.iana import MAXIMUM_MESSAGE_LENGTH, AttributeType
from bgp.rib.path import Kind, Path, Source
from bgp.wire.attributes import OPTIONAL_NON_TRANSITIVE, WELL_KNOWN, attribute

_CLUSTER_LIST = int(AttributeType.CLUSTER_LIST)
_NEXT_HOP_HEADER = bytes((WELL_KNOWN, AttributeType.NEXT_HOP, 4))
# ORIGIN, and AS_PATH's header with the length in its last octet.
_AS_PATH_LENGTH, _AS_PATH_START = 6, 7
_MED, _LOCAL_PREF = bytes((AttributeType.MULTI_EXIT_DISC,)), bytes((AttributeType.LOCAL_PREF,))
_ORIGINATORS = 4096  # so many are remembered

Horizon = dict[Kind, Treatment | Withheld]


class Quick:
    """Makes attribute blocks on the terms of one group, whose `horizon` says how a path goes to its peers."""

    __slots__ = ("_added", "_particular", "_reflected", "_terms")

    def __init__(self, terms: Terms, horizon: Horizon) -> None:
        self._terms = terms
        self._reflected = frozenset(kind for kind in Kind if horizon[kind] is Treatment.REFLECT)
        self._added: dict[bytes, bytes] = {}
        # Not told all that is long-lived stale, or not as it came (RFC 9494).
        self._particular = terms.partial or not terms.llgr

    @staticmethod
    def serves(terms: Terms) -> bool:
        """Whether a group on such terms tells usual routes as they came."""
        return (
            terms.kind.internal
            and terms.policy is None
            and not terms.hides
            and terms.four_octet_as
            and not terms.next_hop_self
            and terms.maximum >= MAXIMUM_MESSAGE_LENGTH
        )

    def __call__(self, path: Path) -> bytes | None:
        """Return the attribute block of an IPv4 route, NEXT_HOP included; None: ask `Packer.told`."""
        attributes, source = path.attributes, path.source
        head, octets, next_hop = attributes.head, attributes.octets, attributes.next_hop
        # An IPv6 next hop (RFC 8950) has no place in NEXT_HOP.
        if not head or source.kind not in self._reflected or len(next_hop) != 4:
            return None
        if self._particular and source.heeds and is_special(path):
            return None
        # What well-known communities begin with (RFC 1997).
        if b"\xff\xff\xff" in octets:
            return None
        rest = octets[head:]
        if rest and rest[1] <= _CLUSTER_LIST:
            return None
        after = _AS_PATH_START + octets[_AS_PATH_LENGTH]
        # LOCAL_PREF stands behind AS_PATH, or behind the MED there: unless import policy took it away, and an
        # external peer's route, whose usual shape has none, happens to have the same attributes.
        behind = octets[after + 1 : after + 2]
        if behind == _MED:
            behind = octets[after + 8 : after + 9]
        if behind != _LOCAL_PREF:
            return None
        added = self._added.get(source.stamp)
        if added is None:
            added = self._add(source)
        return b"".join((octets[:after], _NEXT_HOP_HEADER, next_hop, octets[after:head], added, rest))

    def _add(self, source: Source) -> bytes:
        if len(self._added) >= _ORIGINATORS:
            self._added.clear()
        added = self._added[source.stamp] = attribute(
            OPTIONAL_NON_TRANSITIVE, AttributeType.ORIGINATOR_ID, source.identifier
        ) + attribute(OPTIONAL_NON_TRANSITIVE, _CLUSTER_LIST, passed(source, self._terms))
        return added
