"""Path attributes: a table with one row each, and `Attributes`, an interned set of them.

`Attributes` keeps the canonical octets first and decodes on demand.  Canonical means: ascending type,
the shortest length form, four-octet AS numbers, Partial only where it belongs, and without NEXT_HOP,
MP_REACH_NLRI and MP_UNREACH_NLRI; the next hop stands beside.  Each distinct (octets, next hop) exists
once per `AttributeTable`, so identity is equality, and the canonical octets are what goes out again.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address
from operator import attrgetter
from typing import Any, NamedTuple, Unpack
from weakref import ref

from bgp.iana import AttributeFlag, AttributeType, Origin, WellKnownCommunity
from bgp.wire import aspath, given
from bgp.wire.aspath import AsPath
from bgp.wire.community import (
    LargeCommunity,
    decode_communities,
    decode_large,
    split_extended,
)
from bgp.wire.given import RouteAttributes

OPTIONAL = int(AttributeFlag.OPTIONAL)
TRANSITIVE = int(AttributeFlag.TRANSITIVE)
PARTIAL = int(AttributeFlag.PARTIAL)
EXTENDED_LENGTH = int(AttributeFlag.EXTENDED_LENGTH)

WELL_KNOWN = TRANSITIVE
OPTIONAL_TRANSITIVE = OPTIONAL | TRANSITIVE
OPTIONAL_NON_TRANSITIVE = OPTIONAL


class Row(NamedTuple):
    """What this implementation knows of an attribute: its name, Optional and Transitive bits, and size.

    A value has `size` octets exactly, or a non-zero multiple of `unit` octets; 0 leaves it to the decoder.
    """

    type: int
    name: str
    flags: int
    size: int = 0
    unit: int = 0


_T = AttributeType

# What stands in for LOCAL_PREF on a path that has none: such as come from external peers, or from us.
DEFAULT_LOCAL_PREF = 100
_LLGR_STALE = int(WellKnownCommunity.LLGR_STALE)
_LLGR_STALE_OCTETS = _LLGR_STALE.to_bytes(4, "big")

ROWS: dict[int, Row] = {
    row.type: row
    for row in (
        Row(_T.ORIGIN, "ORIGIN", WELL_KNOWN, size=1),
        Row(_T.AS_PATH, "AS_PATH", WELL_KNOWN),
        Row(_T.NEXT_HOP, "NEXT_HOP", WELL_KNOWN, size=4),
        Row(_T.MULTI_EXIT_DISC, "MULTI_EXIT_DISC", OPTIONAL_NON_TRANSITIVE, size=4),
        Row(_T.LOCAL_PREF, "LOCAL_PREF", WELL_KNOWN, size=4),
        Row(_T.ATOMIC_AGGREGATE, "ATOMIC_AGGREGATE", WELL_KNOWN),
        Row(_T.AGGREGATOR, "AGGREGATOR", OPTIONAL_TRANSITIVE),
        Row(_T.COMMUNITIES, "COMMUNITIES", OPTIONAL_TRANSITIVE, unit=4),
        Row(_T.ORIGINATOR_ID, "ORIGINATOR_ID", OPTIONAL_NON_TRANSITIVE, size=4),
        Row(_T.CLUSTER_LIST, "CLUSTER_LIST", OPTIONAL_NON_TRANSITIVE, unit=4),
        Row(_T.MP_REACH_NLRI, "MP_REACH_NLRI", OPTIONAL_NON_TRANSITIVE),
        Row(_T.MP_UNREACH_NLRI, "MP_UNREACH_NLRI", OPTIONAL_NON_TRANSITIVE),
        Row(_T.EXTENDED_COMMUNITIES, "EXTENDED_COMMUNITIES", OPTIONAL_TRANSITIVE, unit=8),
        Row(_T.AS4_PATH, "AS4_PATH", OPTIONAL_TRANSITIVE),
        Row(_T.AS4_AGGREGATOR, "AS4_AGGREGATOR", OPTIONAL_TRANSITIVE, size=8),
        Row(_T.IPV6_EXTENDED_COMMUNITIES, "IPV6_EXTENDED_COMMUNITIES", OPTIONAL_TRANSITIVE, unit=20),
        Row(_T.AIGP, "AIGP", OPTIONAL_NON_TRANSITIVE),
        Row(_T.LARGE_COMMUNITIES, "LARGE_COMMUNITIES", OPTIONAL_TRANSITIVE, unit=12),
        Row(_T.ONLY_TO_CUSTOMER, "ONLY_TO_CUSTOMER", OPTIONAL_TRANSITIVE, size=4),
    )
}


def attribute(flags: int, type: int, value: bytes) -> bytes:
    """Return the octets of one attribute with the shortest length form (RFC 4271 section 4.3)."""
    size = len(value)
    if size > 255:
        return bytes((flags | EXTENDED_LENGTH, type)) + size.to_bytes(2, "big") + value
    return bytes((flags & ~EXTENDED_LENGTH, type, size)) + value


def walk(octets: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (flags, type, value) of each attribute in well-formed `octets`; Extended Length is cleared."""
    position, end = 0, len(octets)
    while position < end:
        flags = octets[position]
        if flags & EXTENDED_LENGTH:
            start = position + 4
            size = octets[position + 2] << 8 | octets[position + 3]
        else:
            start = position + 3
            size = octets[position + 2]
        yield flags & ~EXTENDED_LENGTH, octets[position + 1], octets[start : start + size]
        position = start + size


