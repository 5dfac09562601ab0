"""What a user gives as path attributes: plain values, checked, and as (flags, type, value) items.

Each refusal begins with the name of the attribute, so that whoever gave it knows which one to put right.
"""

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple, TypedDict

from bgp.iana import AttributeFlag, AttributeType, Origin, SegmentType
from bgp.wire import aspath
from bgp.wire.aspath import AsPath, Segment
from bgp.wire.community import (
    LargeCommunity,
    distinct,
    parse_community,
    parse_extended,
    parse_large,
)

Item = tuple[int, int, bytes]

_HIGHEST = 0xFFFFFFFF
_WELL_KNOWN = int(AttributeFlag.TRANSITIVE)
_OPTIONAL = int(AttributeFlag.OPTIONAL)
_TRANSITIVE = _OPTIONAL | _WELL_KNOWN


class RouteAttributes(TypedDict, total=False):
    """The attributes of a route of our own, all of which may be left out.

    `next_hop`: an address, as text, object or octets; the unspecified one of no octets is ourselves.
    `origin`: 0, 1, 2 or "igp", "egp", "incomplete".  `as_path`: text such as "65001 65002 {65003,65004}", AS
    numbers, or segments.  `communities`: "65000:1", (65000, 1), a well-known name such as "no-export", or the
    number.  `extended_communities`: "rt:65000:1", or 8 octets.  `large_communities`: "65000:1:2" or a triple.
    `aggregator`: an AS number and an address.  `aigp`: the accumulated metric (RFC 7311).  None stands for an
    attribute that is absent.
    """

    next_hop: str | IPv4Address | IPv6Address | bytes
    origin: int | str
    as_path: AsPath | str | Iterable[int]
    med: int | None
    local_pref: int | None
    atomic_aggregate: bool
    aggregator: tuple[int, str | IPv4Address] | None
    communities: Iterable[int | str | tuple[int, int]]
    extended_communities: Iterable[bytes | str]
    large_communities: Iterable[LargeCommunity | str]
    aigp: int | None


class _Row(NamedTuple):
    """How an attribute is made: its flags, type, and what makes octets of the value; None for absent."""

    flags: int
    type: int
    encode: Callable[[object], bytes | None]


def items(given: Mapping[str, object]) -> list[Item]:
    """Return the items of what is given, with those that every route has.

    Raises ValueError, its text beginning with the attribute's name, or TypeError for a name that is none.
    """
    found = []
    for name, given_value in given.items():
        row = ROWS.get(name)
        if row is None:
            if name == "next_hop":
                continue
            raise TypeError(f"{name}: no such attribute; there are {', '.join(sorted((*ROWS, 'next_hop')))}")
        try:
            value = row.encode(given_value)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{name}: {error}") from None
        if value is not None:
            found.append((row.flags, row.type, value))
    if "origin" not in given:
        found.append(_IGP)
    if "as_path" not in given:
        found.append(_EMPTY)
    return found


def next_hop(value: object) -> bytes:
    """Return the octets of a next hop; raise ValueError where it is no address."""
    if isinstance(value, bytes):
        if len(value) not in (0, 4, 16, 32):
            raise ValueError(f"next_hop: an address has 4, 16 or 32 octets, not {len(value)}")
        return value
    if isinstance(value, IPv4Address | IPv6Address):
        return value.packed
    if not isinstance(value, str):
        raise ValueError(f"next_hop: write an address, not {value!r}")
    try:
        return (IPv6Address(value) if ":" in value else IPv4Address(value)).packed if value else b""
    except ValueError as error:
        raise ValueError(f"next_hop: {error}") from None


# --- One after the other -------------------------------------------------------------------------------


def _number(value: object, highest: int = _HIGHEST) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= highest:
        raise ValueError(f"must be a number between 0 and {highest}, not {value!r}")
    return value


def _optional(value: object) -> bytes | None:
    return None if value is None else _number(value).to_bytes(4, "big")


def _origin(value: object) -> bytes:
    name = value.upper() if isinstance(value, str) else ""
    if name in Origin.__members__:
        return bytes((Origin[name],))
    if not isinstance(value, int) or isinstance(value, bool) or value not in tuple(Origin):
        raise ValueError(f"must be 0, 1 or 2, or igp, egp or incomplete, not {value!r}")
    return bytes((Origin(value),))


