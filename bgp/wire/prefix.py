"""Prefixes as they are on the wire: a length octet and as few address octets as hold it (RFC 4271 4.3).

A prefix is those bytes, with the bits behind its length cleared: it hashes, compares and is sent again
as it is.  The same bytes mean different things in different families, so tables are kept per family.
"""

import re
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from bgp.family import IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import Afi

# Multicast is no unicast destination: RFC 4271 section 6.3 has such prefixes logged and ignored.
_MULTICAST: dict[int, tuple[int, int, int]] = {Afi.IPV4: (4, 0xE0, 0xEF), Afi.IPV6: (8, 0xFF, 0xFF)}

# The commonest lengths first: an alternation is tried in order.
_FREQUENT = {
    Afi.IPV4: (24, 22, 23, 21, 20, 19, 16, 18, 17, 32, 26),
    Afi.IPV6: (48, 32, 44, 40, 36, 46, 47, 42, 45, 29, 64, 128, 122),
}


class PrefixError(ValueError):
    """A prefix is too long for its family or overruns its field; `offset` is where it begins."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"bad prefix at octet {offset}")
        self.offset = offset


def _octet_class(values: range | list[int]) -> bytes:
    return b"[" + b"".join(b"\\x%02x" % value for value in values) + b"]"


def _pattern(family: Family) -> bytes:
    """Return a pattern that matches exactly the prefixes that need neither masking nor refusal."""
    bits, low, high = _MULTICAST[Afi(family.afi)]
    frequent = _FREQUENT[Afi(family.afi)]
    lengths = [*frequent, *(n for n in range(family.bits + 1) if n not in frequent)]
    alternatives = []
    for length in lengths:
        full, rest = divmod(length, 8)
        octets = [b"."] * full
        if rest:
            octets.append(_octet_class(range(0, 256, 1 << (8 - rest))))
        if length >= bits:
            step = 1 << (8 - rest) if full == 0 and rest else 1
            octets[0] = _octet_class([v for v in range(0, 256, step) if not low <= v <= high])
        alternatives.append(b"\\x%02x" % length + b"".join(octets))
    return b"|".join(alternatives)


# DOTALL, for a dot must match 0x0a as well.  One findall costs a third of a loop over the octets.
PLAIN = {f: re.compile(_pattern(f), re.DOTALL).findall for f in (IPV4_UNICAST, IPV6_UNICAST)}
_IDENTIFIED = {
    f: re.compile(b"(.{4})(" + _pattern(f) + b")", re.DOTALL).findall for f in (IPV4_UNICAST, IPV6_UNICAST)
}


def split(block: bytes, family: Family) -> list[bytes]:
    """Return the prefixes of an NLRI field, host bits cleared, multicast ones left out.

    Raises PrefixError with the offset within `block` (RFC 7606 section 5.3).
    """
    found: list[bytes] = PLAIN[family](block)
    # findall skips what does not match, so what it found must be the whole block.
    if b"".join(found) == block:
        return found
    return [prefix for _, prefix in _walk(block, family, 0)]


def split_add_path(block: bytes, family: Family) -> tuple[list[int], list[bytes]]:
    """Return path identifiers and prefixes of an NLRI field with ADD-PATH (RFC 7911 section 3)."""
    found: list[tuple[bytes, bytes]] = _IDENTIFIED[family](block)
    if b"".join([part for pair in found for part in pair]) == block:
        identifiers = struct.unpack(f">{len(found)}I", b"".join([pair[0] for pair in found]))
        return list(identifiers), [pair[1] for pair in found]
    pairs = _walk(block, family, 4)
    return [identifier for identifier, _ in pairs], [prefix for _, prefix in pairs]


def _walk(block: bytes, family: Family, identifier_size: int) -> list[tuple[int, bytes]]:
    """Split octet by octet: the readable original, and the way for everything unusual."""
    bits, low, high = _MULTICAST[Afi(family.afi)]
    pairs = []
    position, end = 0, len(block)
    while position < end:
        start = position + identifier_size
        if start >= end or block[start] > family.bits:
            raise PrefixError(position)
        length = block[start]
        after = start + 1 + (length + 7 >> 3)
        if after > end:
            raise PrefixError(position)
        if not (length >= bits and low <= block[start + 1] <= high):
            identifier = int.from_bytes(block[position:start], "big")
            pairs.append((identifier, masked(block[start:after])))
        position = after
    return pairs


def masked(prefix: bytes) -> bytes:
    """Return `prefix` with the bits behind its length cleared: they have no meaning (RFC 4271 4.3)."""
    rest = prefix[0] & 7
    if not rest:
        return prefix
    return prefix[:-1] + bytes((prefix[-1] & (0xFF00 >> rest) & 0xFF,))


def identified(prefixes: Sequence[bytes], path_ids: Sequence[int]) -> list[bytes]:
    """Return the NLRI octets of each prefix with its path identifier before it (RFC 7911 section 3)."""
    pack: Callable[[int], bytes] = struct.Struct(">I").pack
    return [pack(path_id) + prefix for path_id, prefix in zip(path_ids, prefixes, strict=True)]


_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4_TEXT = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}/(3[0-2]|[12]?[0-9])").fullmatch


@lru_cache(maxsize=4096)
def parse(text: str | IPv4Network | IPv6Network) -> tuple[Family, bytes]:
    """Return the family and the wire bytes of a network; raise ValueError where it has host bits set."""
    match = _IPV4_TEXT(text) if isinstance(text, str) else None
    if match is not None:
        # By far the commonest, in a fraction of the time.
        a, b, c, d, length = map(int, match.groups())
        if length == 32:
            return IPV4_UNICAST, bytes((32, a, b, c, d))
        octets = (length + 7) >> 3
        prefix = bytes((length, a, b, c, d)[: octets + 1])
        if not any((a, b, c, d)[octets:]) and masked(prefix) == prefix:
            return IPV4_UNICAST, prefix
    value = ip_network(text)
    family = IPV4_UNICAST if value.version == 4 else IPV6_UNICAST
    octets = (value.prefixlen + 7) >> 3
    return family, bytes((value.prefixlen,)) + value.network_address.packed[:octets]


def is_multicast(family: Family, prefix: bytes) -> bool:
    """Whether `prefix` is of multicast addresses only, and so no unicast destination."""
    bits, low, high = _MULTICAST[family.afi]
    return prefix[0] >= bits and low <= prefix[1] <= high


def network(family: Family, prefix: bytes) -> IPv4Network | IPv6Network:
    """Return `prefix` as a network of the standard library."""
    size = family.bits // 8
    address = prefix[1:].ljust(size, b"\0")
    if family.bits == 32:
        return IPv4Network((address, prefix[0]))
    return IPv6Network((address, prefix[0]))


def text(family: Family, prefix: bytes) -> str:
    """Return `prefix` in the usual notation, such as 192.0.2.0/24 or 2001:db8::/32."""
    octets = prefix[1:].ljust(family.bits // 8, b"\0")
    if family.bits == 32:
        return f"{octets[0]}.{octets[1]}.{octets[2]}.{octets[3]}/{prefix[0]}"
    return f"{IPv6Address(octets)}/{prefix[0]}"


def address_text(octets: bytes) -> str:
    """Return a next hop's octets as text; of 32 octets, global and link-local address (RFC 2545 3)."""
    if len(octets) == 4:
        return str(IPv4Address(octets))
    if len(octets) == 32:
        return f"{IPv6Address(octets[:16])} {IPv6Address(octets[16:])}"
    return str(IPv6Address(octets)) if octets else ""
