"""Long-lived stale routes on their way to a peer (RFC 9494 sections 4.3 and 4.6).

They are for peers that know what LLGR_STALE means, and that community stays with them whatever export policy
does.  Where it is allowed in part of an AS only, others get them as well, with NO_EXPORT; and then everybody
in the AS gets them with LOCAL_PREF 0, so that all agree that they are the last resort.
"""

from bgp.export.terms import Terms
from bgp.iana import AttributeType, WellKnownCommunity
from bgp.rib.path import Path
from bgp.wire.attributes import OPTIONAL_TRANSITIVE, WELL_KNOWN, attribute, walk

_COMMUNITIES, _LOCAL_PREF = int(AttributeType.COMMUNITIES), int(AttributeType.LOCAL_PREF)
LLGR_STALE = WellKnownCommunity.LLGR_STALE.to_bytes(4, "big")
_NO_EXPORT = WellKnownCommunity.NO_EXPORT.to_bytes(4, "big")


def is_special(path: Path) -> bool:
    """Whether `path` is one that not everybody may be told."""
    return path.source.heeds and LLGR_STALE in path.attributes.octets and path.attributes.stale


def marked(octets: bytes, terms: Terms) -> bytes:
    """Return attributes of such a path as they go out on these terms."""
    wanted = [LLGR_STALE]
    if terms.partial and not terms.llgr:
        wanted.append(_NO_EXPORT)
    items = {item[1]: item for item in walk(octets)}
    flags, _, value = items.get(_COMMUNITIES, (OPTIONAL_TRANSITIVE, _COMMUNITIES, b""))
    known = {value[at : at + 4] for at in range(0, len(value), 4)}
    value += b"".join([each for each in wanted if each not in known])
    items[_COMMUNITIES] = (flags, _COMMUNITIES, value)
    if terms.partial:
        items[_LOCAL_PREF] = (WELL_KNOWN, _LOCAL_PREF, bytes(4))
    return b"".join([attribute(*items[type_]) for type_ in sorted(items)])
