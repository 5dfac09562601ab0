"""What a decoder is tried on: valid UPDATEs, nearly valid ones, mutated ones and noise, in fixed shares.

They come as exchanges: a message, and now and then others that a decoder with a memory could confuse it
with: the same again, the same attributes with other routes, the same octets in another session.
"""

from random import Random

from bgp.family import BY_CODE, FAMILIES
from bgp.iana import AttributeType
from bgp.testing import breakage, generate
from bgp.testing.draft import EXTENDED
from bgp.testing.draft import body as body_of
from bgp.testing.generate import CONTEXT_BITS, TRANSITIVE, chance, context_of, octets
from bgp.wire.context import Context

Exchange = list[tuple[Context, bytes]]

_MP_REACH = AttributeType.MP_REACH_NLRI
_FOREIGN = (
    (1, 2),
    (2, 128),
    (25, 70),
    (16388, 71),
    (0, 0),
    *BY_CODE,
)  # (AFI, SAFI), most of them never spoken


def exchange(random: Random) -> Exchange:
    """Return messages with their sessions, in the order in which they arrive."""
    bits = random.getrandbits(CONTEXT_BITS)
    context = context_of(bits)
    kind = random.random()
    if kind < 0.25:
        body = generate.update(random, context)
    elif kind < 0.32:
        body = foreign(random, context)
    elif kind < 0.8:
        # The rule first, then a session on which it can be broken, so that rare ones are not rare.
        rule = random.choice(list(breakage.BREAKERS))
        while not breakage.BREAKERS[rule].applies(context):
            bits = random.getrandbits(CONTEXT_BITS)
            context = context_of(bits)
        rules = [rule, *random.sample(breakage.breakable(context), random.choice((0, 0, 0, 1, 2)))]
        body = breakage.update(random, context, rules)
    elif kind < 0.93:
        body = mutated(random, generate.update(random, context))
    else:
        body = raw(random)
    messages = [(context, body)]
    if chance(random, 0.25):
        messages.append((context, sibling(random, body, context)))
    if chance(random, 0.1):
        messages.append((context, body))
    if chance(random, 0.1):
        messages.append((context_of(bits ^ 1 << random.randrange(CONTEXT_BITS)), body))
    return messages


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
        draft.remove(AttributeType.MP_UNREACH_NLRI)
        value = head + octets(random, random.choice((0, 0, 5)))
        draft.insert(random, generate.item(random, AttributeType.MP_UNREACH_NLRI, value))
    if chance(random, 0.3):
        # Classic fields, which are IPv4 unicast's whether or not it was negotiated.
        draft.withdrawn = generate.routes(random, FAMILIES[0], context)
    if chance(random, 0.3):
        draft.nlri = generate.routes(random, FAMILIES[0], context)
    if chance(random, 0.3):
        breakage.BREAKERS[random.choice(breakage.breakable(context))].act(random, draft, context)
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
        nlri = b"".join(generate.routes(random, FAMILIES[0], context, 0))
        if chance(random, 0.3):
            nlri += octets(random, 2)
    return body_of(b"", block, nlri)


def _other_first(random: Random, block: bytes, context: Context) -> bytes:
    """Return `block` with a first attribute that differs in routes, or in what a memory must not overlook."""
    if len(block) < 4 or (block[1] != _MP_REACH and chance(random, 0.8)):
        return block
    start = 4 if block[0] & EXTENDED else 3
    after = start + int.from_bytes(block[2:start], "big")
    flags, type, value = block[0] | EXTENDED, block[1], block[start:after]
    if after > len(block) or len(value) < 5:
        return block
    family = BY_CODE.get((int.from_bytes(value[:2], "big"), value[2]))
    if type == _MP_REACH and family:
        value = value[: 5 + value[3]] + b"".join(generate.routes(random, family, context, 0))
    kind = random.randrange(12)
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
        type = random.choice((_MP_REACH, AttributeType.MP_UNREACH_NLRI, AttributeType.COMMUNITIES))
    return bytes([flags, type]) + len(value).to_bytes(2, "big") + value + block[after:]
