"""Ways to break one attribute: its flags, its length, its value, its place."""

from collections.abc import Sequence
from random import Random

from bgp.iana import AttributeType, SegmentType
from bgp.testing import generate
from bgp.testing.breakage.place import Act, judged_next_hop, put, valid
from bgp.testing.draft import Draft
from bgp.testing.generate import chance, demands_first_as, octets
from bgp.wire.context import Context

T = AttributeType

# --- The same for many attributes -----------------------------------------------------------------------


def flags(type: int) -> Act:
    """Turn the Optional bit, the Transitive bit, or both."""

    def act(random: Random, draft: Draft, context: Context) -> None:
        if type == T.NEXT_HOP:
            item = judged_next_hop(random, draft, context)
        else:
            item = valid(random, draft, context, type)
        item.flags ^= random.choice((0x40, 0x80, 0xC0))

    return act


def lengths(type: int, lengths: Sequence[int]) -> Act:
    def act(random: Random, draft: Draft, context: Context) -> None:
        if type == T.NEXT_HOP:
            judged_next_hop(random, draft, context)
        put(random, draft, type, octets(random, random.choice(lengths)))

    return act


def no_multiple(type: int, size: int) -> Act:
    """Break a list whose members have `size` octets; an empty one is broken too (RFC 7606 section 4)."""
    return lengths(type, (0, 1, size - 1, size + 1, size + size // 2, 2 * size - 1))


def present(type: int) -> Act:
    """Put in an attribute that has no place on the session."""

    def act(random: Random, draft: Draft, context: Context) -> None:
        item = valid(random, draft, context, type)
        if chance(random, 0.3):
            # It is discarded unread, so neither flags nor syntax count.
            item.flags ^= random.choice((0, 0x40, 0x80, 0xC0))
            item.value = octets(random, random.randrange(9))

    return act


def one_of(type: int, values: Sequence[bytes]) -> Act:
    def act(random: Random, draft: Draft, context: Context) -> None:
        put(random, draft, type, random.choice(values))

    return act


# --- AS_PATH and AS4_PATH -------------------------------------------------------------------------------


def _malformed_path(random: Random, value: bytes, width: int) -> bytes:
    number = octets(random, width)
    count = random.randint(1, 3)
    if chance(random, 0.4):
        value = b""
    return value + random.choice(
        (
            bytes([random.choice((0, 5, 255)), 1]) + number,  # unknown segment type
            bytes([random.choice((1, 2, 3)), 0]),  # no AS numbers
            bytes([2, 2]) + number,  # overrun by an AS number
            bytes([2, count]) + octets(random, count * width - 1),  # overrun by an octet
            bytes([2, count]) + octets(random, count * width + 1),  # a single octet is left
            bytes([2]),
        )
    )


def as_path_malformed(random: Random, draft: Draft, context: Context) -> None:
    item = valid(random, draft, context, T.AS_PATH)
    item.value = _malformed_path(random, item.value, 4 if context.four_octet_as else 2)


def _extend(random: Random, draft: Draft, context: Context, type: int, segment_type: int, asn: int) -> None:
    """Put a segment at the end of AS_PATH or AS4_PATH, or before it where no one asks for the first AS."""
    item = valid(random, draft, context, type)
    width = 2 if type == T.AS_PATH and not context.four_octet_as else 4
    segment = generate.path_octets([(segment_type, [asn, *generate.asns(random)[:3]])], width)
    if not context.confederation and not demands_first_as(context) and chance(random, 0.4):
        item.value = segment
    elif context.confederation or chance(random, 0.5):
        item.value += segment
    else:
        item.value = segment + item.value


def as_path_set(random: Random, draft: Draft, context: Context) -> None:
    type = random.choice((SegmentType.AS_SET, SegmentType.AS_CONFED_SET))
    attribute = T.AS4_PATH if not context.four_octet_as and chance(random, 0.4) else T.AS_PATH
    _extend(random, draft, context, attribute, type, generate.asn(random))


def as_path_confederation(random: Random, draft: Draft, context: Context) -> None:
    width = 4 if context.four_octet_as else 2
    if context.confederation:
        plain = [(SegmentType.AS_SEQUENCE, generate.asns(random))]
        put(random, draft, T.AS_PATH, generate.path_octets(plain, width) if chance(random, 0.6) else b"")
    else:
        kinds = [SegmentType.AS_CONFED_SEQUENCE]
        if context.as_sets:
            kinds.append(SegmentType.AS_CONFED_SET)
        _extend(random, draft, context, T.AS_PATH, random.choice(kinds), generate.asn(random))


def as_path_zero(random: Random, draft: Draft, context: Context) -> None:
    _extend(random, draft, context, T.AS_PATH, SegmentType.AS_SEQUENCE, 0)


def as_path_first(random: Random, draft: Draft, context: Context) -> None:
    width = 4 if context.four_octet_as else 2
    # AS_TRANS stands for any AS beyond two octets, but is none itself.
    segments = [(SegmentType.AS_SEQUENCE, [random.choice((context.peer_as ^ 2, 23456)), context.peer_as])]
    if context.as_sets and chance(random, 0.3):
        segments = [(SegmentType.AS_SET, [context.peer_as])]
    elif chance(random, 0.2):
        segments = []
    draft.remove(T.AS4_PATH)
    put(random, draft, T.AS_PATH, generate.path_octets(segments, width))


def as4_path_malformed(random: Random, draft: Draft, context: Context) -> None:
    item = valid(random, draft, context, T.AS4_PATH)
    item.value = _malformed_path(random, item.value, 4) if chance(random, 0.7) else octets(random, 0)


def as4_path_confederation(random: Random, draft: Draft, context: Context) -> None:
    types = [SegmentType.AS_CONFED_SEQUENCE]
    if context.as_sets:
        types.append(SegmentType.AS_CONFED_SET)
    if chance(random, 0.2):
        put(random, draft, T.AS4_PATH, generate.path_octets([(random.choice(types), [70000])], 4))
    else:
        _extend(random, draft, context, T.AS4_PATH, random.choice(types), generate.asn(random))


def as4_path_zero(random: Random, draft: Draft, context: Context) -> None:
    _extend(random, draft, context, T.AS4_PATH, SegmentType.AS_SEQUENCE, 0)


# --- Other attributes -----------------------------------------------------------------------------------


def next_hop_value(random: Random, draft: Draft, context: Context) -> None:
    bad = [bytes([first]) + octets(random, 3) for first in (0, 127, 127, 224, 239)]
    judged_next_hop(random, draft, context).value = random.choice([*bad, bytes(4), b"\xff" * 4])


def aggregator_length(random: Random, draft: Draft, context: Context) -> None:
    lengths = (0, 6, 7, 9) if context.four_octet_as else (0, 5, 7, 8)
    put(random, draft, T.AGGREGATOR, octets(random, random.choice(lengths)))


def aggregator_zero(random: Random, draft: Draft, context: Context) -> None:
    put(random, draft, T.AGGREGATOR, bytes(4 if context.four_octet_as else 2) + octets(random, 4))


def aigp_malformed(random: Random, draft: Draft, context: Context) -> None:
    item = valid(random, draft, context, T.AIGP)
    item.value = random.choice(
        (
            b"",
            b"\1\0\x0b" + b"\xff" * 8,  # the maximum, which no hop could add to
            b"\1\0\x0a" + octets(random, 7),
            b"\1\0\x0c" + octets(random, 9),
            b"\1\0\x0b" + b"\xff" * 8 + b"\2\0\3",
            b"\1\1\x0b" + octets(random, 8),
            b"\2\0\2",  # lengths that do not hold their own header
            b"\2\0\2\0\3",
            b"\2\0\0",
            item.value + b"\2\0\4",
            item.value + b"\1\0",
        )
    )
