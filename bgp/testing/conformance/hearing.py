"""What an UPDATE of the target says, read leniently: a target may pass on what it should not have.

Neither decoder of `bgp.wire` serves here, for they refuse what is malformed, and that is what is looked for.
"""

from bgp.family import BY_CODE, IPV4_UNICAST, Family
from bgp.iana import AttributeType
from bgp.wire.attributes import walk
from bgp.wire.prefix import PrefixError, split

# type -> (flags, value)
Heard = dict[int, tuple[int, bytes]]
Routes = dict[tuple[Family, bytes], Heard]


def hear(body: bytes, routes: Routes) -> set[tuple[Family, bytes]]:
    """Put an UPDATE into a table; return the routes that it announces.  Raises ValueError on nonsense."""
    size = int.from_bytes(body[:2], "big")
    withdrawn = body[2 : 2 + size]
    length = int.from_bytes(body[2 + size : 4 + size], "big")
    field, nlri = body[4 + size : 4 + size + length], body[4 + size + length :]
    if len(field) < length:
        raise ValueError("Path Attributes overrun the message")
    attributes: Heard = {type: (flags, value) for flags, type, value in walk(field)}
    gone = [(IPV4_UNICAST, prefix) for prefix in split(withdrawn, IPV4_UNICAST)]
    here = [(IPV4_UNICAST, prefix) for prefix in split(nlri, IPV4_UNICAST)]
    if (reach := attributes.pop(AttributeType.MP_REACH_NLRI, None)) is not None:
        value = reach[1]
        here += _prefixes(value[:3], value[5 + value[3] :])
    if (unreach := attributes.pop(AttributeType.MP_UNREACH_NLRI, None)) is not None:
        gone += _prefixes(unreach[1][:3], unreach[1][3:])
    for route in gone:
        routes.pop(route, None)
    for route in here:
        routes[route] = attributes
    return set(here)


def _prefixes(code: bytes, field: bytes) -> list[tuple[Family, bytes]]:
    family = BY_CODE.get((int.from_bytes(code[:2], "big"), code[2]))
    if family is None:
        return []
    return [(family, prefix) for prefix in split(field, family)]


__all__ = ["Heard", "PrefixError", "Routes", "hear"]
