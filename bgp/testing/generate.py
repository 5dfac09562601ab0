"""UPDATEs drawn from any source of randomness: a seeded `random.Random`, or hypothesis's own.

Every function takes the source first, so one generator serves the property tests, which shrink what
they find, and long runs, which must be fast and repeatable from a seed.  A message is drawn as a `Draft`,
which `bgp.testing.breakage` may break, one rule at a time, before it is written.
"""

from collections.abc import Callable, Iterable, Sequence
from random import Random

from bgp.family import FAMILIES, IPV4_UNICAST, IPV6_UNICAST, Family
from bgp.iana import (
    AS_TRANS,
    EXTENDED_MESSAGE_LENGTH,
    HEADER_LENGTH,
    MAXIMUM_MESSAGE_LENGTH,
    AttributeFlag,
    AttributeType,
    SegmentType,
)
from bgp.testing.draft import EXTENDED, Draft, Item
from bgp.wire.context import Context

T = AttributeType
WELL_KNOWN, NON_TRANSITIVE, TRANSITIVE = 0x40, 0x80, 0xC0  # Optional and Transitive bits (RFC 4271 4.3)

CATEGORY: dict[int, int] = {
    **dict.fromkeys((T.ORIGIN, T.AS_PATH, T.NEXT_HOP, T.LOCAL_PREF, T.ATOMIC_AGGREGATE), WELL_KNOWN),
    **dict.fromkeys((T.MULTI_EXIT_DISC, T.ORIGINATOR_ID, T.CLUSTER_LIST, T.AIGP), NON_TRANSITIVE),
    **dict.fromkeys((T.MP_REACH_NLRI, T.MP_UNREACH_NLRI), NON_TRANSITIVE),
    **dict.fromkeys((T.AGGREGATOR, T.COMMUNITIES, T.EXTENDED_COMMUNITIES, T.AS4_PATH), TRANSITIVE),
    **dict.fromkeys((T.AS4_AGGREGATOR, T.IPV6_EXTENDED_COMMUNITIES, T.LARGE_COMMUNITIES), TRANSITIVE),
    T.ONLY_TO_CUSTOMER: TRANSITIVE,
}

Path = list[tuple[int, list[int]]]  # (segment type, AS numbers)


def chance(random: Random, probability: float) -> bool:
    # hypothesis shrinks towards 0.0, which must be the plainer way: False.
    return random.random() >= 1 - probability


def octets(random: Random, count: int) -> bytes:
    return random.getrandbits(8 * count).to_bytes(count, "big") if count else b""


# --- Sessions -------------------------------------------------------------------------------------------

CONTEXT_BITS = 14
CONFEDERATION, FOUR_OCTET_AS, FIRST_AS = 1 << 1, 1 << 2, 1 << 11
_PEERS = (64500, 65551, 4200000001, 1)
_FAMILIES = (frozenset({IPV4_UNICAST}), frozenset({IPV6_UNICAST}), frozenset(FAMILIES), frozenset(FAMILIES))


def context_of(bits: int) -> Context:
    """Return the session that the low `CONTEXT_BITS` of `bits` describe, each bit a property of its own.

    A fuzzer that flips one bit changes one property.
    """

    def bit(position: int) -> bool:
        return bool(bits >> position & 1)

    kind = bits & 3
    families = _FAMILIES[bits >> 3 & 3]
    add_path = ({IPV4_UNICAST} if bit(5) else set()) | ({IPV6_UNICAST} if bit(6) else set())
    return Context(
        internal=kind == 1,
        confederation=kind == 2,
        four_octet_as=bit(2),
        families=families,
        add_path=families & add_path,
        extended_next_hop=families & ({IPV4_UNICAST} if bit(7) else set()),
        extended_messages=bit(8),
        as_sets=bit(9),
        aigp=bit(10),
        first_as=bit(11),
        peer_as=_PEERS[bits >> 12 & 3],
    )


def context(random: Random) -> Context:
    return context_of(random.getrandbits(CONTEXT_BITS))


def is_external(context: Context) -> bool:
    return not context.internal and not context.confederation


def demands_first_as(context: Context) -> bool:
    return context.first_as and is_external(context)


# --- Numbers, prefixes and routes -----------------------------------------------------------------------


def asn(random: Random) -> int:
    """Return an AS number that may stand in a path: not 0, often the ones with a meaning of their own."""
    kind = random.randrange(8)
    if kind < 3:
        return random.randrange(64496, 64512)  # documentation (RFC 5398)
    if kind < 4:
        return random.choice((1, 255, 256, 65535, 65536, 2**32 - 1))
    if kind < 5:
        return random.randrange(1, 65536)
    if kind < 6:
        return AS_TRANS
    return random.randrange(65536, 2**32)


