"""Attributes of a draft, put in their place where the draft has none."""

from collections.abc import Callable
from random import Random

from bgp.family import BY_CODE, IPV4_UNICAST, Family
from bgp.iana import AttributeType, SegmentType
from bgp.testing import generate
from bgp.testing.draft import Draft, Item
from bgp.testing.generate import chance, octets
from bgp.wire.context import Context

T = AttributeType

Act = Callable[[Random, Draft, Context], None]


def put(random: Random, draft: Draft, type: int, value: bytes) -> Item:
    """Give the attribute this value, putting it in if it is not there."""
    item = draft.find(type)
    if item is None:
        item = draft.insert(random, generate.item(random, type, value))
    item.value = value
    return item


def valid(random: Random, draft: Draft, context: Context, type: int) -> Item:
    """Return the attribute, put in with a valid value if it is not there."""
    item = draft.find(type)
    if item is None:
        item = put(random, draft, type, valid_value(random, context, type))
    return item


def valid_value(random: Random, context: Context, type: int) -> bytes:
    """Return a valid value of any attribute, as a peer of this session writes it."""
    match type:
        case T.MP_REACH_NLRI | T.MP_UNREACH_NLRI:
            family = random.choice(sorted(context.families, key=lambda family: family.afi))
            written = generate.routes(random, family, context)
            if type == T.MP_REACH_NLRI:
                return generate.reach(random, family, context, written).value
            return generate.unreach(random, family, written).value
        case T.AS_PATH:
            return generate.path_octets(generate.path(random, context), 4 if context.four_octet_as else 2)
        case T.AS4_PATH:
            return generate.path_octets([(SegmentType.AS_SEQUENCE, generate.asns(random))], 4)
        case T.AGGREGATOR:
            return b"\xfb\xf0".rjust(4 if context.four_octet_as else 2, b"\0") + octets(random, 4)
        case T.AS4_AGGREGATOR:
            return b"\0\1\0\0" + octets(random, 4)
    return generate.VALUES[type](random)


def judged_next_hop(random: Random, draft: Draft, context: Context) -> Item:
    """Return NEXT_HOP where it matters: beside classic NLRI."""
    if not draft.nlri:
        draft.nlri = generate.routes(random, IPV4_UNICAST, context)
        draft.remove(T.NEXT_HOP)
    return valid(random, draft, context, T.NEXT_HOP)


def multiprotocol(random: Random, draft: Draft, context: Context) -> Item:
    """Return MP_REACH_NLRI or MP_UNREACH_NLRI, of a family that was negotiated."""
    item = draft.find(random.choice((T.MP_REACH_NLRI, T.MP_UNREACH_NLRI)))
    if item is None or family_of(item) not in context.families:
        draft.remove(T.MP_REACH_NLRI, T.MP_UNREACH_NLRI)
        family = random.choice(sorted(context.families, key=lambda family: family.afi))
        written = generate.routes(random, family, context)
        if chance(random, 0.5):
            item = generate.reach(random, family, context, written)
        else:
            item = generate.unreach(random, family, written)
        draft.insert(random, item)
    return item


def family_of(item: Item) -> Family | None:
    """Return the family of an MP_REACH_NLRI or MP_UNREACH_NLRI, if it is one that Martlet speaks."""
    head = item.value[:3]
    return BY_CODE.get((int.from_bytes(head[:2], "big"), head[2])) if len(head) == 3 else None
