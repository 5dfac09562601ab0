"""Changes: what a term may do to a route's attributes.

What no policy may touch has no change here.  RFC 4456 section 10 has ORIGINATOR_ID and CLUSTER_LIST left
alone between internal peers, and they go nowhere else; RFC 9234 section 5 gives the operator no hand in
OTC.  AS 0 is never put into an AS_PATH (RFC 7607).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address

from bgp.iana import AttributeType, Origin
from bgp.policy.communities import (
    CommunityPattern,
    ExtendedPattern,
    LargePattern,
    community_pattern,
    extended_pattern,
    large_pattern,
)
from bgp.policy.route import Address, Route
from bgp.wire import aspath
from bgp.wire.aspath import AsPath
from bgp.wire.attributes import ROWS
from bgp.wire.community import (
    LargeCommunity,
    decode_communities,
    decode_large,
    distinct,
    encode_communities,
    encode_large,
    parse_community,
    parse_extended,
    parse_large,
    split_extended,
)

_T = AttributeType
# What `attribute` does not set, and why.
_OTHERWISE = {
    _T.ORIGINATOR_ID: "no policy may set it (RFC 4456 section 10)",
    _T.CLUSTER_LIST: "no policy may set it (RFC 4456 section 10)",
    _T.ONLY_TO_CUSTOMER: "no policy may set it (RFC 9234 section 5)",
    _T.NEXT_HOP: "set it with next_hop",
    _T.AS_PATH: "set it with as_path or prepend",
    _T.MP_REACH_NLRI: "it is no attribute of the route",
    _T.MP_UNREACH_NLRI: "it is no attribute of the route",
    _T.AS4_PATH: "it is made of the AS_PATH",
    _T.AS4_AGGREGATOR: "it is made of the AGGREGATOR",
}

# Where the table of attributes leaves the length to the decoder; AS numbers have four octets here.
_LENGTHS = {_T.ATOMIC_AGGREGATE: 0, _T.AGGREGATOR: 8, _T.AIGP: 11}
_AIGP_HEAD = b"\x01\x00\x0b"


@dataclass(frozen=True, slots=True)
class Change:
    """Something to do to a route: its name, with what, and the doing."""

    name: str
    argument: object
    apply: Callable[[Route], None] = field(compare=False, repr=False)

    def __str__(self) -> str:
        if isinstance(self.argument, tuple):
            return f"{self.name} {', '.join(map(str, self.argument))}"
        plain = self.argument is None or callable(self.argument)
        return self.name if plain else f"{self.name} {self.argument}"


def apply(function: Callable[[Route], None], name: str = "") -> Change:
    """Let a function of yours work on the route by its `get` and `set`."""
    return Change(name or getattr(function, "__name__", "apply"), function, function)


def _number(name: str, value: int) -> bytes:
    if not 0 <= value <= 0xFFFFFFFF:
        raise ValueError(f"{name} must be between 0 and 4294967295, not {value}")
    return value.to_bytes(4, "big")


def _set(name: str, argument: object, type: int, value: bytes | None) -> Change:
    return Change(name, argument, lambda route: route.set(type, value))


# --- Single values ------------------------------------------------------------------------------------


def local_pref(value: int) -> Change:
    """Set LOCAL_PREF; it goes to internal peers only (RFC 4271 section 5.1.5)."""
    return _set("local_pref", value, _T.LOCAL_PREF, _number("local_pref", value))


def add_local_pref(amount: int) -> Change:
    """Add to LOCAL_PREF, or take from it; 100 stands for none."""

    def change(route: Route) -> None:
        octets = route.get(_T.LOCAL_PREF)
        value = 100 if octets is None else int.from_bytes(octets, "big")
        route.set(_T.LOCAL_PREF, min(max(value + amount, 0), 0xFFFFFFFF).to_bytes(4, "big"))

    return Change("add to local_pref", amount, change)


def med(value: int | None) -> Change:
    """Set MULTI_EXIT_DISC, or take it away with None; on export it then goes to external peers, too."""
    octets = None if value is None else _number("med", value)

    def change(route: Route) -> None:
        route.set(_T.MULTI_EXIT_DISC, octets)
        route.choose(_T.MULTI_EXIT_DISC)

    return Change("med", "none" if value is None else value, change)


def add_med(amount: int) -> Change:
    """Add to MULTI_EXIT_DISC, or take from it; 0 stands for none."""

    def change(route: Route) -> None:
        value = int.from_bytes(route.get(_T.MULTI_EXIT_DISC) or b"", "big")
        route.set(_T.MULTI_EXIT_DISC, min(max(value + amount, 0), 0xFFFFFFFF).to_bytes(4, "big"))
        route.choose(_T.MULTI_EXIT_DISC)

    return Change("add to med", amount, change)


def origin(value: Origin) -> Change:
    """Set ORIGIN."""
    return _set("origin", value.name.lower(), _T.ORIGIN, bytes((value,)))


def atomic_aggregate(value: bool = True) -> Change:
    """Add ATOMIC_AGGREGATE, or take it away."""
    return _set("atomic_aggregate", str(value).lower(), _T.ATOMIC_AGGREGATE, b"" if value else None)


def aggregator(asn: int, address: IPv4Address | str) -> Change:
    """Set AGGREGATOR (RFC 4271 section 5.1.7)."""
    if asn == 0:
        raise ValueError("AS 0 must not be in an AGGREGATOR (RFC 7607)")
    router = IPv4Address(address)
    return _set("aggregator", f"{asn} {router}", _T.AGGREGATOR, _number("aggregator", asn) + router.packed)


def aigp(value: int) -> Change:
    """Set the accumulated IGP metric (RFC 7311 section 3); it goes to peers with which AIGP is used."""
    if not 0 <= value < 0xFFFFFFFFFFFFFFFF:
        raise ValueError(f"aigp must be between 0 and 18446744073709551614, not {value}")
    return _set("aigp", value, _T.AIGP, _AIGP_HEAD + value.to_bytes(8, "big"))


def attribute(type: int, value: bytes) -> Change:
    """Set an attribute by its octets; raise ValueError for one that is not set so, or not at all."""
    if type not in ROWS:
        raise ValueError(f"attribute {type} is not known here")
    if type in _OTHERWISE:
        raise ValueError(f"{ROWS[type].name}: {_OTHERWISE[AttributeType(type)]}")
    row = ROWS[type]
    if (row.size and len(value) != row.size) or (row.unit and (not value or len(value) % row.unit)):
        raise ValueError(f"{row.name} cannot have {len(value)} octets")
    if type == _T.ORIGIN and value[0] > Origin.INCOMPLETE:
        raise ValueError(f"ORIGIN cannot be {value[0]}")
    if type in _LENGTHS and len(value) != _LENGTHS[_T(type)]:
        raise ValueError(f"{row.name} has {_LENGTHS[_T(type)]} octets, not {len(value)}")
    if type == _T.AGGREGATOR and not any(value[:4]):
        raise ValueError("AS 0 must not be in an AGGREGATOR (RFC 7607)")
    if type == _T.AIGP and value[:3] != _AIGP_HEAD:
        raise ValueError("AIGP is a TLV of type 1 and 11 octets (RFC 7311 section 3)")
    return _set(row.name, "0x" + value.hex(), type, value)


def remove(type: int) -> Change:
    """Take an attribute away; raise ValueError for one that must stay."""
    if type == _T.ORIGIN:
        raise ValueError("ORIGIN is mandatory (RFC 4271 section 5.1.1)")
    if type in _OTHERWISE:
        raise ValueError(f"{ROWS[type].name}: {_OTHERWISE[AttributeType(type)]}")
    return _set("remove", ROWS[type].name if type in ROWS else type, type, None)


# --- The AS_PATH --------------------------------------------------------------------------------------


def prepend(*asns: int) -> Change:
    """Put AS numbers before the AS_PATH, as they are written; `prepend(*[65000] * 3)` does it three times."""
    for asn in asns:
        if not 0 < asn <= 0xFFFFFFFF:
            raise ValueError(f"AS {asn} cannot be prepended" + (" (RFC 7607)" if asn == 0 else ""))

    def change(route: Route) -> None:
        path = aspath.parse(route.get(_T.AS_PATH) or b"")
        for asn in reversed(asns):
            path = aspath.prepended(path, asn)
        route.set(_T.AS_PATH, aspath.encode(path))

    return Change("prepend", asns, change)


def as_path(value: AsPath | str) -> Change:
    """Set the whole AS_PATH."""
    path = aspath.parse_text(value) if isinstance(value, str) else value
    if any(asn == 0 for segment in path for asn in segment.asns):
        raise ValueError("AS 0 must not be in an AS_PATH (RFC 7607)")
    return _set("as_path", aspath.text(path), _T.AS_PATH, aspath.encode(path))


# --- The next hop -------------------------------------------------------------------------------------


def next_hop(address: Address | str) -> Change:
    """Set the next hop; on export it stays, whatever the default towards the peer would be."""
    octets = ip_address(address).packed
    return Change("next_hop", str(ip_address(address)), lambda route: route.set_next_hop(octets))


def next_hop_self() -> Change:
    """Make ourselves the next hop, by our address towards each peer; also on what is only reflected."""
    return Change("next_hop", "self", lambda route: route.set_next_hop(b""))


def next_hop_keep() -> Change:
    """Keep the next hop on export, also where it would be ourselves by default (RFC 4271 section 5.1.3)."""
    return Change("next_hop", "keep", lambda route: route.choose(_T.NEXT_HOP))


# --- Communities --------------------------------------------------------------------------------------


def _joined(route: Route, type: int, size: int, added: bytes, replace: bool) -> None:
    before = b"" if replace else route.get(type) or b""
    route.set(type, distinct(before + added, size) or None)


def _communities(values: tuple[str | int, ...]) -> tuple[int, ...]:
    return tuple(parse_community(value) if isinstance(value, str) else value for value in values)


def add_communities(*values: str | int) -> Change:
    """Add plain communities, those that are not there yet."""
    octets = encode_communities(_communities(values))
    return Change("add communities", values, lambda route: _joined(route, _T.COMMUNITIES, 4, octets, False))


def set_communities(*values: str | int) -> Change:
    """Replace all plain communities; with no values, take them away."""
    octets = encode_communities(_communities(values))
    return Change("communities", values, lambda route: _joined(route, _T.COMMUNITIES, 4, octets, True))


def remove_communities(*patterns: str | int | CommunityPattern) -> Change:
    """Take away the plain communities that one of the patterns describes."""
    compiled = tuple(
        pattern if isinstance(pattern, CommunityPattern) else community_pattern(str(pattern))
        for pattern in patterns
    )

    def change(route: Route) -> None:
        values = decode_communities(route.get(_T.COMMUNITIES) or b"")
        left = tuple(value for value in values if not any(each.matches(value) for each in compiled))
        if left != values:
            route.set(_T.COMMUNITIES, encode_communities(left) or None)

    return Change("remove communities", compiled, change)


def _large(values: tuple[str | LargeCommunity, ...]) -> bytes:
    return encode_large(tuple(parse_large(value) if isinstance(value, str) else value for value in values))


def add_large_communities(*values: str | LargeCommunity) -> Change:
    """Add large communities, those that are not there yet."""
    octets = _large(values)
    return Change(
        "add large communities",
        values,
        lambda route: _joined(route, _T.LARGE_COMMUNITIES, 12, octets, False),
    )


def set_large_communities(*values: str | LargeCommunity) -> Change:
    """Replace all large communities; with no values, take them away."""
    octets = _large(values)
    return Change(
        "large communities", values, lambda route: _joined(route, _T.LARGE_COMMUNITIES, 12, octets, True)
    )


def remove_large_communities(*patterns: str | LargePattern) -> Change:
    """Take away the large communities that one of the patterns describes."""
    compiled = tuple(
        pattern if isinstance(pattern, LargePattern) else large_pattern(pattern) for pattern in patterns
    )

    def change(route: Route) -> None:
        values = decode_large(route.get(_T.LARGE_COMMUNITIES) or b"")
        left = tuple(value for value in values if not any(each.matches(value) for each in compiled))
        if left != values:
            route.set(_T.LARGE_COMMUNITIES, encode_large(left) or None)

    return Change("remove large communities", compiled, change)


# Extended communities of 8 octets and those of IPv6, with 20, are two attributes.
_EXTENDED = ((_T.EXTENDED_COMMUNITIES, 8), (_T.IPV6_EXTENDED_COMMUNITIES, 20))


def _extended(name: str, values: tuple[str | bytes, ...], replace: bool) -> Change:
    octets = tuple(parse_extended(value) if isinstance(value, str) else value for value in values)
    for value in octets:
        if len(value) not in (8, 20):
            raise ValueError(f"an extended community has 8 or 20 octets, not {len(value)}")
    added = [(type, size, b"".join(v for v in octets if len(v) == size)) for type, size in _EXTENDED]

    def change(route: Route) -> None:
        for type, size, some in added:
            if some or replace:
                _joined(route, type, size, some, replace)

    return Change(name, tuple(v if isinstance(v, str) else "0x" + v.hex() for v in values), change)


def add_extended_communities(*values: str | bytes) -> Change:
    """Add extended communities, those that are not there yet."""
    return _extended("add extended communities", values, False)


def set_extended_communities(*values: str | bytes) -> Change:
    """Replace all extended communities, those of IPv6 included; with no values, take them away."""
    return _extended("extended communities", values, True)


def remove_extended_communities(*patterns: str | ExtendedPattern) -> Change:
    """Take away the extended communities that one of the patterns describes."""
    compiled = tuple(
        pattern if isinstance(pattern, ExtendedPattern) else extended_pattern(pattern) for pattern in patterns
    )

    def change(route: Route) -> None:
        for type, size in _EXTENDED:
            values = split_extended(route.get(type) or b"", size)
            left = [value for value in values if not any(each.matches(value) for each in compiled)]
            if len(left) != len(values):
                route.set(type, b"".join(left) or None)

    return Change("remove extended communities", compiled, change)