def prefix_length(random: Random, family: Family) -> int:
    if chance(random, 0.6):
        return random.choice((0, 1, 7, 8, 9, 16, 17, 24, 25, family.bits - 1, family.bits))
    return random.randint(0, family.bits)


def prefix(random: Random, family: Family) -> bytes:
    """Return a prefix as Martlet keeps it: its length and its octets, host bits cleared."""
    length = prefix_length(random, family)
    size = (length + 7) // 8
    spare = size * 8 - length
    address = _address(random, size)
    return bytes([length]) + (int.from_bytes(address, "big") >> spare << spare).to_bytes(size, "big")


def _address(random: Random, size: int) -> bytes:
    address = octets(random, size)
    if size and chance(random, 0.15):
        # On both sides of the multicast ranges.
        address = bytes([random.choice((0, 127, 223, 224, 232, 239, 240, 254, 255))]) + address[1:]
    return address


def route(random: Random, family: Family, context: Context) -> bytes:
    """Return one route as a peer may write it: host bits set or not, a path identifier if negotiated."""
    length = prefix_length(random, family)
    written = bytes([length]) + _address(random, (length + 7) // 8)
    if family in context.add_path:
        written = random.choice((b"\0\0\0\0", b"\0\0\0\1", b"\xff\xff\xff\xff", octets(random, 4))) + written
    return written


def routes(random: Random, family: Family, context: Context, least: int = 1) -> list[bytes]:
    count = random.randint(60, 200) if chance(random, 0.01) else random.choice((least, 1, 1, 2, 3, 6))
    drawn = [route(random, family, context) for _ in range(count)]
    if drawn and chance(random, 0.1):
        drawn.append(random.choice(drawn))
    return drawn


# --- Attributes, as a careless but correct peer writes them ---------------------------------------------


def item(random: Random, type: int, value: bytes, category: int | None = None) -> Item:
    """Return a well-formed attribute, now and then with bits that a receiver must not mind."""
    flags = CATEGORY[type] if category is None else category
    if chance(random, 0.15):
        flags |= AttributeFlag.PARTIAL
    if chance(random, 0.1):
        flags |= EXTENDED
    if chance(random, 0.05):
        flags |= random.randrange(16)
    return Item(flags, type, value)


# --- AS paths -------------------------------------------------------------------------------------------


def path(random: Random, context: Context) -> Path:
    """Return an AS path, in four-octet numbers, that a peer of this session may send."""
    segments: Path = []
    if context.confederation:
        segments.append((SegmentType.AS_CONFED_SEQUENCE, asns(random)))
    elif demands_first_as(context):
        segments.append((SegmentType.AS_SEQUENCE, [context.peer_as, *asns(random)[:254]]))
    kinds = [SegmentType.AS_SEQUENCE] * 2
    if context.as_sets:
        kinds += [SegmentType.AS_SET] * 2
    if not is_external(context):
        kinds.append(SegmentType.AS_CONFED_SEQUENCE)
        if context.as_sets:
            kinds.append(SegmentType.AS_CONFED_SET)
    segments += [(random.choice(kinds), asns(random)) for _ in range(random.choice((0, 1, 1, 1, 2, 3)))]
    return segments


def asns(random: Random) -> list[int]:
    # A segment holds at most 255; 64 of four octets are the first to need a two-octet length.
    many = chance(random, 0.03)
    count = random.choice((63, 64, 253, 254, 255)) if many else random.choice((1, 1, 2, 3, 4))
    return [asn(random) for _ in range(count)]


def path_octets(segments: Sequence[tuple[int, Sequence[int]]], width: int) -> bytes:
    """Return an AS_PATH value; with `width` 2, AS_TRANS stands for what does not fit (RFC 6793 4.2.2)."""
    return b"".join(
        bytes([type, len(numbers)])
        + b"".join((AS_TRANS if number >> 8 * width else number).to_bytes(width, "big") for number in numbers)
        for type, numbers in segments
    )


def _without_confederation(segments: Path) -> Path:
    return [(type, numbers) for type, numbers in segments if type <= SegmentType.AS_SEQUENCE]


def _without_leading(segments: Path, count: int) -> Path:
    """Return `segments` without up to `count` leading AS numbers, a set being one."""
    while segments and count:
        (type, numbers), *others = segments
        if type == SegmentType.AS_SEQUENCE and len(numbers) > count:
            return [(type, numbers[count:]), *others]
        count -= min(count, len(numbers) if type == SegmentType.AS_SEQUENCE else 1)
        segments = others
    return segments


def _paths(random: Random, context: Context) -> list[Item]:
    """Return AS_PATH, and on a two-octet session AS4_PATH where it tells more (RFC 6793 section 4.2.2)."""
    segments = path(random, context)
    if context.four_octet_as:
        return [item(random, T.AS_PATH, path_octets(segments, 4))]
    items = [item(random, T.AS_PATH, path_octets(segments, 2))]
    as4 = _without_confederation(segments)
    unmappable = any(number > 0xFFFF for _, numbers in as4 for number in numbers)
    if not unmappable and chance(random, 0.6):
        return items
    if not demands_first_as(context):
        # Old speakers may have prepended to AS_PATH alone, or aggregated, so that the two do not match.
        kind = random.randrange(6)
        if kind < 3:
            as4 = _without_leading(as4, random.randint(0, 3))
        elif kind == 3:
            as4 = _without_confederation(path(random, context))
    elif as4 and context.peer_as <= 0xFFFF:
        as4 = _without_leading(as4, random.randint(0, 1))
    if as4:
        items.append(item(random, T.AS4_PATH, path_octets(as4, 4)))
    return items


def _aggregators(random: Random, context: Context) -> list[Item]:
    number, address = asn(random), octets(random, 4)
    if context.four_octet_as:
        return [item(random, T.AGGREGATOR, number.to_bytes(4, "big") + address)]
    kind = random.randrange(4)
    if kind == 3 and demands_first_as(context):
        kind = 0  # it would have AS4_PATH ignored, and the peer's AS may be in there
    as4 = item(random, T.AS4_AGGREGATOR, number.to_bytes(4, "big") + octets(random, 4))
    number = AS_TRANS if kind in (1, 2) or number > 0xFFFF else number
    aggregator = item(random, T.AGGREGATOR, number.to_bytes(2, "big") + address)
    return [aggregator, as4] if kind in (2, 3) else [aggregator]


# --- The other attributes -------------------------------------------------------------------------------

_FIRST_OCTETS = (1, 10, 126, 128, 192, 223, 240, 255)


def next_hop(random: Random) -> bytes:
    """Return the address of a host (RFC 4271 section 6.3)."""
    address = bytes([random.choice(_FIRST_OCTETS)]) + octets(random, 3)
    return b"\xff\xff\xff\xfe" if address == b"\xff\xff\xff\xff" else address


def _listed(size: int) -> Callable[[Random], bytes]:
    def value(random: Random) -> bytes:
        count = random.randint(20, 80) if chance(random, 0.03) else random.choice((1, 1, 2, 3, 5))
        members = [octets(random, size) for _ in range(count)]
        if chance(random, 0.2):
            members.insert(random.randint(0, count), random.choice(members))
        return b"".join(members)

    return value


def _aigp(random: Random) -> bytes:
    metric = random.choice((0, 1, 2**63, 2**64 - 2))
    elements = [b"\1\0\x0b" + metric.to_bytes(8, "big")]
    if chance(random, 0.3):
        value = octets(random, 256 if chance(random, 0.1) else random.randrange(5))
        elements.append(bytes([random.choice((0, 2, 255))]) + (3 + len(value)).to_bytes(2, "big") + value)
        random.shuffle(elements)
    if chance(random, 0.1):
        elements.append(b"\1\0\x0b" + b"\xff" * 8)  # only the first one counts (RFC 7311 section 3)
    return b"".join(elements)


# The values of attributes that stand alone, each valid on its own; lists are weighted towards short.
VALUES: dict[int, Callable[[Random], bytes]] = {
    T.ORIGIN: lambda random: bytes([random.randrange(3)]),
    T.NEXT_HOP: next_hop,
    T.MULTI_EXIT_DISC: lambda random: octets(random, 4),
    T.LOCAL_PREF: lambda random: random.choice((b"\0\0\0\x64", octets(random, 4))),
    T.ATOMIC_AGGREGATE: lambda random: b"",
    T.COMMUNITIES: _listed(4),
    T.ORIGINATOR_ID: lambda random: octets(random, 4),
    T.CLUSTER_LIST: _listed(4),
    T.EXTENDED_COMMUNITIES: _listed(8),
    T.IPV6_EXTENDED_COMMUNITIES: _listed(20),
    T.AIGP: _aigp,
    T.LARGE_COMMUNITIES: _listed(12),
    T.ONLY_TO_CUSTOMER: lambda random: octets(random, 4),
}
_ANYWHERE = (
    T.MULTI_EXIT_DISC,
    T.ATOMIC_AGGREGATE,
    T.COMMUNITIES,
    T.EXTENDED_COMMUNITIES,
    T.IPV6_EXTENDED_COMMUNITIES,
    T.LARGE_COMMUNITIES,
    T.ONLY_TO_CUSTOMER,
)
UNKNOWN = (0, 11, 20, 24, 33, 128, 200, 255)  # types without a member in AttributeType


def attributes(random: Random, context: Context, *, with_next_hop: bool) -> list[Item]:
    """Return attributes that go with routes on this session, all but MP_REACH_NLRI and MP_UNREACH_NLRI."""
    types: list[int] = [T.ORIGIN]
    if with_next_hop:
        types.append(T.NEXT_HOP)
    if context.internal or (context.confederation and chance(random, 0.5)):
        types.append(T.LOCAL_PREF)
    optional = list(_ANYWHERE)
    if context.internal:
        optional += [T.ORIGINATOR_ID, T.CLUSTER_LIST]
    if context.aigp:
        optional.append(T.AIGP)
    types += [type for type in optional if chance(random, 0.25)]
    items = [item(random, type, VALUES[type](random)) for type in types]
    items += _paths(random, context)
    if chance(random, 0.25):
        items += _aggregators(random, context)
    items += [
        item(random, type, octets(random, random.choice((0, 1, 4, 255, 256))), random.choice((0x80, 0xC0)))
        for type in UNKNOWN
        if chance(random, 0.02)
    ]
    items.sort(key=lambda item: item.type)
    if chance(random, 0.3):
        random.shuffle(items)
    return items


def reach(random: Random, family: Family, context: Context, written: Iterable[bytes]) -> Item:
    """Return MP_REACH_NLRI with a next hop of one of the lengths that this session allows."""
    lengths = set(family.next_hop_lengths)
    if family in context.extended_next_hop:
        lengths |= family.extended_next_hop_lengths
    address = octets(random, random.choice(sorted(lengths)))
    reserved = bytes([random.choice((0, 0, 0, 255))])
    value = _code(family) + bytes([len(address)]) + address + reserved + b"".join(written)
    return item(random, T.MP_REACH_NLRI, value)


def unreach(random: Random, family: Family, written: Iterable[bytes]) -> Item:
    return item(random, T.MP_UNREACH_NLRI, _code(family) + b"".join(written))


def _code(family: Family) -> bytes:
    return family.afi.to_bytes(2, "big") + bytes([family.safi])


# --- Whole messages -------------------------------------------------------------------------------------


def draft(random: Random, context: Context, *, announcing: bool | None = None) -> Draft:
    """Return a valid UPDATE of this session.

    `announcing` demands reachable routes, or refuses them; by default there may be any combination of
    the four fields of routes, or none: End-of-RIB, an empty UPDATE, attributes alone.
    """
    families = sorted(context.families, key=lambda family: family.afi)
    message = Draft()
    classic = IPV4_UNICAST in context.families and chance(random, 0.5)
    multiprotocol = chance(random, 0.4)
    if announcing and not classic:
        multiprotocol = True
    elif announcing is False:
        classic = multiprotocol = False
    if classic:
        message.nlri = routes(random, IPV4_UNICAST, context)
    if classic or multiprotocol or chance(random, 0.2):
        # NEXT_HOP beside MP_REACH_NLRI alone is ignored, whatever it holds (RFC 4760 section 3).
        message.attributes = attributes(random, context, with_next_hop=classic)
        if not classic and multiprotocol and chance(random, 0.2):
            message.insert(random, Item(random.choice((0x40, 0xC0)), T.NEXT_HOP, octets(random, 3)))
    if multiprotocol:
        family = random.choice(families)
        least = 1 if announcing else 0
        position = len(message.attributes) if chance(random, 0.3) else 0
        written = routes(random, family, context, least)
        message.attributes.insert(position, reach(random, family, context, written))
    if IPV4_UNICAST in context.families and chance(random, 0.3):
        message.withdrawn = routes(random, IPV4_UNICAST, context)
    if chance(random, 0.3):
        family = random.choice(families)
        message.insert(random, unreach(random, family, routes(random, family, context, 0)))
    if message == Draft() and IPV4_UNICAST not in context.families:
        # An empty UPDATE would be the End-of-RIB of IPv4 unicast (RFC 4724 section 2).
        message.insert(random, unreach(random, random.choice(families), ()))
    return message


def update(random: Random, context: Context) -> bytes:
    """Return the body of a valid UPDATE of this session, no longer than its maximum."""
    return fitting(random, context, draft)


def fitting(random: Random, context: Context, drawn: Callable[[Random, Context], Draft]) -> bytes:
    """Return the body of the first UPDATE drawn that this session's maximum allows."""
    maximum = EXTENDED_MESSAGE_LENGTH if context.extended_messages else MAXIMUM_MESSAGE_LENGTH
    while len(body := drawn(random, context).body()) > maximum - HEADER_LENGTH:
        pass
    return body
