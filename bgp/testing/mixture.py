"""What a decoder is tried on: valid UPDATEs, nearly valid ones, mutated ones and noise, in fixed shares.

They come as exchanges: a message, and now and then others that a decoder with a memory could confuse it
with: the same again, the same attributes with other routes, the same octets in another session.
"""

from collections.abc import Iterator
from random import Random

from bgp.family import BY_CODE, IPV4_UNICAST
from bgp.iana import AS_TRANS, AttributeFlag, AttributeType, SegmentType
from bgp.testing import breakage, generate
from bgp.testing.draft import EXTENDED, Draft, Item
from bgp.testing.draft import body as body_of
from bgp.testing.generate import (
    CONFEDERATION,
    CONTEXT_BITS,
    FIRST_AS,
    FOUR_OCTET_AS,
    TRANSITIVE,
    chance,
    context_of,
    octets,
)
from bgp.wire.context import Context

Exchange = list[tuple[Context, bytes]]

T = AttributeType
_MP_REACH = T.MP_REACH_NLRI
_USUAL = (
    (T.MULTI_EXIT_DISC, 4),
    (T.ATOMIC_AGGREGATE, 0),
    (T.COMMUNITIES, 4),
    (T.ORIGINATOR_ID, 4),
    (T.CLUSTER_LIST, 4),
    (T.EXTENDED_COMMUNITIES, 8),
)
# First octets of values on both sides of what a rule draws: those of addresses, and small numbers.
_ADDRESSES, _NUMBERS = (0, 126, 127, 127, 128, 223, 224, 239, 240, 255), (0, 1, 2, 3, 4, 5, 255)
_LISTS = (T.COMMUNITIES, T.CLUSTER_LIST, T.EXTENDED_COMMUNITIES)
# (AFI, SAFI), most of them never spoken.
_FOREIGN = ((1, 2), (2, 128), (25, 70), (16388, 71), (0, 0), *BY_CODE)


def exchange(random: Random) -> Exchange:
    """Return messages with their sessions, in the order in which they arrive."""
    bits = _session(random)
    context = context_of(bits)
    kind = random.random()
    if kind < 0.14:
        body = generate.update(random, context)
    elif kind < 0.2:
        body = usual(random, context).body()
    elif kind < 0.25:
        body = foreign(random, context)
    elif kind < 0.27:
        body = end_of_rib(random, context)
    elif kind < 0.7:
        # The rule first, then a session on which it can be broken, so that rare ones are not rare.
        rule = random.choice(list(breakage.BREAKERS))
        while not breakage.BREAKERS[rule].applies(context):
            bits = _session(random)
            context = context_of(bits)
        rules = [rule, *random.sample(breakage.breakable(context), random.choice((0, 0, 0, 1, 2)))]
        draft = None
        if chance(random, 0.5):
            draft = usual(random, context)
        elif chance(random, 0.2):
            # Without reachable routes RFC 7606 section 5.2 is stricter.
            draft = generate.draft(random, context, announcing=False)
        body = breakage.update(random, context, rules, draft)
    elif kind < 0.75:
        body = mutated(random, generate.update(random, context))
    elif kind < 0.97:
        body = disturbed(random, usual(random, context))
    else:
        body = raw(random)
    messages = [(context, body)]
    if chance(random, 0.25):
        messages.append((context, sibling(random, body, context)))
    if chance(random, 0.1):
        messages.append((context, body))
    if chance(random, 0.1):
        other = FOUR_OCTET_AS if chance(random, 0.3) else 1 << random.randrange(CONTEXT_BITS)
        messages.append((context_of(bits ^ other), body))
    return messages


def _session(random: Random) -> int:
    """Return the bits of a session, half the time of a usual one: four-octet AS, no confederation."""
    bits = random.getrandbits(CONTEXT_BITS)
    if chance(random, 0.5):
        bits |= FOUR_OCTET_AS
        bits &= ~FIRST_AS & ~CONFEDERATION
    return bits


