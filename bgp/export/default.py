"""The default route that some peers are told, whatever the table has (default-originate of other daemons).

It is ours and stands in no table: all that is known of it is in a group's terms.  Where it is told, the
table's own default route is not, so the two never replace each other.  Export policy has no say: that the
peer is told is what was asked for.  An external peer without an export policy is still told nothing
(RFC 8212).
"""

from bgp.family import Family
from bgp.rib.path import Kind, Path, Slot, Source
from bgp.wire.attributes import AttributeTable

PREFIX = b"\0"
# Its path identifier with ADD-PATH: numbers of other slots are given from the low end.
SLOT = Slot("", 2, 0xFFFFFFFF)
_TABLE = AttributeTable()
_ATTRIBUTES = _TABLE.make()


def default_route(family: Family, asn: int) -> Path:
    """Return the path that is told."""
    return Path(Source("", Kind.LOCAL, asn, bytes(4), family=family), SLOT, _ATTRIBUTES)