class _Read(NamedTuple):
    """What the decision reads of Attributes."""

    origin: int
    as_path_length: int
    neighbor_as: int
    med: int | None
    local_pref: int | None
    originator_id: bytes | None
    cluster_list: bytes
    aigp: int | None
    stale: bool


def _reading(name: str) -> Any:
    """Return a property for a field of `_read`; all of it runs in C."""
    return property(attrgetter(f"_read.{name}"))


class Attributes:
    """An interned, immutable set of path attributes with its next hop.

    `octets`: the canonical attributes; `next_hop`: 4, 16 or 32 octets, or none (RFC 2545 section 3 gives
    32: global and link-local).  What the decision reads is decoded once, at the first look: `origin`;
    `as_path_length` (RFC 4271 9.1.2.2 a); `neighbor_as`, the first AS of a leading AS_SEQUENCE behind
    confederation segments, else 0; `med` and `local_pref`, None where absent; `originator_id`, four octets
    or None; `cluster_list`, its octets, empty where absent; `aigp`, the metric of its first AIGP TLV, None
    without one (RFC 7311 section 3); `stale`: LLGR_STALE is among the communities (RFC 9494 section 3.2).

    `degree` has `stale`, LOCAL_PREF, `as_path_length` and ORIGIN in one number, the better the lower; None
    with AIGP, which would come in between.  `head`: where a decoder recognized the usual shape
    (`bgp.wire.plain`), how many octets stand before ORIGINATOR_ID's place; else 0.
    """

    # A lone path is never compared, so nothing is read of most Attributes: `_read` and `degree` are empty.
    __slots__ = ("__weakref__", "_read", "degree", "head", "next_hop", "octets")

    octets: bytes
    next_hop: bytes
    head: int
    degree: int | None
    _read: _Read
    origin: int = _reading("origin")
    as_path_length: int = _reading("as_path_length")
    neighbor_as: int = _reading("neighbor_as")
    med: int | None = _reading("med")
    local_pref: int | None = _reading("local_pref")
    originator_id: bytes | None = _reading("originator_id")
    cluster_list: bytes = _reading("cluster_list")
    aigp: int | None = _reading("aigp")
    stale: bool = _reading("stale")

    def __init__(self, octets: bytes, next_hop: bytes, head: int = 0) -> None:
        self.octets = octets
        self.next_hop = next_hop
        self.head = head

    def __getattr__(self, name: str) -> object:
        # Reached only while a slot is empty.
        if name not in ("_read", "degree"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._scan()
        return getattr(self, name)

    def _scan(self) -> None:
        origin: int = Origin.INCOMPLETE
        as_path_length = neighbor_as = 0
        med = local_pref = originator_id = None
        cluster_list = b""
        octets = self.octets
        for _, type_, value in walk(octets):
            if type_ == 1:
                origin = value[0]
            elif type_ == 2:
                # One AS_SEQUENCE is by far the commonest path.
                if value and value[0] == 2 and len(value) == 2 + 4 * value[1]:
                    as_path_length = value[1]
                    neighbor_as = int.from_bytes(value[2:6], "big")
                else:
                    path = aspath.parse(value)
                    as_path_length = aspath.length(path)
                    outside = aspath.without_confederation(path)
                    if outside and outside[0].type == 2:
                        neighbor_as = outside[0].asns[0]
            elif type_ == 4:
                med = int.from_bytes(value, "big")
            elif type_ == 5:
                local_pref = int.from_bytes(value, "big")
            elif type_ == 9:
                originator_id = value
            elif type_ == 10:
                cluster_list = value
                break
            elif type_ > 10:
                break
        # Hardly any path holds these octets, so these attributes are looked for in hardly any.
        stale = _LLGR_STALE_OCTETS in octets and _LLGR_STALE in self.communities
        aigp = _aigp(self.get(_T.AIGP) or b"") if _AIGP_OCTET in octets else None
        self._read = _Read(
            origin, as_path_length, neighbor_as, med, local_pref, originator_id, cluster_list, aigp, stale
        )
        if aigp is None:
            preference = DEFAULT_LOCAL_PREF if local_pref is None else local_pref
            # No AS_PATH is so long that 16 bits do not hold its length.
            first = (stale << 32) + 0xFFFFFFFF - preference
            self.degree = first << 24 | as_path_length << 8 | origin
        else:
            self.degree = None

    def __repr__(self) -> str:
        names = ", ".join(
            f"{ROWS[type_].name if type_ in ROWS else type_}={value.hex()}"
            for _, type_, value in self.items()
        )
        return f"<Attributes {names} next_hop={self.next_hop.hex()}>"

    def items(self) -> list[tuple[int, int, bytes]]:
        """Return (flags, type, value) of each attribute, ascending, Extended Length cleared."""
        return list(walk(self.octets))

    def locate(self, type: int) -> tuple[int, int]:
        """Return where the attribute stands in `octets`: (start, end), both equal where it is absent."""
        octets, position, end = self.octets, 0, len(self.octets)
        while position < end and octets[position + 1] <= type:
            if octets[position] & EXTENDED_LENGTH:
                after = position + 4 + (octets[position + 2] << 8 | octets[position + 3])
            else:
                after = position + 3 + octets[position + 2]
            if octets[position + 1] == type:
                return position, after
            position = after
        return position, position

    def get(self, type: int) -> bytes | None:
        """Return the value octets of one attribute, None where it is absent."""
        start, end = self.locate(type)
        if start == end:
            return None
        return self.octets[start + (4 if self.octets[start] & EXTENDED_LENGTH else 3) : end]

    @property
    def as_path(self) -> AsPath:
        """The AS_PATH's segments, none where it is absent or empty."""
        return aspath.parse(self.get(_T.AS_PATH) or b"")

    @property
    def communities(self) -> tuple[int, ...]:
        """The plain communities as 32-bit integers (RFC 1997)."""
        return decode_communities(self.get(_T.COMMUNITIES) or b"")

    @property
    def large_communities(self) -> tuple[LargeCommunity, ...]:
        """The large communities (RFC 8092)."""
        return decode_large(self.get(_T.LARGE_COMMUNITIES) or b"")

    @property
    def extended_communities(self) -> tuple[bytes, ...]:
        """The extended communities, 8 octets each (RFC 4360)."""
        return split_extended(self.get(_T.EXTENDED_COMMUNITIES) or b"")

    @property
    def atomic_aggregate(self) -> bool:
        start, end = self.locate(_T.ATOMIC_AGGREGATE)
        return start != end

    @property
    def aggregator(self) -> tuple[int, IPv4Address] | None:
        """AGGREGATOR's AS and address (RFC 4271 section 5.1.7)."""
        value = self.get(_T.AGGREGATOR)
        return None if value is None else (int.from_bytes(value[:4], "big"), IPv4Address(value[4:]))

    @property
    def only_to_customer(self) -> int | None:
        """The AS in the OTC attribute (RFC 9234 section 5)."""
        value = self.get(_T.ONLY_TO_CUSTOMER)
        return None if value is None else int.from_bytes(value, "big")


_AIGP_OCTET = bytes((_T.AIGP,))


def _aigp(value: bytes) -> int | None:
    """Return the metric of the first AIGP TLV in an attribute's value (RFC 7311 section 3)."""
    while len(value) >= 3:
        size = int.from_bytes(value[1:3], "big")
        if value[0] == 1 and size == 11:
            return int.from_bytes(value[3:11], "big")
        value = value[max(size, 3) :]
    return None


class _Bucket:
    """The Attributes of one next hop: most of a table's share a few, so they are stored once."""

    __slots__ = ("buckets", "known", "next_hop")

    def __init__(self, next_hop: bytes, buckets: "dict[bytes, _Bucket]") -> None:
        self.next_hop = next_hop
        self.known: dict[bytes, _Entry] = {}
        self.buckets = buckets


class _Entry(ref[Attributes]):
    """A table's weak hold on its Attributes; their death takes the entry out, without any collector."""

    __slots__ = ("bucket", "octets")

    bucket: _Bucket
    octets: bytes


def _forget(entry: ref[Attributes]) -> None:
    assert isinstance(entry, _Entry)
    bucket = entry.bucket
    known = bucket.known
    if known.get(entry.octets) is entry:
        del known[entry.octets]
        if not known and bucket.buckets.get(bucket.next_hop) is bucket:
            del bucket.buckets[bucket.next_hop]


class AttributeTable:
    """The interned Attributes of one router; holds none alive that nobody else holds."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[bytes, _Bucket] = {}

    def __len__(self) -> int:
        return sum(len(bucket.known) for bucket in self._buckets.values())

    def containers(self) -> Iterator[Mapping[bytes, ref[Attributes]]]:
        """Yield what is known, by next hop: the sets by their octets."""
        for bucket in self._buckets.values():
            yield bucket.known

    def intern(self, octets: bytes, next_hop: bytes = b"", head: int = 0) -> Attributes:
        """Return the one Attributes of these canonical octets and next hop; `head` as it has it."""
        bucket = self._buckets.get(next_hop)
        if bucket is None:
            bucket = self._buckets[next_hop] = _Bucket(next_hop, self._buckets)
        known = bucket.known
        entry = known.get(octets)
        if entry is not None:
            found = entry()
            if found is not None:
                if head:
                    found.head = head
                return found
        attributes = Attributes(octets, bucket.next_hop, head)
        entry = _Entry(attributes, _forget)
        entry.octets = octets
        entry.bucket = bucket
        known[octets] = entry
        return attributes

    def build(self, items: Iterable[tuple[int, int, bytes]], next_hop: bytes = b"") -> Attributes:
        """Return Attributes of (flags, type, value) in any order; each type at most once."""
        ordered = sorted(items, key=lambda item: item[1])
        return self.intern(b"".join([attribute(*item) for item in ordered]), next_hop)

    def derive(
        self, attributes: Attributes, changes: Mapping[int, bytes | None], next_hop: bytes | None = None
    ) -> Attributes:
        """Return `attributes` with values replaced or added, or removed where None.

        A new attribute gets its row's flags; raises KeyError for a type that has no row.
        """
        items = {type_: (flags, type_, value) for flags, type_, value in walk(attributes.octets)}
        for type_, value in changes.items():
            if value is None:
                items.pop(type_, None)
            else:
                flags = items[type_][0] if type_ in items else ROWS[type_].flags
                items[type_] = (flags, type_, value)
        return self.build(items.values(), attributes.next_hop if next_hop is None else next_hop)

    def make(self, **values: Unpack[RouteAttributes]) -> Attributes:
        """Return Attributes of plain values; raise ValueError for a value that cannot be."""
        return self.build(given.items(values), given.next_hop(values.get("next_hop", b"")))

    def remake(self, attributes: Attributes, values: RouteAttributes) -> Attributes:
        """Return `attributes` with plain values in place of what they have; None takes one out."""
        named = {row.type for name, row in given.ROWS.items() if name in values}
        made = [item for item in given.items(values) if item[1] in named]
        kept = [item for item in walk(attributes.octets) if item[1] not in named]
        hop = given.next_hop(values["next_hop"]) if "next_hop" in values else attributes.next_hop
        return self.build([*kept, *made], hop)