def usual(random: Random, context: Context) -> Draft:
    """Return an UPDATE as nearly all are: ascending types, not one needless bit, one AS_SEQUENCE.

    Decoders have a shorter way for these.  The lists are now and then as long as it may go, or longer.
    """
    width = 4 if context.four_octet_as else 2
    asns = [generate.asn(random) for _ in range(_usual_count(random, (0, 38, 39, 40, 63, 64)))]
    kind = SegmentType.AS_SEQUENCE
    if generate.demands_first_as(context):
        asns.insert(0, context.peer_as)
    elif context.confederation:
        kind = SegmentType.AS_CONFED_SEQUENCE
        asns = asns or [generate.asn(random)]
    classic = IPV4_UNICAST in context.families and chance(random, 0.6)
    draft = Draft(ordered=True)
    path = generate.path_octets([(kind, asns)] if asns else [], width)
    values = {T.ORIGIN: generate.VALUES[T.ORIGIN](random), T.AS_PATH: path}
    if generate.demands_first_as(context) and width == 2 and context.peer_as > 0xFFFF:
        values[T.AS4_PATH] = generate.path_octets([(kind, asns)], 4)
    if classic or chance(random, 0.1):
        values[T.NEXT_HOP] = generate.next_hop(random)
    if context.internal:
        values[T.LOCAL_PREF] = octets(random, 4)
    for type, size in _USUAL:
        if chance(random, 0.3) and (context.internal or type not in (T.ORIGINATOR_ID, T.CLUSTER_LIST)):
            count = _usual_count(random, (8, 9, 16, 17, 63, 64)) if type in _LISTS else 1
            values[type] = octets(random, size * count)
    if chance(random, 0.3):
        number = generate.asn(random)
        number = AS_TRANS if number >> 8 * width else number
        values[T.AGGREGATOR] = number.to_bytes(width, "big") + octets(random, 4)
    for type, value in values.items():
        partial = generate.CATEGORY[type] == TRANSITIVE and chance(random, 0.2)
        flags = generate.CATEGORY[type] | (AttributeFlag.PARTIAL if partial else 0)
        draft.insert(random, Item(flags, type, value))
    if classic:
        draft.nlri = generate.routes(random, IPV4_UNICAST, context)
    else:
        family = random.choice(sorted(context.families, key=lambda family: family.afi))
        reach = generate.reach(random, family, context, generate.routes(random, family, context))
        draft.attributes.insert(0, reach)
    return draft


def _usual_count(random: Random, limits: tuple[int, ...]) -> int:
    return random.choice(limits) if chance(random, 0.15) else random.choice((1, 1, 2, 3))


def disturbed(random: Random, draft: Draft) -> bytes:
    """Return the UPDATE with one thing about one attribute changed, where its meaning is."""
    item = random.choice(draft.attributes)
    kind = random.choice((0, 1, 1, 2, 3, 4, 5, 6))
    if kind == 0:
        item.flags ^= 1 << random.randint(4, 7)
    elif kind == 1 and item.value:
        telling = _ADDRESSES if item.type == T.NEXT_HOP else _NUMBERS
        item.value = bytes([random.choice(telling)]) + item.value[1:]
    elif kind == 2:
        # AS 0, and much else that is zero.
        at = random.randrange(max(len(item.value), 1))
        item.value = item.value[:at] + bytes(len(item.value[at : at + 4])) + item.value[at + 4 :]
    elif kind == 3:
        item.value = item.value[: -random.choice((1, 2, 4, len(item.value) or 1))]
    elif kind == 4:
        item.value += octets(random, random.choice((1, 2, 4)))
    elif kind == 5:
        # Something that may have no place here, or is there already.
        type, size = random.choice((*_USUAL, (T.LOCAL_PREF, 4), (T.NEXT_HOP, 4)))
        draft.insert(random, Item(generate.CATEGORY[type], type, octets(random, size)))
    else:
        draft.remove(item.type)
    return draft.body()


def foreign(random: Random, context: Context) -> bytes:
    """Return an UPDATE with routes of a family that may not have been negotiated."""
    draft = generate.draft(random, context)
    afi, safi = random.choice(_FOREIGN)
    head = afi.to_bytes(2, "big") + bytes([safi])
    if chance(random, 0.6):
        draft.remove(_MP_REACH)
        next_hop = octets(random, random.choice((0, 4, 12, 16)))
        value = head + bytes([len(next_hop)]) + next_hop + b"\0" + octets(random, random.choice((0, 1, 7)))
        draft.insert(random, generate.item(random, _MP_REACH, value))
    else:
        draft.remove(T.MP_UNREACH_NLRI)
        value = head + octets(random, random.choice((0, 0, 5)))
        draft.insert(random, generate.item(random, T.MP_UNREACH_NLRI, value))
    if chance(random, 0.3):
        # Classic fields, which are IPv4 unicast's whether or not it was negotiated.
        draft.withdrawn = generate.routes(random, IPV4_UNICAST, context)
    if chance(random, 0.3):
        draft.nlri = generate.routes(random, IPV4_UNICAST, context)
    if chance(random, 0.3):
        breakage.BREAKERS[random.choice(breakage.breakable(context))].act(random, draft, context)
    return draft.body()


