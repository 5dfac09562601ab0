"""Communities of all kinds, between octets and text.

Plain ones (RFC 1997) are 32-bit integers, large ones (RFC 8092) triples of such, extended ones
(RFC 4360, RFC 5668, and RFC 5701 for IPv6) their 8 or 20 octets.
"""

import re
import struct
from ipaddress import IPv4Address, IPv6Address

from bgp.iana import WellKnownCommunity
from bgp.wire.aspath import parse_asn
from bgp.wire.text import quoted

_LONGEST = 40  # characters of a community in text that is no name
_BY_NAME = {member.name: int(member) for member in WellKnownCommunity}
_BY_VALUE = {int(member): member.name for member in WellKnownCommunity}

# Sub-types that have a name in text, under the transitive types of RFC 4360, 5668 and 5701.
_SUBTYPES = {0x02: "rt", 0x03: "ro"}
_SUBTYPE_OF = {name: code for code, name in _SUBTYPES.items()}
_TWO_OCTET_AS, _IPV4, _FOUR_OCTET_AS = 0x00, 0x01, 0x02
LINK_BANDWIDTH = 0x04  # draft-ietf-idr-link-bandwidth: type 0x40, AS, then an IEEE float of octets a second


def parse_community(text: str) -> int:
    """Return a community written as `asn:value`, as a well-known name, or as a number."""
    name = text.strip().upper().replace("-", "_")
    if name in _BY_NAME:
        return _BY_NAME[name]
    high, colon, low = text.strip().partition(":")
    short = len(text) <= _LONGEST  # Python itself refuses very long numbers, in its own words
    if (
        short
        and colon
        and high.isdecimal()
        and low.isdecimal()
        and int(high) <= 0xFFFF
        and int(low) <= 0xFFFF
    ):
        return int(high) << 16 | int(low)
    try:
        value = int(text, 0) if short else -1
    except ValueError:
        value = -1
    if not 0 <= value <= 0xFFFFFFFF:
        raise ValueError(
            f"{quoted(text)} is no community: write asn:value, each at most 65535, or a well-known name"
        )
    return value


def community_text(value: int) -> str:
    """Return a community as its well-known name or as `asn:value`."""
    return _BY_VALUE.get(value) or f"{value >> 16}:{value & 0xFFFF}"


def decode_communities(value: bytes) -> tuple[int, ...]:
    """Return the communities of a COMMUNITIES value, in their order."""
    return struct.unpack(f">{len(value) // 4}I", value)


def encode_communities(communities: tuple[int, ...]) -> bytes:
    """Return the octets of `communities`, in their order."""
    return struct.pack(f">{len(communities)}I", *communities)


LargeCommunity = tuple[int, int, int]


def parse_large(text: str) -> LargeCommunity:
    """Return a large community written as three decimal numbers (RFC 8092 section 5)."""
    parts = text.strip().split(":")
    # The canonical representation has no leading zeros.
    if len(parts) != 3 or not all(re.fullmatch(r"0|[1-9][0-9]{0,9}", part) for part in parts):
        raise ValueError(f"{quoted(text)} is no large community: write three numbers, as in 64496:1:2")
    a, b, c = (int(part) for part in parts)
    if max(a, b, c) > 0xFFFFFFFF:
        raise ValueError(f"{quoted(text)} is no large community: each number is at most 4294967295")
    return a, b, c


def large_text(community: LargeCommunity) -> str:
    return ":".join(map(str, community))


def decode_large(value: bytes) -> tuple[LargeCommunity, ...]:
    """Return the large communities of a LARGE_COMMUNITIES value, in their order."""
    return tuple(struct.iter_unpack(">III", value))


def encode_large(communities: tuple[LargeCommunity, ...]) -> bytes:
    return b"".join(struct.pack(">III", *community) for community in communities)


def distinct(value: bytes, size: int) -> bytes:
    """Return `value` without the repetitions among its items of `size` octets (RFC 8092 section 3)."""
    items = [value[i : i + size] for i in range(0, len(value), size)]
    return value if len(set(items)) == len(items) else b"".join(dict.fromkeys(items))


def extended_text(octets: bytes) -> str:
    """Return an extended community (8 or 20 octets) as `rt:65000:1`, `ro:..`, or hexadecimal."""
    kind, subtype = octets[0], octets[1]
    name = _SUBTYPES.get(subtype)
    if len(octets) == 20:
        if kind == 0x00 and name:
            return f"{name}:[{IPv6Address(octets[2:18])}]:{int.from_bytes(octets[18:], 'big')}"
    elif name and kind == _TWO_OCTET_AS:
        return f"{name}:{int.from_bytes(octets[2:4], 'big')}:{int.from_bytes(octets[4:], 'big')}"
    elif name and kind == _IPV4:
        return f"{name}:{IPv4Address(octets[2:6])}:{int.from_bytes(octets[6:], 'big')}"
    elif name and kind == _FOUR_OCTET_AS:
        # The L keeps apart a small AS number in four octets (RFC 5668) from one in two.
        return f"{name}:{int.from_bytes(octets[2:6], 'big')}L:{int.from_bytes(octets[6:], 'big')}"
    return "0x" + octets.hex()


def parse_extended(text: str) -> bytes:
    """Return the octets of an extended community that `extended_text` or a user wrote."""
    text = text.strip()
    if re.fullmatch(r"0x([0-9a-fA-F]{16}|[0-9a-fA-F]{40})", text):
        return bytes.fromhex(text[2:])
    match = re.fullmatch(r"(rt|ro):(\[[0-9a-fA-F:.]+\]|[0-9.]+L?):(\d{1,20})", text)
    if match is None:
        raise ValueError(
            f"{quoted(text)} is no extended community: write rt:asn:number, ro:address:number "
            "or 0x and the octets"
        )
    subtype, administrator, number = _SUBTYPE_OF[match[1]], match[2], int(match[3])
    try:
        if administrator.startswith("["):
            return bytes((0, subtype)) + IPv6Address(administrator[1:-1]).packed + number.to_bytes(2, "big")
        if administrator.count(".") == 3:
            return bytes((_IPV4, subtype)) + IPv4Address(administrator).packed + number.to_bytes(2, "big")
        asn = parse_asn(administrator.removesuffix("L"))
        if asn > 0xFFFF or administrator.endswith("L"):
            return bytes((_FOUR_OCTET_AS, subtype)) + asn.to_bytes(4, "big") + number.to_bytes(2, "big")
        return bytes((_TWO_OCTET_AS, subtype)) + asn.to_bytes(2, "big") + number.to_bytes(4, "big")
    except OverflowError:
        raise ValueError(f"{quoted(text)}: the number {number} is too large beside {administrator}") from None


def split_extended(value: bytes, size: int = 8) -> tuple[bytes, ...]:
    """Return the items of an extended communities value, `size` octets each."""
    return tuple(value[i : i + size] for i in range(0, len(value), size))