def _as_path(value: object) -> bytes:
    path: AsPath
    if isinstance(value, str):
        path = aspath.parse_text(value)
    else:
        given = _several(value, "AS numbers")
        segments = tuple([each for each in given if isinstance(each, Segment)])
        if segments and len(segments) < len(given):
            raise ValueError("is either segments or AS numbers, not both")
        asns = tuple([_number(each) for each in given]) if not segments else ()
        size = aspath.MAXIMUM_SEGMENT
        path = segments or tuple(
            [Segment(_SEQUENCE, asns[start : start + size]) for start in range(0, len(asns), size)]
        )
    for segment in path:
        if segment.type not in _SEGMENT_TYPES:
            raise ValueError(f"there is no segment type {segment.type!r}")
        for asn in segment.asns:
            if _number(asn) == 0:
                raise ValueError("AS 0 must not stand in an AS_PATH (RFC 7607)")
    return aspath.encode(path)


_SEQUENCE = int(SegmentType.AS_SEQUENCE)
_SEGMENT_TYPES = tuple(int(each) for each in SegmentType)


def _atomic_aggregate(value: object) -> bytes | None:
    return b"" if value else None


def _aggregator(value: object) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f"must be an AS number and an IPv4 address, not {value!r}")
    return _number(value[0]).to_bytes(4, "big") + IPv4Address(str(value[1])).packed


def _communities(value: object) -> bytes | None:
    octets = [_community(each).to_bytes(4, "big") for each in _several(value, "communities")]
    return distinct(b"".join(octets), 4) or None


def _community(value: object) -> int:
    if isinstance(value, str):
        return parse_community(value)
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise ValueError(f"{value!r} is no community: write two numbers, each at most 65535")
        return _number(value[0], 0xFFFF) << 16 | _number(value[1], 0xFFFF)
    return _number(value)


def _extended(value: object) -> bytes | None:
    found = []
    for each in _several(value, "extended communities"):
        octets = parse_extended(each) if isinstance(each, str) else each
        if not isinstance(octets, bytes) or len(octets) != 8:
            raise ValueError(f"{each!r} is no extended community: write rt:asn:number or give 8 octets")
        found.append(octets)
    return distinct(b"".join(found), 8) or None


def _large(value: object) -> bytes | None:
    found = []
    for each in _several(value, "large communities"):
        parts = parse_large(each) if isinstance(each, str) else each
        if not isinstance(parts, tuple | list) or len(parts) != 3:
            raise ValueError(f"{each!r} is no large community: write three numbers, as in 64496:1:2")
        found += [_number(part).to_bytes(4, "big") for part in parts]
    return distinct(b"".join(found), 12) or None


def _aigp(value: object) -> bytes | None:
    # RFC 7311 section 3: a TLV of type 1 and 11 octets in all.
    return None if value is None else b"\x01\x00\x0b" + _number(value, (1 << 64) - 1).to_bytes(8, "big")


def _several(value: object, what: str) -> list[object]:
    # A text or octets are iterable as well, and never what was meant.
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise ValueError(f"must be a list of {what}, not {value!r}")
    return list(value)


# The names, in the order of the types.
ROWS: Mapping[str, _Row] = {
    "origin": _Row(_WELL_KNOWN, int(AttributeType.ORIGIN), _origin),
    "as_path": _Row(_WELL_KNOWN, int(AttributeType.AS_PATH), _as_path),
    "med": _Row(_OPTIONAL, int(AttributeType.MULTI_EXIT_DISC), _optional),
    "local_pref": _Row(_WELL_KNOWN, int(AttributeType.LOCAL_PREF), _optional),
    "atomic_aggregate": _Row(_WELL_KNOWN, int(AttributeType.ATOMIC_AGGREGATE), _atomic_aggregate),
    "aggregator": _Row(_TRANSITIVE, int(AttributeType.AGGREGATOR), _aggregator),
    "communities": _Row(_TRANSITIVE, int(AttributeType.COMMUNITIES), _communities),
    "extended_communities": _Row(_TRANSITIVE, int(AttributeType.EXTENDED_COMMUNITIES), _extended),
    "aigp": _Row(_OPTIONAL, int(AttributeType.AIGP), _aigp),
    "large_communities": _Row(_TRANSITIVE, int(AttributeType.LARGE_COMMUNITIES), _large),
}
# What every route has.
_IGP: Item = (_WELL_KNOWN, int(AttributeType.ORIGIN), bytes((Origin.IGP,)))
_EMPTY: Item = (_WELL_KNOWN, int(AttributeType.AS_PATH), b"")