def end_of_rib(random: Random, context: Context) -> bytes:
    """Return an End-of-RIB (RFC 4724 section 2), or what is none for a little more that it holds."""
    head = random.choice(((1, 1), (2, 1), *_FOREIGN[:2]))
    value = head[0].to_bytes(2, "big") + bytes([head[1]])
    draft = Draft(attributes=[generate.item(random, T.MP_UNREACH_NLRI, value)])
    kind = random.randrange(8)
    if kind == 0:
        draft.attributes.clear()
    elif kind == 1:
        draft.withdrawn = generate.routes(random, IPV4_UNICAST, context)
    elif kind == 2:
        draft.nlri = generate.routes(random, IPV4_UNICAST, context)
    elif kind == 3:
        draft.insert(random, generate.item(random, random.choice(generate.UNKNOWN), b"", 0x80))
    elif kind == 4:
        draft.insert(random, generate.item(random, T.LOCAL_PREF, bytes(4)))
    return draft.body()


def mutated(random: Random, body: bytes) -> bytes:
    """Return `body` with octets changed, removed, repeated or put in; never shorter than four."""
    changed = bytearray(body)
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(changed)) if changed else 0
        kind = random.randrange(5)
        if kind == 0 and changed:
            changed[at] ^= 1 << random.randrange(8)
        elif kind == 1 and changed:
            changed[at] = random.choice((0, 1, 2, 3, 4, 14, 15, 255))
        elif kind == 2:
            del changed[at : at + random.randint(1, 4)]
        elif kind == 3:
            changed[at:at] = changed[at : at + random.randint(1, 16)]
        else:
            changed[at:at] = octets(random, random.randint(1, 3))
    return bytes(changed).ljust(4, b"\0")


def raw(random: Random) -> bytes:
    """Return noise of at least four octets, the length fields sometimes such that it is looked into."""
    if chance(random, 0.3):
        return octets(random, random.randint(4, 40))
    withdrawn = octets(random, random.choice((0, 0, 0, 1, 5)))
    attributes = b""
    for _ in range(random.randrange(5)):
        value = octets(random, random.choice((0, 1, 3, 4, 4, 6, 8, 12)))
        flags = random.choice((0x40, 0x80, TRANSITIVE, random.randrange(256)))
        attributes += bytes([flags & ~EXTENDED, random.randrange(36), len(value)]) + value
    nlri = octets(random, random.choice((0, 1, 4, 10)))
    return (
        len(withdrawn).to_bytes(2, "big") + withdrawn + len(attributes).to_bytes(2, "big") + attributes + nlri
    )


def sibling(random: Random, body: bytes, context: Context) -> bytes:
    """Return an UPDATE with the attributes of `body` and other routes, or almost."""
    start = 4 + int.from_bytes(body[:2], "big")
    end = start + int.from_bytes(body[start - 2 : start], "big")
    if start > len(body) or end > len(body):
        return body
    block = _other_first(random, body[start:end], context)
    nlri = b""
    if end < len(body) or chance(random, 0.2):
        nlri = b"".join(generate.routes(random, IPV4_UNICAST, context, 0))
        if chance(random, 0.3):
            nlri += octets(random, 2)
    return body_of(b"", block, nlri)


def _other_first(random: Random, block: bytes, context: Context) -> bytes:
    """Return `block` with a first attribute that differs in routes, or in what a memory must not overlook."""
    attributes = list(_attributes(block))
    if not attributes or (attributes[0][1] != _MP_REACH and chance(random, 0.7)):
        return block
    first, others = attributes[0], block[len(attributes[0]) :]
    start = 4 if first[0] & EXTENDED else 3
    flags, type, value = first[0] | EXTENDED, first[1], first[start:]
    family = BY_CODE.get((int.from_bytes(value[:2], "big"), value[2])) if len(value) > 4 else None
    if type == _MP_REACH and family:
        value = value[: 5 + value[3]] + b"".join(generate.routes(random, family, context, 0))
    # Where MP_REACH_NLRI stands further behind, what matters is that it does.
    kind = random.randrange(14) if type == _MP_REACH else random.randint(4, 6)
    if kind == 0:
        value += octets(random, 2)
    elif kind == 1:
        value = value[: random.randint(0, len(value))]
    elif kind == 2:
        afi, safi = random.choice(_FOREIGN)
        value = afi.to_bytes(2, "big") + bytes([safi]) + value[3:]
    elif kind == 3:
        flags ^= random.choice((0x40, 0x80, 0xC0))
    elif kind == 4:
        type = random.choice((_MP_REACH, T.MP_UNREACH_NLRI, T.COMMUNITIES))
    elif kind in (5, 6):
        again = next((attribute for attribute in attributes if attribute[1] == _MP_REACH), first)
        return again if kind == 5 else again + others
    return bytes([flags, type]) + len(value).to_bytes(2, "big") + value + others


def _attributes(block: bytes) -> Iterator[bytes]:
    """Yield the octets of each attribute of `block` up to one that overruns it."""
    while len(block) > 3:
        start = 4 if block[0] & EXTENDED else 3
        after = start + int.from_bytes(block[2:start], "big")
        if after > len(block):
            return
        yield block[:after]
        block = block[after:]
