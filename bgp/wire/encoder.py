"""Routes to UPDATEs: packed to the negotiated maximum, never beyond (RFC 4271 section 9.2, RFC 8654).

An UPDATE carries routes of one kind only (RFC 7606 section 5.1: never more than one of Withdrawn Routes,
NLRI, MP_REACH_NLRI and MP_UNREACH_NLRI), MP_REACH_NLRI or MP_UNREACH_NLRI first, then ascending types.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from bgp.family import IPV4_UNICAST, Family
from bgp.iana import AS_TRANS, HEADER_LENGTH, MAXIMUM_MESSAGE_LENGTH, AttributeType, MessageType
from bgp.wire import aspath
from bgp.wire.attributes import (
    EXTENDED_LENGTH,
    OPTIONAL_NON_TRANSITIVE,
    OPTIONAL_TRANSITIVE,
    WELL_KNOWN,
    attribute,
    walk,
)
from bgp.wire.framing import MARKER_OCTETS, frame
from bgp.wire.prefix import identified

_FIXED = HEADER_LENGTH + 4  # header and the two length fields
_UPDATE = int(MessageType.UPDATE)
_START = struct.Struct(">16sHBHH").pack  # marker, length, type, and the two length fields
_MP_HEADER = 4  # flags, type and a two-octet length
_AS_PATH, _NEXT_HOP, _AGGREGATOR = (
    int(AttributeType.AS_PATH),
    int(AttributeType.NEXT_HOP),
    int(AttributeType.AGGREGATOR),
)


class Encoder:
    """Encodes the UPDATEs for one kind of receiver.

    `four_octet_as`: the receiver takes four-octet AS numbers (RFC 6793).  `add_path`: families whose NLRI
    carry path identifiers (RFC 7911).  `maximum`: the longest message in octets, header included.
    """

    __slots__ = ("add_path", "four_octet_as", "maximum")

    def __init__(
        self,
        four_octet_as: bool = True,
        add_path: frozenset[Family] = frozenset(),
        maximum: int = MAXIMUM_MESSAGE_LENGTH,
    ) -> None:
        self.four_octet_as = four_octet_as
        self.add_path = add_path
        self.maximum = maximum

    def announce(
        self,
        family: Family,
        octets: bytes,
        next_hop: bytes,
        prefixes: Sequence[bytes],
        path_ids: Sequence[int] | None = None,
    ) -> tuple[list[bytes], list[int]]:
        """Return the messages that announce `prefixes` with canonical attributes `octets`.

        Beside them come the indexes of the prefixes that do not fit even alone (RFC 8654 section 4).
        An IPv4 next hop of IPv4 unicast goes into NEXT_HOP, any other into MP_REACH_NLRI (RFC 8950).
        """
        nlri = self._nlri(family, prefixes, path_ids)
        if not self.four_octet_as:
            octets = _two_octet(octets)
        if family is IPV4_UNICAST and len(next_hop) == 4:
            return self.classic(_with_next_hop(octets, next_hop), nlri)
        reach = family.afi.to_bytes(2, "big") + bytes((family.safi, len(next_hop))) + next_hop + b"\0"
        room = self.maximum - _FIXED - _MP_HEADER - len(reach) - len(octets)
        parts, unfit = _packed(nlri, room)
        messages = [
            _update(attribute(OPTIONAL_NON_TRANSITIVE, AttributeType.MP_REACH_NLRI, reach + part) + octets)
            for part in parts
        ]
        return messages, unfit

    def classic(self, block: bytes, nlri: Sequence[bytes]) -> tuple[list[bytes], list[int]]:
        """Return the same for IPv4 unicast, of a finished attribute block and NLRI items."""
        size = len(block)
        whole = b"".join(nlri)
        length = _FIXED + size + len(whole)
        # `frame` and the two length fields in one step: this is where most of what is sent is made.
        if length <= self.maximum and whole:
            return [_START(MARKER_OCTETS, length, _UPDATE, 0, size) + block + whole], []
        parts, unfit = _packed(nlri, self.maximum - _FIXED - size)
        return [
            _START(MARKER_OCTETS, _FIXED + size + len(part), _UPDATE, 0, size) + block + part
            for part in parts
        ], unfit

    def room(self, family: Family, octets: bytes, next_hop: bytes) -> int:
        """Return how many octets of NLRI fit beside these attributes in one message; negative for none."""
        if not self.four_octet_as:
            octets = _two_octet(octets)
        if family is IPV4_UNICAST and len(next_hop) == 4:
            return self.maximum - _FIXED - len(octets) - 3 - len(next_hop)
        return self.maximum - _FIXED - _MP_HEADER - len(octets) - 5 - len(next_hop)

    def withdraw(
        self, family: Family, prefixes: Sequence[bytes], path_ids: Sequence[int] | None = None
    ) -> list[bytes]:
        """Return the messages that withdraw `prefixes`."""
        nlri = self._nlri(family, prefixes, path_ids)
        if family is IPV4_UNICAST:
            parts, _ = _packed(nlri, self.maximum - _FIXED)
            return [
                frame(MessageType.UPDATE, len(part).to_bytes(2, "big") + part + b"\0\0") for part in parts
            ]
        code = family.afi.to_bytes(2, "big") + bytes((family.safi,))
        parts, _ = _packed(nlri, self.maximum - _FIXED - _MP_HEADER - len(code))
        return [
            _update(attribute(OPTIONAL_NON_TRANSITIVE, AttributeType.MP_UNREACH_NLRI, code + part))
            for part in parts
        ]

    def end_of_rib(self, family: Family) -> bytes:
        """Return the End-of-RIB marker of `family` (RFC 4724 section 2)."""
        if family is IPV4_UNICAST:
            return frame(MessageType.UPDATE, bytes(4))
        code = family.afi.to_bytes(2, "big") + bytes((family.safi,))
        return _update(attribute(OPTIONAL_NON_TRANSITIVE, AttributeType.MP_UNREACH_NLRI, code))

    def _nlri(
        self, family: Family, prefixes: Sequence[bytes], path_ids: Sequence[int] | None
    ) -> Sequence[bytes]:
        if family not in self.add_path:
            return prefixes
        if path_ids is None:
            raise ValueError(f"{family} needs path identifiers on this session (RFC 7911 section 5)")
        return identified(prefixes, path_ids)


def _update(block: bytes) -> bytes:
    return frame(MessageType.UPDATE, b"\0\0" + len(block).to_bytes(2, "big") + block)


def _packed(nlri: Sequence[bytes], room: int) -> tuple[list[bytes], list[int]]:
    """Join `nlri` into as few parts of at most `room` octets as their order allows."""
    whole = b"".join(nlri)
    if len(whole) <= room:
        return ([whole] if whole else []), []
    unfit: list[int] = []
    if max(map(len, nlri)) > room:
        unfit = [index for index, item in enumerate(nlri) if len(item) > room]
        nlri = [item for item in nlri if len(item) <= room]
    ends = list(accumulate(map(len, nlri)))
    parts: list[bytes] = []
    start = passed = 0
    while start < len(nlri):
        stop = bisect_right(ends, passed + room, start)
        parts.append(b"".join(nlri[start:stop]))
        start, passed = stop, ends[stop - 1]
    return parts, unfit


def _with_next_hop(octets: bytes, next_hop: bytes) -> bytes:
    """Put NEXT_HOP in its place: behind ORIGIN and AS_PATH, the only types below it."""
    position, end = 0, len(octets)
    while position < end and octets[position + 1] < _NEXT_HOP:
        if octets[position] & EXTENDED_LENGTH:
            position += 4 + (octets[position + 2] << 8 | octets[position + 3])
        else:
            position += 3 + octets[position + 2]
    return octets[:position] + b"\x40\x03\x04" + next_hop + octets[position:]


def _two_octet(octets: bytes) -> bytes:
    """Return canonical attributes as a speaker without four-octet AS numbers takes them (RFC 6793 4.2.2)."""
    return b"".join(attribute(*item) for item in sorted(_narrowed(octets), key=lambda item: item[1]))


def _narrowed(octets: bytes) -> Iterator[tuple[int, int, bytes]]:
    for flags, type_, value in walk(octets):
        if type_ == _AS_PATH:
            path = aspath.parse(value)
            yield WELL_KNOWN, type_, aspath.encode(path, 2)
            as4 = aspath.as4_path(path)
            if as4 is not None:
                yield OPTIONAL_TRANSITIVE, AttributeType.AS4_PATH, aspath.encode(as4)
        elif type_ == _AGGREGATOR:
            asn = int.from_bytes(value[:4], "big")
            if asn > 0xFFFF:
                yield OPTIONAL_TRANSITIVE, AttributeType.AS4_AGGREGATOR, value
                asn = AS_TRANS
            yield flags, type_, asn.to_bytes(2, "big") + value[4:]
        else:
            yield flags, type_, value
